"""Django Tasks hold the contract; run in a process of its own, because a process has one Django project."""

import asyncio
import os
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

import pytest

FOLDER = Path(mkdtemp(prefix="headway-django-"))
os.environ |= {
    "DATABASE": str(FOLDER / "project.db"),
    "DJANGO_SETTINGS_MODULE": "tests.queues.django_project",
    "HEADWAY_STORE": f"sqlite:///{FOLDER / 'headway.db'}",
}

import django  # noqa: E402

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import transaction  # noqa: E402
from django_tasks_db.models import DBTaskResult  # noqa: E402
from tests.queues import django_tasks_app as tasks  # noqa: E402
from tests.queues.unnamed import warned_once  # noqa: E402

import headway  # noqa: E402
from headway.queues import enqueueing  # noqa: E402
from headway.queues.django_tasks import fan_out  # noqa: E402
from headway.testing import QueueContract  # noqa: E402
from headway.testing.queue_contract import LEASE, Queue, calls, ended, fate, until  # noqa: E402

FATES = {"SUCCESSFUL": "completed", "FAILED": "failed"}


class DjangoTasks(Queue):
    """A queue's name is a line."""

    def __init__(self):
        self.hw = headway.connect(os.environ["HEADWAY_STORE"])

    def command(self, line):
        options = ["--queue-name", line, "--interval", "0.05", "--no-startup-delay", "-v", "0"]
        return [sys.executable, "-m", "django", "db_worker", *options]

    def environment(self):
        return {}

    def enqueue(self, body, *args, line, **kwargs):
        plain = [str(one) if isinstance(one, Path) else one for one in args]
        return getattr(tasks, body).using(queue_name=line).enqueue(*plain, **kwargs).id

    def send(self, body, *args, line, **_):
        return self.enqueue(body, *args, line=line)

    def fate(self, id):
        return FATES.get(DBTaskResult.objects.get(id=id).status)

    def again(self, id, line):  # noqa: ARG002 - the queue's, as the contract calls it
        """Nothing does it; whoever sees the worker dead puts its task back."""
        DBTaskResult.objects.filter(id=id).update(status="READY")

    def close(self):
        self.hw.close()


@pytest.fixture(scope="module")
def queue():
    call_command("migrate", verbosity=0)
    with closing(DjangoTasks()) as queue:
        yield queue


class TestDatabaseBackend(QueueContract):
    """A worker runs one task at a time, in its own process."""

    retries = False
    children = False
    duplicates = False
    limits = False

    def test_a_result_that_json_cannot_carry_is_left_out(self, queue, line):
        """To Django such a task has failed."""
        job = ended(queue, queue.send("strange", line=line))
        assert (job.status, job.error.type) == ("failed", "TypeError")
        assert fate(queue, job) == "failed"


def test_a_worker_that_is_asked_to_stop_twice_leaves_its_task_stopped(queue, tmp_path):
    line, file = queue.new_line(), tmp_path / "calls"
    with queue.worker(line) as worker:
        id = queue.send("slow", file, 60, line=line)
        until(file.exists)
        worker.terminate()
        time.sleep(0.5)
        worker.terminate()
        assert worker.wait(60) == 0  # to the worker, the task has failed
        assert ended(queue, id).status == "stopped"


def test_a_task_is_pending_once_it_is_committed(queue):
    line = queue.new_line()
    with transaction.atomic():
        with enqueueing(scope="user/1"):
            id = queue.send("succeed", 3, line=line)
        assert queue.hw.get(id) is None
    pending = queue.hw.get(id)
    assert (pending.status, pending.scope) == ("pending", "user/1")


def test_a_task_that_is_rolled_back_leaves_nothing(queue):
    with transaction.atomic():
        id = queue.send("succeed", 3, line=queue.new_line())
        transaction.set_rollback(True)
    assert queue.hw.get(id) is None


def test_progress_within_an_open_transaction_is_seen_at_once(queue, line, tmp_path):
    id = queue.send("in_a_transaction", tmp_path / "calls", line=line)
    job = until(lambda: (job := queue.hw.get(id)) and job.count == 5 and job)
    assert job.status == "running"
    assert ended(queue, id).status == "completed"


def test_an_asynchronous_task_is_reported_as_its_decorator_says(queue, line):
    job = ended(queue, queue.send("named", [1, 2, 3], line=line))
    assert (job.name, job.total, job.count, job.scope) == ("Import of customers", 3, 3, "user/1")
    assert job.kind == "tests.queues.django_tasks_app.named"


def test_a_task_may_be_left_out(queue, line):
    id = queue.send("unreported", line=line)
    assert until(partial(queue.fate, id)) == "completed"
    assert DBTaskResult.objects.get(id=id).return_value is False
    assert queue.hw.get(id) is None


def test_a_task_is_enqueued_in_an_event_loop(queue, line):
    task = tasks.succeed.using(queue_name=line)
    with enqueueing(scope="user/1"):
        id = asyncio.run(task.aenqueue(4)).id
    job = ended(queue, id)
    assert (job.status, job.count, job.scope) == ("completed", 4, "user/1")


def test_several_tasks_are_one_bar(queue, line):
    with fan_out("All countries", 3, scope="user/1") as whole:
        for rows in (1, 2, 3):
            queue.send("succeed", rows, line=line)
    job = ended(queue, whole)
    assert (job.status, job.children.count, job.scope) == ("completed", 3, "user/1")


def test_a_task_that_calls_another_ones_function_is_stopped_inside(queue, line, tmp_path):
    file = tmp_path / "calls"
    id = queue.send("outer", file, line=line)
    until(file.exists)
    assert queue.hw.cancel(id)
    assert ended(queue, id).status == "cancelled"
    assert until(partial(queue.fate, id)) == "completed"
    assert len(calls(file)) == 1


@pytest.mark.parametrize("moment", ["starting", "finishing"])
def test_a_receiver_of_somebody_elses_that_raises_does_not_leave_a_job_behind(queue, line, moment):
    """Django lets it fail a task before it runs, or one that has succeeded."""
    job = ended(queue, queue.enqueue("met_by_a_receiver", line=line, raises=moment))
    assert fate(queue, job) == "failed"
    assert job.status == ("failed" if moment == "starting" else "completed")


def test_a_task_of_the_immediate_backend_is_reported(queue):
    done = tasks.succeed.using(backend="immediate").enqueue(7)
    job = queue.hw.get(done.id, details=True)
    assert (job.status, job.count, job.result) == ("completed", 7, {"rows": 7})
    assert not headway.current().started


def test_a_failure_of_the_immediate_backend_is_reported(queue):
    done = tasks.fail.using(backend="immediate").enqueue()
    job = queue.hw.get(done.id, details=True)
    assert (job.status, job.error.type) == ("failed", "ValueError")


def test_a_task_of_the_immediate_backend_in_a_transaction_stays_completed(queue):
    with transaction.atomic():
        done = tasks.succeed.using(backend="immediate").enqueue(2)
    assert queue.hw.get(done.id).status == "completed"


def test_a_silent_worker_is_believed_as_long_as_the_settings_say(queue, line, tmp_path):
    id = queue.send("slow", tmp_path / "calls", 1, line=line)
    assert ended(queue, id).lease == LEASE


def test_installing_without_a_store_says_once_which_file_is_used(tmp_path):
    program = """
import django
from django.apps import apps
from django.conf import settings
settings.configure(INSTALLED_APPS=["headway.queues.django_tasks.App"])
django.setup()
apps.get_app_config("headway_tasks").ready()
"""
    assert warned_once("Django Tasks", program, tmp_path)

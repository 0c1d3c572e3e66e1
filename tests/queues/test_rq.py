"""RQ holds the contract."""

import sys
from datetime import timedelta
from pathlib import Path

import pytest
import rq
from rq.command import send_stop_job_command
from tests.queues import rq_app
from tests.queues.unnamed import warned_once

import headway
from headway.queues import rq as headway_rq
from headway.testing import QueueContract
from headway.testing.queue_contract import Queue, ended, kill_with_children, until

NEWER = pytest.mark.skipif(int(rq.VERSION.split(".")[0]) < 3, reason="RQ 2 spawns workers of its own")
FATES = {"finished": "completed", "failed": "failed", "stopped": "cancelled", "canceled": "cancelled"}


class RQ(Queue):
    """A queue of RQ's is a line."""

    worker_class = "Worker"

    def __init__(self, server, store):
        self.server, self.connection = server, server.client()
        self.hw = headway.connect(store)

    def command(self, line):
        server = f"redis://127.0.0.1:{self.server.port}"
        worker = f"tests.queues.rq_app.{self.worker_class}"
        return [
            sys.executable,
            "-m",
            "rq.cli",
            "worker",
            "-w",
            worker,
            "-u",
            server,
            "--with-scheduler",
            line,
        ]

    def environment(self):
        return {"HEADWAY_STORE": self.hw.store.url}

    def queue(self, line):
        class Reporting(headway_rq.Queue):
            store = self.hw

        return Reporting(line, connection=self.connection)

    def send(self, body, *args, line, retries=0, wait=0, limit=None, **_):
        how = {
            "retry": rq.Retry(max=retries, interval=wait) if retries else None,
            "job_timeout": limit or 300,
        }
        plain = [str(one) if isinstance(one, Path) else one for one in args]
        return self.queue(line).enqueue(getattr(rq_app, body), args=plain, **how).id

    def fate(self, id):
        return FATES.get(rq.job.Job.fetch(id, connection=self.connection).get_status())

    def restart_broker(self):
        self.server.kill()
        self.server.start()

    def close(self):
        self.connection.close()
        self.hw.close()


QUEUE = RQ


class TestRQ(QueueContract):
    """Jobs run in a work horse, one at a time."""

    duplicates = False
    remains = False
    redelivers = False  # not before its maintenance, minutes later


def test_a_stop_command_shows_as_cancelled(queue, line, tmp_path):
    id = queue.send("slow", tmp_path / "calls", 60, line=line)
    until((tmp_path / "calls").exists)
    until(lambda: queue.hw.get(id).status == "running")
    send_stop_job_command(queue.connection, id)
    assert ended(queue, id).status == "cancelled"


def test_jobs_that_depend_on_each_other_are_one_bar(queue, line):
    reporting = queue.queue(line)
    with reporting.fan_out("Three steps", 3, bound=True, scope="user/1") as whole:
        first = reporting.enqueue(rq_app.succeed, 5)
        second = reporting.enqueue(rq_app.succeed, 5, depends_on=first)
        reporting.enqueue(rq_app.succeed, 5, depends_on=second)
    job = ended(queue, whole)
    assert (job.status, job.children.count, job.scope) == ("completed", 3, "user/1")


def test_a_failure_that_others_depend_on_is_the_wholes(queue, line):
    reporting = queue.queue(line)
    with reporting.fan_out("Two steps", 2, bound=True) as whole:
        first = reporting.enqueue(rq_app.fail)
        second = reporting.enqueue(rq_app.succeed, 5, depends_on=first)
    assert ended(queue, whole).status == "failed"
    assert queue.hw.get(second.id).status == "pending"


def test_a_job_is_reported_as_its_decorator_says(queue, line):
    id = queue.queue(line).enqueue(rq_app.named, [1, 2, 3]).id
    job = ended(queue, id)
    assert (job.name, job.total, job.count, job.scope) == ("Import of customers", 3, 3, "user/1")


def test_a_job_may_be_left_out(queue, line):
    job = queue.queue(line).enqueue(rq_app.unreported)
    assert until(job.latest_result).return_value is False
    assert queue.hw.get(job.id) is None


def test_a_job_that_returns_a_retry_is_tried_again(queue, line, tmp_path):
    id = queue.queue(line).enqueue(rq_app.returns_retry, str(tmp_path / "calls")).id
    job = until(lambda: (job := queue.hw.get(id, details=True)).status == "completed" and job)
    assert (job.attempt, job.result) == (2, "done")


def test_a_scheduled_job_is_pending(queue, line):
    job = queue.queue(line).enqueue_in(timedelta(hours=1), rq_app.succeed, 5)
    assert queue.hw.get(job.id).status == "pending"
    assert queue.hw.cancel(job.id)


@pytest.mark.parametrize("worker_class", ["SimpleWorker", pytest.param("SpawnWorker", marks=NEWER)])
def test_other_workers_report_too(queue, tmp_path, worker_class):
    line, file = queue.new_line(), tmp_path / "calls"
    other = RQ.__new__(RQ)
    other.__dict__ = vars(queue) | {"worker_class": worker_class}
    with other.worker(line):
        assert ended(queue, queue.send("succeed", 5, line=line)).count == 5
        id = queue.send("endless", file, line=line, retries=3)
        until(file.exists)
        assert queue.hw.cancel(id)
        assert ended(queue, id).status == "cancelled"
        assert ended(queue, queue.send("fail", line=line)).status == "failed"


def test_a_job_whose_worker_and_horse_died_has_failed_once_maintenance_finds_it(queue, tmp_path):
    line, file = queue.new_line(), tmp_path / "calls"
    with queue.worker(line) as worker:
        id = queue.send("slow", file, 60, line=line)
        until(file.exists)
        kill_with_children(worker)
    started = queue.queue(line).started_job_registry
    queue.connection.zadd(started.key, dict.fromkeys(queue.connection.zrange(started.key, 0, -1), 1))
    with queue.worker(line):
        job = ended(queue, id)
    assert (job.status, job.error.text) == ("failed", "Its worker died.")


def test_installing_without_a_store_says_once_which_file_is_used(queue, tmp_path):
    program = """
import os
from redis import Redis
from headway.queues.rq import Queue, SimpleWorker
connection = Redis(port=int(os.environ["PORT"]))
queue = Queue("unnamed", connection=connection)
SimpleWorker([queue], connection=connection)
queue.enqueue(len, [])
"""
    assert warned_once("RQ", program, tmp_path, PORT=str(queue.server.port))

"""django-rq reports; run in a process of its own, because a process has one Django project."""

import os
import subprocess
import sys
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import mkdtemp

import pytest
import rq
from tests.servers.redis import redis_server

import headway
from headway.queues import enqueueing
from headway.testing import QueueContract  # noqa: F401 - before what is imported from it
from headway.testing.queue_contract import calls, ended, kill_with_children, until

FOLDER = Path(mkdtemp(prefix="headway-django-rq-"))
NEWER = pytest.mark.skipif(int(rq.VERSION.split(".")[0]) < 3, reason="RQ 2 spawns workers of its own")
COMMITS = pytest.mark.skipif(int(version("django-rq").split(".")[0]) < 4, reason="django-rq 3 does not wait")


class Project:
    """A project whose workers run as they would on a server."""

    def __init__(self):
        self.hw = headway.connect(os.environ["STORE"])

    def enqueue(self, name, body, *args, **how):
        import django_rq
        from tests.queues import rq_app

        return django_rq.get_queue(name).enqueue(getattr(rq_app, body), *args, **how)

    @contextmanager
    def worker(self, name, *options):
        command = [sys.executable, "-m", "django", "rqworker", name, "-v", "0", *options]
        process = subprocess.Popen(command, start_new_session=True)
        try:
            yield
        finally:
            kill_with_children(process)


@pytest.fixture(scope="module")
def project():
    with redis_server("valkey") as server:
        os.environ |= {
            "DATABASE": str(FOLDER / "project.db"),
            "DJANGO_SETTINGS_MODULE": "tests.queues.django_rq_project",
            "PORT": str(server.port),
            "STORE": f"sqlite:///{FOLDER / 'headway.db'}",
        }
        import django

        django.setup()
        assert os.environ["HEADWAY_STORE"] == os.environ["STORE"]
        yield Project()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("forked", []),
        pytest.param("spawned", ["--worker-class", "headway.queues.rq.SpawnWorker"], marks=NEWER),
    ],
)
def test_a_worker_completes_fails_and_cancels(project, tmp_path, name, options):
    with enqueueing(scope="user/1"):
        id = project.enqueue(name, "succeed", 5).id
    with project.worker(name, *options):
        job = ended(project, id)
        assert (job.status, job.count, job.scope) == ("completed", 5, "user/1")
        file = tmp_path / "calls"
        id = project.enqueue(name, "endless", str(file), retry=rq.Retry(max=3)).id
        until(file.exists)
        assert project.hw.cancel(id)
        assert ended(project, id).status == "cancelled"
        assert len(calls(file)) == 1
        assert ended(project, project.enqueue(name, "fail").id).status == "failed"


@COMMITS
def test_a_job_is_pending_from_the_commit_on(project):
    from django.db import transaction

    with transaction.atomic():
        with enqueueing(scope="user/3"):
            project.enqueue("committed", "succeed", 5)
        assert not list(project.hw.find(scope="user/3"))
    [pending] = project.hw.find(scope="user/3")
    assert pending.status == "pending"
    with project.worker("committed"):
        assert ended(project, pending.id).status == "completed"


@COMMITS
def test_what_is_rolled_back_leaves_nothing(project):
    from django.db import transaction

    with transaction.atomic(), enqueueing(scope="user/2"):
        project.enqueue("forked", "succeed", 5)
        transaction.set_rollback(True)
    assert not list(project.hw.find(scope="user/2"))

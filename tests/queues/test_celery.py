"""Celery holds the contract, with every pool that it has."""

import os
import sys
from contextlib import closing
from pathlib import Path

import celery
import kombu
import pytest
from tests.queues.lives import lives
from tests.queues.unnamed import warned_once
from tests.servers.redis import redis_server

import headway
from headway.testing import QueueContract
from headway.testing.queue_contract import Queue, ended, until

FATES = {"SUCCESS": "completed", "FAILURE": "failed", "REVOKED": "cancelled"}


class CeleryQueue(Queue):
    """An app on a real broker; a line is one of Celery's queues."""

    connection = None

    def __init__(self, server, store, pool="prefork"):
        self.server, broker = server, f"redis://127.0.0.1:{server.port}/0"
        os.environ["RESULTS"] = self.results = broker
        self.broker, self.store, self.pool = broker, store, pool
        self.hw = headway.connect(store)
        from tests.queues.celery_app import make

        self.app = make(broker, store)

    def command(self, line):
        options = ["-P", self.pool, "-c", "2", "-Q", line, "-n", f"{line}@%h", "-l", "WARNING"]
        without = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        return [sys.executable, "-m", "celery", "-A", "tests.queues.celery_app", "worker", *options, *without]

    def environment(self):
        return {"BROKER": self.broker, "RESULTS": self.results, "HEADWAY_STORE": self.store}

    def send(self, body, *args, line, retries=0, wait=0, limit=None, id=None, **_):
        """Which tasks come again is said where they are defined."""
        how = {"task_id": id, "queue": line, "time_limit": limit, "headers": {"again": retries, "wait": wait}}
        how["connection"] = self.connection
        plain = [str(one) if isinstance(one, Path) else one for one in args]
        return self.app.send_task(f"contract.{body}", plain, **how).id

    def restart_broker(self):
        self.server.kill()
        self.server.start()

    def fate(self, id):
        return FATES.get(self.app.AsyncResult(id).state)

    def close(self):
        self.app.close()
        self.hw.close()


class OnRabbitMQ(CeleryQueue):
    """The same app, and another broker: there is one app in a process."""

    def __init__(self, on_redis, server):
        self.__dict__ |= vars(on_redis) | {"server": server, "broker": server.url}
        self.connection = kombu.Connection(server.url)

    def restart_broker(self):
        self.connection.release()
        super().restart_broker()

    def close(self):
        self.connection.release()


@pytest.fixture(scope="session")
def broker():
    with redis_server("valkey") as server:
        yield server


class TestPrefork(QueueContract):
    """Tasks run in children of the worker."""

    pause = 1  # Celery stores a retry after it has sent it: the next attempt may be quicker


@pytest.fixture(scope="session")
def on_rabbitmq(on_redis, rabbit):
    with closing(OnRabbitMQ(on_redis, rabbit)) as other:
        yield other


@pytest.mark.nightly
class TestRabbitMQ(TestPrefork):
    """What is delivered again comes at once, when the worker's connection is gone."""

    @pytest.fixture(scope="class")
    @classmethod
    def queue(cls, on_rabbitmq):
        return on_rabbitmq


def test_tasks_that_go_by_rabbitmq_complete_and_come_again(on_rabbitmq, tmp_path):
    lives(on_rabbitmq, tmp_path)


@pytest.fixture(scope="session")
def on_redis(broker, tmp_path_factory):
    store = f"sqlite:///{tmp_path_factory.mktemp('store') / 'headway.db'}"
    with closing(CeleryQueue(broker, store)) as queue:
        yield queue


@pytest.fixture(scope="module")
def queue(on_redis):
    return on_redis


def task(queue, line, name, *args, **how):
    """A task's signature, for this line."""
    return queue.app.tasks[f"contract.{name}"].s(*args, **how).set(queue=line)


def test_a_group_is_one_bar(queue, line):
    canvas = celery.group(task(queue, line, "succeed", n) for n in (10, 20, 30))
    id, results = queue.app.reports.fan_out(canvas, "All countries", scope="user/1")
    assert results.get(timeout=30) == [{"rows": 10}, {"rows": 20}, {"rows": 30}]
    whole = ended(queue, id)
    assert (whole.status, whole.scope, whole.fraction) == ("completed", "user/1", 1.0)
    assert (whole.children.count, whole.children.ended, whole.children.failed) == (3, 3, 0)


def test_a_group_with_a_failure_ends_with_its_last_and_has_failed(queue, line, tmp_path):
    parts = [task(queue, line, "fail"), task(queue, line, "slow", str(tmp_path / "calls"), 2)]
    id, _ = queue.app.reports.fan_out(celery.group(parts), "Both")
    one = until(lambda: (job := queue.hw.get(id)) and job.children and job.children.failed and job)
    assert (one.status, one.fraction) == ("running", 0.5)
    whole = ended(queue, id)
    assert (whole.status, whole.children.ended, whole.children.failed) == ("failed", 2, 1)


def test_a_chord_is_one_bar_with_its_body(queue, line):
    chord = celery.chord([task(queue, line, "succeed", n) for n in (1, 2, 3)], task(queue, line, "collect"))
    id, result = queue.app.reports.fan_out(chord, "Collected")
    assert result.get(timeout=30) == 3
    whole = ended(queue, id)
    assert (whole.status, whole.children.count) == ("completed", 4)


def test_a_chain_that_breaks_has_failed_at_once(queue, line):
    broken = task(queue, line, "fail").set(immutable=True)
    id, _ = queue.app.reports.fan_out(
        task(queue, line, "succeed", 1) | broken | task(queue, line, "collect"), "Chained"
    )
    whole = ended(queue, id)
    assert (whole.status, whole.children.count, whole.children.failed) == ("failed", 2, 1)
    assert whole.fraction == pytest.approx(2 / 3, abs=1e-4)


def test_a_task_whose_successor_cannot_be_sent_has_failed(queue, line):
    chain = task(queue, line, "succeed", 1) | task(queue, line, "meta")  # which lacks an argument
    id, _ = queue.app.reports.fan_out(chain, "Chained")
    whole = ended(queue, id)
    assert (whole.status, whole.children.count, whole.children.failed) == ("failed", 1, 1)


def test_a_cancel_of_the_whole_reaches_what_runs_and_what_waits(queue, line, tmp_path):
    files = [str(tmp_path / str(n)) for n in range(5)]
    id, _ = queue.app.reports.fan_out(celery.group(task(queue, line, "endless", f) for f in files), "Endless")
    until(lambda: sum(Path(file).exists() for file in files) == 2)
    assert queue.hw.cancel(id)
    whole = ended(queue, id)
    assert (whole.status, sum(Path(file).exists() for file in files)) == ("cancelled", 2)


def test_what_update_state_says_shows_and_makes_it_stop(queue, line, tmp_path):
    id = queue.send("meta", tmp_path / "calls", 1000, line=line)
    job = until(lambda: (job := queue.hw.get(id)) and job.count and job)
    assert job.total == 1000
    assert queue.hw.cancel(id)
    assert ended(queue, id).status == "cancelled"


def test_what_celery_progress_records_shows(queue, line, tmp_path):
    id = queue.send("recorder", tmp_path / "calls", line=line)
    job = until(lambda: (job := queue.hw.get(id)) and job.count and job)
    assert (job.count, job.total, job.percent, job.activity) == (3, 10, 30, "row 3")
    assert ended(queue, id).status == "completed"


def test_a_task_may_be_left_out(queue, line):
    result = queue.app.tasks["contract.unreported"].apply_async(queue=line)
    assert result.get(timeout=30) is False
    assert queue.hw.get(result.id) is None


def test_a_task_is_reported_as_its_decorator_says(queue, line):
    result = queue.app.tasks["contract.named"].apply_async([[1, 2, 3]], queue=line)
    job = ended(queue, result.id)
    assert (job.name, job.total, job.count, job.scope) == ("Import of customers", 3, 3, "user/1")
    assert job.kind == "contract.named"


def test_a_task_that_is_terminated_is_cancelled(queue, tmp_path, line):
    file = tmp_path / "calls"
    id = queue.send("slow", file, 60, line=line)
    until(file.exists)
    queue.app.control.terminate(id)
    assert ended(queue, id).status == "cancelled"


def test_a_task_that_is_revoked_before_it_starts_is_cancelled(queue, tmp_path, line):
    busy = [queue.send("endless", tmp_path / str(n), line=line) for n in range(2)]
    until(lambda: all((tmp_path / str(n)).exists() for n in range(2)))
    id = queue.send("slow", tmp_path / "calls", 60, line=line)
    queue.app.control.revoke(id)
    for one in busy:
        queue.hw.cancel(one)
    assert ended(queue, id).status == "cancelled"
    assert not (tmp_path / "calls").exists()


def test_a_task_that_expires_has_failed_and_says_why(queue, line):
    result = queue.app.tasks["contract.collect"].apply_async([[]], queue=line, expires=-1)
    job = ended(queue, result.id)
    assert (job.status, job.error.text) == ("failed", "It was not started in time.")


@pytest.mark.parametrize("pool", ["threads", "solo", "gevent"])
def test_every_pool_completes_fails_and_cancels(tmp_path, pool, queue):
    line, file = queue.new_line(), tmp_path / "calls"
    other = CeleryQueue.__new__(CeleryQueue)
    other.__dict__ = vars(queue) | {"pool": pool}
    with other.worker(line):
        assert ended(queue, queue.send("succeed", 5, line=line)).count == 5
        id = queue.send("endless", file, line=line)
        until(file.exists)
        assert queue.hw.cancel(id)
        assert ended(queue, id).status == "cancelled"
        assert ended(queue, queue.send("fail", line=line)).status == "failed"


def test_installing_without_a_store_says_once_which_file_is_used(tmp_path):
    program = """
from celery import Celery
from headway.queues.celery import install
install(Celery("a"))
install(Celery("b"))
"""
    assert warned_once("Celery", program, tmp_path)

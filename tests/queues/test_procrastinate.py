"""Procrastinate holds the contract."""

import asyncio
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from tests.queues.lives import in_short
from tests.queues.procrastinate_app import make
from tests.servers.postgres import postgres

import headway
from headway.queues import enqueueing
from headway.testing import QueueContract
from headway.testing import queue_bodies as bodies
from headway.testing.queue_contract import Queue, ended, read, until

FATES = {"succeeded": "completed", "failed": "failed", "aborted": "cancelled", "cancelled": "cancelled"}


class ProcrastinateQueue(Queue):
    """A queue of Procrastinate's is a line."""

    def __init__(self, server, store):
        self.server, self.hw = server, headway.connect(store)
        self.app = make(server.url, self.hw)
        self.app.open()
        self.app.schema_manager.apply_schema()

    def command(self, line):
        app = "--app=tests.queues.procrastinate_app.app"
        return [sys.executable, "-m", "procrastinate", app, "worker", "-q", line, "-c", "2"]

    def environment(self):
        return {"BROKER": self.server.url, "HEADWAY_STORE": self.hw.store.url}

    def task(self, name, line, retries=0, wait=0):
        return self.app.tasks[f"{retries}.{wait}.{name}"].configure(queue=line)

    def send(self, body, *args, line, retries=0, wait=0, id=None, **_):
        if id is not None:
            self.again(id, line)
            return id
        plain = [str(one) if isinstance(one, Path) else one for one in args]
        return self.app.reports.id_of(self.task(body, line, retries, wait).defer(args=plain))

    def again(self, id, line):  # noqa: ARG002 - as those do who schedule `get_stalled_jobs`
        self.app.job_manager.retry_job_by_id(number(id), datetime.now(UTC))

    def fate(self, id):
        return FATES.get(self.app.job_manager.get_job_status(number(id)).value)

    def restart_broker(self):
        self.server.kill()
        self.server.start()

    def close(self):
        self.app.close()
        self.hw.close()


def number(id):
    return int(id.rpartition(":")[2])


@pytest.fixture(scope="module")
def queue(tmp_path_factory):
    store = f"sqlite:///{tmp_path_factory.mktemp('store') / 'headway.db'}"
    with postgres() as server, closing(ProcrastinateQueue(server, store)) as queue:
        yield queue


@pytest.mark.nightly
class TestProcrastinate(QueueContract):
    """Jobs run in the worker's event loop, and in threads beside it."""

    children = False
    limits = False


def test_the_contract_in_short(queue, line, tmp_path):
    in_short(TestProcrastinate(), queue, line, tmp_path)


def test_a_job_is_reported_as_its_decorator_says(queue, line):
    id = queue.app.reports.id_of(queue.task("named", line).defer(rows=[1, 2, 3]))
    job = ended(queue, id)
    assert (job.name, job.total, job.count, job.scope) == ("Import of customers", 3, 3, "user/1")


def test_what_is_said_where_jobs_are_deferred_is_there_before_a_quick_worker(queue, line):
    with enqueueing(scope="user/3421"):
        ids = [queue.send("succeed", 1, line=line) for _ in range(20)]
    assert {ended(queue, id).scope for id in ids} == {"user/3421"}


def test_several_jobs_are_one_bar(queue, line):
    with queue.app.reports.fan_out("All countries", 3, scope="user/1") as whole:
        queue.task("succeed", line).batch_defer(*({"args": [rows]} for rows in (1, 2, 3)))
    job = ended(queue, whole)
    assert (job.status, job.children.count, job.scope) == ("completed", 3, "user/1")


def test_a_job_that_procrastinate_itself_cancels_is_cancelled_whether_it_waits_or_runs(queue, line, tmp_path):
    file = tmp_path / "calls"
    waiting = queue.send("succeed", 3, line=queue.new_line())
    assert queue.app.job_manager.cancel_job_by_id(number(waiting))
    assert read(queue, waiting).status == "cancelled"
    running = queue.app.reports.id_of(queue.task("endless_async", line, retries=3).defer(file=str(file)))
    until(file.exists)
    assert queue.app.job_manager.cancel_job_by_id(number(running), abort=True)
    assert ended(queue, running).status == "cancelled"


def test_jobs_are_deferred_from_an_event_loop_and_by_sync_code_beside_it(queue, line):
    async def both():
        async with make(queue.server.url, queue.hw).open_async() as app:
            task = app.tasks["0.0.succeed"].configure(queue=line)
            return [
                await task.defer_async(args=[1]),
                *await task.batch_defer_async({"args": [2]}, {"args": [3]}),
                await asyncio.to_thread(task.defer, args=[4]),
            ]

    with enqueueing(scope="user/7"):
        ids = asyncio.run(both())
    jobs = [ended(queue, queue.app.reports.id_of(id)) for id in ids]
    assert [(job.status, job.count, job.scope) for job in jobs] == [
        ("completed", n, "user/7") for n in (1, 2, 3, 4)
    ]


def test_a_job_deferred_in_ones_own_transaction_is_sent_with_it(queue, line):
    task = queue.app.tasks["0.0.succeed"]
    with psycopg.connect(queue.server.url) as connection, enqueueing(scope="user/8"):
        id = queue.app.reports.id_of(task.configure(queue=line, connection=connection).defer(args=[2]))
        assert read(queue, id).status == "pending"
    job = ended(queue, id)
    assert (job.status, job.scope) == ("completed", "user/8")


def test_what_procrastinate_refuses_to_defer_is_refused_as_ever_and_leaves_no_job(queue):
    line = queue.new_line()
    task = queue.app.tasks["0.0.succeed"].configure(queue=line, queueing_lock="one")
    with enqueueing(scope=f"of/{line}"):
        task.defer(args=[1])
        with pytest.raises(AlreadyEnqueued):
            task.defer(args=[1])
        with pytest.raises(ConnectorException):
            task.defer(args=["\0"])
    assert len(list(queue.hw.find(scope=f"of/{line}"))) == 1


def test_a_mistake_in_reporting_a_job_is_not_the_jobs(queue, line):
    id = queue.app.reports.id_of(queue.task("misreported", line).defer())
    assert until(lambda: queue.fate(id)) == "completed"


@pytest.mark.parametrize("fault", ["raises", "babbles", "hangs"])
def test_a_store_that_is_hostile_to_who_defers_keeps_no_job_from_being_deferred(queue, fault):
    hostile = make(queue.server.url, headway.Headway(bodies.HostileStore(fault)))
    with hostile.open():
        id = hostile.reports.id_of(hostile.tasks["0.0.succeed"].configure(queue=queue.new_line()).defer())
    assert queue.app.job_manager.get_job_status(number(id)).value == "todo"

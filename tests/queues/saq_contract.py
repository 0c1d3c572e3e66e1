"""SAQ holds the contract; run in an environment of its own, for its Redis holds redis-py below 8."""

import asyncio
import os
import pickle
import sys
import time
from pathlib import Path

import pytest
import saq
from tests.queues.lives import in_short

import headway
from headway.queues import reported
from headway.queues import saq as headway_saq
from headway.testing import QueueContract
from headway.testing import queue_bodies as bodies
from headway.testing.queue_contract import Queue, ended, kill_with_children, read, until

FATES = {"complete": "completed", "failed": "failed", "aborted": "cancelled"}
THREADED = ("succeed", "fail", "flaky", "endless", "first_endless", "forking", "strange")


def made(name):
    """The body as a function of SAQ's, whose jobs have arguments by name only."""

    def function(ctx, *, args=()):
        return getattr(bodies, name)(*args)

    return name, function


async def slow(ctx, *, args):
    bodies.note(args[0])
    await asyncio.sleep(args[1])


@reported(name="Import of customers", total=lambda rows: len(rows), scope="user/1")  # noqa: PLW0108
async def named(ctx, *, rows):
    for _ in headway.current().track(rows):
        await asyncio.sleep(0)


@reported(total=lambda **_: 1 / 0)
async def misreported(ctx, **_):
    """Ends as it would without headway."""


async def shared(ctx, *, file):
    """Progress in SAQ's own words, for ever."""
    bodies.note(file)
    while True:
        await ctx["job"].update(progress=0.25)
        await asyncio.sleep(bodies.PACE)


async def at_times(ctx):
    """Waits for its second."""


def queue_of(line, port):
    return saq.Queue.from_url(f"redis://127.0.0.1:{port}", name=line, dump=pickle.dumps, load=pickle.loads)


def settings():
    return headway_saq.install(
        {
            "queue": queue_of(os.environ["LINE"], os.environ["PORT"]),
            "functions": [*map(made, THREADED), slow, named, shared, misreported],
            "cron_jobs": [saq.CronJob(at_times, cron=os.environ["CRON"])] if "CRON" in os.environ else [],
            "concurrency": 2,
            "shutdown_grace_period_s": 20,
            "timers": {"schedule": 1, "sweep": 1, "abort": 1},
        },
        bodies.store_under_test(),
        lease=bodies.LEASE,
        result=True,
    )


class SaqQueue(Queue):
    """A queue of SAQ's is a line."""

    def __init__(self, server, store):
        self.server, self.hw = server, headway.connect(store)
        self.loop = asyncio.new_event_loop()
        self.queues, self.jobs = {}, {}

    def run(self, awaitable):
        return self.loop.run_until_complete(awaitable)

    def command(self, line):  # noqa: ARG002 - the environment names it
        return [sys.executable, "-m", "saq", "tests.queues.saq_contract.settings"]

    def environment(self):
        return {"HEADWAY_STORE": self.hw.store.url, "PORT": str(self.server.port)}

    def worker(self, line, **environment):
        return super().worker(line, **{"LINE": line, **environment})

    def queue(self, line):
        if line not in self.queues:
            queue = self.queues[line] = queue_of(line, self.server.port)
            headway_saq.reporting(queue, self.hw)
            # A sweep aborts a job that was given out a moment ago: here it happens when a test says so.
            self.run(queue.redis.set(queue.namespace("sweep"), 1))
        return self.queues[line]

    def send(self, body, *args, line, retries=0, wait=0, limit=0, late=False, **known):
        plain = [str(one) if isinstance(one, Path) else one for one in args]
        kwargs = known or {"args": plain}
        how = {"retries": retries + 1 + late, "retry_delay": wait, "timeout": limit, "heartbeat": 3 * late}
        job = self.run(self.queue(line).enqueue(body, kwargs=kwargs, **how))
        id = self.queue(line).headway.id_of(job)
        self.jobs[id] = job
        return id

    def fate(self, id):
        job = self.jobs[id]
        self.run(job.refresh())
        return FATES.get(job.status.value)

    def again(self, id, line):  # noqa: ARG002 - a line is swept whole
        self.sweep(line)

    def sweep(self, line):
        queue = self.queue(line)
        self.run(queue.redis.delete(queue.namespace("sweep")))
        assert self.run(queue.sweep(lock=600, abort=0.1))

    def restart_broker(self):
        self.server.kill()
        self.server.start()

    def close(self):
        for queue in self.queues.values():
            self.run(queue.disconnect())
        self.loop.close()
        self.hw.close()


QUEUE = SaqQueue


@pytest.mark.nightly
class TestSaq(QueueContract):
    """Jobs run in the worker's event loop, and in threads beside it."""

    children = False
    duplicates = False


def test_the_contract_in_short(queue, line, tmp_path):
    in_short(TestSaq(), queue, line, tmp_path)


@pytest.mark.parametrize(("body", "args"), [("slow", [60]), ("endless", [])])
def test_a_running_job_that_saq_aborts_is_cancelled(queue, line, tmp_path, body, args):
    """While it does not report: SAQ's `update` reads, and then writes, so an abort in between is lost."""
    file = tmp_path / "calls"
    id = queue.send(body, file, *args, line=line)
    until(file.exists)
    queue.run(queue.jobs[id].abort("enough"))
    assert ended(queue, id).status == "cancelled"
    assert until(lambda: queue.fate(id)) == "cancelled"


def test_a_waiting_job_that_saq_aborts_is_cancelled(queue):
    waiting = queue.send("succeed", 3, line=queue.new_line())
    queue.run(queue.jobs[waiting].abort("enough"))
    assert read(queue, waiting).status == "cancelled"


def test_a_job_is_reported_as_its_decorator_says(queue, line):
    job = ended(queue, queue.send("named", line=line, rows=[1, 2, 3]))
    assert (job.name, job.total, job.count, job.scope) == ("Import of customers", 3, 3, "user/1")


def test_several_jobs_are_one_bar(queue, line):
    with queue.queue(line).headway.fan_out("All countries", 3, scope="user/1") as whole:
        for rows in (1, 2, 3):
            queue.send("succeed", rows, line=line)
    job = ended(queue, whole)
    assert (job.status, job.children.count, job.scope) == ("completed", 3, "user/1")


def test_what_a_job_says_to_saq_of_its_progress_shows_in_both_and_it_is_stopped_there(queue, line, tmp_path):
    file = tmp_path / "calls"
    id = queue.send("shared", line=line, file=str(file))
    assert until(lambda: read(queue, id).fraction) >= 0.25
    queue.run(queue.jobs[id].refresh())
    assert 0.0 < queue.jobs[id].progress < 1.0
    assert queue.hw.cancel(id)
    assert ended(queue, id).status == "cancelled"
    assert until(lambda: queue.fate(id)) == "cancelled"


def test_a_mistake_in_reporting_a_job_is_not_the_jobs(queue, line):
    id = queue.send("misreported", line=line)
    assert until(lambda: queue.fate(id)) == "completed"


@pytest.mark.parametrize("fault", ["raises", "babbles", "hangs"])
def test_a_store_that_is_hostile_to_who_enqueues_keeps_no_job_from_being_enqueued(queue, fault):
    hostile = queue_of(queue.new_line(), queue.server.port)
    headway_saq.reporting(hostile, headway.Headway(bodies.HostileStore(fault)))
    assert queue.run(hostile.enqueue("succeed", args=[1]))
    assert queue.run(hostile.count("queued")) == 1
    queue.run(hostile.disconnect())


@pytest.mark.nightly
def test_a_job_that_saq_gives_up_after_its_worker_died_has_failed(queue, tmp_path):
    line, file = queue.new_line(), tmp_path / "calls"
    with queue.worker(line) as worker:
        id = queue.send("endless", file, line=line, limit=1)
        until(file.exists)
        kill_with_children(worker)
    until(lambda: read(queue, id).status == "stalled")
    queue.sweep(line)
    job = read(queue, id)
    assert (job.status, job.error.text) == ("failed", "Its worker died.")


@pytest.mark.nightly
def test_a_job_of_a_timetable_that_was_cancelled_while_it_waits_does_not_come_to_life(queue):
    line = queue.new_line()
    id = f"saq:{line}:cron:at_times"
    with queue.worker(line, CRON="0 0 1 1 *"):
        assert until(lambda: queue.hw.get(id)).status == "pending"
        assert queue.hw.cancel(id)
        time.sleep(2.5)
        assert read(queue, id).status == "cancelled"


def test_a_job_whose_function_is_not_known_has_failed(queue, line):
    assert ended(queue, queue.send("nobody_knows", line=line)).status == "failed"

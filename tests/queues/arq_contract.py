"""arq holds the contract; run in an environment of its own, because it holds redis-py below 6."""

import asyncio
import os
import sys
from pathlib import Path

import arq
import pytest
from arq.connections import RedisSettings
from tests.queues.unnamed import warned_once

import headway
from headway.queues import arq as headway_arq
from headway.queues import reported
from headway.testing import QueueContract
from headway.testing import queue_bodies as bodies
from headway.testing.queue_contract import LEASE, Queue, ended, until

PLAIN = ("succeed", "fail", "strange", "slow")


def made(body):
    """The body as a coroutine; what goes on for long lets others run."""

    async def coroutine(ctx, *args):
        return body(*args)

    return arq.func(coroutine, name=body.__name__)


async def flaky(ctx, path, failures, wait=0):
    try:
        return bodies.flaky(path, failures)
    except ConnectionError as error:
        raise arq.Retry(wait) from error


async def endless(ctx, path):
    bodies.note(path)
    while True:
        headway.current().advance()
        await asyncio.sleep(bodies.PACE)


async def first_endless(ctx, path):
    if bodies.note(path) == 1:
        while True:
            headway.current().advance()
            await asyncio.sleep(bodies.PACE)
    return 2


async def slow(ctx, path, seconds):
    bodies.note(path)
    await asyncio.sleep(seconds)


@reported(name="Import of customers", total=lambda _, rows: len(rows), scope="user/1")
async def named(ctx, rows):
    async for _ in headway.current().track(each(rows)):
        pass


async def each(rows):
    for row in rows:
        yield row


class Settings:
    functions = [made(bodies.succeed), made(bodies.fail), made(bodies.strange), made(bodies.forking)]  # noqa: RUF012
    functions += [
        arq.func(flaky, max_tries=3),
        endless,
        slow,
        named,
        arq.func(slow, name="limited", timeout=2),
    ]
    functions += [arq.func(first_endless, timeout=300)]
    allow_abort_jobs = True
    poll_delay = 0.05
    job_completion_wait = 20


if "LINE" in os.environ:
    Settings.queue_name = os.environ["LINE"]
    Settings.redis_settings = RedisSettings(port=int(os.environ["PORT"]))
    headway_arq.install(Settings, bodies.store_under_test(), lease=LEASE, result=True)


class ArqQueue(Queue):
    """A queue of arq's is a line."""

    def __init__(self, server, store):
        self.server, self.hw = server, headway.connect(store)
        self.loop = asyncio.new_event_loop()
        plain = self.loop.run_until_complete(arq.create_pool(RedisSettings(port=server.port)))
        self.pool = headway_arq.reporting(plain, self.hw)

    def command(self, line):  # noqa: ARG002 - the settings name it
        return [sys.executable, "-m", "arq", "tests.queues.arq_contract.Settings"]

    def environment(self):
        return {"HEADWAY_STORE": self.hw.store.url, "PORT": str(self.server.port)}

    def worker(self, line, **environment):
        return super().worker(line, **{"LINE": line, **environment})

    def send(self, body, *args, line, limit=None, wait=None, **_):
        plain = [str(one) if isinstance(one, Path) else one for one in (*args, *filter(None, [wait]))]
        name = "limited" if limit else body
        sent = self.pool.enqueue_job(name, *plain, _queue_name=line)
        return self.loop.run_until_complete(sent).job_id

    def fate(self, id):
        info = self.loop.run_until_complete(arq.jobs.Job(id, self.pool).result_info())
        if info is None or info.success:
            return info and "completed"
        return "cancelled" if isinstance(info.result, headway.Cancelled) else "failed"

    def restart_broker(self):
        pytest.skip("arq's worker leaves when its server does")

    def close(self):
        self.loop.run_until_complete(self.pool.aclose())
        self.loop.close()
        self.hw.close()


QUEUE = ArqQueue


class TestArq(QueueContract):
    """Jobs run in the worker's event loop."""

    children = False
    duplicates = False
    redelivers = False  # not before its time limit and ten seconds are over


def test_an_aborted_job_is_cancelled(queue, line, tmp_path):
    file = tmp_path / "calls"
    id = queue.send("endless", file, line=line)
    until(file.exists)
    job = arq.jobs.Job(id, queue.pool, _queue_name=line)
    assert queue.loop.run_until_complete(job.abort(timeout=20))
    assert ended(queue, id).status == "cancelled"


def test_a_job_is_reported_as_its_decorator_says(queue, line):
    job = ended(queue, queue.send("named", [1, 2, 3], line=line))
    assert (job.name, job.total, job.count, job.scope) == ("Import of customers", 3, 3, "user/1")


def test_several_jobs_are_one_bar(queue, line):
    with queue.pool.fan_out("All countries", 3, scope="user/1") as whole:
        for rows in (1, 2, 3):
            queue.send("succeed", rows, line=line)
    job = ended(queue, whole)
    assert (job.status, job.children.count, job.scope) == ("completed", 3, "user/1")


def test_a_job_whose_result_is_kept_is_not_enqueued_again(queue, line):
    once = queue.pool.enqueue_job("succeed", 3, _job_id="daily", _queue_name=line)
    assert queue.loop.run_until_complete(once).job_id == "daily"
    assert ended(queue, "daily").status == "completed"
    again = queue.pool.enqueue_job("succeed", 3, _job_id="daily", _queue_name=line)
    assert queue.loop.run_until_complete(again) is None
    assert queue.hw.get("daily").status == "completed"


def test_installing_without_a_store_says_once_which_file_is_used(tmp_path):
    program = """
from headway.queues.arq import install, reporting
async def work(ctx): ...
class Settings:
    functions = [work]
install(Settings)
reporting(None)
"""
    assert warned_once("arq", program, tmp_path)

"""Taskiq holds the contract, with a broker that is a list in Redis."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from taskiq import SmartRetryMiddleware
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend
from taskiq_redis.exceptions import ResultIsMissingError
from tests.queues.unnamed import warned_once

import headway
from headway.queues import reported
from headway.queues import taskiq as headway_taskiq
from headway.testing import QueueContract
from headway.testing import queue_bodies as bodies
from headway.testing.queue_contract import LEASE, Queue, ended

THREADED = ("succeed", "fail", "flaky", "endless", "first_endless", "forking", "strange")


async def slow(path, seconds):
    bodies.note(path)
    await asyncio.sleep(seconds)


@reported(name="Import of customers", total=len, scope="user/1")
async def named(rows):
    for _ in headway.current().track(rows):
        pass


def make(url, line, store):
    # Of redis-py 8, which else gives up the wait for a message after 5 s, and the worker with it.
    patient = {"socket_timeout": None}
    broker = ListQueueBroker(url, queue_name=line, **patient).with_result_backend(
        RedisAsyncResultBackend(url)
    )
    broker.add_middlewares(SmartRetryMiddleware(default_delay=0, use_jitter=False))
    broker.reports = headway_taskiq.install(broker, store, lease=LEASE, result=True)
    functions = {name: getattr(bodies, name) for name in THREADED} | {"slow": slow, "named": named}
    for name, function in functions.items():
        broker.register_task(function, task_name=f"contract.{name}")
    return broker


if "LINE" in os.environ:
    broker = make(os.environ["BROKER"], os.environ["LINE"], bodies.store_under_test())


class TaskiqQueue(Queue):
    """A broker is a line."""

    def __init__(self, server, store):
        self.server, self.hw = server, headway.connect(store)
        self.url = f"redis://127.0.0.1:{server.port}"
        self.loop = asyncio.new_event_loop()
        self.brokers = {}

    def command(self, line):  # noqa: ARG002 - the environment names it
        app = "tests.queues.test_taskiq:broker"
        return [sys.executable, "-m", "taskiq", "worker", app, "-w", "1", "--max-threadpool-threads", "2"]

    def environment(self):
        return {"HEADWAY_STORE": self.hw.store.url, "BROKER": self.url}

    def worker(self, line, **environment):
        return super().worker(line, **{"LINE": line, **environment})

    def broker(self, line):
        if line not in self.brokers:
            self.brokers[line] = make(self.url, line, self.hw)
            self.loop.run_until_complete(self.brokers[line].startup())
        return self.brokers[line]

    def send(self, body, *args, line, retries=0, limit=None, id=None, **_):
        plain = [str(one) if isinstance(one, Path) else one for one in args]
        labels = {"timeout": limit} if limit else {}
        labels |= {"retry_on_error": True, "max_retries": retries + 1} if retries else {}
        kicker = self.broker(line).find_task(f"contract.{body}").kicker().with_labels(**labels)
        if id is not None:
            kicker = kicker.with_task_id(id)
        return self.loop.run_until_complete(kicker.kiq(*plain)).task_id

    def fate(self, id):
        broker = next(iter(self.brokers.values()))
        try:
            result = self.loop.run_until_complete(broker.result_backend.get_result(id))
        except ResultIsMissingError:
            return None
        if not result.is_err:
            return "completed"
        return "cancelled" if isinstance(result.error, headway.Cancelled) else "failed"

    def restart_broker(self):
        pytest.skip("Taskiq's worker leaves when its server does")

    def close(self):
        for broker in self.brokers.values():
            self.loop.run_until_complete(broker.shutdown())
        self.loop.close()
        self.hw.close()


QUEUE = TaskiqQueue


class TestTaskiq(QueueContract):
    """Tasks run in the worker's event loop, and in threads beside it."""

    waits = False
    children = False
    redelivers = False  # a list forgets a message when it gives it out


def test_a_task_is_reported_as_its_decorator_says(queue, line):
    job = ended(queue, queue.send("named", [1, 2, 3], line=line))
    assert (job.name, job.total, job.count, job.scope) == ("Import of customers", 3, 3, "user/1")


def test_several_tasks_are_one_bar(queue, line):
    with queue.broker(line).reports.fan_out("All countries", 3, scope="user/1") as whole:
        for rows in (1, 2, 3):
            queue.send("succeed", rows, line=line)
    job = ended(queue, whole)
    assert (job.status, job.children.count, job.scope) == ("completed", 3, "user/1")


def test_installing_without_a_store_says_once_which_file_is_used(tmp_path):
    program = """
from taskiq import InMemoryBroker
from headway.queues.taskiq import install
install(InMemoryBroker())
install(InMemoryBroker())
"""
    assert warned_once("Taskiq", program, tmp_path)

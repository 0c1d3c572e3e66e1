"""RQ's ways: a job in a process of its own, as it is by default, and in the worker (``simple``).

A forked child begins with its parent's count of what was made since the last garbage collection.  So either
all children of a worker collect all that it has imported, which takes them 20 ms, or none does: by chance,
and not by the way.  Here none does.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import redis
import rq
from bench.queues.bodies import MILLISECOND, compute

import headway
from headway.queues import rq as headway_rq

if TYPE_CHECKING:
    from collections.abc import Callable

WAYS = ("bare", "headway", "save_meta")
COUNT = 60
WORKER = ""
gc.freeze()


def step() -> None:
    """Each job makes one step."""
    if os.environ["WAY"].startswith("headway"):
        headway.current().advance()
    elif os.environ["WAY"].startswith("save_meta"):
        job = rq.get_current_job()
        assert job is not None
        job.meta["progress"] = {"current": 1, "total": 1}
        job.save_meta()


def empty() -> None:
    """Nothing else."""
    step()


def waiting() -> None:
    """Wait for a millisecond."""
    time.sleep(MILLISECOND)
    step()


def computing() -> None:
    """Compute for a millisecond."""
    compute()
    step()


def last() -> None:
    """Says that it has run."""
    step()
    with redis.Redis.from_url(os.environ["BROKER"]) as client:
        client.rpush(f"done:{os.environ['WAY']}", 1)


STORE = os.environ.get("BROKER")


class Worker(headway_rq.Worker):
    """Reports to the broker's own server."""

    store = STORE


class SimpleWorker(headway_rq.SimpleWorker):
    """The same, in the worker's own process."""

    store = STORE


class BareWorker(rq.Worker):
    """RQ's, in this module too: a child must not have to import it for each job."""


class BareSimpleWorker(rq.SimpleWorker):
    """The same, in the worker's own process."""


class Queue(headway_rq.Queue):
    """The same."""

    store = STORE


def worker(way: str) -> list[str]:
    """What starts a worker."""
    kind = WORKER if way == "headway" else f"Bare{WORKER}"
    options = ["-u", os.environ["BROKER"], "-w", f"bench.queues.with_rq.{kind}Worker", "--quiet"]
    return [sys.executable, "-m", "rq.cli", "worker", *options, way]


def sender(way: str) -> Callable[[str, int], None]:
    """Sends so many jobs of a body, and one more, which says that it has run."""
    made: Any = Queue if way == "headway" else rq.Queue
    queue = made(way, connection=redis.Redis.from_url(os.environ["BROKER"]))
    bodies = {"empty": empty, "waiting": waiting, "computing": computing}

    def send(body: str, count: int) -> None:
        for _ in range(count):
            queue.enqueue(bodies[body])
        queue.enqueue(last)

    return send

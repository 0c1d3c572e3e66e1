"""The settings of a SAQ worker with the functions of the contract; as `settings` where a server is named."""

import asyncio
import os
import pickle

from saq import CronJob, Queue

import headway
from headway.queues import reported
from headway.queues import saq as headway_saq
from headway.testing import queue_bodies as bodies

THREADED = ("succeed", "fail", "flaky", "endless", "first_endless", "forking", "strange")


def made(body):
    """The body as a function of SAQ's, whose jobs have arguments by name only."""

    def function(ctx, *, args=()):
        return body(*args)

    return body.__name__, function


async def slow(ctx, *, args):
    bodies.note(args[0])
    await asyncio.sleep(args[1])


@reported(name="Import of customers", total=lambda rows: len(rows), scope="user/1")
async def named(ctx, *, rows):
    for _ in headway.current().track(rows):
        await asyncio.sleep(0)


async def shared(ctx, *, file):
    """Progress as SAQ knows it, until it may be gone on with."""
    bodies.note(file)
    for n in range(10_000):
        await ctx["job"].update(progress=n / 10_000 if n else 0.25)
        await asyncio.sleep(bodies.PACE)


async def at_times(ctx):
    """Waits for its second."""


def queue_of(line, port):
    return Queue.from_url(f"redis://127.0.0.1:{port}", name=line, dump=pickle.dumps, load=pickle.loads)


def settings():
    return headway_saq.install(
        {
            "queue": queue_of(os.environ["LINE"], os.environ["PORT"]),
            "functions": [*(made(getattr(bodies, name)) for name in THREADED), slow, named, shared],
            "cron_jobs": [CronJob(at_times, cron=os.environ["CRON"])] if "CRON" in os.environ else [],
            "concurrency": 2,
            "shutdown_grace_period_s": 20,
            "timers": {"schedule": 1, "sweep": 1, "abort": 1},
        },
        bodies.store_under_test(),
        lease=bodies.LEASE,
        result=True,
    )

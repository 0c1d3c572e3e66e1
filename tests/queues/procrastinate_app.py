"""An app of Procrastinate's with the tasks of the contract; as `app` where a database is named."""

import asyncio
import os

from procrastinate import App, PsycopgConnector
from procrastinate.retry import RetryStrategy

import headway
from headway.queues import procrastinate as headway_procrastinate
from headway.queues import reported
from headway.testing import queue_bodies as bodies

BODIES = ("succeed", "fail", "flaky", "endless", "slow", "first_endless", "strange", "forking")
RETRIES = ((0, 0), (2, 0), (2, 30), (3, 0))


def made(body):
    """The body as a task, whose arguments have names."""

    def function(args=()):
        return body(*args)

    return function


async def endless_async(file):
    bodies.note(file)
    while True:
        headway.current().advance()
        await asyncio.sleep(bodies.PACE)


@reported(name="Import of customers", total=lambda rows: len(rows), scope="user/1")  # noqa: PLW0108
def named(rows):
    for _ in headway.current().track(rows):
        pass


@reported(total=lambda **_: 1 / 0)
def misreported():
    """Ends as it would without headway."""


def make(dsn, store):
    """The app; a task of each name for each number of retries, and wait before them."""
    at_once = {"fetch_job_polling_interval": 0.2, "abort_job_polling_interval": 0.2}
    app = App(connector=PsycopgConnector(conninfo=dsn), worker_defaults=at_once)
    app.reports = headway_procrastinate.install(app, store, lease=bodies.LEASE, result=True)
    functions = {name: made(getattr(bodies, name)) for name in BODIES}
    others = {function.__name__: function for function in (endless_async, named, misreported)}
    for name, function in (functions | others).items():
        for retries, wait in RETRIES:
            retry = RetryStrategy(max_attempts=retries, wait=wait) if retries else False
            app.task(name=f"{retries}.{wait}.{name}", retry=retry)(function)
    return app


if "BROKER" in os.environ:
    app = make(os.environ["BROKER"], bodies.store_under_test())

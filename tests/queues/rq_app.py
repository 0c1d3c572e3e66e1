"""What RQ's workers of the contract run."""

from types import MappingProxyType

from headway.queues import reported
from headway.queues import rq as headway_rq
from headway.testing import queue_bodies as bodies
from headway.testing.queue_bodies import (
    LEASE,
    endless,
    fail,
    first_endless,
    flaky,
    forking,
    slow,
    strange,
    succeed,
)

__all__ = ["endless", "fail", "first_endless", "flaky", "forking", "slow", "strange", "succeed"]


class Worker(headway_rq.Worker):
    options = MappingProxyType({"lease": LEASE, "result": True})

    @property
    def store(self):
        return bodies.store_under_test()


class SimpleWorker(Worker, headway_rq.SimpleWorker):
    pass


class SpawnWorker(Worker, headway_rq.SpawnWorker):
    pass


@reported(name="Import of customers", total=len, scope="user/1")
def named(rows):
    for _ in bodies.headway.current().track(rows):
        pass


@reported(False)
def unreported():
    return bodies.headway.current().started


def returns_retry(path):
    from rq import Retry

    return Retry(max=2) if bodies.note(path) < 2 else "done"

"""A Huey instance with the tasks of the contract; as `huey` where a server is named."""

import os

from huey import RedisHuey

from headway.queues import huey as headway_huey
from headway.testing import queue_bodies as bodies
from headway.testing.queue_bodies import LEASE

BODIES = ("succeed", "fail", "flaky", "endless", "slow", "first_endless", "strange", "forking")


def make(line, port, store):
    huey = RedisHuey(line, port=port, host="127.0.0.1")
    huey.reports = headway_huey.install(huey, store, lease=LEASE, result=True)
    huey.tasks = {name: huey.task(name=name)(getattr(bodies, name)) for name in BODIES}

    @huey.task(headway={"name": "Import of customers", "total": len, "scope": "user/1"})
    def named(rows):
        for _ in bodies.headway.current().track(rows):
            pass

    huey.tasks |= {"named": named}
    return huey


if "LINE" in os.environ:
    huey = make(os.environ["LINE"], int(os.environ["PORT"]), bodies.store_under_test())

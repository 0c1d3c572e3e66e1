"""A Dramatiq broker with the actors of the contract."""

import os

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from headway.queues import dramatiq as headway_dramatiq
from headway.testing import queue_bodies as bodies
from headway.testing.queue_bodies import LEASE

BODIES = ("succeed", "fail", "flaky", "endless", "slow", "first_endless", "forking")


def make(url, results, store):
    if url.startswith("amqp"):
        broker = RabbitmqBroker(url=url, confirm_delivery=True)
    else:
        broker = RedisBroker(url=url, heartbeat_timeout=3000, maintenance_chance=1_000_000)
    broker.add_middleware(Results(backend=RedisBackend(url=results), store_results=True))
    broker.add_middleware(AsyncIO())
    for name in BODIES:
        dramatiq.actor(getattr(bodies, name), broker=broker, actor_name=name)

    @dramatiq.actor(broker=broker, actor_name="strange", store_results=False)
    def strange():
        return bodies.strange()

    broker.reports = headway_dramatiq.install(broker, store, lease=LEASE, result=True)

    said = {"name": "Import of customers", "total": len, "scope": "user/1"}

    @dramatiq.actor(broker=broker, actor_name="named", headway=said)
    async def named(rows):
        for _ in bodies.headway.current().track(rows):
            pass

    return broker


if "BROKER" in os.environ:
    broker = make(os.environ["BROKER"], os.environ["RESULTS"], bodies.store_under_test())
    broker.declare_queue(os.environ["LINE"])

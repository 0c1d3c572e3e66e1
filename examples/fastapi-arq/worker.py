"""What takes long: ``arq worker.WorkerSettings``."""

import asyncio
import os

from arq.connections import RedisSettings

import headway
from headway.queues import arq as headway_arq
from headway.queues import reported

REDIS_URL = os.environ["REDIS_URL"]


@reported(name="Yearly report", total=lambda ctx, orders: len(orders), unit="orders", result=True)
async def make_report(ctx, orders):
    """Look up what each order came to, and add it all up."""
    turnover = 0
    for order in headway.current().track(orders):
        turnover += await look_up(order)
    return {"orders": len(orders), "turnover": turnover}


async def look_up(order):
    """Stands for a question to another service."""
    await asyncio.sleep(0.05)
    return order % 100


class WorkerSettings:
    """What arq starts its worker with."""

    functions = [make_report]  # noqa: RUF012 - as arq has it
    redis_settings = RedisSettings.from_dsn(REDIS_URL)
    poll_delay = 0.1


headway_arq.install(WorkerSettings, REDIS_URL)

"""arq's ways; it has nothing of its own to report progress with."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any

import arq
from arq.connections import RedisSettings
from bench.queues.bodies import MILLISECOND, compute

import headway
from headway.queues import arq as headway_arq

if TYPE_CHECKING:
    from collections.abc import Callable

WAYS = ("bare", "headway")
COUNT = 300


def step() -> None:
    """Each job makes one step."""
    if os.environ["WAY"] == "headway":
        headway.current().advance()


async def empty(ctx: Any) -> None:  # noqa: ARG001 - arq gives it
    """Nothing else."""
    step()


async def waiting(ctx: Any) -> None:  # noqa: ARG001 - arq gives it
    """Wait for a millisecond."""
    await asyncio.sleep(MILLISECOND)
    step()


async def computing(ctx: Any) -> None:  # noqa: ARG001 - arq gives it
    """Compute for a millisecond."""
    compute()
    step()


async def last(ctx: Any) -> None:
    """Says that it has run."""
    step()
    await ctx["redis"].rpush(f"done:{os.environ['WAY']}", 1)


class Settings:
    """What arq starts its worker with: ten jobs at once, arq's own number.

    It looks for more a hundred times a second, not twice, which would be all that is measured.
    """

    functions = (empty, waiting, computing, last)
    poll_delay = 0.01
    queue_name = os.environ.get("WAY", "")
    redis_settings = RedisSettings.from_dsn(os.environ["BROKER"])
    keep_result = 60


if os.environ.get("WAY") == "headway":
    headway_arq.install(Settings, os.environ["BROKER"])


def worker(way: str) -> list[str]:  # noqa: ARG001 - the environment says it
    """What starts a worker."""
    return [sys.executable, "-m", "arq", "bench.queues.with_arq.Settings"]


def sender(way: str) -> Callable[[str, int], None]:
    """Sends so many jobs of a body, and one more, which says that it has run."""
    loop = asyncio.new_event_loop()
    pool: Any = loop.run_until_complete(arq.create_pool(Settings.redis_settings))
    if way == "headway":
        pool = headway_arq.reporting(pool, os.environ["BROKER"])

    async def send_all(body: str, count: int) -> None:
        for _ in range(count):
            await pool.enqueue_job(body, _queue_name=way)
        await pool.enqueue_job("last", _queue_name=way)

    def send(body: str, count: int) -> None:
        loop.run_until_complete(send_all(body, count))

    return send

"""arq: `install` in the worker's settings, and `reporting` on the pool where jobs are enqueued.

1. A hook of arq's that raises ends the whole worker, and no start hook keeps a body from running.  So the
   functions are wrapped, and one hook tells apart what a function cannot: an abort, a time limit and a
   shutdown all cancel it.
2. A job that asks for one try too many gets no hook at all.  So it has failed when it asks.
3. Messages carry arguments only.  So a scope, or the whole it is a share of, comes with the pending record.
4. arq knows success and failure only: the result of a job that headway cancelled is `headway.Cancelled`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from arq.jobs import Job, JobStatus
from arq.worker import Function, Retry, RetryJob, func

from headway.core.errors import Cancelled
from headway.queues.clerk import Clerk
from headway.queues.labels import label_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from arq import ArqRedis

    from headway.client import Headway

S = TypeVar("S", bound=type)


def install(settings: S, store: Headway | str | None = None, **options: Any) -> S:
    """From now on the jobs of these settings are reported.

    Args:
        settings: The class that ``arq`` is given.
        store: Where to; by default ``HEADWAY_STORE``, else a file of the user's, of which a warning tells.
        **options: What is reported of every job; see `headway.queues.lifecycle.Options`.
    """
    work: Any = settings
    clerk = Clerk("arq", store, **options)
    tries = getattr(work, "max_tries", 5)
    work.functions = [_wrapped(clerk, func(one), tries) for one in work.functions]
    after = getattr(work, "after_job_end", None)

    async def after_job_end(ctx: dict[Any, Any]) -> None:
        await clerk.harmless(_look)(clerk, ctx)
        if after is not None:
            await after(ctx)

    work.after_job_end = staticmethod(after_job_end)
    return settings


def reporting(pool: ArqRedis, store: Headway | str | None = None, **options: Any) -> Pool:
    """From now on the jobs that this pool enqueues are pending until they start."""
    return Pool(pool, Clerk("arq", store, **options))


class Pool:
    """Enqueues as the pool does, and reports."""

    def __init__(self, pool: ArqRedis, clerk: Clerk) -> None:
        self._pool = pool
        self._clerk = clerk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def fan_out(self, name: str, members: int, **options: Any) -> AbstractContextManager[str]:
        """What is enqueued in the block is one job; see `Clerk.fan_out`."""
        return self._clerk.fan_out(name, members, **options)

    async def enqueue_job(self, function: str, *args: Any, _job_id: str | None = None, **kwargs: Any) -> Any:
        """See `arq.connections.ArqRedis`."""
        id = _job_id or uuid4().hex
        if _job_id is None or await Job(id, self._pool).status() is JobStatus.not_found:
            await self._clerk.harmless(self._clerk.aenqueue)(id, function, label_of(None, args, kwargs))
        return await self._pool.enqueue_job(function, *args, _job_id=id, **kwargs)


def _wrapped(clerk: Clerk, function: Function, max_tries: int) -> Function:
    body: Callable[..., Any] = function.coroutine
    tries = function.max_tries or max_tries

    async def start(id: str, args: Any, kwargs: Any) -> bool:
        return await clerk.astart(id, function.name, label_of(body, args, kwargs))

    @functools.wraps(body)
    async def running(ctx: dict[Any, Any], *args: Any, **kwargs: Any) -> Any:
        id, end = ctx["job_id"], clerk.harmless(clerk.aend)
        if await clerk.harmless(start)(id, (ctx, *args), kwargs) is False:
            raise Cancelled(id)
        try:
            result = await body(ctx, *args, **kwargs)
        except asyncio.CancelledError:
            raise  # why, the hook will know
        except Exception as error:
            again = isinstance(error, (Retry, RetryJob)) and ctx["job_try"] < tries
            wait = getattr(error, "defer_score", None) or 0
            await end(id, error.__cause__ or error, again=again, after=wait / 1000)
            raise
        await end(id, result=result)
        return result

    return dataclasses.replace(function, coroutine=running)


async def _look(clerk: Clerk, ctx: dict[Any, Any]) -> None:
    """What became of a job that was cancelled: arq keeps why, unless it will run again."""
    if clerk.running(id := ctx["job_id"]) is not None:
        info = await Job(id, ctx["redis"]).result_info()
        aborted = info is not None and isinstance(info.result, asyncio.CancelledError)
        status = "retrying" if info is None else "cancelled" if aborted else "failed"
        await clerk.aend(id, info and info.result, status=status)

"""What is reported of the jobs of a SAQ queue.

1. A start hook of SAQ's that raises fails the job, and one before a job is enqueued raises at the caller.
2. SAQ tells hooks afterwards that a job is tried again, when another worker may have been quicker, and tells
   nobody of a job that is aborted while it waits, or whose worker died.  So the queue's own `retry` and
   `finish` are listened to, and `update`, by which jobs report progress.
3. Each second a worker enqueues the jobs of its timetable again, and SAQ refuses those that wait.  So where
   the key is not of SAQ's making, it is asked first: a job that was cancelled while it waits must not come
   to life.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from uuid import UUID

from headway.queues.labels import label_of, packed
from headway.queues.lifecycle import Label

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from headway.queues.clerk import Clerk

KEY = "headway"
"""Where in a job's ``meta`` is what was said where it was enqueued."""
ENDS = {"complete": "completed", "failed": "failed", "aborted": "cancelled"}

refused: ContextVar[bool] = ContextVar("headway_refused", default=False)
"""Whether the job that is about to run here was cancelled before."""


class Reports:
    """What is reported of a queue's jobs."""

    def __init__(self, queue: Any, clerk: Clerk) -> None:
        self.clerk, self._queue = clerk, queue
        self._bodies: dict[str, Any] = {}
        self._update, self._retry, self._finish = queue.update, queue.retry, queue.finish
        queue.update, queue.retry, queue.finish = self._updating, self._retrying, self._finishing
        queue.register_before_enqueue(clerk.harmless(self._enqueued))
        self.before_process = clerk.harmless(self._start)
        self.after_process = clerk.harmless(self._end)

    def id_of(self, job: Any) -> str:
        """The id by which headway knows a job of this queue, or its key."""
        return self.clerk.id_of(getattr(job, "key", job))

    def fan_out(self, name: str, members: int, **options: Any) -> AbstractContextManager[str]:
        """What is enqueued in the block is one job; see `Clerk.fan_out`."""
        return self.clerk.fan_out(name, members, **options)

    def body_of(self, name: str, body: Callable[..., Any]) -> None:
        """A function by which the jobs of that name are run here."""
        self._bodies[name] = body

    async def _enqueued(self, job: Any) -> None:
        if not _is_made_by_saq(job.key):
            known = await self._queue.job(job.key)
            if known is not None and known.status.value not in ENDS:
                return
        said = label_of(None, (), job.kwargs)
        if said != Label():
            job.meta[KEY] = packed(said)
        await self.clerk.aenqueue(job.key, job.function, self._label(job))

    async def _start(self, ctx: Any) -> None:
        refused.set(False)
        job = ctx["job"]
        refused.set(not await self.clerk.astart(job.key, job.function, self._label(job)))

    async def _end(self, ctx: Any) -> None:
        job, error = ctx["job"], ctx.get("exception")
        status = ENDS.get(job.status.value, "stopped")
        if status == "cancelled" and job.error == self._queue.swept_error_message:
            status, error = "retrying" if job.retryable else "failed", TimeoutError(job.error)
        await self.clerk.aend(job.key, error, job.result, status)

    async def _updating(self, job: Any, **kwargs: Any) -> None:
        await self._update(job, **kwargs)
        delivery = self.clerk.running(job.key) if "progress" in kwargs else None
        if delivery is not None:
            whole = delivery.total or 1
            self.clerk.harmless(lambda: delivery.take({"current": job.progress * whole, "total": whole}))()
            delivery.checkpoint()

    async def _retrying(self, job: Any, error: str | None) -> None:
        raised = sys.exc_info()[1]
        await self.clerk.harmless(self._again)(job, raised if isinstance(raised, Exception) else None)
        await self._retry(job, error)

    async def _again(self, job: Any, error: Exception | None) -> None:
        if self.clerk.running(job.key) is not None:
            after = job.retry_delay if job.retry_backoff is False else None  # else SAQ will throw dice
            await self.clerk.aend(job.key, error, status="retrying", after=after)
        else:
            await self.clerk.atell(job.key, "requeued")

    async def _finishing(self, job: Any, status: Any, **kwargs: Any) -> None:
        await self._finish(job, status, **kwargs)
        if status == "aborted" and self.clerk.running(job.key) is None:
            swept = job.error == self._queue.swept_error_message
            await self.clerk.harmless(self.clerk.atell)(job.key, "lost" if swept else "revoked")

    def _label(self, job: Any) -> Label:
        return label_of(self._bodies.get(job.function), (), job.kwargs, job.meta.get(KEY))


def _is_made_by_saq(key: str) -> bool:
    try:
        return UUID(key).version == 1
    except ValueError:
        return False

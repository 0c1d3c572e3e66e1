"""The middleware by which a worker of Procrastinate reports its jobs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from headway.queues.labels import label_of

if TYPE_CHECKING:
    from headway.queues.clerk import Clerk
    from headway.queues.lifecycle import Label


class Middleware:
    """Stands around each job, and raises what the job itself raised, or what aborts it."""

    def __init__(self, clerk: Clerk, tasks: Any, aborted: type[Exception]) -> None:
        """A middleware.

        Args:
            clerk: Who writes down what becomes of the jobs.
            tasks: The app's tasks, by name.
            aborted: What is raised where headway cancels a job.
        """
        self._clerk, self._tasks, self._aborted = clerk, tasks, aborted

    async def __call__(self, call_next: Any, context: Any, _: Any) -> Any:
        """Run a job."""
        refused = await self._clerk.harmless(self._start)(context.job) is False
        try:
            with self._clerk.stopping(self._aborted, refused=refused):
                result = await call_next()
        except BaseException as error:
            await self._clerk.harmless(self._end)(context, error)
            raise
        await self._clerk.harmless(self._clerk.aend)(context.job.id, result=result)
        return result

    def label(self, job: Any) -> Label:
        """What is said of a job."""
        known = self._tasks.get(job.task_name)
        return label_of(known and known.func, (), job.task_kwargs)

    async def _start(self, job: Any) -> bool:
        return await self._clerk.astart(job.id, job.task_name, self.label(job))

    async def _end(self, context: Any, error: BaseException) -> None:
        """An abort that somebody asked for is never tried again; one by a worker that leaves may be."""
        reason = context.abort_reason()
        leaves = reason is not None and reason.value == "shutdown"
        left = isinstance(error, (self._aborted, asyncio.CancelledError))
        again = (reason is None or leaves) and not (isinstance(error, self._aborted) and not leaves)
        retry = context.task.get_retry_exception(exception=error, job=context.job) if again else None
        status = "stopped" if left and leaves and retry is None else None
        asked, after = left and not leaves, retry and retry.retry_decision.retry_at
        await self._clerk.aend(
            context.job.id, error, status=status, again=retry is not None, asked=asked, after=after
        )

"""Procrastinate 3.9 and later: `install` it where the app is made, in the module that all processes import.

1. A job carries arguments only.  So what is said where it is deferred (its scope, the whole that it is a
   share of) arrives with the pending record.
2. A job has no id before it is inserted, and afterwards a worker may be quicker.  So it is inserted in a
   transaction that ends when its record is written; where Procrastinate brings no connection of its own, the
   record is written after the insert.
3. A worker middleware that raises fails the job.  Ours raises what the task raised, and `JobAborted` where
   headway cancelled the job: this is neither a failure nor tried again.
4. Ids count up, so anybody can guess them, and several databases have the same: they have a namespace.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from procrastinate import PsycopgConnector, SyncPsycopgConnector
from procrastinate.exceptions import JobAborted
from procrastinate.sync_psycopg_connector import wrap_exceptions
from procrastinate.utils import async_to_sync

from headway.queues.clerk import Clerk
from headway.queues.procrastinate_worker import Middleware

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from procrastinate import App

    from headway.client import Headway


def install(
    app: App, store: Headway | str | None = None, namespace: str = "procrastinate:", **options: Any
) -> Reports:
    """From now on the app's jobs are reported.

    Args:
        app: The app.
        store: Where to; by default ``HEADWAY_STORE``, else a file of the user's, of which a warning tells.
        namespace: What comes before the number in a job's id; one for each database.
        **options: What is reported of every job; see `headway.queues.lifecycle.Options`.
    """
    return Reports(app, Clerk("Procrastinate", store, namespace, **options))


class Reports:
    """What is reported of an app's jobs."""

    def __init__(self, app: Any, clerk: Clerk) -> None:
        self._app, self._clerk, jobs = app, clerk, app.job_manager
        around = Middleware(clerk, app.tasks, JobAborted)
        self._label = around.label
        self._insert, self._insert_async = jobs.batch_defer_jobs, jobs.batch_defer_jobs_async
        self._insert_periodic = jobs.defer_periodic_job
        self._cancel, self._cancel_async = jobs.cancel_job_by_id, jobs.cancel_job_by_id_async
        jobs.batch_defer_jobs, jobs.batch_defer_jobs_async = self._defer, self._defer_async
        jobs.defer_periodic_job = self._defer_periodic
        jobs.cancel_job_by_id, jobs.cancel_job_by_id_async = self._cancelling, self._cancelling_async
        others = app.worker_defaults.get("worker_middleware") or ()
        app.worker_defaults = {**app.worker_defaults, "worker_middleware": [around, *others]}

    def id_of(self, id: int) -> str:
        """The id by which headway knows a job."""
        return self._clerk.id_of(id)

    def fan_out(self, name: str, members: int, **options: Any) -> AbstractContextManager[str]:
        """What is deferred in the block is one job; see `Clerk.fan_out`."""
        return self._clerk.fan_out(name, members, **options)

    def _defer(self, jobs: Any, connection: Any = None) -> Any:
        connector = self._app.connector.get_sync_connector()
        if connection is None and isinstance(connector, PsycopgConnector):
            return async_to_sync(self._defer_async, jobs)
        if connection is None and isinstance(connector, SyncPsycopgConnector):
            with wrap_exceptions(), connector.pool.connection() as own, own.transaction():
                return self._defer(jobs, own)
        inserted = self._insert(jobs, connection)
        for job in inserted:
            self._clerk.harmless(self._pending)(job)
        return inserted

    async def _defer_async(self, jobs: Any, connection: Any = None) -> Any:
        connector = self._app.connector
        if connection is None and isinstance(connector, PsycopgConnector):
            with wrap_exceptions():
                async with connector.pool.connection() as own, own.transaction():
                    return await self._defer_async(jobs, own)
        inserted = await self._insert_async(jobs, connection)
        await asyncio.gather(*map(self._clerk.harmless(self._pending_async), inserted))
        return inserted

    async def _defer_periodic(self, job: Any, **when: Any) -> Any:
        id = await self._insert_periodic(job, **when)
        if id is not None:
            await self._clerk.harmless(self._pending_async)(job.evolve(id=id))
        return id

    def _cancelling(self, job_id: int, *how: Any, **options: Any) -> bool:
        done: bool = self._cancel(job_id, *how, **options)
        if done:
            self._clerk.harmless(self._clerk.tell)(job_id, "revoked")
        return done

    async def _cancelling_async(self, job_id: int, *how: Any, **options: Any) -> bool:
        done: bool = await self._cancel_async(job_id, *how, **options)
        if done:
            await self._clerk.harmless(self._clerk.atell)(job_id, "revoked")
        return done

    def _pending(self, job: Any) -> None:
        self._clerk.enqueue(job.id, job.task_name, self._label(job), anew=False)

    async def _pending_async(self, job: Any) -> None:
        await self._clerk.aenqueue(job.id, job.task_name, self._label(job), anew=False)

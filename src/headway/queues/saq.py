"""SAQ: `install` in the worker's settings, and `reporting` on the queue of who only enqueues.

No hook of SAQ's keeps a body from running.  So the functions are wrapped: to SAQ, a job that headway
cancelled was aborted, which is neither a failure nor tried again.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from saq import Queue
from saq.worker import ensure_coroutine_function

from headway.queues.clerk import Clerk
from headway.queues.saq_jobs import Reports, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from headway.client import Headway
    from headway.worker.delivery import Delivery

S = TypeVar("S", bound=Mapping[str, object])


class Left(Exception):
    """The job was cancelled by headway."""


def install(settings: S, store: Headway | str | None = None, **options: Any) -> S:
    """From now on the jobs of these settings are reported, and those that their queue enqueues.

    Args:
        settings: The dictionary that ``saq``, or its `Worker`, is given.
        store: Where to; by default ``HEADWAY_STORE``, else a file of the user's, of which a warning tells.
        **options: What is reported of every job; see `headway.queues.lifecycle.Options`.
    """
    work: Any = settings
    queue = work["queue"] = work.get("queue") or Queue.from_url("redis://localhost")  # as SAQ itself does
    reports = reporting(queue, store, **options)

    def wrapped(function: Any) -> Any:
        name, body = function if isinstance(function, tuple) else (function.__qualname__, function)
        reports.body_of(name, body)
        return name, _stopping(reports.clerk, body)

    work["functions"] = [wrapped(one) for one in work["functions"]]
    work["cron_jobs"] = [
        dataclasses.replace(one, function=wrapped(one.function)[1]) for one in work.get("cron_jobs") or ()
    ]
    work["before_process"] = [reports.before_process, *_several(work.get("before_process"))]
    work["after_process"] = [reports.after_process, *_several(work.get("after_process"))]
    return settings


def reporting(queue: Queue, store: Headway | str | None = None, **options: Any) -> Reports:
    """From now on the jobs that this queue enqueues are reported; what is said first of a queue holds.

    Args:
        queue: The queue.
        store: As for `install`.
        **options: As for `install`.
    """
    known: Any = queue
    if not hasattr(known, "headway"):
        known.headway = Reports(queue, Clerk("SAQ", store, f"saq:{queue.name}:", **options))
    reports: Reports = known.headway
    return reports


def _several(hooks: Any) -> list[Callable[..., Any]]:
    return [hooks] if callable(hooks) else list(hooks or ())


def _stopping(clerk: Clerk, body: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(body)
    async def stopping(ctx: Any, **kwargs: Any) -> Any:
        job, worker = ctx["job"], ctx["worker"]
        run = ensure_coroutine_function(body, worker.pool)  # as SAQ itself does
        try:
            with clerk.stopping(Left, refused=refused.get()):
                running = run(ctx, **kwargs)
                return await (running if run is body else _heard(running, clerk.running(job.key)))
        except Left as left:
            known = worker.job_task_contexts[job]
            known["aborted"] = known["aborted"] or str(left)
            raise asyncio.CancelledError from left

    return stopping


async def _heard(running: Coroutine[Any, Any, Any], delivery: Delivery | None) -> Any:
    """A plain function, in a thread, for whose end SAQ waits: told to stop, it stops at its next step."""
    task = asyncio.ensure_future(running)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if delivery is not None and not task.done():
            delivery.ask_to_stop()
        task.cancel()
        return await task

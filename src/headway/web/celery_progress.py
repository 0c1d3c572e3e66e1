"""Answers in celery-progress's own form, so that pages with its script can ask us instead of its view.

Its script asks again and again until it is told ``complete``, and has three ways of going wrong that are
avoided here:

1. It paints what it is told when a task has ended, so what has failed keeps the place that it had; only
   what has completed is at 100 %.
2. It goes on asking after ``RETRY`` alone, so nothing else that may still go on is ``complete``; a worker
   that has fallen silent is not.
3. It gives up on any answer but 200, so an outage is 200 as well, without ``progress``: the bar stays.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from headway.core import words
from headway.web.shapes import CeleryProgress, CeleryRetry, CeleryWork

if TYPE_CHECKING:
    from headway.core.snapshot import Snapshot
    from headway.web.access import Grant

OUTAGE = CeleryProgress(state="UNKNOWN")
"""Nobody knows just now."""
WAITING = CeleryProgress(state="PENDING", progress=CeleryWork(pending=True))
"""Its worker has not begun."""


def answer(job: Snapshot | None, grant: Grant) -> CeleryProgress:
    """A job as celery-progress would tell of it, as far as a grant goes; None: nothing is known of it."""
    if job is None or job.status == "pending":
        return WAITING
    told = CeleryProgress(state="STARTED", progress=_work(job), attempt=job.attempt)
    if job.status == "completed":
        told.state, told.complete, told.success = "SUCCESS", True, True
        if job.result is not None and (grant.owner or "result" in grant.also):
            told.result = job.result
    elif job.status == "retrying":
        told.state, told.complete, told.success = "RETRY", True, False
        told.result = CeleryRetry(_reason(job, grant))
        if job.retry_in is not None:
            told.result.next_retry_seconds = ceil(job.retry_in)
    elif job.ended:
        told.state = "REVOKED" if job.status == "cancelled" else "FAILURE"
        told.complete, told.success, told.result = True, False, _reason(job, grant)
    elif job.count or job.grid:
        told.state = "PROGRESS"
    return told


def _work(job: Snapshot) -> CeleryWork:
    """How far: by its own count where it has an end, else in hundredths; N of 0 where nobody knows."""
    work = CeleryWork(percent=(job.grid or 0) / 100, description=_description(job))
    if job.count and job.total:
        work.current, work.total = job.count, job.total
    elif job.grid is not None:
        work.current = work.percent
    elif job.count:
        work.current, work.total = job.count, 0
    return work


def _description(job: Snapshot) -> str:
    """What its worker does; that the worker is silent, or asked to stop, goes before it."""
    if job.status == "stalled":
        return "; ".join(words.worries(job))
    if job.cancel_requested and not job.ended:
        return words.state(job)
    return job.activity or ""


def _reason(job: Snapshot, grant: Grant) -> str:
    """Why it has failed, as far as a grant goes; how it has ended, where no more may be said."""
    text = job.error.text if job.error else None
    return (words.reason(job) if grant.owner else text) or words.state(job)

"""Many jobs at once, as the dashboard lists them: by scope, status, parent and words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from headway.core import wire
from headway.core.snapshot import UNENDED, Snapshot
from headway.stores.contract import LARGEST_PAGE, PAGE

if TYPE_CHECKING:
    from headway.client import Headway

SEARCHED = 2_000
"""How many jobs one question looks through for words; the next goes on from there."""
WHY = {"failed", "retrying"}


class Question(Struct, frozen=True):
    """Which jobs.

    Attributes:
        scope, parent, status, cursor: As `headway.find` has them.
        text: Words that all stand somewhere in a job's name, id, scope, kind, worker or activity.
        children: Whether jobs that are part of others are among them; those of a ``parent`` always are.
        searched: How many jobs are looked through for them, at most.
    """

    scope: str | None = None
    parent: str | None = None
    status: tuple[str, ...] = ()
    text: str = ""
    cursor: str | None = None
    children: bool = True
    searched: int = SEARCHED


def answer(hw: Headway, question: Question) -> bytes:
    """The newest jobs that match, as JSON.

    ``until`` says how far was looked: all that match and are newer are among ``jobs``.  ``live`` counts
    those of the scope that have not ended, ``more_live`` when there are more; ``folded`` says whether jobs
    that are part of others were left out.

    Raises:
        StoreUnavailable: The store cannot be read.
        InvalidValue: A name, status or cursor that means nothing.
    """
    found, last, cursor, folded = _found(hw, question)
    live = hw.find(scope=question.scope, status=UNENDED, limit=LARGEST_PAGE)
    read_at = max((job.read_at for job in found if job.read_at), default=None)
    body: dict[str, Any] = {
        "headway": wire.FORMAT,
        "jobs": [msgspec.Raw(wire.encode_frame(job, owner=True)) for job in _with_reasons(hw, found)],
        "next": cursor,
        "until": [last.created_at, last.id] if cursor and last else None,
        "live": sum(question.children or job.parent is None for job in live),
        "folded": folded,
        "more_live": live.cursor is not None,
        "read_at": read_at,
    }
    return msgspec.json.encode(body)


def _found(hw: Headway, question: Question) -> tuple[list[Snapshot], Snapshot | None, str | None, bool]:
    """Those that match, the last that was looked at, where to go on, and whether children were left out."""
    wanted = question.text.casefold().split()
    keeps_all = question.children or question.parent is not None
    found: list[Snapshot] = []
    last, looked, cursor, folded = None, 0, question.cursor, False
    while True:
        page = hw.find(
            scope=question.scope,
            parent=question.parent,
            status=question.status,
            limit=LARGEST_PAGE if wanted or looked else PAGE,
            cursor=cursor,
        )
        kept = [job for job in page if keeps_all or job.parent is None]
        folded = folded or len(kept) < len(page.jobs)
        found += [job for job in kept if says(job, wanted)]
        looked += len(page.jobs)
        last = page.jobs[-1] if page.jobs else last
        cursor = page.cursor
        if cursor is None or len(found) >= PAGE or looked >= question.searched:
            return found, last, cursor, folded


def says(job: Snapshot, words: list[str]) -> bool:
    """Whether all words, in lower case, stand somewhere in what people read of a job."""
    if not words:
        return True
    said = (job.name, job.id, job.scope, job.kind, job.worker, job.activity)
    whole = "\n".join(one for one in said if one).casefold()
    return all(word in whole for word in words)


def _with_reasons(hw: Headway, jobs: list[Snapshot]) -> list[Snapshot]:
    """The same; those that failed with the reason."""
    failed = [job.id for job in jobs if job.status in WHY]
    known = hw.store.read(failed, details=True) if failed else {}
    return [_lean(known.get(job.id, job)) for job in jobs]


def _lean(job: Snapshot) -> Snapshot:
    """Without what a list does not show, and what may be large."""
    details = job.details
    if details is None:
        return job
    return msgspec.structs.replace(
        job, details=msgspec.structs.replace(details, messages=(), result=None, meta=None)
    )

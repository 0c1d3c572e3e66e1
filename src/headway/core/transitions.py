"""The life of a job: what each event means, given the record.  Every store decides by these rules.

Order within a job is (attempt, phase, step), and from its claim on an attempt is written only by the run
that holds it.  What comes late, twice, out of order or from a worker that was replaced changes nothing, and
its sender is told.  The store must decide and write in one atomic step.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from headway.core.errors import InvalidValue
from headway.core.snapshot import ENDED, PHASE, WAITING, Head, Number, Part, Totals

if TYPE_CHECKING:
    from collections.abc import Iterable

Over = Literal["nothing", "ended", "anything"]
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Decision(Struct, frozen=True):
    """What becomes of an event.

    Attributes:
        outcome: For the sender: ``applied``, ``opened`` and ``rebuilt`` changed the record; ``heartbeat``
            renewed it; ``same`` had happened already; ``late``, ``superseded``, ``ended``, ``exists``,
            ``held``, ``cancelled``, ``missing`` and ``no return`` changed nothing.
        head: The head to keep from now on; None when nothing changes.
        rings: Whether watchers should be told.
        restarts: Whether the record begins anew.  Parts go then, and wherever the attempt rises.
    """

    outcome: str
    head: Head | None = None
    rings: bool = False
    restarts: bool = False

    @property
    def accepted(self) -> bool:
        """Whether the event took effect, now or when it came before."""
        return self.outcome in {"applied", "opened", "rebuilt", "heartbeat", "same"}


def open_job(old: Head | None, new: Head, over: Over, now: datetime, *, exclusive: bool = False) -> Decision:
    """Create (``over="nothing"``), reserve (``"ended"``) or claim (``"anything"``) an id."""
    if over == "anything":
        return _claim(old, new, now, exclusive=exclusive)
    if old is None:
        return _opened(_waiting(new, 1), None, now)
    if over == "nothing":
        return Decision("exists")
    if not (old.ended or old.stalled(now)):
        return Decision("held")
    return _opened(_waiting(new, old.attempt + 1), old, now)


def report(old: Head | None, new: Head, now: datetime) -> Decision:
    """A worker's (or, before anybody has claimed it, its creator's) word about its own attempt."""
    if old is None:
        return Decision("rebuilt", _stamped(new, None, now), rings=True)
    refused = _refused(old, new)
    if refused is not None:
        return Decision(refused)
    head = _inheriting(new, old)
    if new.status == "retrying" and head.cancel is not None:
        return Decision("ended") if old.ended else _cancelled_by_store(old, now)
    if _order(new) == _order(old) and head.cancel == old.cancel and not old.stalled(now):
        return Decision("heartbeat", _renewed(head, old, now))
    return Decision("applied", _stamped(head, old, now), rings=True)


def end_job(old: Head | None, attempt: int, status: str, now: datetime) -> Decision:
    """An end (or a retry) told by somebody who is not the worker: counts are kept, the first end wins.

    Raises:
        InvalidValue: The status is no end.
    """
    check_end(status)
    if old is None or attempt > old.attempt:
        return Decision("missing")
    if attempt < old.attempt:
        return Decision("superseded")
    if PHASE[status] <= old.phase and old.phase >= 2:
        return Decision("same" if status == old.status else "ended")
    if status == "retrying" and old.cancel is not None:
        return _cancelled_by_store(old, now)
    ended_at = now if status in ENDED else None
    head = replace(old, status=status, ended_at=ended_at, seen_at=now)
    return Decision("applied", _versioned(head, old, now), rings=True)


def request_cancel(old: Head | None, now: datetime) -> Decision:
    """Somebody asks the job to stop.  A job that nobody holds ends at once."""
    if old is None:
        return Decision("missing")
    if old.ended:
        return Decision("ended")
    if not old.cancellable:
        return Decision("no return")
    if old.phase != 1 or old.stalled(now):
        return _cancelled_by_store(old, now)
    if old.cancel is not None:
        return Decision("same")
    head = replace(old, cancel="requested")
    return Decision("applied", _versioned(head, old, now), rings=True)


def sweep(old: Head, now: datetime) -> Decision:
    """Time passes: ``dropped`` past its retention, cancelled where a request met a worker that died."""
    if old.expires_at is not None and now > old.expires_at:
        return Decision("dropped", rings=True)
    if old.cancel is not None and old.cancellable and old.stalled(now):
        return _cancelled_by_store(old, now)
    return Decision("same")


def merge_part(old: Part | None, new: Part) -> Part:
    """A part as it stands after a report: counts and shares by maximum, the rest from the newer report."""
    if old is None:
        return new
    newer = new if _part_order(new) >= _part_order(old) else old
    return replace(newer, count=max(old.count, new.count), share=max(old.share, new.share))


def add_up(parts: Iterable[Part]) -> Totals:
    """What the parts of a job add up to."""
    counts: dict[str | None, Number] = {}
    weight = done = 0.0
    children = ended = failed = 0
    for part in parts:
        if part.weight is None:
            counts[part.stage] = counts.get(part.stage, 0) + part.count
            continue
        children += 1
        ended += part.status in ENDED
        failed += part.status == "failed"
        weight += part.weight
        done += part.weight * part.share
    return Totals(counts, weight, done, children, ended, failed)


def part_of(old: Head | None, part: Part, now: datetime, *, news: bool = True) -> Decision:
    """Whether a part belongs to its job's present attempt; if so it renews the job's lease.

    Args:
        old: The job's head.
        part: The report.
        now: The store's clock.
        news: Whether the report changes the part; a mere sign of life gives no new version.
    """
    if old is None:
        return Decision("missing")
    if old.attempt != part.attempt:
        return Decision("superseded")
    if old.ended:
        return Decision("ended")
    head = replace(old, seen_at=now)
    if news or old.stalled(now):
        return Decision("applied", _versioned(head, old, now), rings=True)
    return Decision("heartbeat", _kept(head, old))


def check_end(status: str) -> None:
    """Whether others than the worker may tell this status.

    Raises:
        InvalidValue: It is no end, nor a retry.
    """
    if status not in ENDED and status != "retrying":
        raise InvalidValue("status", status, f"an end is one of {', '.join(sorted(ENDED))}")


def check_run(run: str | None) -> None:
    """Whether this may claim a job.

    Raises:
        InvalidValue: It is no token.
    """
    if not run:
        raise InvalidValue("run", run, "whoever claims a job brings the token of its run")


def micros(moment: datetime) -> int:
    """Whole microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(micros: int) -> datetime:
    """The time that lies so many microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=micros)


def _claim(old: Head | None, new: Head, now: datetime, *, exclusive: bool) -> Decision:
    check_run(new.run)
    if old is None:
        return _opened(_running(new, 1, now), None, now)
    if old.run is not None and old.run == new.run:
        return Decision("same", old)
    if old.status == "cancelled" and old.cancel == "requested":
        return Decision("cancelled")
    if old.phase == 0:
        return _opened(_running(new, old.attempt, now), old, now)
    if exclusive and old.phase == 1 and not old.stalled(now):
        return Decision("held")
    return _opened(_running(new, old.attempt + 1, now), old, now)


def _running(new: Head, attempt: int, now: datetime) -> Head:
    return replace(new, attempt=attempt, status="running", started_at=now)


def _waiting(new: Head, attempt: int) -> Head:
    return replace(new, attempt=attempt, status="pending", run=None)


def _opened(new: Head, old: Head | None, now: datetime) -> Decision:
    head = replace(new, step=0, ended_at=None, cancel=None, created_at=now)
    if old is not None:
        retried = not old.ended or old.status == "failed"
        head = replace(
            head,
            scope=_scope(old, new, retried=retried),
            parent=new.parent or old.parent,
            parent_attempt=new.parent_attempt if new.parent else old.parent_attempt,
            created_at=old.created_at if retried else now,
            cancel=None if old.ended or old.cancel is None else "requested",
        )
    return Decision("opened", _stamped(head, old, now), rings=True, restarts=True)


def _scope(old: Head, new: Head, *, retried: bool) -> str | None:
    """Whose job it is was fixed when it was created; only a rerun is a new creation."""
    first, second = (old.scope, new.scope) if retried else (new.scope, old.scope)
    return second if first is None else first


def _refused(old: Head, new: Head) -> str | None:
    """Why a report changes nothing; None where it counts."""
    if _superseded(old, new):
        return "superseded"
    if new.attempt == old.attempt and old.phase >= 2 and new.phase <= old.phase:
        return "same" if new.status == old.status else "ended"
    return "late" if _order(new) < _order(old) else None


def _superseded(old: Head, new: Head) -> bool:
    """Whether the sender no longer holds the job.

    A sender of a higher attempt met a store that lost its record.  If somebody else has claimed the id
    there since, that claim is the later one and holds.
    """
    if new.attempt != old.attempt:
        return new.attempt < old.attempt or _claimed_later(old, new)
    return old.run is not None and old.run != new.run


def _claimed_later(old: Head, new: Head) -> bool:
    return (
        old.run is not None
        and old.started_at is not None
        and new.started_at is not None
        and old.started_at > new.started_at
    )


def _order(head: Head) -> tuple[int, int, int]:
    return (head.attempt, head.phase, head.step)


def _part_order(part: Part) -> tuple[int, bool, int]:
    return (part.run, part.status in ENDED, part.step)


def _inheriting(new: Head, old: Head) -> Head:
    """The sender's head with what only the store may change, taken from the record."""
    if new.attempt == old.attempt:
        known = {"created_at": old.created_at, "started_at": old.started_at or new.started_at}
        links = {"scope": old.scope, "parent": old.parent, "parent_attempt": old.parent_attempt}
        new = replace(new, **known, **links)
    seen = old.cancel == "requested" and new.cancel == "seen"
    return replace(new, cancel="seen" if seen else old.cancel)


def _cancelled_by_store(old: Head, now: datetime) -> Decision:
    """A request meets a job that nobody holds.  It stays ``requested``: no claim may run the job."""
    head = replace(old, status="cancelled", cancel="requested", ended_at=now)
    return Decision("applied", _versioned(head, old, now), rings=True)


def _stamped(new: Head, old: Head | None, now: datetime) -> Head:
    ended_at = now if new.ended else None
    created_at = now if new.created_at is None else new.created_at
    head = replace(new, created_at=created_at, ended_at=ended_at, seen_at=now)
    return _versioned(head, old, now)


def _renewed(new: Head, old: Head, now: datetime) -> Head:
    return _kept(replace(new, version=old.version, ended_at=old.ended_at, seen_at=now), old)


def _versioned(head: Head, old: Head | None, now: datetime) -> Head:
    version = max((old.version if old else 0) + 1, micros(now))
    return _kept(replace(head, version=version), old)


def _kept(head: Head, old: Head | None) -> Head:
    """With an expiry that only ever moves later."""
    live = 0.0 if head.ended else head.lease if head.phase == 1 else WAITING
    written_at = head.ended_at or head.seen_at or _EPOCH
    expires_at = written_at + timedelta(seconds=head.retention + live)
    if old is not None and old.expires_at is not None:
        expires_at = max(expires_at, old.expires_at)
    return replace(head, expires_at=expires_at)

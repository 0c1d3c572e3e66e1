"""The one record of a job: what every store keeps, every reader gets and every page shows.

Fields live where they are kept: `Head` holds what a store decides by, `Snapshot` adds the facts that the
worker reports, `Details` what is large and changes rarely, `Totals` what others' parts add up to.

Durations are seconds, times are UTC, shares are 0.0 to 1.0.  Unknown is None.  A stored duration is as of
``seen_at``; reading a live job advances it by the store's clock, so that no two machines' clocks are ever
compared.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Literal, get_args

from msgspec import Struct, field
from msgspec.structs import replace

from headway.core import fraction

Number = int | float

TIMES = ("created_at", "started_at", "ended_at", "seen_at", "expires_at")
"""The fields of a head that are moments, which stores keep in whole microseconds."""
LIVE = frozenset({"pending", "running", "retrying"})
UNENDED = ("pending", "running", "retrying", "stalled")
ENDED = frozenset({"completed", "failed", "cancelled", "stopped"})
PHASE = {"pending": 0, "running": 1, "retrying": 2} | dict.fromkeys(ENDED, 3)

LEASE = 30.0
"""Seconds for which a silent worker is believed."""
WAITING = 86_400.0
"""Seconds for which a job that nobody runs (pending, retrying) may wait."""
RETENTION = 86_400.0
"""Seconds for which a record stays after its last write."""

MESSAGES = 50
STAGES = 100
PARTS = 10_000
NAME = 200
STAGE_NAME = 100
UNIT = 20
ACTIVITY = 500
MESSAGE = 1_000
ERROR_TEXT = 500
ERROR_DETAIL = 8_000
DATA = 64 * 1024
LARGEST = 2**53 - 1

Level = Literal["debug", "info", "success", "warning", "error"]
LEVELS = frozenset(get_args(Level))
CANCEL = frozenset({None, "requested", "seen"})


class Stage(Struct, frozen=True, omit_defaults=True):
    """A weighted share of a job's bar that the worker itself reports.

    Attributes:
        weight: Its share of the job's total weight; None when unknown.
        elapsed: Seconds since it began; None when it has not begun.
        work, total_work: What the done items weigh, and all of them, where items weigh differently.
    """

    name: str
    weight: float | None = None
    count: Number | None = None
    total: Number | None = None
    unit: str | None = None
    elapsed: float | None = None
    ended: bool = False
    work: Number | None = None
    total_work: Number | None = None

    @property
    def grid(self) -> int | None:
        """How full it is in ten-thousandths."""
        return fraction.FULL if self.ended else fraction.bar(*position(self))

    @property
    def fraction(self) -> float | None:
        """How full it is, 0.0 to 1.0; None when its end is unknown."""
        return None if self.grid is None else self.grid / fraction.FULL


class Message(Struct, frozen=True):
    """A line worth keeping.  ``at`` is by the worker's clock, for show only."""

    at: datetime
    text: str
    level: str = "info"


class Error(Struct, frozen=True, omit_defaults=True):
    """Why a job failed.

    Attributes:
        text: What everybody may read; None when only an exception is known, whose text may hold secrets.
        type: The exception's class.
        detail: For the owner: the exception's text and where it was raised.
    """

    text: str | None = None
    type: str | None = None
    detail: str | None = None


class Details(Struct, frozen=True, omit_defaults=True):
    """What is large and changes rarely; read on demand."""

    messages: tuple[Message, ...] = ()
    error: Error | None = None
    result: Any = None
    meta: Any = None


class Part(Struct, frozen=True):
    """One share that somebody else reports: a pool worker's count (no weight) or a child's weighted share.

    Attributes:
        job: The id of the job that it is a part of, and ``attempt`` that job's attempt.
        key: Who reports it: a child's id, or a token that its process drew.
        run: The reporter's own attempt; a newer one of the same key replaces facts, never counts.
        step: Rises with each report of one attempt.
        count: Items done, in all, by this reporter.
        weight: The child's weight in its parent; None for a pool worker.
        share: The child's own progress in ten-thousandths; 10,000 at any end.
        stage: Which of the job's stages the count belongs to; None for the job's own bar.
    """

    job: str
    attempt: int
    key: str
    run: int = 1
    step: int = 0
    count: Number = 0
    weight: float | None = None
    share: int = 0
    status: str = "running"
    stage: str | None = None


class Totals(Struct, frozen=True):
    """What the parts of a job add up to.

    Attributes:
        counts: Items done by pool workers, by stage; None for the job's own bar.
        weight: What all children weigh together.
        done: The sum of weight times share over all children.
    """

    counts: dict[str | None, Number] = field(default_factory=dict)
    weight: float = 0.0
    done: float = 0.0
    children: int = 0
    ended: int = 0
    failed: int = 0


class Children(Struct, frozen=True):
    """How many child jobs a job has, how many of them have ended, and how many of those failed."""

    count: int
    ended: int
    failed: int


class Head(Struct, frozen=True, kw_only=True):
    """What a store decides by.

    Attributes:
        version: Given by the store at each change: ``max(version + 1, clock in µs)``.
        attempt: 1 for the first; a pending job carries the attempt that is to come.
        step: Rises with each change that the worker publishes.
        run: The token of the worker that holds the attempt; None while nobody does.
        cancel: None, "requested" or "seen".
        lease: Seconds for which a silent worker is believed.
        retention: Seconds for which the record stays after its last write.
        seen_at: The last word accepted from whoever holds the job.
        expires_at: When the record may be dropped; it only ever moves later.
    """

    id: str
    version: int = 0
    attempt: int = 1
    step: int = 0
    run: str | None = None
    status: str = "pending"
    cancel: str | None = None
    cancellable: bool = True
    lease: float = LEASE
    retention: float = RETENTION
    scope: str | None = None
    parent: str | None = None
    parent_attempt: int | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    seen_at: datetime | None = None
    expires_at: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether the job has come to an end."""
        return self.ended_at is not None or self.status in ENDED

    @property
    def phase(self) -> int:
        """The rank of its status within an attempt; one that is not known counts as running or ended."""
        return 3 if self.ended else PHASE.get(self.status, 1)

    def stalls_at(self) -> datetime | None:
        """When a running job will be taken for stalled if it stays silent."""
        if self.phase != 1 or self.seen_at is None:
            return None
        return self.seen_at + timedelta(seconds=self.lease)

    def stalled(self, now: datetime) -> bool:
        """Whether the job runs and its worker has been silent for longer than its lease."""
        limit = self.stalls_at()
        return limit is not None and now > limit

    def reads(self, now: datetime) -> str:
        """The status that a reader sees: ``stalled`` told apart, a newer version's taken for what it is."""
        if self.stalled(now):
            return "stalled"
        if self.status in PHASE:
            return self.status
        return "stopped" if self.ended else "running"


_values_of_head = attrgetter(*Head.__struct_fields__)


class Snapshot(Head, frozen=True, kw_only=True):
    """The immutable record of a job at one moment.

    Attributes:
        name: What people call it; ``kind``: what its repetitions have in common (default: the name).
        count: Items done, those of pool workers included; ``total``: of how many; ``unit``: of what.
        work, total_work: What the done items weigh, and all of them, where items weigh differently.
        activity: What is happening right now.
        stages: The job's own weighted shares, in order.
        total_weight: What all stages and children will weigh together; None when the plan is unknown.
        weight: The job's own weight in its parent.
        failed_count: Items that failed, among those done.
        initial: Items done in an earlier run.
        elapsed: Seconds since this attempt started.
        idle_for: Seconds without progress.
        rate: Units a second.
        remaining: Estimated seconds left, with the range (low, high) that holds four truths in five.
        estimate_basis: What the estimate rests on: "run", "history" or "both".
        usual: Seconds that such a job usually takes; None before the second run of its kind.
        patience: Seconds without progress that are nothing unusual here.
        retry_in: Seconds until the next attempt is due, while retrying; None when nobody said.
        worker: Who runs it: ``host:pid``.
        message_count: How many messages there are in all; `details` keeps the last 50.
        format: The version of the record's format.
        details: Messages, error, result and meta; None when they were not read.
        totals: What its parts add up to.
        read_at: When it was read, by the store's clock.
    """

    name: str | None = None
    kind: str | None = None
    count: Number | None = None
    total: Number | None = None
    unit: str | None = None
    activity: str | None = None
    stages: tuple[Stage, ...] = ()
    total_weight: float | None = None
    weight: float = 1.0
    failed_count: int = 0
    initial: Number = 0
    elapsed: float | None = None
    idle_for: float | None = None
    rate: float | None = None
    remaining: float | None = None
    remaining_low: float | None = None
    remaining_high: float | None = None
    estimate_basis: str | None = None
    usual: float | None = None
    patience: float | None = None
    retry_in: float | None = None
    work: Number | None = None
    total_work: Number | None = None
    worker: str | None = None
    message_count: int = 0
    format: int = 1
    details: Details | None = None
    totals: Totals = Totals()
    read_at: datetime | None = None

    @property
    def head(self) -> Head:
        """What a store decides by."""
        return Head(**head_of(self))

    @property
    def grid(self) -> int | None:
        """How far the job is in ten-thousandths; None when that is unknown."""
        shares: list[tuple[float | None, float]] = [(stage.weight, stage.grid or 0) for stage in self.stages]
        if self.totals.children:
            weight = self.totals.weight
            shares.append((weight, self.totals.done / weight if weight else 0))
        return fraction.whole(
            fraction.bar(*position(self)),
            fraction.members(shares, self.total_weight) if shares else None,
            completed=self.status == "completed",
        )

    @property
    def fraction(self) -> float | None:
        """How far the job is, 0.0 to 1.0: 1.0 when it has completed and only then; None: unknown."""
        return None if self.grid is None else self.grid / fraction.FULL

    @property
    def percent(self) -> int | None:
        """How far the job is in whole percent, rounded down, at most 99 before it has completed."""
        return None if self.grid is None else self.grid // 100

    @property
    def silent_for(self) -> float | None:
        """Seconds since the last word of whoever holds a live job."""
        if self.ended or self.read_at is None or self.seen_at is None:
            return None
        return max(0.0, (self.read_at - self.seen_at).total_seconds())

    @property
    def waited(self) -> float | None:
        """Seconds from creation to start."""
        if self.created_at is None or self.started_at is None:
            return None
        return max(0.0, (self.started_at - self.created_at).total_seconds())

    @property
    def finish_at(self) -> datetime | None:
        """When the job is likely to end."""
        if self.read_at is None or self.remaining is None or self.ended:
            return None
        return self.read_at + timedelta(seconds=self.remaining)

    @property
    def retry_at(self) -> datetime | None:
        """When the next attempt is due."""
        if self.read_at is None or self.retry_in is None:
            return None
        return self.read_at + timedelta(seconds=self.retry_in)

    @property
    def progressed_at(self) -> datetime | None:
        """When progress was last made."""
        if self.read_at is None or self.idle_for is None or self.ended:
            return None
        return self.read_at - timedelta(seconds=self.idle_for)

    @property
    def cancel_requested(self) -> bool:
        """Whether somebody asked the job to stop."""
        return self.cancel is not None

    @property
    def children(self) -> Children | None:
        """How its child jobs fare; None when it has none."""
        totals = self.totals
        return Children(totals.children, totals.ended, totals.failed) if totals.children else None

    @property
    def messages(self) -> tuple[Message, ...]:
        """The last 50 messages; empty when details were not read."""
        return tuple(map(_known_level, self.details.messages)) if self.details else ()

    @property
    def error(self) -> Error | None:
        """Why it failed or is tried again; None otherwise, or when details were not read."""
        shown = self.details is not None and self.status in {"failed", "retrying"}
        return self.details.error if shown and self.details else None

    @property
    def result(self) -> Any:
        """What the completed job left; None otherwise, or when details were not read."""
        return self.details.result if self.details and self.status == "completed" else None

    @property
    def meta(self) -> Any:
        """What its creator noted about it; None when details were not read."""
        return self.details.meta if self.details else None


def head_of(record: Snapshot) -> dict[str, Any]:
    """The fields of a record's head."""
    return dict(zip(Head.__struct_fields__, _values_of_head(record), strict=True))


def position(bar: Snapshot | Stage) -> tuple[Number | None, Number | None]:
    """How far its bar is, and of how much: in what its items weigh, where they weigh differently."""
    return (bar.work, bar.total_work) if bar.total_work is not None else (bar.count, bar.total)


def as_read(record: Snapshot, totals: Totals, now: datetime) -> Snapshot:
    """The record as a reader sees it at ``now``, by the store's clock: parts added, durations advanced."""
    read_at = now if record.seen_at is None or record.ended else min(record.seen_at, now)
    record = replace(with_parts(record, totals), read_at=read_at)
    if record.status not in PHASE:  # written by a newer version
        record = replace(record, status="stopped" if record.ended_at else "running")
    if record.cancel not in CANCEL:
        record = replace(record, cancel="requested")
    if record.retry_in is not None and record.status != "retrying":
        record = replace(record, retry_in=None)
    if record.ended:
        left = 0.0 if record.status == "completed" else None
        return replace(record, cancellable=False, remaining=left, remaining_low=left, remaining_high=left)
    return later(record, now)


_NOT_FELT = dict.fromkeys(
    ("remaining", "remaining_low", "remaining_high", "estimate_basis", "patience", "rate")
)


def later(snapshot: Snapshot, now: datetime) -> Snapshot:
    """How the same record reads at ``now``, when no word came since it was read."""
    if snapshot.read_at is None or snapshot.ended:
        return snapshot
    age = max(0.0, (now - snapshot.read_at).total_seconds())
    if snapshot.status not in {"running", "stalled"}:  # what was felt of it is over
        retry_in = None if snapshot.retry_in is None else max(0.0, snapshot.retry_in - age)
        return replace(snapshot, read_at=max(now, snapshot.read_at), retry_in=retry_in, **_NOT_FELT)
    stalls_at = (snapshot.seen_at or now) + timedelta(seconds=snapshot.lease)
    believed = max(0.0, (min(now, stalls_at) - snapshot.read_at).total_seconds())
    changed: dict[str, Any] = {"read_at": max(now, snapshot.read_at)}
    if snapshot.elapsed is not None:
        changed["elapsed"] = snapshot.elapsed + believed
    if snapshot.idle_for is not None:
        changed["idle_for"] = snapshot.idle_for + age
    if now > stalls_at:
        changed |= _NOT_FELT
        changed["status"] = "stalled"
    else:
        for name in ("remaining", "remaining_low", "remaining_high"):
            value = getattr(snapshot, name)
            changed[name] = None if value is None else max(0.0, value - age)
    return replace(snapshot, **changed)


def _known_level(message: Message) -> Message:
    return message if message.level in LEVELS else replace(message, level="info")


def with_parts(record: Snapshot, totals: Totals) -> Snapshot:
    """The record with what its parts add up to: their counts join the job's and its stages'."""
    counts = totals.counts
    stages = record.stages
    if counts.keys() - {None}:
        stages = tuple(
            replace(stage, **_joined(stage, counts[stage.name])) if stage.name in counts else stage
            for stage in stages
        )
    own = _joined(record, counts[None]) if None in counts else {}
    return replace(record, totals=totals, stages=stages, **own)


def _joined(bar: Snapshot | Stage, more: Number) -> dict[str, Any]:
    """A bar's position with steps that others count; theirs weigh what the others do on average."""
    joined: dict[str, Any] = {"count": (bar.count or 0) + more}
    if bar.total_work is not None and bar.total:
        work = (bar.work or 0) + more * bar.total_work / bar.total
        joined["work"] = min(work, bar.total_work)
    return joined

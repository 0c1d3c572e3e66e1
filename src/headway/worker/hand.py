"""A part of a job, reported from elsewhere: another process, another machine, a child after a fork.

A started job (or a stage) pickles as a name: the store's URL, the job's id and attempt.  Where it arrives it
is a `Hand`, which counts for itself and tells the store its own cumulative count, so that resends and
reordering cannot miscount.
"""

from __future__ import annotations

import functools
import os
import time
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar, Unpack, cast
from weakref import WeakValueDictionary

from headway import threads
from headway.core.errors import Cancelled, HeadwayError
from headway.core.pace import HEARTBEAT
from headway.core.snapshot import ENDED, Part
from headway.worker.bar import Bar, shown
from headway.worker.current import enter, leave
from headway.worker.job import Job, JobOptions, new_id
from headway.worker.publisher import Publisher, log
from headway.worker.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from headway.core.snapshot import Level, Number, Snapshot
    from headway.stores.contract import Answer, Store

P = ParamSpec("P")
R = TypeVar("R")

Name = tuple[str, str, int | None, str | None]
"""A store's URL, a job's id, its attempt, and a stage's name."""

GONE = 60.0
"""Seconds after which a job that the store does not know is taken for gone."""
_SEVERITY = {"debug": 10, "info": 20, "success": 20, "warning": 30, "error": 40}
"""The levels of messages among those of the standard library's ``logging``."""

_hands: WeakValueDictionary[tuple[int, Name], Hand] = WeakValueDictionary()
_publishers: dict[str, Publisher] = {}


class Hand(Bar):
    """A part of a job that runs elsewhere; it counts, and learns when the job is asked to stop.

    Use it in ``with``, so that its count has arrived when the block ends.

    Attributes:
        id: The id of the job that it is a part of.
        attempt: That job's attempt.
        activity: Kept for the surface's sake; a part's activity is not shown.
    """

    def __init__(self, name: Name) -> None:
        super().__init__()
        self._name = name
        self.activity = None
        self._asked = False
        url, self.id, self.attempt, stage = name
        self._report: PartReport | None = None
        try:
            publisher = _publisher(url)
        except HeadwayError as error:
            log().warning("a part of job %s cannot be reported from here: %s", self.id, error)
        else:
            self._report = PartReport(publisher, self, self.id, self.attempt, stage)
            self._become_part(self._report.begin_for)

    def flush(self) -> None:
        """Wait until the count has arrived, at most a little while."""
        if self._report is not None:
            self._report.flush()

    @property
    def holder(self) -> Hand:
        """Itself: it stands for the job here."""
        return self

    @property
    def started(self) -> bool:
        """Whether the job has begun: it has, elsewhere."""
        return True

    @property
    def ended(self) -> bool:
        """Whether the job has ended, as far as is known here."""
        return self._report is not None and self._report.over

    @property
    def cancel_requested(self) -> bool:
        """Whether somebody asked the job to stop."""
        return self._asked

    def stage(self, name: str) -> Hand:
        """The part of one of the job's stages."""
        url, id, attempt, _ = self._name
        return hand((url, id, attempt, name))

    def child(self, name: str | None = None, *, weight: float = 1.0, **options: Unpack[JobOptions]) -> Job:
        """As `Job.child`: a job of its own that is a weighted share of the whole."""
        child = Job(self._report.publisher if self._report else None, name, **options)
        child._parent, child._weight = self, weight
        return child

    def message(self, text: str, level: Level = "info") -> None:
        """A part keeps no messages: the line goes to this process's log, under the name ``headway``."""
        log().log(_SEVERITY.get(level, 20), "job %s: %s", self.id, text)

    def __enter__(self) -> Self:
        """Nothing begins: the part counts already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """What was counted has arrived."""
        self.flush()

    def __reduce__(self) -> tuple[Any, ...]:
        """It pickles as the name it came from."""
        return (hand, (self._name,))

    def _ask_to_stop(self) -> None:
        self._asked = True
        self._interrupt()

    def _is_asked(self) -> bool:
        return self._asked

    def _stop_if_possible(self) -> None:
        raise Cancelled(self.id)

    def _job_id(self) -> str:
        return self.id

    def _takes_loops(self) -> bool:
        return False  # its calls are what is counted

    def _restart(self) -> None:
        """What a part has counted stays counted."""

    def _note(self, activity: str | None, failed: int) -> None:
        """A part has no activity and no failed items of its own."""


class Counted(Generic[P, R]):
    """A function, each call of which counts one step of a job; see `Bar.counted`."""

    def __init__(self, bar: Any, function: Callable[P, R]) -> None:
        self._bar = bar
        self._function = function
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function as a part of the job; where it gives a coroutine, that is what counts."""
        import inspect

        if inspect.iscoroutinefunction(self._function):
            awaited: Any = self._awaited(*args, **kwargs)
            result: R = awaited
            return result
        bar = self._bar
        before = enter(bar)
        try:
            bar.checkpoint()
            returned = self._function(*args, **kwargs)
            bar._count += 1
            return returned
        finally:
            leave(before)
            if isinstance(bar, Hand):
                bar.flush()

    async def _awaited(self, *args: Any, **kwargs: Any) -> Any:
        import asyncio

        bar: Any = self._bar
        before = enter(bar)
        try:
            bar.checkpoint()
            result = await cast("Any", self._function(*args, **kwargs))
            bar._count += 1
            return result
        finally:
            leave(before)
            if isinstance(bar, Hand):
                await asyncio.to_thread(bar.flush)

    def __reduce__(self) -> tuple[Any, ...]:
        """The function goes along, the job as a name."""
        return (Counted, (self._bar, self._function))


def pickled(bar: Job | Stage) -> tuple[Any, ...]:
    """How a started job or a stage of it crosses to another process."""
    job = bar.job if isinstance(bar, Stage) else bar
    entry, publisher = job._entry, job._publisher
    if entry is None or publisher is None:
        raise TypeError(f"{bar!r} has not started: start it first, then pass it on")
    entry.expect_parts()
    attempt = entry.opened.attempt if entry.opened else None
    stage = bar.name if isinstance(bar, Stage) else None
    return (hand, ((publisher.store.url, job.id, attempt, stage),))


def packed(job: Job) -> tuple[Any, ...]:
    """How a job that has not started crosses to another process, to be started there."""
    publisher, parent = job._publisher, job._parent
    url = publisher.store.url if publisher else None
    above = parent and (parent.id, parent.attempt)
    return (
        unpacked,
        (url, job.name, {**job._options, "id": job.id, "scope": job._scope}, above, job._weight),
    )


def unpacked(
    url: str | None,
    name: str | None,
    options: JobOptions,
    parent: tuple[str, int | None] | None,
    weight: float,
) -> Job:
    """The job that was packed."""
    job = Job(None if url is None else _publisher(url), name, **options)
    if parent is not None and url is not None:
        id, attempt = parent
        job._parent = hand((url, id, attempt, None))
    job._weight = weight
    return job


def hand(name: Name) -> Hand:
    """The hand of that name in this process."""
    key = (os.getpid(), name)
    known = _hands.get(key)
    if known is None:
        known = _hands[key] = Hand(name)
        _keep(known)
    return known


_kept: list[Hand] = []


def _keep(known: Hand) -> None:
    """A pool's worker drops its arguments after each task; the count goes on in the next."""
    _kept.append(known)
    del _kept[:-64]


def adopt(publisher: Publisher, job: Job, attempt: int | None) -> None:
    """In a child after a fork: what the parent's handles count here becomes parts of the job."""
    for bar in (job, *job._stages.values()):
        stage = bar.name if isinstance(bar, Stage) else None
        bar._become_part(PartReport(publisher, bar, job.id, attempt, stage).begin_for)


def _publisher(url: str) -> Publisher:
    known = _publishers.get(url)
    if known is None:
        from headway.stores import open_store

        known = _publishers.setdefault(url, Publisher(open_store(url)))
    return known


class PartReport:
    """What the publisher knows of one part that is counted in this process."""

    def __init__(
        self, publisher: Publisher, bar: Bar, id: str, attempt: int | None, stage: str | None
    ) -> None:
        self.publisher = publisher
        self._bar = bar
        self._id = id
        self._attempt = attempt
        self._stage = stage
        self._key = new_id()
        self._step = 0
        self._told: float = 0
        self._telling: float | None = None
        self._bells: list[tuple[float, threads.Bell]] = []
        self._begun = False
        self._missed_since: float | None = None
        self._told_at = 0.0
        self._version = self._version_told = 0
        self.lease: float | None = None
        self.urgent = False
        self.over = False

    @property
    def ending(self) -> bool:
        """Whether something that was counted has not arrived."""
        return not self.over and self._attempt is not None and self._count() != self._told

    def begin(self) -> None:
        """From now on it is reported."""
        if not self._begun:
            self._begun = True
            self.publisher.add(self)

    def begin_for(self, _: Bar) -> None:
        """The first step has been counted."""
        self.begin()

    def flush(self) -> None:
        """Wait until the count has arrived, at most a little while."""
        self.begin()
        count = self._count()
        if self.over or (self._attempt is not None and count == self._told):
            return
        bell = threads.Bell()
        self._bells.append((count, bell))
        self.urgent = True
        self.publisher.wake()
        bell.wait_in_callers_thread(self.publisher.patience())

    def prepare(self, store: Store) -> None:
        """Learn the job's attempt, where it was not known yet when the part was passed on."""
        if self._attempt is None:
            answer = store.write([], [], [self._id]).get(self._id)
            if answer is not None and answer.attempt:
                self._attempt = answer.attempt

    def news(self) -> tuple[list[Snapshot], list[Part]]:
        """The count, when it has changed."""
        self._telling = None
        if self.over or self._attempt is None:
            return [], []
        urgent, self.urgent = self.urgent, False  # before looking: what is counted meanwhile is urgent anew
        count = self._count()
        if count == self._told and not (urgent or self._may_be_lost()):
            return [], []
        self._step += 1
        self._telling = count
        part = Part(
            job=self._id,
            attempt=self._attempt,
            key=self._key,
            step=self._step,
            count=count,
            stage=self._stage,
        )
        return [], [part]

    def listening(self) -> str | None:
        """The job's id: a request to stop it concerns its parts."""
        return None if self.over else self._id

    def hear(self, answers: dict[str, Answer]) -> None:
        """Learn whether the count arrived, and whether the job was asked to stop."""
        answer = answers.get(self._id)
        if answer is None or self.over:
            return
        telling, self._telling = self._telling, None
        self._version = answer.version
        if telling is not None and answer.attempt == self._attempt:
            self._told, self._told_at, self._version_told = telling, time.monotonic(), answer.version
        if answer.outcome == "missing":
            self._is_missing()
        else:
            self._missed_since = None
        if answer.cancel is not None:
            self._bar._ask_to_stop()
        if answer.status in ENDED or answer.attempt > (self._attempt or answer.attempt):
            self.over = True
        self._ring(None if self.over or answer.outcome == "missing" else self._told)

    def _may_be_lost(self) -> bool:
        """Whether the record has changed since: it may have been rebuilt, without what we told of it.

        A mere sign of life it is not: a pool that outlives its job's worker must not keep the job alive.
        """
        return self._version != self._version_told and time.monotonic() - self._told_at >= HEARTBEAT

    def _is_missing(self) -> None:
        """The store knows no such job: its worker will rebuild the record, or it is gone for good."""
        now = time.monotonic()
        self._told, self._missed_since = 0, self._missed_since or now
        self.over = now - self._missed_since > GONE

    def unheard(self) -> None:
        """The report did not arrive, and nobody waits for it any longer."""
        self._telling = None
        self._ring()

    def leave(self, store: Store) -> None:
        """A part teaches nothing."""

    def give_up(self) -> None:
        """It cannot be reported."""
        self.over = True
        self._ring()

    def forked(self, publisher: Publisher) -> None:
        """In a child after a fork: a part of its own, counted from nothing."""
        bar, id, attempt, stage = self._bar, self._id, self._attempt, self._stage
        bar._become_part(PartReport(publisher, bar, id, attempt, stage).begin_for)

    def abandon(self) -> None:
        """The interpreter exits: what was counted is still told."""
        self.urgent = True

    def _count(self) -> Number:
        return shown(self._bar.count)

    def _ring(self, told: float | None = None) -> None:
        """Wake those who wait for no more than what has been told; all of them where nothing will be."""
        for _ in range(len(self._bells)):
            count, bell = self._bells.pop(0)
            if told is None or count <= told:
                bell.ring()
            else:
                self._bells.append((count, bell))

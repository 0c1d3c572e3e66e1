"""Bars that somebody else's code moves, as tqdm's: looked at by the publisher, never told of a step.

What moves such a bar knows nothing of us, so its loop costs what it cost before.  The publisher asks each bar
twice a second where it stands (`Foreign.reading`), and a `Mirror` decides whose job it is:

1. Inside a job of this context a bar is a stage of that job; of a job that was forked into this process, and
   is its parent's, outermost bars are children.
2. Otherwise it belongs to the program's job, where there is one (``headway run``).
3. Otherwise the outermost bar is a job, and those that open while it is open are stages of it.

Short-lived bars are folded: one within another leaves no stage, and of outermost ones that live less than
`SHORT` seconds the first few are jobs and then one in a while, so that a thousand in a row flood nothing.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from headway import threads
from headway.core import arguments, text
from headway.core.snapshot import LARGEST, STAGE_NAME, Number
from headway.worker import hand
from headway.worker.current import holder
from headway.worker.job import Job
from headway.worker.publisher import log
from headway.worker.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from headway.core.snapshot import Part, Snapshot
    from headway.core.snapshot import Stage as StageFacts
    from headway.stores.contract import Answer, Store
    from headway.worker.publisher import Publisher

SHORT = 1.0
"""Seconds; what lives less is folded."""
AT_ONCE = 10
"""How many short outermost bars of a process are jobs without more ado."""
REFILL = 10.0
"""Seconds after which another short one may be."""
KEPT = 40
"""How many stages that have ended a job keeps."""
MOST = 90
"""How many stages it shows in all."""


Fate = BaseException | str
"""How a bar ended: "completed", "stopped", or what was raised."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Where a foreign bar stands."""

    name: str | None
    count: Number
    total: Number | None
    unit: str | None = None
    activity: str | None = None
    initial: Number = 0


class Foreign(Protocol):
    """Somebody else's bar."""

    def reading(self) -> Reading:
        """Where it stands, from any thread; after its end, where it stood then."""

    def interrupt(self, stop: Callable[[], object]) -> None:
        """Have ``stop`` called at its next step; called again and again until then."""


def amount(value: object) -> Number | None:
    """A number as a foreign bar has it: within our limits, or None."""
    try:
        plain = arguments.plain_number(value)
    except Exception:  # noqa: BLE001 - whatever somebody's own number raises
        return None
    return plain if abs(plain) <= LARGEST else None  # neither is NaN


class MirrorStage(Stage):
    """A stage that shows a foreign bar."""

    __slots__ = ("_foreign", "_said")

    def __init__(self, job: Job, name: str, foreign: Foreign) -> None:
        super().__init__(job, name, None)
        self._foreign = foreign
        self._said: str | None = None
        self._counts = True

    def facts(self, now: float) -> StageFacts:
        """What the record says of it, as of this moment."""
        self.look()
        return super().facts(now)

    def look(self) -> None:
        """Take over where the bar stands, and what it says."""
        reading = self._foreign.reading()
        _show(self, reading)
        if not self.over:
            self._said = _say(self._job, self._said, reading.activity)

    def end(self) -> None:
        """It will not move any more."""
        super().end()
        self._said = _say(self._job, self._said, None)

    def _interrupt(self) -> None:
        self._foreign.interrupt(self._job._stop_if_possible)


class MirrorJob(Job):
    """A job whose own bar is a foreign one, or one after another."""

    __slots__ = ("_said", "foreign")

    foreign: Foreign | None

    def __init__(self, publisher: Publisher | None, name: str | None = None, **options: Any) -> None:
        self.foreign = None
        self._said: str | None = None
        super().__init__(publisher, name, **options)

    def _facts(self, now: float) -> Snapshot:
        if self.foreign is not None:
            reading = self.foreign.reading()
            _show(self, reading)
            self._said = _say(self, self._said, reading.activity)
        for stage in list(self._stages.values()):
            if isinstance(stage, MirrorStage):
                stage.look()  # before the job's own activity is read
        return super()._facts(now)

    def _interrupt(self) -> None:
        super()._interrupt()
        if self.foreign is not None:
            self.foreign.interrupt(self._stop_if_possible)


def _show(bar: MirrorJob | MirrorStage, reading: Reading) -> None:
    bar._count, bar._total, bar._unit, bar._counts = reading.count, reading.total, reading.unit, True


def _say(job: Job, said: str | None, activity: str | None) -> str | None:
    """Say what is new as the job's activity; one that falls silent takes back only its own words."""
    if activity != said and (activity is not None or job.activity == said):
        job.activity = activity
    return activity


class _Line:
    """A bar that is open, and where it is shown."""

    __slots__ = ("closed", "foreign", "job", "opened_at", "stage")

    def __init__(self, foreign: Foreign, job: Job, now: float) -> None:
        self.foreign = foreign
        self.job = job
        self.opened_at = now
        self.closed = False
        self.stage: MirrorStage | None = None


class Mirror:
    """The foreign bars of this process.

    Attributes:
        name: What a job is called whose bar has no name.
        program: The job of the whole program; None where each outermost bar is a job.
        above: The job, in another process, that outermost bars are children of.
    """

    def __init__(self, publisher: Callable[[], Publisher], name: Callable[[], str]) -> None:
        self._publisher = publisher
        self.name = name
        self.program: MirrorJob | None = None
        self.above: hand.Name | None = None
        self._group: MirrorJob | None = None
        self._first: _Line | None = None
        self._fate: Fate = "completed"
        self._deferred: Deferred | None = None
        self._allowed, self._allowed_at = float(AT_ONCE), time.monotonic()
        self._begin_process()

    def _begin_process(self) -> None:
        self._pid = os.getpid()
        self._lock = threads.reentrant_lock()
        self._lines: dict[int, _Line] = {}

    def _look_for_fork(self) -> None:
        """In a child the bars that are open are its parent's; new ones are children of their job."""
        if self._pid == os.getpid():
            return
        self._begin_process()
        for job in (self.program, self._group):
            publisher = job._publisher if job is not None else None
            if job is not None and publisher is not None and job.started and not job.ended:
                self.above = (publisher.store.url, job.id, job.attempt, None)
                break
        self.program = self._group = self._first = self._deferred = None

    def opened(self, key: int, foreign: Foreign) -> None:
        """A bar has appeared.  Never raises: what is wrong with us must not reach the program."""
        try:
            self._look_for_fork()
            with self._lock:
                if key not in self._lines:
                    self._lines[key] = self._placed(foreign)
                    self._follow_outermost()
        except Exception:  # noqa: BLE001 - see above
            log().exception("a bar cannot be reported")

    def closed(self, key: int, fate: Fate = "completed") -> None:
        """A bar will not move any more.

        Args:
            key: As it was opened.
            fate: "completed", "stopped", or what was raised.
        """
        try:
            self._look_for_fork()
            with self._lock:
                line = self._lines.pop(key, None)
                ending = self._taken_down(line, fate) if line is not None else None
            if ending is not None and ending[0].started:  # else it was too short to be a job
                _end(*ending)
        except Exception:  # noqa: BLE001 - as above
            log().exception("the end of a bar cannot be reported")

    def wrote(self, line: str) -> None:
        """Something was written beside the bars: a line worth keeping."""
        job = self.program or self._group
        if self._pid == os.getpid() and job is not None and job.started and not job.ended and line.strip():
            job.message(line)

    # Where a bar belongs

    def _placed(self, foreign: Foreign) -> _Line:
        now = time.monotonic()
        host = self._host()
        if host is None:
            return self._new_group(foreign, now)
        line = _Line(foreign, host, now)
        self._add_stage(line)
        return line

    def _host(self) -> Job | None:
        """The job that takes the next bar as a stage; None: it is a job itself."""
        inside = holder()
        if isinstance(inside, Job) and inside.started and not inside.inherited:
            return inside
        if self.program is not None and not self.program.ended:
            return self.program
        return None if isinstance(inside, hand.Hand) else self._group

    def _new_group(self, foreign: Foreign, now: float) -> _Line:
        reading = foreign.reading()
        job = MirrorJob(self._publisher(), reading.name or self.name(), initial=max(0, reading.initial))
        job.foreign = foreign
        line = _Line(foreign, job, now)
        inside = holder()
        if not isinstance(inside, hand.Hand):  # else the bar is a part's, in a pool's worker
            if inside is None and self.above is not None:
                job._parent = hand.hand(self.above)
            self._group, self._first, self._fate = job, line, "completed"
        if self._may_begin(now):
            job._start()
        else:
            self._defer(line)
        return line

    def _may_begin(self, now: float) -> bool:
        """Whether another job may begin that nobody knows to be worth one."""
        self._allowed = min(float(AT_ONCE), self._allowed + (now - self._allowed_at) / REFILL)
        self._allowed_at = now
        if self._allowed < 1:
            return False
        self._allowed -= 1
        return True

    def _defer(self, line: _Line) -> None:
        """Begin the job once the bar has lived long enough; the publisher's thread looks."""
        if self._deferred is None or self._deferred.over:
            self._deferred = Deferred(self._lock)
            self._deferred.lines.append(line)
            self._publisher().add(self._deferred)
        else:
            self._deferred.lines.append(line)

    def _add_stage(self, line: _Line) -> None:
        stages = line.job._stages
        if len(stages) >= MOST:
            return
        wanted = text.line(line.foreign.reading().name or "Loop", STAGE_NAME - 5) or "Loop"
        name, number = wanted, 1
        while name in stages and not (isinstance(stages[name], MirrorStage) and stages[name].over):
            number += 1
            name = f"{wanted} ({number})"
        stages.pop(name, None)  # it comes last again
        line.stage = stages[name] = MirrorStage(line.job, name, line.foreign)
        line.stage.begin()
        if line.job._asked:
            line.job._look_up()

    def _follow_outermost(self) -> None:
        """The program's own bar is the outermost one that is open; the last one stays when none is."""
        job = self.program
        if job is not None:
            job.foreign = next(
                (line.foreign for line in self._lines.values() if line.job is job), job.foreign
            )

    # How it ends

    def _taken_down(self, line: _Line, fate: Fate) -> tuple[MirrorJob, Fate] | None:
        """The job that has come to its end with this bar, and as what."""
        line.closed = True
        job = line.job
        if line.stage is not None:
            self._end_stage(line, line.stage)
        if job is self.program:
            self._follow_outermost()
        if job is not self._group:
            return (job, fate) if isinstance(job, MirrorJob) and line.stage is None else None
        if line is self._first:
            self._fate, self._first = fate, None
        return None if self._first is not None or self._moves(job) else self._given_up(job)

    def _moves(self, job: Job) -> bool:
        """Whether a bar of the job is still open; one that is full and was forgotten does not count."""
        readings = [line.foreign.reading() for line in self._lines.values() if line.job is job]
        return any(reading.total is None or reading.count < reading.total for reading in readings)

    def _given_up(self, job: MirrorJob) -> tuple[MirrorJob, Fate]:
        self._group = None
        for key in [key for key, line in self._lines.items() if line.job is job]:
            del self._lines[key]
        return job, self._fate

    def _end_stage(self, line: _Line, stage: MirrorStage) -> None:
        stage.look()  # where it stood at last
        stage.end()
        stages = line.job._stages
        if time.monotonic() - line.opened_at < SHORT:
            if stages.get(stage.name) is stage:
                del stages[stage.name]
            return
        over = [name for name, known in stages.items() if isinstance(known, MirrorStage) and known.over]
        for name in over[: max(0, len(over) - KEPT)]:
            del stages[name]


def _end(job: MirrorJob, fate: Fate) -> None:
    if isinstance(fate, BaseException):
        job._finish_with(fate)
    else:
        job._finish("cancelled" if job._told else fate)


class Deferred:
    """Bars that are jobs only if they last; the publisher looks at them once a tick."""

    urgent = False
    lease = None
    ending = False

    def __init__(self, lock: threads.Lock) -> None:
        self.lines: list[_Line] = []
        self._lock = lock
        self.over = False

    def prepare(self, store: Store) -> None:  # noqa: ARG002 - as all reporters are asked
        """Begin what has lived long enough, and forget what has ended."""
        now = time.monotonic()
        with self._lock:
            for line in list(self.lines):
                lasts = not line.closed and now - line.opened_at >= SHORT
                if line.closed or lasts:
                    self.lines.remove(line)
                if lasts:
                    line.job._start()
            self.over = not self.lines

    def news(self) -> tuple[list[Snapshot], list[Part]]:
        """None of its own."""
        return [], []

    def listening(self) -> str | None:
        """To nothing."""
        return None

    def hear(self, answers: dict[str, Answer]) -> None:
        """Nothing."""

    def unheard(self) -> None:
        """Nothing was told."""

    def leave(self, store: Store) -> None:
        """Nothing comes after it."""

    def give_up(self) -> None:
        """They are no jobs, then."""
        self.over = True

    def forked(self, publisher: Publisher) -> None:
        """They are the parent's."""

    def abandon(self) -> None:
        """They were too short."""

"""What concurrent workers and readers asked and were answered, and whether a store kept its promises to them.

Every process records into a `History` of its own; afterwards one of them adds up all and asks for the
`violations`.  A store that is wrapped by `History.watch` records by itself::

    history = History()
    store = history.watch(open_store(url), "worker 1")
    …
    History.merged(histories).check()

1. What was called and when is by the monotonic clock: all processes must be of one machine.
2. A call that failed may have been carried out.  Nothing is concluded from it, but that it may have been.
3. An id that was forgotten, or lost by its store and rebuilt, begins a new life; what compares attempts is
   not asked of such ids.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections import defaultdict
from contextlib import contextmanager
from functools import partial
from itertools import accumulate, pairwise
from math import inf
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import Struct

from headway.core.errors import HeadwayError, InvalidValue
from headway.core.snapshot import ENDED, PHASE
from headway.stores.contract import PAGE, Answer, Page, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from headway.core.snapshot import Error, Part, Snapshot
    from headway.core.transitions import Over
    from headway.stores.contract import Finding, Profile, Subscription

LOST = "lost"
"""The outcome of a call that failed: it may have been carried out."""
ABSENT = "absent"
"""The outcome of reading an id that is not known."""
ACCEPTED = frozenset({"applied", "opened", "rebuilt", "heartbeat", "same"})


class Event(Struct, frozen=True, omit_defaults=True):
    """One thing that was asked of a store about one job, and what was answered.

    Attributes:
        who: Who asked; one after the other, never two things at once.
        verb: ``open``, ``write``, ``part``, ``end``, ``cancel``, ``read``, ``forget``.
        id: Which job.
        called, returned: When, in monotonic seconds.
        outcome: As the store answered; `LOST` for a call that failed, `ABSENT` for an id that is not known,
            ``seen`` for one that was read.
        told: What was asked for: over, exclusive, attempt, run, status, step.
        parts: What was told of parts: key, attempt, stage, count.
        version, attempt, run, status, cancel, step: The record as it was answered or read.
        before: With an opened job: its status before, with ``attempt_before``.
        counts: With a reading: what its parts add up to, by stage ("" for the job's own bar).
    """

    who: str
    verb: str
    id: str
    called: float
    returned: float
    outcome: str
    told: dict[str, Any] = {}
    parts: tuple[tuple[str, int, str, float], ...] = ()
    version: int = 0
    attempt: int = 0
    run: str | None = None
    status: str = ""
    cancel: str | None = None
    step: int = 0
    before: str = ""
    attempt_before: int = 0
    counts: dict[str, float] = {}

    @property
    def accepted(self) -> bool:
        """Whether what was asked for took effect, now or when it was asked before."""
        return self.outcome in ACCEPTED

    @property
    def shows(self) -> bool:
        """Whether the answer shows the record."""
        return self.attempt > 0 and self.outcome not in {LOST, ABSENT}

    @property
    def ended(self) -> bool:
        """Whether the record that it shows has ended."""
        return self.status in ENDED


class Violation(Struct, frozen=True):
    """A promise that was not kept, and the events that show it."""

    promise: str
    id: str
    events: tuple[Event, ...]

    def __str__(self) -> str:
        return "\n    ".join([f"{self.id}: {self.promise}", *map(_line, self.events)])


class History:
    """What was asked and answered, in no order.

    Attributes:
        events: All of it.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.events = list(events)

    def watch(self, store: Store, who: str) -> Store:
        """The store, recording all that is asked through it by one worker or reader."""
        return _Recorder(store, who, self.events)

    def dump(self) -> bytes:
        """As bytes, for another process."""
        return msgspec.msgpack.encode(self.events)

    @classmethod
    def load(cls, data: bytes) -> History:
        """What another process dumped."""
        return cls(msgspec.msgpack.decode(data, type=list[Event]))

    @classmethod
    def merged(cls, histories: Iterable[History]) -> History:
        """One history of many."""
        return cls(event for history in histories for event in history.events)

    def violations(self) -> list[Violation]:
        """Every promise that was not kept, at its first few occasions."""
        by_id: dict[str, list[Event]] = defaultdict(list)
        for event in sorted(self.events, key=lambda event: (event.returned, event.called)):
            by_id[event.id].append(event)
        return [found for id, events in by_id.items() for found in _violations(id, _Life(events))]

    def check(self) -> None:
        """Raise what was violated.

        Raises:
            AssertionError: A promise was not kept.
        """
        found = self.violations()
        if found:
            raise AssertionError("\n".join(map(str, found[:10])))


class _Life:
    """All events of one id, in the order in which they returned."""

    def __init__(self, events: list[Event]) -> None:
        self.events = events
        self.shown = [event for event in events if event.shows]
        self.reads = [event for event in events if event.verb == "read" and event.outcome != LOST]
        self.lost = [event for event in events if event.outcome == LOST]
        self.whole = not any(
            event.outcome == "rebuilt" or (event.verb == "forget" and event.outcome in {"forgotten", LOST})
            for event in events
        )

    def by_reader(self) -> Iterator[list[Event]]:
        """What each one saw, one after the other."""
        seen: dict[str, list[Event]] = defaultdict(list)
        for event in self.shown:
            seen[event.who].append(event)
        yield from seen.values()


def _violations(id: str, life: _Life) -> Iterator[Violation]:
    rules: list[Callable[[_Life], Iterator[tuple[str, Sequence[Event]]]]] = [
        _one_end,
        _one_status,
        _one_run,
        _attempts_without_gaps,
        _versions_rise,
        _never_backwards,
        _nothing_acknowledged_is_missing,
        _cancels_stay,
        _parts_add_up,
    ]
    for rule in rules:
        if life.whole or rule in _OF_ANY_LIFE:
            for place, (promise, events) in enumerate(rule(life)):
                if place == 3:
                    break
                yield Violation(promise, id, tuple(events))


def _one_end(life: _Life) -> Iterator[tuple[str, Sequence[Event]]]:
    ends: dict[int, list[Event]] = defaultdict(list)
    for event in life.events:
        if event.outcome == "applied" and event.ended and event.verb in {"write", "end", "cancel"}:
            ends[event.attempt].append(event)
    for attempt, applied in ends.items():
        if len(applied) > 1:
            yield f"attempt {attempt} has one end, the first", applied


def _one_status(life: _Life) -> Iterator[tuple[str, Sequence[Event]]]:
    first: dict[int, Event] = {}
    for event in life.shown:
        if event.ended:
            known = first.setdefault(event.attempt, event)
            if known.status != event.status:
                yield f"everybody is told the same end of attempt {event.attempt}", (known, event)


def _one_run(life: _Life) -> Iterator[tuple[str, Sequence[Event]]]:
    first: dict[int, Event] = {}
    for event in life.shown:
        if event.run is not None:
            known = first.setdefault(event.attempt, event)
            if known.run != event.run:
                yield f"attempt {event.attempt} is held by one run", (known, event)


def _attempts_without_gaps(life: _Life) -> Iterator[tuple[str, Sequence[Event]]]:
    """Attempts are counted 1, 2, …; an open whose answer was lost may stand for one that nobody knows of."""
    opened = {event.attempt for event in life.events if event.verb == "open" and event.outcome == "opened"}
    missing = set(range(1, max(opened, default=0) + 1)) - opened
    unknown = sum(event.verb == "open" for event in life.lost)
    if len(missing) > unknown:
        yield f"attempts are counted without a gap, and these are missing: {sorted(missing)[:9]}", ()


def _versions_rise(life: _Life) -> Iterator[tuple[str, Sequence[Event]]]:
    """One that sees two states sees the later one with a greater version."""
    for seen in life.by_reader():
        for earlier, later in pairwise(seen):
            if later.version < earlier.version:
                yield "versions never fall", (earlier, later)
            elif later.version == earlier.version and _state(later) != _state(earlier):
                yield "every change has a version of its own", (earlier, later)


def _never_backwards(life: _Life) -> Iterator[tuple[str, Sequence[Event]]]:
    """(attempt, phase, step) as one reader sees it never falls; only readings tell the step."""
    for seen in life.by_reader():
        for earlier, later in pairwise(event for event in seen if event.verb == "read"):
            if _order(later) < _order(earlier):
                yield "nobody sees a job go backwards", (earlier, later)


def _nothing_acknowledged_is_missing(life: _Life) -> Iterator[tuple[str, Sequence[Event]]]:
    """Whoever reads after a write was acknowledged sees it, or what came after it."""
    acknowledged = [event for event in life.events if event.accepted]
    times = [event.returned for event in acknowledged]
    newest = list(accumulate(acknowledged, partial(max, key=attrgetter("version"))))
    furthest = list(accumulate(acknowledged, partial(max, key=_told)))
    for read in life.reads:
        place = bisect_left(times, read.called) - 1
        if place < 0:
            continue
        if read.outcome == ABSENT or read.version < newest[place].version:
            yield "what was acknowledged is there", (newest[place], read)
        elif _order(read) < _told(furthest[place]):
            yield "what was acknowledged is shown", (furthest[place], read)


def _cancels_stay(life: _Life) -> Iterator[tuple[str, Sequence[Event]]]:
    """From its acknowledgement on a request shows in every reading and answer until the job has ended.

    An attempt of which nobody was told an end may have had one where a call was lost.
    """
    ends = {event.attempt for event in life.shown if event.ended}
    ends |= {event.attempt_before for event in life.events if event.before in ENDED}
    unsure_since = min(
        (event.called for event in life.lost if event.verb not in {"read", "listen"}), default=inf
    )
    requests: dict[int, Event] = {}
    for event in life.events:
        if event.verb == "cancel" and event.accepted and not event.ended:
            requests.setdefault(event.attempt, event)
    silent = [event for event in life.shown if not event.ended and event.cancel is None]
    for attempt, request in requests.items():
        for event in silent:
            between = set(range(attempt, event.attempt))
            has_ended = bool(between) and (bool(ends & between) or unsure_since < event.returned)
            if event.called > request.returned and event.attempt >= attempt and not has_ended:
                yield "a cancel that was acknowledged is never lost", (request, event)


def _parts_add_up(life: _Life) -> Iterator[tuple[str, Sequence[Event]]]:
    """What a reading shows lies between the sums of what was acknowledged before and what was told at all."""
    told: dict[int, list[Event]] = defaultdict(list)
    for event in life.events:
        if event.parts and event.outcome in {*ACCEPTED, LOST, "unknown"}:
            told[event.parts[0][1]].append(event)
    for attempt, events in told.items():
        reads = [read for read in life.reads if read.shows and read.attempt == attempt]
        acknowledged = [event for event in events if event.accepted]
        least = _Sums((event.returned, event) for event in acknowledged)
        most = _Sums((event.called, event) for event in events)
        for read in reads:
            low, high = least.before(read.called), most.before(read.returned)
            for stage in low.keys() | read.counts.keys():
                count = read.counts.get(stage, 0)
                if not low.get(stage, 0) <= count <= high.get(stage, 0):
                    expected = f"{low.get(stage, 0):g} to {high.get(stage, 0):g}"
                    where = f" of stage {stage}" if stage else ""
                    yield f"parts{where} add up, to {expected}, and {count:g} was shown", (read,)


_OF_ANY_LIFE = {_versions_rise}


class _Sums:
    """What parts add up to as time passes: of each the largest count that was told so far."""

    def __init__(self, timed: Iterable[tuple[float, Event]]) -> None:
        self._times: list[float] = []
        self._sums: list[dict[str, float]] = []
        largest: dict[str, tuple[str, float]] = {}
        for at, event in sorted(timed, key=lambda one: one[0]):
            for key, _, stage, count in event.parts:
                known = largest.get(key, (stage, 0.0))
                largest[key] = (stage, max(known[1], count))
            sums: dict[str, float] = defaultdict(float)
            for stage, count in largest.values():
                sums[stage] += count
            self._times.append(at)
            self._sums.append(dict(sums))

    def before(self, moment: float) -> dict[str, float]:
        place = bisect_right(self._times, moment) - 1
        return self._sums[place] if place >= 0 else {}


def _state(event: Event) -> tuple[object, ...]:
    """What no heartbeat changes.  An answer does not tell the step."""
    status = "running" if event.status == "stalled" else event.status
    return (event.attempt, event.run, status, event.cancel)


def _order(event: Event) -> tuple[int, int, int]:
    """How far the record is that was read."""
    return (event.attempt, PHASE.get(event.status, 1), event.step)


def _told(event: Event) -> tuple[int, int, int]:
    """How far the record must be after what was accepted.

    Where the store itself cancelled what was to be retried, the step stays.
    """
    is_kept = event.verb == "write" and event.outcome in {"applied", "rebuilt", "heartbeat"}
    step = event.told.get("step", 0) if is_kept and event.status == event.told.get("status") else 0
    return (event.attempt, PHASE.get(event.status, 1), step)


def _line(event: Event) -> str:
    shown = {"version": event.version, "attempt": event.attempt, "run": event.run, "status": event.status}
    shown |= {"cancel": event.cancel, "step": event.step}
    parts = f" {event.parts}" if event.parts else ""
    return (
        f"{event.called:.6f}–{event.returned:.6f} {event.who}: {event.verb} {event.told}{parts} "
        f"→ {event.outcome} {shown}"
    )


class _Asked(NamedTuple):
    """One thing that is asked for in a call, and about which job."""

    verb: str
    id: str
    told: dict[str, Any] = {}  # noqa: RUF012 - never changed
    parts: tuple[tuple[str, int, str, float], ...] = ()


class _Recorder(Store):
    """A store that writes down what is asked of it by one worker or reader."""

    def __init__(self, store: Store, who: str, events: list[Event]) -> None:
        self.store = store
        self.url = store.url
        self._who = who
        self._events = events

    def open(self, record: Snapshot, over: Over = "anything", *, exclusive: bool = False) -> Answer:
        """See `Store.open`."""
        told = {"over": over, "exclusive": exclusive, "run": record.run}
        with self._recording(_Asked("open", record.id, told)) as answers:
            answer = self.store.open(record, over, exclusive=exclusive)
            answers[0] = _answered(answer)
            if answer.outcome == "opened" and answer.snapshot is not None:
                answers[0] |= {"before": answer.snapshot.status, "attempt_before": answer.snapshot.attempt}
        return answer

    def write(
        self, records: Sequence[Snapshot], parts: Sequence[Part] = (), listening: Collection[str] = ()
    ) -> dict[str, Answer]:
        """See `Store.write`.  An answer tells of the last record of its id; of others nothing is known."""
        asked = [_Asked("write", record.id, _shown(record, _TOLD)) for record in records]
        asked += [
            _Asked("part", job, {}, _of_parts(parts, job))
            for job in dict.fromkeys(part.job for part in parts)
        ]
        asked += [_Asked("listen", id) for id in listening]
        last = {record.id: place for place, record in enumerate(records)}
        with self._recording(*asked) as answers:
            answer = self.store.write(records, parts, listening)
            for place, one in enumerate(asked):
                answers[place] = _answered(answer[one.id])
                if last.get(one.id, place) != place:
                    answers[place]["outcome"] = "unknown"
        return answer

    def end(self, id: str, attempt: int, status: str, error: Error | None = None) -> Answer:
        """See `Store.end`."""
        with self._recording(_Asked("end", id, {"attempt": attempt, "status": status})) as answers:
            answer = self.store.end(id, attempt, status, error)
            answers[0] = _answered(answer)
        return answer

    def request_cancel(self, id: str) -> Answer:
        """See `Store.request_cancel`."""
        with self._recording(_Asked("cancel", id)) as answers:
            answer = self.store.request_cancel(id)
            answers[0] = _answered(answer)
        return answer

    def read(self, ids: Collection[str], *, details: bool = False) -> dict[str, Snapshot]:
        """See `Store.read`."""
        with self._recording(*(_Asked("read", id) for id in ids)) as answers:
            found = self.store.read(ids, details=details)
            answers.update({place: _read(found.get(id)) for place, id in enumerate(ids)})
        return found

    def find(
        self,
        *,
        scope: str | None = None,
        parent: str | None = None,
        status: Collection[str] = (),
        limit: int = PAGE,
        cursor: str | None = None,
    ) -> Page:
        """See `Store.find`; what is found counts as read."""
        called = time.monotonic()
        page = self.store.find(scope=scope, parent=parent, status=status, limit=limit, cursor=cursor)
        for job in page:
            self._record(_Asked("read", job.id), called, _read(job))
        return page

    def listen(self) -> Subscription:
        """See `Store.listen`."""
        return self.store.listen()

    def forget(self, id: str) -> bool:
        """See `Store.forget`."""
        with self._recording(_Asked("forget", id)) as answers:
            known = self.store.forget(id)
            answers[0] = {"outcome": "forgotten" if known else "refused"}
        return known

    def sweep(self, limit: int = 100) -> int:
        """See `Store.sweep`; not recorded: it drops nothing that anybody still asks about."""
        return self.store.sweep(limit)

    def history(self, kind: str) -> list[Profile]:
        """See `Store.history`."""
        return self.store.history(kind)

    def learn(self, kind: str, profile: Profile | None) -> None:
        """See `Store.learn`."""
        self.store.learn(kind, profile)

    def diagnose(self) -> list[Finding]:
        """See `Store.diagnose`."""
        return self.store.diagnose()

    def migrate(self) -> bool:
        """See `Store.migrate`."""
        return self.store.migrate()

    def close(self) -> None:
        """See `Store.close`."""
        self.store.close()

    @contextmanager
    def _recording(self, *asked: _Asked) -> Iterator[dict[int, dict[str, Any]]]:
        """A call; the block notes what came of each thing that was asked for, by its place.

        A call that was refused before anything was asked leaves no trace.
        """
        answers: dict[int, dict[str, Any]] = {}
        called = time.monotonic()
        try:
            yield answers
        except InvalidValue:
            raise
        except HeadwayError:
            answers = {place: {"outcome": LOST} for place in range(len(asked))}
            raise
        finally:
            for place, answer in answers.items():
                self._record(asked[place], called, answer)

    def _record(self, asked: _Asked, called: float, answer: dict[str, Any]) -> None:
        verb, id, told, parts = asked
        now = time.monotonic()
        self._events.append(Event(self._who, verb, id, called, now, told=told, parts=parts, **answer))


_ANSWERED = ("version", "attempt", "run", "status", "cancel")
_READ = (*_ANSWERED, "step")
_TOLD = ("attempt", "run", "status", "step", "cancel")


def _shown(one: object, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(one, name) for name in names}


def _answered(answer: Answer) -> dict[str, Any]:
    return {"outcome": answer.outcome} | _shown(answer, _ANSWERED)


def _read(job: Snapshot | None) -> dict[str, Any]:
    if job is None:
        return {"outcome": ABSENT}
    counts = {stage or "": float(count) for stage, count in job.totals.counts.items()}
    return {"outcome": "seen", "counts": counts} | _shown(job, _READ)


def _of_parts(parts: Sequence[Part], job: str) -> tuple[tuple[str, int, str, float], ...]:
    """Pool workers' counts; what children weigh is not added up here."""
    return tuple(
        (part.key, part.attempt, part.stage or "", float(part.count))
        for part in parts
        if part.job == job and part.weight is None
    )

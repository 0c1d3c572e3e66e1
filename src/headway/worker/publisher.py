"""The thread that tells the store: one for each process and store, started with the first job.

Loops and `advance` only count; this thread reads the positions and writes what is new, every half second in
one batch.  First states, changes of status and ends go out at once.  It holds only the newest state of each
job, so memory stays bounded when the store is away, and nothing that the store does can raise in the job.

Who waits for the store's answer asks in its own thread where the store is at hand: to hand it over and back
takes longer than the store does.  One thread asks at a time.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
from functools import cache, partial
from typing import TYPE_CHECKING, Protocol, TypeVar
from weakref import WeakSet

from headway import threads
from headway.chance import chance
from headway.core.errors import StoreUnavailable
from headway.core.pace import Pace
from headway.worker.entry import PATIENCE, JobEntry

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Sequence

    from headway.core.snapshot import Part, Snapshot
    from headway.stores.contract import Answer, Store
    from headway.worker.job import Job

T = TypeVar("T")

BACKLOG = 1_000
"""How many ends are held for a store that is away."""
TICK = 0.5
"""Seconds between two looks at what is new, at most: a request to stop reaches a loop within one."""
IDLE = 10.0
"""Seconds without any job after which the thread ends."""
SOON = 0.02
"""Seconds for which what need not go out at once waits for company."""
LEAST_PATIENCE = 0.5
"""Seconds for which ends are waited for at an exit, however long the call in hand has taken."""
LONGEST_PAUSE = 5.0
"""Seconds between two tries at a store that is away, at most."""
QUIET = 60.0
"""Seconds between two warnings about a store that comes and goes."""
TEACHING = 1.0
"""Seconds of a run that is kept for estimates of later ones in any case."""
SWEEP = 60.0
"""Seconds between two looks for what is past its retention."""


class Reporter(Protocol):
    """Something that has news now and then."""

    urgent: bool

    @property
    def lease(self) -> float | None:
        """Seconds within which it must be heard of; None where nobody waits for it."""

    @property
    def over(self) -> bool:
        """Whether it will never have news again."""

    @property
    def ending(self) -> bool:
        """Whether its last news is still to be delivered."""

    def prepare(self, store: Store) -> None:
        """Do what must come before the first report."""

    def news(self) -> tuple[list[Snapshot], list[Part]]:
        """What is worth telling now."""

    def listening(self) -> str | None:
        """The id whose fate it wants to hear of."""

    def hear(self, answers: dict[str, Answer]) -> None:
        """What the store said to what was told last."""

    def unheard(self) -> None:
        """What was told last did not arrive."""

    def give_up(self) -> None:
        """It cannot be reported any more."""

    def leave(self, store: Store) -> None:
        """It is over; do what comes after the last report."""

    def forked(self, publisher: Publisher) -> None:
        """This is a child after a fork."""

    def abandon(self) -> None:
        """The interpreter exits."""


class Publisher:
    """Tells a store about the jobs of this process.

    Attributes:
        dropped: How many writes did not arrive.
        tick: Seconds between two looks at what is new.
    """

    def __init__(self, store: Store, pace: Pace | None = None) -> None:
        self.store = store
        self.pace = pace or Pace()
        self.dropped = 0
        self.tick = min(TICK, self.pace.seconds)
        self._reporters: dict[int, Reporter] = {}
        self._failures = 0
        self._retry_at = self._tick_at = 0.0
        self._sweep_at = time.monotonic() + SWEEP * chance.random()
        self._warn_at = self._in_vain_at = 0.0
        self._closing = False
        self._idle_since = self._brisk_until = 0.0
        self._soon_since: float | None = None
        self._taught: dict[str, float] = {}
        self._forked()
        _publishers.add(self)
        _watch_forks()

    @property
    def available(self) -> bool:
        """Whether the store answered when it was last asked."""
        return self._failures == 0

    def begin(self, job: Job, *, exclusive: bool, waits: bool = False) -> JobEntry:
        """Take up a job that starts; see `add`."""
        entry = JobEntry(self, job, exclusive=exclusive)
        self.add(entry, waits=waits and entry.lease >= 4 * TICK)
        return entry

    def add(self, reporter: Reporter, *, waits: bool = False) -> None:
        """Take up a reporter, and hear its first news at once.

        Args:
            reporter: Who has news.
            waits: Whether the caller waits for the answer next, and so sees to it that it is heard.
        """
        self._reporters[id(reporter)] = reporter
        self._closing = False
        if not waits:
            self.wake()

    def wake(self) -> None:
        """There is something urgent."""
        if self._runs_in_thread():
            self._bell.ring()
        else:  # the interpreter is shutting down: tell it here and now
            self._cycle()

    def wake_soon(self) -> None:
        """There is something that may wait a little, to go out with what comes next."""
        now = time.monotonic()
        self._soon_since = self._soon_since or now
        if now > self._brisk_until or not self._running:
            self.wake()
        self._brisk_until = now + 2 * TICK

    def tell_here(self, reporter: Reporter) -> bool:
        """Tell in the caller's thread what it and all jobs have that is urgent: one call of the store.

        Returns:
            Whether that was possible: where the store is at hand, and nobody else is asking it.
        """
        if not (self._running and self.available) or threads.patched() or not self.store.is_at_hand():
            return False
        if threads.ident() in _tellers or not self._telling.acquire(blocking=False):
            return False
        try:
            _tellers.add(threads.ident())
            reporters = [one for one in list(self._reporters.values()) if one.urgent]
            brief = [one for one in reporters if one is reporter or isinstance(one, JobEntry)]
            self._attempt(lambda: self._tell(brief, here=True))
        finally:
            _tellers.discard(threads.ident())
            self._telling.release()
        return True

    def patience(self, at_most: float = PATIENCE) -> float:
        """For how many seconds a caller may wait.

        Not at all while the store is known to be away, nor in a thread that tells any store: where the
        collector lets go of a loop there, it would wait for itself, or its own jobs for another store.
        """
        if not self.available or not self._running or threads.ident() in _tellers:
            return 0.0
        return self._left_of(at_most)

    def _left_of(self, patience: float) -> float:
        """What the call in hand has left of it: a store that hangs is waited for once."""
        since = self._asking_since
        return patience if since is None else max(0.0, patience - (time.monotonic() - since))

    def waited_in_vain(self) -> None:
        """An end was waited for, and did not arrive."""
        self._hung_at = time.monotonic()

    def flush(self, timeout: float = PATIENCE) -> bool:
        """Deliver all ends that are outstanding; whether that was done in time."""
        # A call that lasts may mean that this process stood still, as in native code, and not the store.
        least = LEAST_PATIENCE if time.monotonic() - self._hung_at > PATIENCE else 0.0
        deadline = time.monotonic() + max(self._left_of(timeout), min(timeout, least))
        self._retry_at = 0.0
        while any(reporter.ending for reporter in list(self._reporters.values())):
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            if time.monotonic() > self._retry_at:
                self.wake()
            time.sleep(min(0.005, left))
        return True

    def close(self) -> None:
        """Deliver what is outstanding, and let the thread end.

        A store that is away, and was waited for in vain a moment ago, is not waited for again: by a program
        that closes and then exits.
        """
        for reporter in list(self._reporters.values()):
            reporter.abandon()
        lately = time.monotonic() - self._in_vain_at < PATIENCE
        if (self.available or not lately) and not self.flush():
            self._in_vain_at = time.monotonic()
        self._closing = True
        self._bell.ring()

    def say_what_is_lost(self) -> None:
        """The process ends: warn of what has not arrived, for readers only see that its jobs have stalled."""
        lost = sum(one.ending and not one.over for one in list(self._reporters.values()))
        if lost:
            self.dropped += lost
            log().warning(
                "this process ends; last reports of its jobs that have not reached the store: %d", lost
            )

    def _forked(self) -> None:
        """Begin anew, with nothing that another thread may hold."""
        self._bell = threads.Bell()
        self._starting = threads.reentrant_lock()
        self._telling = threads.lock()
        self._running: bool = False
        self._asking_since: float | None = None
        self._in_vain_at = self._hung_at = -PATIENCE

    def after_fork(self) -> None:
        """In the child: the thread is gone, and the jobs are the parent's."""
        self._forked()
        self._failures, self._retry_at = 0, 0.0
        reporters, self._reporters = self._reporters, {}
        for reporter in reporters.values():
            reporter.forked(self)

    def _runs_in_thread(self) -> bool:
        """Whether the thread runs, started now if need be."""
        with self._starting:
            if self._running:
                return True
            self._running = True  # a signal handler or a ``__del__`` may come by here meanwhile
            try:
                threads.start(self._run)
            except RuntimeError:
                self._running = False
        _deliver_at_exit()
        return self._running

    def _run(self) -> None:
        _tellers.add(threads.ident())
        try:
            while self._goes_on(rang=(rang := self._bell.wait(self._pause()))):
                if rang or self._is_time():
                    with self._telling:
                        self._cycle()
        except BaseException:
            self._running = False
            raise
        finally:
            _tellers.discard(threads.ident())
            self.store.close()

    def _goes_on(self, *, rang: bool) -> bool:
        with self._starting:
            now, reporters = time.monotonic(), list(self._reporters.values())
            if rang or reporters:
                self._idle_since = now
            if self._closing:
                self._running = any(reporter.ending for reporter in reporters)
            else:
                self._running = now - self._idle_since < IDLE
            return self._running

    def _pause(self) -> float:
        """Seconds until there may be something to do; jobs may begin without ringing."""
        now = time.monotonic()
        if now < self._brisk_until:
            return SOON / 2
        return max(0.0, max(self._tick_at, self._retry_at) - now) if self._reporters else self.tick

    def _is_time(self) -> bool:
        """Whether a tick is due, or something has waited for company long enough."""
        now, since = time.monotonic(), self._soon_since
        return (now >= self._tick_at and bool(self._reporters)) or (since is not None and now - since >= SOON)

    def _cycle(self) -> None:
        now = time.monotonic()
        if now < self._retry_at:
            return
        reporters = list(self._reporters.values())
        due = now >= self._tick_at
        if due:
            leases = [reporter.lease / 4 for reporter in reporters if reporter.lease]
            self.tick = max(0.05, min(TICK, self.pace.seconds, *leases))
            self._tick_at = now + self.tick
        self._attempt(lambda: self._tell_and_sweep([one for one in reporters if due or one.urgent], due=due))

    def _attempt(self, call: Callable[[], None]) -> None:
        self._asking_since = time.monotonic()
        try:
            call()
        except Exception as error:  # noqa: BLE001 - not even a bug of ours may reach the job
            self._failed(error)
        else:
            self._recovered()
        finally:
            self._asking_since = None

    def _tell_and_sweep(self, reporters: Sequence[Reporter], *, due: bool) -> None:
        self._tell(reporters, due=due)
        now = time.monotonic()
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP * (0.5 + chance.random())
            self.store.sweep()

    def _tell(self, reporters: Sequence[Reporter], *, due: bool = False, here: bool = False) -> None:
        self._soon_since = None
        records: list[Snapshot] = []
        parts: list[Part] = []
        spoke: list[Reporter] = []
        try:
            claims = self._claims(reporters)
            for reporter in reporters:
                if reporter not in claims:
                    told, shares = self._asked(reporter, here=here)
                    records += told
                    parts += shares
                    spoke.append(reporter)
            self._tell_shares_first(reporters, records, here=here)
            listening = [one for one in (who.listening() for who in spoke) if one] if due else []
            if records or parts or listening or claims:
                answers = self._write(records, parts, listening, claims)
                for reporter in spoke:
                    reporter.hear(answers)
        except BaseException:
            self.dropped += max(1, len(records) + len(parts))
            raise
        for reporter in reporters:
            if reporter.over and not (here and reporter.ending):
                self._let_go(reporter)
        if any(entry.urgent or entry.ending for entry in claims):  # it has begun, and gone on since
            self._tell([entry for entry in claims if entry.urgent or entry.ending], here=here)

    def _tell_shares_first(
        self, reporters: Sequence[Reporter], records: Sequence[Snapshot], *, here: bool
    ) -> None:
        """Shares that began since these reporters were looked up, and whose whole has ended since."""
        ended = {record.id for record in records if record.ended}
        if not ended:
            return
        known = set(reporters)
        came = [one for one in list(self._reporters.values()) if one.urgent and one not in known]
        shares = [one for one in came if isinstance(one, JobEntry) and one.whole in ended]
        if shares:
            self._tell(shares, here=here)

    def _claims(self, reporters: Sequence[Reporter]) -> dict[JobEntry, tuple[Snapshot, bool]]:
        """What those ask for who have no answer yet.

        A share of a job is claimed by itself: after that job, whose attempt it must know, and before anything
        is told, because that job may end now.
        """
        entries = [one for one in reporters if isinstance(one, JobEntry) and one.unclaimed]
        shares = [entry for entry in entries if entry.whole]
        claims = self._asked_for([entry for entry in entries if not entry.whole])
        if not shares:
            return claims
        self._claim_first(claims)
        for entry in shares:
            self._claim_first(self._asked_for([entry]))
        return {}

    def _claim_first(self, claims: dict[JobEntry, tuple[Snapshot, bool]]) -> None:
        if claims:
            self._exchange((), (), (), claims)

    def _asked_for(self, entries: Sequence[JobEntry]) -> dict[JobEntry, tuple[Snapshot, bool]]:
        asked = {entry: self._safely(entry, entry.claim) for entry in entries}
        return {entry: claim for entry, claim in asked.items() if claim is not None}

    def _write(
        self,
        records: Sequence[Snapshot],
        parts: Sequence[Part],
        listening: Sequence[str],
        claims: dict[JobEntry, tuple[Snapshot, bool]],
    ) -> dict[str, Answer]:
        """One call; two where a job ends while its parts still have news: they would find it ended."""
        awaited = {part.job for part in parts}
        ends = [record for record in records if record.ended and record.id in awaited]
        if ends:
            others = [record for record in records if record not in ends]
            answers = self.store.write(others, parts, listening)
            return answers | self._exchange(ends, (), (), claims)
        return self._exchange(records, parts, listening, claims)

    def _exchange(
        self,
        records: Sequence[Snapshot],
        parts: Sequence[Part],
        listening: Sequence[str],
        claims: dict[JobEntry, tuple[Snapshot, bool]],
    ) -> dict[str, Answer]:
        if not claims:
            return self.store.write(records, parts, listening)
        try:
            opened, answers = self.store.exchange([*claims.values()], records, parts, listening)
        except StoreUnavailable:
            raise
        except Exception:  # noqa: BLE001 - something is wrong with one of them: each by itself
            for entry, claim in claims.items():
                self._safely(entry, partial(self._claim_alone, entry, *claim))
            return self.store.write(records, parts, listening) if records or parts or listening else {}
        for entry, answer in zip(claims, opened, strict=True):
            self._safely(entry, partial(entry.hear_claim, answer))
        return answers

    def _claim_alone(self, entry: JobEntry, record: Snapshot, exclusive: bool) -> None:  # noqa: FBT001 - as it asked
        entry.hear_claim(self.store.open(record, exclusive=exclusive))

    def _let_go(self, reporter: Reporter) -> None:
        try:
            reporter.leave(self.store)
        except StoreUnavailable:
            raise
        except Exception:  # noqa: BLE001 - it has told all that matters
            log().exception("what a run teaches cannot be kept")
        self._reporters.pop(id(reporter), None)

    def may_teach(self, kind: str, seconds: float) -> bool:
        """Whether a run of so many seconds is worth keeping: of many short ones, one a second is enough."""
        now = time.monotonic()
        if seconds < TEACHING and now - self._taught.get(kind, -TEACHING) < TEACHING:
            return False
        if len(self._taught) >= BACKLOG:
            self._taught.clear()
        self._taught[kind] = now
        return True

    def _asked(self, reporter: Reporter, *, here: bool) -> tuple[list[Snapshot], list[Part]]:
        def ask() -> tuple[list[Snapshot], list[Part]]:
            if not (here and isinstance(reporter, JobEntry)):
                reporter.prepare(self.store)
            return reporter.news()

        return self._safely(reporter, ask) or ([], [])

    def _safely(self, reporter: Reporter, call: Callable[[], T]) -> T | None:
        """What is wrong with one job must not silence the others."""
        try:
            return call()
        except StoreUnavailable:
            raise
        except Exception:  # noqa: BLE001 - see above
            log().exception("a job cannot be reported any more")
            reporter.give_up()
            return None

    def _failed(self, error: Exception) -> None:
        now = time.monotonic()
        if self._failures == 0 and now >= self._warn_at:
            self._warn_at = now + QUIET
            log().warning(
                "progress cannot be stored for now; the jobs go on and what is newest is kept: %s",
                error,
                exc_info=None if isinstance(error, StoreUnavailable) else error,
            )
        self._failures += 1
        pause = min(LONGEST_PAUSE, self.pace.seconds * 2 ** min(self._failures - 1, 10))
        self._retry_at = now + pause * (0.5 + chance.random() / 2)
        self._drop_the_oldest_ends()
        for reporter in list(self._reporters.values()):
            reporter.unheard()

    def _recovered(self) -> None:
        if self._failures:
            self._failures = 0
            self._retry_at = 0.0
            log().info("progress is stored again; %d writes were dropped meanwhile", self.dropped)

    def _drop_the_oldest_ends(self) -> None:
        ending = [(key, one) for key, one in list(self._reporters.items()) if one.ending]
        for key, one in ending[: max(0, len(ending) - BACKLOG)]:
            self.dropped += 1
            self._reporters.pop(key, None)
            one.give_up()


_publishers: WeakSet[Publisher] = WeakSet()
_tellers: set[int] = set()
"""The threads of publishers, and those that tell a store something themselves now."""


@cache
def _watch_forks() -> None:
    """Once for the process, and not before there is a job."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    _tellers.clear()
    for publisher in list(_publishers):
        publisher.after_fork()


_delivering: list[int] = []


def _deliver_at_exit() -> None:
    """See to it that what is outstanding is delivered when the interpreter exits.

    A child of multiprocessing ends by ``os._exit`` and runs its own finalizers only.
    """
    if _delivering == [os.getpid()]:
        return
    _delivering[:] = [os.getpid()]
    atexit.unregister(_at_exit)
    atexit.register(_at_exit)
    process, util = sys.modules.get("multiprocessing.process"), sys.modules.get("multiprocessing.util")
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(None, _at_exit, exitpriority=100)


def _at_exit() -> None:
    for publisher in list(_publishers):
        publisher.close()
        publisher.say_what_is_lost()


def log() -> logging.Logger:
    """Where we say what is wrong.  Nothing is configured; that is the program's own affair."""
    import logging

    return logging.getLogger("headway")

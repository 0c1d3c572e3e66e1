"""Who listens: many watchers on one listener.

A hub has one subscription to its store, whatever the number of watchers.  What changed is read once and
handed to all who watch it.  A watcher holds the newest state of each job, never a queue: a slow one skips to
it.  A job that falls silent is noticed by the clock, and a slow sweep reads again what is watched,
so that a missed notice costs latency, never truth.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet, ref

from headway import threads
from headway.core.errors import JobNotFound, StoreUnavailable
from headway.core.snapshot import ENDED, UNENDED
from headway.stores.contract import LARGEST_PAGE

if TYPE_CHECKING:
    from headway.core.snapshot import Snapshot
    from headway.stores.contract import Store, Subscription


class Listener(Protocol):
    """Who hears of changes: a `Watch`, or whoever passes them on to many."""

    @property
    def ids(self) -> frozenset[str]:
        """Which jobs."""

    @property
    def scopes(self) -> frozenset[str | None]:
        """All jobs of which scopes; None stands for every job."""

    def concerns(self, id: str, snapshot: Snapshot | None) -> bool:
        """Whether a job is watched here."""

    def hear(self, changed: dict[str, Snapshot | None]) -> int:
        """These have changed; how many are told of it."""

    def knows(self, snapshot: Snapshot) -> bool:
        """Whether this state of a job is known already."""

    def unended(self) -> list[str]:
        """The jobs that are known, and were live when they were heard of last."""

    def close(self) -> None:
        """Nothing more will be heard."""


LISTEN = 0.1
"""Seconds after which a newcomer is heard at the latest."""
SWEEP = 5.0
"""Seconds after which everything that is watched is read again."""
AGAIN = 1.0
"""Seconds until the next try when the store is away."""
PACE = 0.1
"""Seconds between two updates of one job, at least."""
SHARE = 80e-6
"""Seconds of pause for each watcher that was told: telling then takes a quarter of a core at most."""
KEPT = 10_000
"""How many jobs of a scope a watcher remembers, so as not to show the same state twice."""


class Hub:
    """Hands the news of one store to the watchers in this process."""

    def __init__(self, store: Store, hops: threads.Hops | None = None) -> None:
        self.store = store
        self.hops = hops or threads.Hops()
        self._pid = os.getpid()
        self._lock = threads.reentrant_lock()
        self._watches: dict[int, ref[Listener]] = {}
        self._asked: tuple[set[str], set[str | None]] = (set(), set())
        self._altered = True
        self._running = False
        self._complaint = ""
        self._forget_all()

    @property
    def usable(self) -> bool:
        """Whether it is this process's own: a child after a fork needs another."""
        return self._pid == os.getpid()

    def join(self, watch: Listener) -> None:
        """Somebody watches; for as long as it is kept, and until it leaves."""
        with self._lock:
            self._watches[id(watch)] = ref(watch)
            self._altered = True
            if not self._running:
                self._running = True
                threads.start(self._run)

    def leave(self, watch: Listener) -> None:
        """Somebody watches no longer.  It may be the garbage collector that says so: no lock is taken."""
        self._watches.pop(id(watch), None)
        self._altered = True

    def look(self, ids: Collection[str], scopes: Collection[str | None] = ()) -> None:
        """Somebody who has joined watches more than before: look at these, or at nothing but the change."""
        with self._lock:
            self._asked[0].update(ids)
            self._asked[1].update(scopes)
            self._altered = True

    def read(self, ids: Collection[str]) -> dict[str, Snapshot]:
        """The newest states from the store, with details of those that have ended or are to be retried."""
        found = self.store.read(ids)
        detailed = [id for id, snapshot in found.items() if snapshot.ended or snapshot.status == "retrying"]
        if detailed:
            found |= self.store.read(detailed, details=True)
        return found

    def find(self, scopes: Collection[str | None]) -> list[Snapshot]:
        """The newest jobs of these scopes; of all jobs, those that are still to end as well."""
        found: list[Snapshot] = []
        for scope in scopes:
            found += self.store.find(scope=scope, limit=LARGEST_PAGE)
        if None in scopes:
            found += self.store.find(status=UNENDED, limit=LARGEST_PAGE)
        return found

    def close(self) -> None:
        """Let everybody go."""
        for watch in self._watching():
            watch.close()

    def _watching(self) -> list[Listener]:
        found = (known() for known in list(self._watches.values()))
        return [watch for watch in found if watch is not None]

    def _forget_all(self) -> None:
        self._stalls: dict[str, float] = {}
        self._due: set[str] = set()
        self._ids: frozenset[str] = frozenset()
        self._scopes: frozenset[str | None] = frozenset()
        self._settled: WeakSet[Listener] = WeakSet()
        self._swept = time.monotonic()
        self._next = 0.0
        self._altered = True

    def _run(self) -> None:
        subscription: Subscription | None = None
        while self._goes_on():
            try:
                subscription = subscription or self._subscribed()
                self._listen(subscription)
            except StoreUnavailable:  # what is known stays shown, and ages
                self._settled.clear()
                threads.Bell().wait(AGAIN)
            except Exception as error:  # noqa: BLE001 - a bug may not leave the watchers alone
                self._complain(error)
                threads.Bell().wait(AGAIN)
        if subscription is not None:
            subscription.close()

    def _complain(self, error: Exception) -> None:
        if repr(error) != self._complaint:
            self._complaint = repr(error)
            import logging  # rarely needed

            logging.getLogger("headway").error("changes cannot be told to those who watch", exc_info=error)

    def _goes_on(self) -> bool:
        with self._lock:
            self._running = bool(self._watches)
            return self._running

    def _subscribed(self) -> Subscription:
        self._forget_all()
        return self.store.listen()

    def _listen(self, subscription: Subscription) -> None:
        self._tune(subscription)
        self._welcome()
        self._due |= subscription.wait(LISTEN)
        now = time.monotonic()
        self._due |= {id for id, at in self._stalls.items() if at <= now}
        if now - self._swept > SWEEP:
            self._swept = now
            self._due |= self._ids.union(*(watch.unended() for watch in self._watching()))
        if self._due:
            self._keep_pace(now)
            told = self._tell(self._due)
            self._due = set()
            self._next = time.monotonic() + max(PACE, told * SHARE)

    def _keep_pace(self, now: float) -> None:
        """What changes meanwhile is told with the next."""
        if now < self._next:
            threads.Bell().wait(self._next - now)

    def _tune(self, subscription: Subscription) -> None:
        """Subscribe to what is watched now."""
        if not self._altered:
            return
        self._altered = False
        watches = self._watching()
        ids = frozenset(id for watch in watches for id in watch.ids)
        scopes = frozenset(scope for watch in watches for scope in watch.scopes)
        if (ids, scopes) != (self._ids, self._scopes):
            subscription.add(ids - self._ids, scopes - self._scopes)
            subscription.remove(self._ids - ids, self._scopes - scopes)
            self._ids, self._scopes = ids, scopes

    def _welcome(self) -> None:
        """Look again at what a newcomer watches: it may have changed before we heard of it."""
        with self._lock:
            (ids, scopes), self._asked = self._asked, (set(), set())
        self._due |= ids
        for watch in self._watching():
            if watch not in self._settled:
                self._due |= watch.ids.union(watch.unended())
                self._due |= {one.id for one in self.find(watch.scopes) if not watch.knows(one)}
                self._settled.add(watch)
            elif scopes:
                self._due |= {one.id for one in self.find(scopes & watch.scopes) if not watch.knows(one)}

    def _tell(self, changed: set[str]) -> int:
        found = self.read(changed)
        for id in changed:
            self._note(id, found.get(id))
        return sum(
            watch.hear({id: found.get(id) for id in changed if watch.concerns(id, found.get(id))})
            for watch in self._watching()
        )

    def _note(self, id: str, snapshot: Snapshot | None) -> None:
        """See to it that a live job is looked at again, and when it will have stalled."""
        self._stalls.pop(id, None)
        if snapshot is None or snapshot.ended:
            return
        if snapshot.status == "running" and snapshot.silent_for is not None:
            self._stalls[id] = time.monotonic() + snapshot.lease - snapshot.silent_for + 0.01


class Watch(Iterator["Snapshot"], AsyncIterator["Snapshot"]):
    """Snapshots of some jobs, at once and at each change, until all of them have ended.

    Attributes:
        ids: Which jobs.
        scopes: All jobs of which scopes; None stands for every job.
    """

    def __init__(
        self,
        hub: Hub,
        ids: Sequence[str],
        scopes: Sequence[str | None],
        timeout: float | None,
    ) -> None:
        self.ids = frozenset(ids)
        self.scopes = frozenset(scopes)
        self._order = list(dict.fromkeys(ids))
        self._hub = hub
        self._timeout = timeout
        self._since = time.monotonic()
        self._begun = self._closed = False
        self._changed: dict[str, Snapshot | None] = {}
        self._shown: dict[str, tuple[int, str]] = {}
        self._patience: dict[str, float] = {}
        self._open = set(self.ids)
        self._ready: list[Snapshot] = []
        self._bell = threads.Bell()
        self._wake: Callable[[], object] = self._bell.ring

    # Called by the hub

    def concerns(self, id: str, snapshot: Snapshot | None) -> bool:
        """Whether a job is watched here."""
        if id in self.ids:
            return True
        return snapshot is not None and (None in self.scopes or snapshot.scope in self.scopes)

    def hear(self, changed: dict[str, Snapshot | None]) -> int:
        """These have changed; the newest state of each is kept until it is taken."""
        if changed:
            self._changed |= changed
            with contextlib.suppress(RuntimeError):  # its event loop has been closed
                self._wake()
        return bool(changed)

    def close(self) -> None:
        """Watch no longer."""
        self._closed = True
        self._hub.leave(self)
        with contextlib.suppress(RuntimeError):
            self._wake()

    def knows(self, snapshot: Snapshot) -> bool:
        """Whether this state of a job was shown last, or was there before the watch began."""
        return self._shown.get(snapshot.id) == _look(snapshot)

    def unended(self) -> list[str]:
        """The jobs that were shown and had not ended."""
        return [id for id, (_, status) in list(self._shown.items()) if status not in ENDED]

    # Called by whoever watches

    def __iter__(self) -> Watch:
        """Itself."""
        return self

    def __aiter__(self) -> Watch:
        """Itself."""
        return self

    def __next__(self) -> Snapshot:
        """The next change."""
        if not self._begun:
            self._begin(self._first())
        while not self._ready:
            if self._over():
                self.close()
                raise StopIteration
            self._bell.wait_in_callers_thread(self._pause())
            self._take()
        return self._ready.pop(0)

    async def __anext__(self) -> Snapshot:
        """The next change, awaited."""
        import asyncio

        loop = asyncio.get_running_loop()
        if not self._begun:
            self._event = event = asyncio.Event()
            self._wake = lambda: loop.call_soon_threadsafe(event.set)  # without us: we shall be let go
            self._begin(await self._hub.hops.run(self._first))
        while not self._ready:
            if self._over():
                self.close()
                raise StopAsyncIteration
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._event.wait(), self._pause())
            self._event.clear()
            self._take()
        return self._ready.pop(0)

    def __del__(self) -> None:
        """Whoever lets go of it watches no longer."""
        if self._begun and not self._closed:
            self._wake = _nothing
            self.close()

    def _first(self) -> list[Snapshot]:
        """What there is now; of all jobs, those that are still to end."""
        found = self._hub.find(self.scopes)
        for past in found:
            if past.ended and (past.scope is None or past.scope not in self.scopes):
                self._shown[past.id] = _look(past)
        wanted = [*self._order, *(one.id for one in found if not self.knows(one))]
        return list(self._hub.read(list(dict.fromkeys(wanted))).values()) if wanted else []

    def _begin(self, found: list[Snapshot]) -> None:
        self._begun = True
        self._since = time.monotonic()
        for snapshot in found:
            self._show(snapshot)
        if self._open or self.scopes:
            self._hub.join(self)

    def _take(self) -> None:
        changed, self._changed = self._changed, {}
        for id, snapshot in sorted(changed.items()):
            if snapshot is not None:
                self._show(snapshot)
            elif id in self._shown and id in self.ids:
                self._patience.setdefault(id, time.monotonic() + SWEEP)
            else:
                self._shown.pop(id, None)
        self._give_up_on_the_missing()

    def _show(self, snapshot: Snapshot) -> None:
        self._patience.pop(snapshot.id, None)
        if snapshot.ended:
            self._open.discard(snapshot.id)
        if not self.knows(snapshot):
            self._ready.append(snapshot)
        self._shown.pop(snapshot.id, None)
        self._shown[snapshot.id] = _look(snapshot)
        if len(self._shown) > KEPT + len(self.ids):
            del self._shown[next(iter(self._shown))]

    def _over(self) -> bool:
        return self._closed or (not self._open and not self.scopes)

    def _pause(self) -> float:
        """Seconds until something may be given up."""
        return 0.5 if self._timeout is None else max(0.01, min(0.5, self._timeout / 4))

    def _give_up_on_the_missing(self) -> None:
        now = time.monotonic()
        waited = now - self._since
        for id in self._order:
            late = self._timeout is not None and id not in self._shown and waited >= self._timeout
            gone = id in self._open and self._patience.get(id, now + 1) <= now
            if late or gone:
                self.close()
                raise JobNotFound(id, waited)


def _look(snapshot: Snapshot) -> tuple[int, str]:
    """What tells two states of a job apart for those who watch it."""
    return snapshot.version, snapshot.status


def _nothing() -> None:
    return None

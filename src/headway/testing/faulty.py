"""A store that fails, hangs, loses answers or repeats itself on command."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from headway import threads
from headway.core.errors import StoreUnavailable
from headway.stores.contract import PAGE, Answer, Finding, Page, Profile, Store, Subscription

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from headway.core.snapshot import Error, Part, Snapshot
    from headway.core.transitions import Over

T = TypeVar("T")
TICK = 0.005
"""Seconds between two looks whether it still hangs."""


class FaultyStore(Store):
    """Another store, with faults that you switch on and off.

    Attributes:
        store: The store that does the work.
        failing: Every verb raises `StoreUnavailable` and does nothing; a number: so many calls do.
        losing_answers: Every verb does its work, then raises as if the answer had got lost; or a number.
        repeating: Every verb is done twice, as by a client that tries again; or a number.
        hanging: Every verb waits until this is False again, or for ``patience`` seconds, then raises.
        patience: Seconds after which a hung call gives up, as a driver's time limit does.
        delay: Seconds that every verb takes longer.
        calls: The verbs that were called, in order.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.url = store.url
        self.failing: bool | int = False
        self.losing_answers: bool | int = False
        self.repeating: bool | int = False
        self.hanging = False
        self.patience = 0.5
        self.delay = 0.0
        self.calls: list[str] = []
        self._lock = threads.lock()

    def open(self, record: Snapshot, over: Over = "anything", *, exclusive: bool = False) -> Answer:
        """See `Store.open`."""
        return self._call("open", lambda: self.store.open(record, over, exclusive=exclusive))

    def write(
        self, records: Sequence[Snapshot], parts: Sequence[Part] = (), listening: Collection[str] = ()
    ) -> dict[str, Answer]:
        """See `Store.write`."""
        return self._call("write", lambda: self.store.write(records, parts, listening))

    def end(self, id: str, attempt: int, status: str, error: Error | None = None) -> Answer:
        """See `Store.end`."""
        return self._call("end", lambda: self.store.end(id, attempt, status, error))

    def request_cancel(self, id: str) -> Answer:
        """See `Store.request_cancel`."""
        return self._call("request_cancel", lambda: self.store.request_cancel(id))

    def read(self, ids: Collection[str], *, details: bool = False) -> dict[str, Snapshot]:
        """See `Store.read`."""
        return self._call("read", lambda: self.store.read(ids, details=details))

    def find(
        self,
        *,
        scope: str | None = None,
        parent: str | None = None,
        status: Collection[str] = (),
        limit: int = PAGE,
        cursor: str | None = None,
    ) -> Page:
        """See `Store.find`."""
        return self._call(
            "find",
            lambda: self.store.find(scope=scope, parent=parent, status=status, limit=limit, cursor=cursor),
        )

    def listen(self) -> Subscription:
        """See `Store.listen`; its waits fail with the store."""
        return _FaultySubscription(self, self.store.listen())

    def forget(self, id: str) -> bool:
        """See `Store.forget`."""
        return self._call("forget", lambda: self.store.forget(id))

    def sweep(self, limit: int = 100) -> int:
        """See `Store.sweep`."""
        return self._call("sweep", lambda: self.store.sweep(limit))

    def history(self, kind: str) -> list[Profile]:
        """See `Store.history`."""
        return self._call("history", lambda: self.store.history(kind))

    def learn(self, kind: str, profile: Profile | None) -> None:
        """See `Store.learn`."""
        return self._call("learn", lambda: self.store.learn(kind, profile))

    def diagnose(self) -> list[Finding]:
        """See `Store.diagnose`."""
        return self._call("diagnose", self.store.diagnose)

    def migrate(self) -> bool:
        """See `Store.migrate`."""
        return self._call("migrate", self.store.migrate)

    def close(self) -> None:
        """See `Store.close`; never fails."""
        self.store.close()

    def _call(self, verb: str, work: Callable[[], T]) -> T:
        self.calls.append(verb)
        self._wait()
        if self._due("failing"):
            raise StoreUnavailable(self.url, "it was told to fail")
        result = work()
        if self._due("repeating"):
            result = work()
        if self._due("losing_answers"):
            raise StoreUnavailable(self.url, "it was told to lose the answer")
        return result

    def _wait(self) -> None:
        if self.delay:
            time.sleep(self.delay)
        deadline = time.monotonic() + self.patience
        while self.hanging:
            if time.monotonic() > deadline:
                raise StoreUnavailable(self.url, "it was told to hang")
            time.sleep(TICK)

    def _due(self, fault: str) -> bool:
        """Whether a fault is on; one that is given as a number is counted down."""
        with self._lock:
            left: bool | int = getattr(self, fault)
            if left and not isinstance(left, bool):
                setattr(self, fault, left - 1)
            return bool(left)


class _FaultySubscription(Subscription):
    """A subscription whose waits fail with its store."""

    def __init__(self, faulty: FaultyStore, real: Subscription) -> None:
        self._faulty = faulty
        self._real = real

    def add(self, ids: Collection[str] = (), scopes: Collection[str | None] = ()) -> None:
        """See `Subscription.add`."""
        self._real.add(ids, scopes)

    def remove(self, ids: Collection[str] = (), scopes: Collection[str | None] = ()) -> None:
        """See `Subscription.remove`."""
        self._real.remove(ids, scopes)

    def wait(self, timeout: float) -> set[str]:
        """See `Subscription.wait`."""
        if self._faulty.failing or self._faulty.hanging:
            raise StoreUnavailable(self._faulty.url, "it was told to fail")
        return self._real.wait(timeout)

    def close(self) -> None:
        """See `Subscription.close`."""
        self._real.close()

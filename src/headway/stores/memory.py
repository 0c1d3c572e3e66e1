"""``memory://``: in this process.  For tests, and for programs of one process.

Each ``memory://`` is a store of its own; ``memory://name`` is the same one wherever this process names it.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

from headway import threads
from headway.core.transitions import add_up, sweep
from headway.stores.contract import KINDS, RUNS, Finding, Profile, Subscription
from headway.stores.transactional import Kept, Transaction, TransactionalStore, wall_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import datetime

    from headway.core.snapshot import Head, Part, Totals


_named: dict[str, _Shelf] = {}


class MemoryStore(TransactionalStore):
    """Records in this process's memory."""

    def __init__(self, url: str = "memory://", clock: Callable[[], datetime] = wall_clock) -> None:
        super().__init__(url, clock)
        name = url.partition("://")[2]
        self._shelf = _named.setdefault(name, _Shelf()) if name else _Shelf()

    @contextmanager
    def _transaction(self) -> Iterator[Transaction]:
        with self._shelf.lock():
            yield self._shelf

    def _changed(self, heads: Collection[Head]) -> None:
        for listener in list(self._shelf.listeners):
            listener.hear(heads)

    def _load(self, ids: Collection[str]) -> list[tuple[Kept, Totals]]:
        shelf = self._shelf
        with shelf.lock():
            return [(shelf.jobs[id], shelf.totals(id)) for id in ids if id in shelf.jobs]

    def _heads(self) -> list[Head]:
        with self._shelf.lock():
            return [kept.head for kept in self._shelf.jobs.values()]

    def listen(self) -> Subscription:
        """See `Store.listen`; rung by each change."""
        return _Listener(self._shelf)

    def history(self, kind: str) -> list[Profile]:
        """See `Store.history`."""
        return list(self._shelf.profiles.get(kind, ()))

    def learn(self, kind: str, profile: Profile | None) -> None:
        """See `Store.learn`."""
        with self._shelf.lock():
            profiles = self._shelf.profiles
            known = profiles.pop(kind, [])
            if profile is not None:
                profiles[kind] = [*known, profile][-RUNS:]
            while len(profiles) > KINDS:
                del profiles[next(iter(profiles))]

    def diagnose(self) -> list[Finding]:
        """See `Store.diagnose`."""
        return [
            Finding("ok", "in the memory of this process: no other sees it, and it goes with the process")
        ]

    def close(self) -> None:
        """See `Store.close`; what was recorded stays."""


class _Shelf:
    """What is kept, by id.  A child after a fork goes on with a copy and a lock of its own."""

    def __init__(self) -> None:
        self.jobs: dict[str, Kept] = {}
        self.parts: dict[str, dict[str, Part]] = {}
        self.profiles: dict[str, list[Profile]] = {}
        self.listeners: list[_Listener] = []
        self._lock = (os.getpid(), threads.lock())

    def lock(self) -> threads.Lock:
        pid, lock = self._lock
        if pid != os.getpid():
            self._lock = (os.getpid(), lock := threads.lock())
        return lock

    def get(self, id: str) -> Kept | None:
        return self.jobs.get(id)

    def put(self, kept: Kept) -> None:
        self.jobs[kept.head.id] = kept

    def drop(self, id: str) -> None:
        self.jobs.pop(id, None)
        self.drop_parts(id)

    def get_part(self, job: str, key: str) -> Part | None:
        return self.parts.get(job, {}).get(key)

    def put_part(self, part: Part) -> None:
        self.parts.setdefault(part.job, {})[part.key] = part

    def count_parts(self, job: str) -> int:
        return len(self.parts.get(job, ()))

    def drop_parts(self, job: str) -> None:
        self.parts.pop(job, None)

    def expired(self, now: datetime, limit: int) -> list[Head]:
        heads = (kept.head for kept in self.jobs.values())
        return list(islice((head for head in heads if sweep(head, now).outcome != "same"), limit))

    def totals(self, job: str) -> Totals:
        return add_up(self.parts.get(job, {}).values())


class _Listener(Subscription):
    """Holds a set of changed ids, never a queue."""

    def __init__(self, shelf: _Shelf) -> None:
        self._shelf = shelf
        self._ids: set[str] = set()
        self._scopes: set[str | None] = set()
        self._heard: set[str] = set()
        self._lock = threads.lock()
        self._bell = threads.Bell()
        self._closed = False
        shelf.listeners.append(self)

    def hear(self, heads: Collection[Head]) -> None:
        """Some jobs have changed."""
        with self._lock:
            mine = {head.id for head in heads if self._watches(head)}
            self._heard |= mine
        if mine:
            self._bell.ring()

    def _watches(self, head: Head) -> bool:
        return head.id in self._ids or head.scope in self._scopes or None in self._scopes

    def add(self, ids: Collection[str] = (), scopes: Collection[str | None] = ()) -> None:
        """See `Subscription.add`."""
        with self._lock:
            self._ids.update(ids)
            self._scopes.update(scopes)

    def remove(self, ids: Collection[str] = (), scopes: Collection[str | None] = ()) -> None:
        """See `Subscription.remove`."""
        with self._lock:
            self._ids.difference_update(ids)
            self._scopes.difference_update(scopes)

    def wait(self, timeout: float) -> set[str]:
        """See `Subscription.wait`."""
        deadline = time.monotonic() + timeout
        while True:
            with self._lock:
                heard, self._heard = self._heard, set()
            left = deadline - time.monotonic()
            if heard or self._closed or left <= 0:
                return heard
            self._bell.wait_in_callers_thread(left)

    def close(self) -> None:
        """See `Subscription.close`."""
        self._closed = True
        if self in self._shelf.listeners:
            self._shelf.listeners.remove(self)
        self._bell.ring()

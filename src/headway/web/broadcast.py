"""One listener for all streams of a process.

The hub tells it what changed, once; it keeps the newest state of each job that some stream watches, encoded
once for all who may see the same.  A stream holds the ids that changed since it last looked, never a queue:
one that is slow skips to the newest state and costs no memory.
"""

from __future__ import annotations

import time
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from headway.core.snapshot import ENDED, later
from headway.live import KEPT
from headway.web.exchange import Heard
from headway.web.frames import News

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from headway.core.snapshot import Snapshot
    from headway.live import Hub

K = TypeVar("K")


INFINITY = float("inf")


class Stream:
    """What one client listens to.

    Attributes:
        ids, scopes: Which jobs, and all jobs of which scopes.
        who: Under which name it is counted.
        wake: Called when there is something to look at.
        closing: Whether the server is about to stop.
        left: Whether the client has gone.
        stuck_at: When to give up on a client that does not take what it is sent, and how: ``give_up``.
    """

    __slots__ = (
        "closing", "deadline", "dirty", "give_up", "ids", "left", "scopes", "stuck_at", "wake", "who",
    )  # fmt: skip

    def __init__(self, ids: Collection[str], scopes: Collection[str | None], who: str) -> None:
        self.ids = frozenset(ids)
        self.scopes = frozenset(scopes)
        self.who = who
        self.dirty: set[str] = set()
        self.wake: Callable[[], object] = _nothing
        self.closing = self.left = False
        self.deadline = self.stuck_at = INFINITY
        self.give_up: Callable[[], object] = _nothing

    @property
    def ready(self) -> bool:
        """Whether there is something to look at."""
        return bool(self.dirty) or self.closing or self.left


class Broadcast:
    """Passes on what the hub tells.  All but what the hub calls is used by one thread, or under one lock.

    Attributes:
        streams: Who listens.

    Args:
        hub: Who tells.
        carry: Carries a call to where all but the hub's calls are made.
        wake: Wakes many streams.
    """

    def __init__(
        self,
        hub: Hub,
        carry: Callable[[Callable[[], None]], object],
        wake: Callable[[list[Stream]], object] | None = None,
    ) -> None:
        self._hub = hub
        self._carry = carry
        self._wake = wake or _wake
        self.streams: set[Stream] = set()
        self._by_id: dict[str, set[Stream]] = {}
        self._by_scope: dict[str | None, set[Stream]] = {}
        self._per_client: Counter[str] = Counter()
        self._latest: dict[str, News] = {}
        self.ids: frozenset[str] = frozenset()
        self.scopes: frozenset[str | None] = frozenset()

    # Called by the hub, in its own thread

    def concerns(self, id: str, snapshot: Snapshot | None) -> bool:
        """See `headway.live.Listener.concerns`."""
        if id in self._by_id or id in self._latest:
            return True
        return bool(self._by_scope) and (
            snapshot is None or None in self._by_scope or snapshot.scope in self._by_scope
        )

    def hear(self, changed: dict[str, Snapshot | None]) -> int:
        """See `headway.live.Listener.hear`."""
        at = time.monotonic()
        news = {id: News(id, snapshot, at) for id, snapshot in changed.items()}
        if news:
            self._carry(lambda: self._pass_on(news))
        return sum(len(self.concerned(id, one.snapshot)) for id, one in news.items() if self._is_new(one))

    def knows(self, snapshot: Snapshot) -> bool:
        """See `headway.live.Listener.knows`."""
        known = self._latest.get(snapshot.id)
        return known is not None and known.look == News(snapshot.id, snapshot).look

    def unended(self) -> list[str]:
        """See `headway.live.Listener.unended`."""
        known = list(self._latest.items())
        return [id for id, news in known if news.snapshot and news.snapshot.status not in ENDED]

    def close(self) -> None:
        """Tell all streams that nothing more will come."""
        self._carry(self.end)

    # Called by the door

    def join(self, stream: Stream, most: int, most_per_client: int) -> dict[str, News] | None:
        """Let a stream in, with what is known of its ids; None when there are too many already."""
        if len(self.streams) >= most or self._per_client[stream.who] >= most_per_client:
            return None
        first = not self.streams
        self.streams.add(stream)
        self._per_client[stream.who] += 1
        new_ids = [id for id in stream.ids if id not in self._by_id]
        new_scopes = [scope for scope in stream.scopes if scope not in self._by_scope]
        for id in stream.ids:
            self._by_id.setdefault(id, set()).add(stream)
        for scope in stream.scopes:
            self._by_scope.setdefault(scope, set()).add(stream)
        if new_ids or new_scopes:
            self._publish()
            self._hub.look(new_ids, new_scopes)
        if first:
            self._hub.join(self)
        return {id: self._latest[id] for id in stream.ids if id in self._latest}

    def leave(self, stream: Stream) -> None:
        """Let a stream go, and forget what nobody watches any more."""
        if stream not in self.streams:
            return
        self.streams.remove(stream)
        self._per_client[stream.who] -= 1
        if not self._per_client[stream.who]:
            del self._per_client[stream.who]
        gone = [id for id in stream.ids if _let_go(self._by_id, id, stream)]
        gone_scopes = [scope for scope in stream.scopes if _let_go(self._by_scope, scope, stream)]
        if gone_scopes:
            known = [news for news in self._latest.values() if not self.concerned(news.id, news.snapshot)]
            gone += [news.id for news in known]
        for id in gone:
            if not self.concerned(id, self._latest[id].snapshot if id in self._latest else None):
                self._latest.pop(id, None)
        if gone or gone_scopes:
            self._publish()
            self._hub.look(())
        if not self.streams:
            self._hub.leave(self)

    def concerned(self, id: str, snapshot: Snapshot | None) -> set[Stream]:
        """Who watches a job; of one that is gone, and of whose scope nothing is known, all who may have."""
        those = set(self._by_id.get(id, ()))
        if self._by_scope:
            scopes = [*self._by_scope] if snapshot is None else {None, snapshot.scope}
            those.update(*(self._by_scope.get(scope, ()) for scope in scopes))
        return those

    def known(self, id: str) -> Snapshot | None:
        """A watched job as it reads now, from memory; None where the store must be asked."""
        news = self._latest.get(id) if id in self._by_id else None
        if news is None or news.snapshot is None or news.snapshot.read_at is None:
            return None
        aged = later(news.snapshot, news.snapshot.read_at + timedelta(seconds=time.monotonic() - news.at))
        return aged if aged.status == news.snapshot.status else None

    def learn(self, found: dict[str, Snapshot]) -> None:
        """These were read for somebody; who comes next need not read them again."""
        at = time.monotonic()
        self._pass_on({id: News(id, one, at) for id, one in found.items() if id in self._by_id})

    def take(self, stream: Stream) -> Heard:
        """What a stream has to look at now."""
        changed = {id: self._latest.get(id) or News(id, None) for id in stream.dirty}
        stream.dirty.clear()
        return Heard(changed, time.monotonic(), closing=stream.closing, left=stream.left)

    def end(self) -> None:
        """The server is about to stop."""
        for stream in self.streams:
            stream.closing = True
            stream.wake()

    def wake_the_late(self) -> None:
        """Wake those who wanted to be woken by now, and give up on those who do not read."""
        now = time.monotonic()
        for stream in self.streams:
            if stream.deadline <= now:
                stream.deadline = INFINITY
                stream.wake()
            if stream.stuck_at <= now:
                stream.left = True
                stream.give_up()

    def _pass_on(self, heard: dict[str, News]) -> None:
        woken: set[Stream] = set()
        for id, news in heard.items():
            known = self._latest.get(id)
            if known is not None and news.is_older_than(known):
                continue
            new = self._is_new(news)
            self._latest.pop(id, None)
            those = self.concerned(id, news.snapshot or (known.snapshot if known else None))
            if those and (news.snapshot is not None or id in self._by_id):
                self._latest[id] = news
            if new:
                woken |= those
                for stream in those:
                    stream.dirty.add(id)
        while len(self._latest) > KEPT + len(self.ids):
            del self._latest[next(iter(self._latest))]
        self._wake(list(woken))

    def _is_new(self, news: News) -> bool:
        """Whether it differs from what is known, or is only a heartbeat."""
        known = self._latest.get(news.id)
        return known is None or known.look != news.look

    def _publish(self) -> None:
        self.ids = frozenset(self._by_id)
        self.scopes = frozenset(self._by_scope)


def _let_go(kept: dict[K, set[Stream]], key: K, stream: Stream) -> bool:
    """Take a stream out; whether it was the last one there."""
    kept[key].discard(stream)
    if kept[key]:
        return False
    del kept[key]
    return True


def _wake(streams: list[Stream]) -> None:
    for stream in streams:
        stream.wake()


def _nothing() -> None:
    return None

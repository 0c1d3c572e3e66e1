# ruff: noqa: ARG002 - it looks at nothing that it is given
"""``null://``: accepts everything and remembers nothing, to switch reporting off in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from headway import threads
from headway.core import arguments, transitions
from headway.stores.contract import PAGE, Answer, Page, Profile, Store, Subscription
from headway.stores.transactional import wall_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from headway.core.snapshot import Error, Part, Snapshot
    from headway.core.transitions import Over


class NullStore(Store):
    """Nowhere: each job is the first of its id, is never cancelled, and is unknown to readers."""

    def __init__(self, url: str = "null://", clock: Callable[[], datetime] = wall_clock) -> None:
        self.url = url
        self.clock = clock

    def open(self, record: Snapshot, over: Over = "anything", *, exclusive: bool = False) -> Answer:
        """See `Store.open`; always the first attempt."""
        decision = transitions.open_job(None, record.head, over, self.clock(), exclusive=exclusive)
        head = decision.head
        if head is None:
            return Answer(decision.outcome)
        changed = {name: getattr(head, name) for name in head.__struct_fields__}
        return replace(_taken(record, head.version), outcome="opened", opened=replace(record, **changed))

    def write(
        self, records: Sequence[Snapshot], parts: Sequence[Part] = (), listening: Collection[str] = ()
    ) -> dict[str, Answer]:
        """See `Store.write`; all is taken in."""
        version = transitions.micros(self.clock())
        answers = {id: Answer("heard", version) for id in listening}
        answers |= {part.job: Answer("applied", version, part.attempt) for part in parts}
        return answers | {record.id: _taken(record, version) for record in records}

    def end(self, id: str, attempt: int, status: str, error: Error | None = None) -> Answer:
        """See `Store.end`."""
        return Answer(transitions.end_job(None, attempt, status, self.clock()).outcome)

    def request_cancel(self, id: str) -> Answer:
        """See `Store.request_cancel`; no job is known."""
        return Answer("missing")

    def read(self, ids: Collection[str], *, details: bool = False) -> dict[str, Snapshot]:
        """See `Store.read`; no job is known."""
        return {}

    def find(
        self,
        *,
        scope: str | None = None,
        parent: str | None = None,
        status: Collection[str] = (),
        limit: int = PAGE,
        cursor: str | None = None,
    ) -> Page:
        """See `Store.find`; no job is known."""
        arguments.page(limit)
        return Page(())

    def listen(self) -> Subscription:
        """See `Store.listen`; nothing ever changes."""
        return _Silence()

    def forget(self, id: str) -> bool:
        """See `Store.forget`."""
        return False

    def sweep(self, limit: int = 100) -> int:
        """See `Store.sweep`."""
        return 0

    def history(self, kind: str) -> list[Profile]:
        """See `Store.history`."""
        return []

    def learn(self, kind: str, profile: Profile | None) -> None:
        """See `Store.learn`."""

    def close(self) -> None:
        """See `Store.close`."""


def _taken(record: Snapshot, version: int) -> Answer:
    return Answer("applied", version, record.attempt, record.run, record.status, record.cancel)


class _Silence(Subscription):
    """Nothing ever changes."""

    def __init__(self) -> None:
        self._bell = threads.Bell()

    def add(self, ids: Collection[str] = (), scopes: Collection[str | None] = ()) -> None:
        """See `Subscription.add`."""

    def remove(self, ids: Collection[str] = (), scopes: Collection[str | None] = ()) -> None:
        """See `Subscription.remove`."""

    def wait(self, timeout: float) -> set[str]:
        """See `Subscription.wait`."""
        if self._bell.wait_in_callers_thread(timeout):
            self._bell.ring()  # closed for good
        return set()

    def close(self) -> None:
        """See `Subscription.close`."""
        self._bell.ring()

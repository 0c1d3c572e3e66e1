"""A store over anything that can run one exclusive transaction: the verbs, written once.

A store of this kind brings a `Transaction` (what is kept, by id) and reads.  The rules stay in
`headway.core.transitions`, applied here between the transaction's begin and its commit.
"""

from __future__ import annotations

from abc import abstractmethod
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from headway.core import arguments, transitions, wire
from headway.core.snapshot import PARTS, Details, Error, Head, Part, Snapshot, Totals, as_read
from headway.stores.contract import PAGE, Answer, Page, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from contextlib import AbstractContextManager

    from headway.core.transitions import Decision, Over


class Kept(NamedTuple):
    """What is kept of a job, as it is kept."""

    head: Head
    facts: bytes | str
    details: bytes | str | None = None
    error: bytes | str | None = None
    details_version: int = 0


class Transaction(Protocol):
    """Exclusive access to what is kept; all of it is committed, or none."""

    def get(self, id: str) -> Kept | None:
        """What is kept of a job."""

    def put(self, kept: Kept) -> None:
        """Keep this of a job, in place of what was kept."""

    def drop(self, id: str) -> None:
        """Keep nothing of a job and its parts any more."""

    def get_part(self, job: str, key: str) -> Part | None:
        """A part of a job."""

    def put_part(self, part: Part) -> None:
        """Keep a part, in place of what was kept of it."""

    def count_parts(self, job: str) -> int:
        """How many parts of a job are kept."""

    def drop_parts(self, job: str) -> None:
        """Keep no part of a job any more."""

    def expired(self, now: datetime, limit: int) -> list[Head]:
        """Some heads for which `headway.core.transitions.sweep` has something to do."""


def wall_clock() -> datetime:
    """The time of this machine."""
    return datetime.now(UTC)


class TransactionalStore(Store):
    """The verbs that change records, over a `Transaction`.

    Attributes:
        clock: The store's clock.
    """

    def __init__(self, url: str, clock: Callable[[], datetime] = wall_clock) -> None:
        self.url = url
        self.clock = clock

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[Transaction]:
        """Begin, and at the end commit."""

    @abstractmethod
    def _load(self, ids: Collection[str]) -> list[tuple[Kept, Totals]]:
        """What is kept of these jobs, and what their parts add up to."""

    def _heads(self) -> Iterable[Head]:
        """The heads of all jobs, for a store that has no better way to `find`."""
        raise NotImplementedError

    def _changed(self, heads: Collection[Head]) -> None:
        """These have changed: called after the commit."""

    def open(self, record: Snapshot, over: Over = "anything", *, exclusive: bool = False) -> Answer:
        """See `Store.open`."""
        with self._transaction() as kept:
            now, old = self.clock(), kept.get(record.id)
            decision = transitions.open_job(old and old.head, record.head, over, now, exclusive=exclusive)
            current = self._apply(kept, decision, old, record) or old
        if not decision.accepted or current is None:
            known = self.read([record.id], details=True).get(record.id)
            return self._answer(decision, old, snapshot=known)
        before = old and self._snapshot(old, Totals(), now, details=True)
        self._changed([current.head])
        opened = wire.decode_record(current.head, current.facts)
        return self._answer(decision, current, snapshot=before, opened=opened)

    def write(
        self, records: Sequence[Snapshot], parts: Sequence[Part] = (), listening: Collection[str] = ()
    ) -> dict[str, Answer]:
        """See `Store.write`."""
        answers: dict[str, Answer] = {}
        changed: list[Head] = []
        with self._transaction() as kept:
            for record in records:
                old = kept.get(record.id)
                decision = transitions.report(old and old.head, record.head, self.clock())
                now = self._apply(kept, decision, old, record)
                answers[record.id] = self._answer(decision, now or old)
                if decision.rings and decision.head:
                    changed.append(decision.head)
            for job in dict.fromkeys(part.job for part in parts):
                decision, now = self._take_parts(kept, job, [part for part in parts if part.job == job])
                answers[job] = self._answer(answers.get(job, decision), now)
                if decision.rings and now:
                    changed.append(now.head)
            for id in listening:
                if id not in answers:
                    answers[id] = self._answer(transitions.Decision("heard"), kept.get(id))
        self._changed(changed)
        return answers

    def end(self, id: str, attempt: int, status: str, error: Error | None = None) -> Answer:
        """See `Store.end`."""
        return self._decide(id, lambda head, now: transitions.end_job(head, attempt, status, now), error)

    def request_cancel(self, id: str) -> Answer:
        """See `Store.request_cancel`."""
        return self._decide(id, transitions.request_cancel)

    def read(self, ids: Collection[str], *, details: bool = False) -> dict[str, Snapshot]:
        """See `Store.read`."""
        now = self.clock()
        return {
            kept.head.id: self._snapshot(kept, totals, now, details=details)
            for kept, totals in self._load(ids)
        }

    def find(
        self,
        *,
        scope: str | None = None,
        parent: str | None = None,
        status: Collection[str] = (),
        limit: int = PAGE,
        cursor: str | None = None,
    ) -> Page:
        """See `Store.find`.  This one looks at all heads: correct for any store, quick for a small one."""
        limit, now = arguments.page(limit), self.clock()
        before = wire.decode_cursor(cursor) if cursor else None
        keys = sorted(
            (
                (head.created_at, head.id)
                for head in self._heads()
                if scope in {None, head.scope}
                and parent in {None, head.parent}
                and (not status or head.reads(now) in status)
                and head.created_at is not None
                and (before is None or (head.created_at, head.id) < before)
            ),
            reverse=True,
        )
        jobs = self.read([id for _, id in keys[:limit]])
        return Page(tuple(jobs.values()), wire.encode_cursor(*keys[limit - 1]) if keys[limit:] else None)

    def forget(self, id: str) -> bool:
        """See `Store.forget`."""
        with self._transaction() as kept:
            old = kept.get(id)
            if old is None or not (old.head.ended or old.head.stalled(self.clock())):
                return False
            kept.drop(id)
        self._changed([old.head])
        return True

    def sweep(self, limit: int = 100) -> int:
        """See `Store.sweep`."""
        dropped = 0
        changed = []
        with self._transaction() as kept:
            now = self.clock()
            for head in kept.expired(now, limit):
                decision = transitions.sweep(head, now)
                if decision.outcome == "dropped":
                    kept.drop(head.id)
                    dropped += 1
                else:
                    self._apply(kept, decision, kept.get(head.id))
                if decision.rings:
                    changed.append(head)
        self._changed(changed)
        return dropped

    def _decide(
        self,
        id: str,
        decide: Callable[[Head | None, datetime], Decision],
        error: Error | None = None,
    ) -> Answer:
        with self._transaction() as kept:
            old = kept.get(id)
            decision = decide(old and old.head, self.clock())
            now = self._apply(kept, decision, old, error=error)
        if decision.rings and decision.head:
            self._changed([decision.head])
        return self._answer(decision, now or old)

    def _take_parts(self, kept: Transaction, job: str, parts: Sequence[Part]) -> tuple[Decision, Kept | None]:
        """Take in the parts of one job; what was decided of the last, or of the last that counts as news."""
        old = now = kept.get(job)
        room = PARTS - kept.count_parts(job)
        said = transitions.Decision("missing")
        for part in parts:
            known = kept.get_part(job, part.key)
            merged = transitions.merge_part(known, part)
            news = merged != known
            decision = transitions.part_of(now and now.head, part, self.clock(), news=news)
            if decision.head is not None and known is None and room <= 0:
                decision = transitions.Decision("full")
            said = said if said.rings else decision
            if decision.head is None or now is None:
                continue
            if news:
                kept.put_part(merged)
                room -= known is None
            now = now._replace(head=decision.head)
        if now is not None and now is not old:
            kept.put(now)
        return said, now

    def _apply(
        self,
        kept: Transaction,
        decision: Decision,
        old: Kept | None,
        record: Snapshot | None = None,
        error: Error | None = None,
    ) -> Kept | None:
        """Keep what was decided; what is kept then, None when nothing changed."""
        if decision.head is None or decision.outcome == "same":
            return None
        now = old or Kept(decision.head, b"{}")
        if record is not None:
            details, version = now.details, decision.head.version
            if decision.restarts:
                details = wire.details_of_next_attempt(details, record.details, begun=decision.head.phase > 0)
            elif record.details is not None:
                details = wire.encode_details(record.details)
            else:
                version = now.details_version
            version = version if details is not None else 0
            now = now._replace(facts=wire.encode_facts(record), details=details, details_version=version)
        if error is not None:
            now = now._replace(error=wire.encode_error(error))
        if decision.restarts:
            now = now._replace(error=now.error if decision.head.phase == 0 else None)
        if decision.restarts or (old is not None and decision.head.attempt > old.head.attempt):
            kept.drop_parts(decision.head.id)
        now = now._replace(head=decision.head)
        kept.put(now)
        return now

    def _snapshot(self, kept: Kept, totals: Totals, now: datetime, *, details: bool) -> Snapshot:
        found = None
        if details:
            found = wire.decode_details(kept.details)
            if kept.error:
                found = Details(found.messages, wire.decode_error(kept.error), found.result, found.meta)
        return as_read(wire.decode_record(kept.head, kept.facts, found), totals, now)

    def _answer(
        self,
        decision: Decision | Answer,
        kept: Kept | None,
        *,
        snapshot: Snapshot | None = None,
        opened: Snapshot | None = None,
    ) -> Answer:
        if kept is None:
            return Answer("missing" if decision.outcome == "heard" else decision.outcome)
        head = kept.head
        return Answer(
            decision.outcome,
            version=head.version,
            attempt=head.attempt,
            run=head.run,
            status=head.status,
            cancel=head.cancel,
            details_version=kept.details_version,
            snapshot=snapshot,
            opened=opened,
        )

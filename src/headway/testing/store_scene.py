"""What the store contract's tests play with: workers, states, and time that passes."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from headway.core.snapshot import LEASE, Part, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from headway.stores.contract import Answer, Store, Subscription
    from headway.testing.clock import Clock

PATIENCE = 10.0
"""Seconds after which a change that nobody heard of counts as missed."""


class Worker:
    """One worker's side of a job: it claims, reports and ends as real ones do."""

    def __init__(self, store: Store, id: str = "job", run: str | None = "worker-1", **facts: Any) -> None:
        self.store = store
        self.id = id
        self.run = run
        self.facts = facts
        self.opened = Snapshot(id=id, attempt=1)
        self.step = 0
        self.last: Snapshot | None = None

    def claim(self, **options: Any) -> Answer:
        """Open the id as its next attempt."""
        return self._open("anything", status="running", **options)

    def create(self, **facts: Any) -> Answer:
        """Create a pending job where nothing is known."""
        return self._open("nothing", **facts)

    def reserve(self, **facts: Any) -> Answer:
        """Create a pending job where nothing lives."""
        return self._open("ended", **facts)

    def report(self, status: str = "running", **facts: Any) -> Answer:
        """Report a change."""
        self.step += 1
        return self.send(self.record(status=status, **facts))

    def beat(self) -> Answer:
        """Say that it is alive: the same step again."""
        return self.send(self.last or self.record())

    def send(self, *records: Snapshot) -> Answer:
        """Deliver some records, as they are."""
        self.last = records[-1]
        return self.store.write(records)[self.id]

    def record(self, **facts: Any) -> Snapshot:
        """What it would report now."""
        known = self.opened
        times = {"created_at": known.created_at, "started_at": known.started_at}
        mine = {"run": self.run, "attempt": known.attempt, "step": self.step, "status": "running"}
        return Snapshot(id=self.id, **{**times, **mine, **self.facts, **facts})

    def _open(self, over: Any, exclusive: bool = False, **facts: Any) -> Answer:  # noqa: FBT001, FBT002
        record = Snapshot(id=self.id, **{"run": self.run, **self.facts, **facts})
        answer = self.store.open(record, over, exclusive=exclusive)
        if answer.opened is not None:
            self.opened = answer.opened
            self.step = 0
        return answer


class Scene:
    """The fixtures that a store brings, and what the tests make of them."""

    @pytest.fixture
    def store(self) -> Store:
        """The store: empty, and for this test alone."""
        raise NotImplementedError("a subclass brings the fixture 'store'")

    @pytest.fixture
    def another(self, store: Store) -> Store:
        """An independent handle on the same records, as another process would have."""
        return store

    @pytest.fixture
    def clock(self) -> Clock | None:
        """The store's clock, where it can be set; without one the tests wait."""
        return None

    @pytest.fixture
    def lease(self, clock: Clock | None) -> float:
        """A lease that can be waited for."""
        return LEASE if clock else 0.5

    @pytest.fixture
    def pass_time(self, clock: Clock | None) -> Callable[[float], object]:
        """Let so many seconds pass."""
        return clock.advance if clock else time.sleep

    @pytest.fixture
    def stall(self, pass_time: Callable[[float], object], lease: float) -> Callable[[], object]:
        """Stay silent for longer than a lease."""
        return lambda: pass_time(lease * 1.2)

    @pytest.fixture
    def tick(self, clock: Clock | None) -> Callable[[], object]:
        """Let a moment pass, so that times differ."""
        return (lambda: clock.advance(0.001)) if clock else (lambda: time.sleep(0.002))

    @pytest.fixture
    def worker(self, request: pytest.FixtureRequest, store: Store, lease: float) -> Worker:
        """A worker that has not begun yet; its lease is short where the test lets time pass."""
        return Worker(store, lease=lease if "pass_time" in request.fixturenames else LEASE)

    @pytest.fixture
    def empty(self, another: Store, stall: Callable[[], object]) -> Callable[[str], object]:
        """Lose the record of an id, as a store does that is flushed or fails over."""

        def lose(id: str = "job") -> None:
            stall()
            another.forget(id)

        return lose

    @pytest.fixture
    def in_state(self, worker: Worker, stall: Callable[[], object]) -> Callable[[str], Worker]:
        """Bring a job into a state of the life-cycle table, at its first attempt.

        Only what is to stall has a short lease, so that a busy machine does not stall the others.
        """

        def prepare(state: str) -> Worker:
            if state != "stalled":
                worker.facts["lease"] = LEASE
            bring(worker, state, stall)
            worker.facts["lease"] = LEASE
            return worker

        return prepare


def bring(worker: Worker, state: str, stall: Callable[[], object]) -> Worker:
    """Bring a job into a state of the life-cycle table, at its first attempt."""
    store = worker.store
    if state == "none":
        return worker
    if state in {"pending", "unspent"}:
        worker.run = None
        worker.reserve()
        if state == "unspent":
            store.request_cancel(worker.id)
        return worker
    worker.claim()
    if state == "asked":
        store.request_cancel(worker.id)
    elif state == "committed":
        worker.report(cancellable=False)
    elif state == "stalled":
        stall()
    elif state == "cancelled":
        store.request_cancel(worker.id)
        worker.report("cancelled", cancel="seen")
    elif state != "running":
        worker.report(state)
    return worker


def play(event: str, worker: Worker) -> str:
    """Let an event of the life-cycle table happen; the outcome."""
    if event == "sweep":
        return "dropped" if worker.store.sweep() else "nothing"
    return _answer(event, worker).outcome


def _answer(event: str, worker: Worker) -> Answer:
    store, new = worker.store, Worker(worker.store, worker.id, "worker-2", **worker.facts)
    if event in {"create", "reserve", "claim"}:
        answer: Answer = getattr(new, event)()
        return answer
    if event == "claim alone":
        return new.claim(exclusive=True)
    if event == "ask":
        return store.request_cancel(worker.id)
    if event.endswith(" told"):
        status = event.removesuffix(" told").replace("retry", "retrying")
        return store.end(worker.id, 1, status)
    if event == "annotate":
        return worker.report("pending", run=None)
    status = {"report": "running", "retry": "retrying"}.get(event, event)
    run = worker.run if status != "running" else "worker-1"
    return worker.report(status, run=run)


def known(store: Store, id: str = "job", *, details: bool = False) -> Snapshot:
    """The record as a reader sees it; there must be one."""
    return store.read([id], details=details)[id]


def part(worker: Worker, key: str = "hand", **facts: Any) -> Part:
    """A part of a worker's job."""
    return Part(worker.id, worker.opened.attempt, key, **facts)


def told(store: Store, *parts: Part) -> Answer:
    """Report some parts of one job."""
    return store.write([], parts)[parts[-1].job]


def every_page(store: Store, limit: int, **search: Any) -> list[str]:
    """The ids on all pages."""
    ids: list[str] = []
    cursor = None
    while True:
        page = store.find(limit=limit, cursor=cursor, **search)
        ids += [snapshot.id for snapshot in page]
        cursor = page.cursor
        if cursor is None:
            return ids


def hears(subscription: Subscription, *ids: str) -> bool:
    """Whether all of these are heard of before patience ends."""
    missing = set(ids)
    deadline = time.monotonic() + PATIENCE
    while missing and time.monotonic() < deadline:
        missing -= subscription.wait(0.2)
    return not missing


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """What these return when threads call them at the same moment; what one raises is raised here."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


def without_ages(snapshot: Snapshot) -> Snapshot:
    """The record without what only reading it adds."""
    return replace(snapshot, read_at=None, seen_at=None, expires_at=None)


def ids_of(snapshots: Collection[Snapshot]) -> set[str]:
    """Their ids."""
    return {snapshot.id for snapshot in snapshots}

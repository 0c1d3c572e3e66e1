"""What the publisher knows of one job of this process: what was told, what is new, what the store said."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from operator import attrgetter
from typing import TYPE_CHECKING
from weakref import ref

from msgspec.structs import replace

from headway import threads
from headway.core.errors import StoreUnavailable
from headway.core.fraction import FULL
from headway.core.pace import HEARTBEAT
from headway.core.snapshot import ENDED, Part, Snapshot, Totals, with_parts
from headway.stores.contract import LARGEST_PAGE
from headway.worker.pulse import LEFT, Pulse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from headway.core.estimate import Profile
    from headway.core.snapshot import Details
    from headway.stores.contract import Answer, Store
    from headway.worker.job import Job
    from headway.worker.publisher import Publisher

PATIENCE = 2.0
"""Seconds for which an end waits to be delivered."""
_NOTHING_LEFT = dict.fromkeys(LEFT)
_LEAVES = ENDED | {"retrying"}
"""How a run may leave its job."""


class JobEntry:
    """A job that this process runs.

    Attributes:
        owned: Whether this process may end the job: not after a fork, nor when it was superseded.
        opened: The record as the store opened it; None before.
        held: The job that holds the id, where this one was to be exclusive.
        lease: Seconds for which the job is believed when silent.
        urgent: Whether its news should go out at once.
        over: Whether there will be no more news.
    """

    def __init__(self, publisher: Publisher, job: Job, *, exclusive: bool) -> None:
        from headway.worker.job import new_id

        self._publisher = publisher
        self._job: Callable[[], Job | None] = ref(job)
        self._parent = job._parent
        self.id = job.id
        self.run = new_id()
        self.exclusive = exclusive
        self.owned = True
        self.urgent = True
        self.over = False
        self.opened: Snapshot | None = None
        self.held: Snapshot | None = None
        self.lease = job._lease
        self._finals: list[Snapshot] = []
        self._left_at = 0.0
        self._claimed: Details | None = None
        self._claiming: tuple[Snapshot, object, int] = (Snapshot(id=self.id), None, 0)
        self._version = 0
        self._totals: Totals | None = None
        self._totals_told: Totals | None = None
        self._step = 0
        self._cancel: str | None = None
        self._pulse = Pulse(publisher.tick)
        self._kind = job.kind or job.name
        self._knows_history = self._kind is None
        self._children: Sequence[Snapshot] = ()
        self._teaches = False
        self._told: Snapshot | None = None
        self._news_told: object = None
        self._news_telling: object = None
        self._told_at = 0.0
        self._telling: Snapshot | None = None
        self._details_told = 0
        self._details_version = 0
        self._details_telling: int | None = None
        self._waiting: list[tuple[str, Callable[[], object]]] = []

    @property
    def final(self) -> Snapshot | None:
        """The last state; None while the job goes on."""
        return self._finals[0] if self._finals else None

    @property
    def unclaimed(self) -> bool:
        """Whether it has no answer to its claim yet."""
        return self.opened is None and not self.over

    @property
    def whole(self) -> str | None:
        """The id of the job that it is a share of."""
        return self._parent.id if self._parent is not None else None

    @property
    def ending(self) -> bool:
        """Whether its end, or what it teaches, is still to be delivered."""
        return self._teaches or (self.final is not None and not self.over)

    def snapshot(self) -> Snapshot:
        """The job as it is now, here, with what is known of its parts."""
        state = self._signed(self.final or self._state())
        return with_parts(state, self._totals) if self._totals else state

    def expect_parts(self) -> None:
        """Others report parts of this job: from now on its pace and share are looked up with theirs."""
        self._totals = self._totals or Totals()

    # Called by the job

    def finish(self, status: str, job: Job, *, waits: bool = False) -> None:
        """The job has ended, it says itself; the first end counts.

        Args:
            status: How.
            job: The job.
            waits: Whether the caller sees to it that this is told.
        """
        if self.final is None and self.owned:
            self._left_at = time.monotonic()
            state = self._pulse.remembered(self._facts(job, self._left_at))
            self._finals.append(replace(state, status=status, details=job._details(), **_NOTHING_LEFT))
        if waits:
            self.urgent = True
        else:
            self.change()

    def wait_opened(self, at_most: float = PATIENCE) -> None:
        """Wait until the store has answered, at most a little while."""
        self._wait("opened", at_most)

    def wait_delivered(self, at_most: float = PATIENCE) -> None:
        """Wait until the last state has arrived, at most a little while."""
        self._wait("over", at_most)

    async def opened_async(self, at_most: float = PATIENCE) -> None:
        """The same, awaited."""
        await self._wait_async("opened", at_most)

    async def delivered_async(self, at_most: float = PATIENCE) -> None:
        """The same, awaited."""
        await self._wait_async("over", at_most)

    def change(self) -> None:
        """Something happened that should be known at once."""
        self.urgent = True
        self._publisher.wake()

    def _wait(self, event: str, at_most: float) -> None:
        if not self.owned or self._has_happened(event):
            return
        if self._publisher.tell_here(self) and self._has_happened(event):
            return
        bell = threads.Bell()
        with self._told_when(event, bell.ring) as still_to_come:
            if still_to_come:
                self._publisher.wake()
                patience = self._publisher.patience(at_most)
                if not bell.wait_in_callers_thread(patience) and patience > 0:
                    self._publisher.waited_in_vain()

    async def _wait_async(self, event: str, at_most: float) -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        happened = asyncio.Event()
        with self._told_when(event, lambda: loop.call_soon_threadsafe(happened.set)) as still_to_come:
            if still_to_come:
                self._publisher.wake()
                with suppress(TimeoutError):
                    await asyncio.wait_for(happened.wait(), self._publisher.patience(at_most))

    @contextmanager
    def _told_when(self, event: str, call: Callable[[], object]) -> Iterator[bool]:
        """Call this when it happens; whether it is still to come."""
        waiting = (event, call)
        self._waiting.append(waiting)
        try:
            yield not self._has_happened(event)
        finally:
            with suppress(ValueError):  # a fork came between
                self._waiting.remove(waiting)

    def _has_happened(self, event: str) -> bool:
        return self.over or (event == "opened" and (self.opened is not None or self.held is not None))

    def _wake(self, *events: str) -> None:
        """Let those go on who wait for one of these, or for what has happened by now."""
        for event, call in list(self._waiting):
            if event in events or self._has_happened(event):
                with suppress(RuntimeError):  # its event loop has been closed meanwhile
                    call()

    # Called by the publisher

    def prepare(self, store: Store) -> None:
        """Look what earlier runs left, and what parts there are."""
        if self.over or self.opened is None or self.final is not None:
            return
        if not self._knows_history:
            self._look_back(store)
        if self._totals is not None:
            self._look_at_parts(store)

    def _look_back(self, store: Store) -> None:
        """Read what earlier runs left; a short job is over before that."""
        job = self._job()
        if self._kind is None or job is None or time.monotonic() - job._began < self._publisher.tick / 2:
            return
        self._knows_history = True
        self._pulse.learn(earlier_runs(store, self._kind))

    def _look_at_parts(self, store: Store) -> None:
        found = store.read([self.id]).get(self.id)
        self._totals = totals = found.totals if found else self._totals
        self._children = ()
        if totals is not None and totals.children > totals.ended:
            self._children = store.find(parent=self.id, status=("running",), limit=LARGEST_PAGE).jobs

    def leave(self, store: Store) -> None:
        """It is over: keep what a completed run teaches."""
        final, kind = self.final, self._kind
        if self._teaches and final is not None and kind is not None:
            whole = with_parts(final, self._totals) if self._totals else final
            store.learn(kind, self._pulse.profile(whole))
            self._teaches = False

    def claim(self) -> tuple[Snapshot, bool] | None:
        """What it asks for before anything is written: the claim of its id, and whether exclusively."""
        job = self._job()
        if self.over or self.opened is not None or (job is None and self.final is None):
            return None  # the last: it is just being let go of, and will say so
        self.urgent = False  # before looking: what is said meanwhile is urgent anew
        changes = job.details_changed if job else 0
        state = self._state()
        details = job._details() if job else state.details
        parent = self._parent
        claim = replace(
            state,
            run=self.run,
            status="running",
            details=details,
            parent=parent and parent.id,
            parent_attempt=parent and parent.attempt,
        )
        self._claimed = self._claimed or details
        self._claiming = (state, (*_news(state), self._pulse.moves), changes)
        return claim, self.exclusive

    def hear_claim(self, answer: Answer) -> None:
        """What the store said to it."""
        job = self._job()
        if answer.opened is not None:
            self._take_up(answer, answer.opened, job)
            if answer.outcome != "opened" or self._parent is not None:
                self.urgent = True  # there is more to tell than the claim told
        elif answer.outcome == "held":
            self._is_held(answer.snapshot)
        else:  # cancelled before it started, and not to be run
            self._ask_to_stop(job)  # before anybody who waits for the answer goes on
            self.opened = answer.snapshot
            self._retire()
        self._wake()

    def _is_held(self, by: Snapshot | None) -> None:
        self.held, self.over = by, True
        if not self._waiting:
            from headway.worker.publisher import log

            log().warning("job %s goes on without being reported: another live one holds its id", self.id)

    def news(self) -> tuple[list[Snapshot], list[Part]]:
        """What is worth telling now: a record, and with a parent a part of its bar."""
        self._telling = self._details_telling = None
        job = self._job()
        if self.over or self.opened is None or (job is None and self.final is None):
            return [], []
        self._see_to(job)
        urgent, self.urgent = self.urgent, False  # before looking: what is said meanwhile is urgent anew
        now = time.monotonic()
        state = self.final or self._state(felt=True)
        changed = self._changed(state)
        left = state.status in _LEAVES
        if not (urgent or left or self._worth(state, now - self._told_at, changed=changed)):
            return [], []
        self._totals_told = self._totals
        if changed:
            self._step += 1
        state = self._with_details(self._signed(state))
        self._telling = state
        return [state], self._part(state)

    def listening(self) -> str | None:
        """The job's own id."""
        return None if self.over or self.opened is None else self.id

    def hear(self, answers: dict[str, Answer]) -> None:
        """Learn what became of the last report, and whether somebody asked the job to stop."""
        answer = answers.get(self.id)
        if answer is None or self.over:
            return
        told, self._telling = self._telling, None
        if answer.version != self._version and answer.outcome in {"heard", "heartbeat"}:
            self.expect_parts()  # somebody else changed the record
        self._version = answer.version
        if self._lost_to_another(answer, told):
            self._retire()
            return
        if told is not None:
            self._arrived(told, answer)
        if answer.outcome == "missing" or answer.details_version != self._details_version:
            self._details_told = 0
            self.urgent = not self.over
        if answer.status in ENDED and told is None:
            self._ended_by_another(answer)
        elif answer.cancel is not None and self.final is None:
            self._ask_to_stop(self._job())

    def unheard(self) -> None:
        """The last report did not arrive: it is still news, but nobody waits for a beginning any longer."""
        if self._telling is not None or self.opened is None:
            self.urgent, self._telling = True, None
        self._wake("opened")

    def give_up(self) -> None:
        """It cannot be reported, or is somebody else's to end."""
        self._retire()

    def forked(self, publisher: Publisher) -> None:
        """In a child: the job is its parent's; what is counted here is a part of it."""
        from headway.worker.hand import adopt

        self.owned = False
        self._waiting = []
        job = self._job()
        if job is not None and self.final is None:
            adopt(publisher, job, self.opened.attempt if self.opened else None)

    def abandon(self) -> None:
        """The interpreter exits while the job runs."""
        job = self._job()
        if job is not None:
            self.finish("cancelled" if job._told else "stopped", job)

    # How a state comes about

    def _state(self, *, felt: bool = False) -> Snapshot:
        """How the job stands; only the publisher feels its pulse, at most once a tick."""
        job = self._job()
        if job is None or self.final is not None:
            return self.final or Snapshot(id=self.id)
        now = time.monotonic()
        facts, pulse = self._facts(job, now), self._pulse
        return pulse.felt(facts, self._totals, self._children, now) if felt else pulse.remembered(facts)

    def _facts(self, job: Job, now: float) -> Snapshot:
        """What the job says, with what earlier runs say of its stages."""
        return self._pulse.planned(job._facts(now), self._totals)

    def _signed(self, state: Snapshot) -> Snapshot:
        """With what makes it a word of this run."""
        opened = self.opened
        if state.retry_in is not None:
            waited = time.monotonic() - self._left_at
            state = replace(state, retry_in=max(0.0, state.retry_in - waited))
        if opened is None:
            return replace(state, status=state.status if state.status in _LEAVES else "running")
        return replace(
            state,
            run=self.run,
            attempt=opened.attempt,
            step=self._step,
            cancel=self._cancel,
            status=state.status if state.status in _LEAVES else "running",
            created_at=opened.created_at,
            started_at=opened.started_at,
            parent=opened.parent,
            parent_attempt=opened.parent_attempt,
        )

    def _with_details(self, state: Snapshot) -> Snapshot:
        job = self._job()
        changes = job.details_changed if job else self._details_told + (self.final is not None)
        if changes == self._details_told and state.status not in _LEAVES:
            return state
        self._details_telling = changes
        if job is not None and state.details is None:
            state = replace(state, details=job._details())
        return state

    def _changed(self, state: Snapshot) -> bool:
        self._news_telling = (*_news(state), self._pulse.moves)
        return self._told is None or self._news_telling != self._news_told or self._details_new()

    def _details_new(self) -> bool:
        job = self._job()
        return job is not None and job.details_changed != self._details_told

    def _worth(self, state: Snapshot, silent_for: float, *, changed: bool) -> bool:
        known = self._told
        if known is None or silent_for >= min(HEARTBEAT, self.lease / 3):
            return True
        if silent_for < self._publisher.pace.seconds - self._publisher.tick / 2:
            return False
        if not changed:
            return self._totals != self._totals_told  # the others' progress bears on what is left
        pace = self._publisher.pace
        if pace.steps is None and pace.percent is None:
            return True
        steps = None if state.count is None else state.count - (known.count or 0)
        grid = None if state.grid is None else state.grid - (known.grid or 0)
        return pace.due(steps, grid, silent_for)

    def _part(self, state: Snapshot) -> list[Part]:
        if state.parent is None or state.parent_attempt is None:
            return []
        whole = with_parts(state, self._totals) if self._totals else state
        share = FULL if state.ended else whole.grid or 0
        return [
            Part(
                job=state.parent,
                attempt=state.parent_attempt,
                key=self.id,
                run=state.attempt,
                step=state.step,
                weight=state.weight,
                share=share,
                status=state.status,
            )
        ]

    # What the store's answers mean

    def _take_up(self, answer: Answer, opened: Snapshot, job: Job | None) -> None:
        before = answer.snapshot
        state, news, changes = self._claiming
        if answer.outcome == "opened" and self._parent is None:
            self._remember(state, news)
        if before is None:
            self._details_told = changes
        elif job is not None and before.details not in (None, self._claimed):
            job._inherit(before, opened.attempt - 1)  # ours come back where an answer was lost
        self._version, self._details_version = answer.version, answer.details_version
        if opened.cancel is not None:
            self._ask_to_stop(job)
        self.opened = opened  # last: whoever waits for it goes on now

    def _lost_to_another(self, answer: Answer, told: Snapshot | None) -> bool:
        """Whether another run holds the job; the answer may be to the report of a part of it."""
        opened = self.opened
        if opened is None or answer.run == self.run:
            return False
        if answer.attempt == opened.attempt:
            return answer.run is not None
        return answer.attempt > opened.attempt or (told is not None and answer.outcome == "superseded")

    def _arrived(self, told: Snapshot, answer: Answer) -> None:
        if answer.outcome == "ended":
            self._ended_by_another(answer)
            return
        if not answer.accepted and answer.outcome != "late":
            return
        self._remember(told, self._news_telling)
        if self._details_telling is not None:
            self._details_told, self._details_version = self._details_telling, answer.details_version
        if told.status in _LEAVES and answer.accepted:
            if told.status == "completed" and self._kind is not None:
                self._teaches = self._publisher.may_teach(self._kind, told.elapsed or 0.0)
            self._retire()

    def _remember(self, told: Snapshot, news: object) -> None:
        """This has arrived: what comes next is compared with it."""
        self._told, self._told_at, self._news_told = told, time.monotonic(), news

    def _ended_by_another(self, answer: Answer) -> None:
        if answer.status == "cancelled":
            self._cancel = "requested"
            self._ask_to_stop(self._job())
        self._retire()

    def _retire(self) -> None:
        """Nothing more will be told."""
        self.over = True
        self.owned = False
        self._wake()

    def _ask_to_stop(self, job: Job | None) -> None:
        if self._cancel is None:
            self._cancel = "seen"
            self.urgent = True
        if job is not None:
            job._ask_to_stop()

    def _see_to(self, job: Job | None) -> None:
        """What must be looked at again and again while the job runs."""
        if job is None or self.final is not None:
            return
        job._pass_point_of_no_return()
        if self._cancel is not None:
            job._look_up()


def earlier_runs(store: Store, kind: str) -> list[Profile]:
    """What earlier runs left; nothing where that cannot be read, which is no reason to report nothing."""
    try:
        return store.history(kind)
    except StoreUnavailable:
        raise
    except Exception:  # noqa: BLE001 - a damaged history, or a store that keeps none
        from headway.worker.publisher import log

        log().debug("the history of %s cannot be read", kind, exc_info=True)
        return []


_facts_of = attrgetter(
    "cancellable", "lease", "retention", "scope", "name", "kind", "count", "total", "work", "total_work",
    "unit", "activity", "total_weight", "weight", "failed_count", "initial", "worker", "message_count",
)  # fmt: skip
_facts_of_stage = attrgetter("name", "weight", "count", "total", "work", "total_work", "unit", "ended")


def _news(state: Snapshot) -> tuple[object, ...]:
    """What makes news when it changes: all that the worker reports but durations."""
    stages = [(*_facts_of_stage(stage), stage.elapsed is None) for stage in state.stages]
    return (*_facts_of(state), stages)

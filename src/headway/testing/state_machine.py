"""Any store against the rules: random lives of a few jobs, each event answered and kept as the rules say.

`StoreMachine` is a state machine of hypothesis.  It lets several workers open, report, end and resend over
two handles on one store, does the same to a `Model`, and compares each answer and everything that can be
read.  What it finds, hypothesis shrinks to the few events that matter.

A store's test is a subclass::

    class MyMachine(StoreMachine):
        def make_store(self):
            return MyStore("my://", clock=self.clock)

    TestMyStore = MyMachine.TestCase

A store whose clock cannot be set says ``settable = False``: then nothing stalls, and times and versions are
compared by their order only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import UNSET
from msgspec.structs import asdict, replace

from headway.core import transitions
from headway.core.snapshot import Details, Error, Message, Part, Snapshot, Stage, as_read
from headway.stores.contract import Answer, Store
from headway.testing.clock import START, Clock

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from headway.core.snapshot import Head
    from headway.core.transitions import Decision, Over

IDS = ("job", "job.2", "a:b")
WORKERS = 3
TIMES = ("created_at", "started_at", "ended_at", "seen_at", "expires_at", "read_at")
AGES = ("elapsed", "idle_for", "remaining", "remaining_low", "remaining_high")

ids = st.sampled_from(IDS)
workers = st.integers(0, WORKERS - 1)
counts = st.none() | st.integers(0, 10)
notes = st.sampled_from(["one", "two", "drei: ä", ""]).map(lambda text: (Message(START, text),))
details = st.none() | st.builds(
    Details,
    messages=st.just(()) | notes,
    error=st.none() | st.sampled_from([Error("it broke"), Error(type="ValueError", detail="x")]),
    result=st.sampled_from([None, 0, {"rows": 3}]),
    meta=st.sampled_from([None, {"file": "a"}, {"file": "b"}]),
)
stages = st.sampled_from([(), (Stage("one", 1.0, 1, 4),), (Stage("one", 1.0, ended=True), Stage("two", 3.0))])
facts = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["Import", "Über\u2028 1"]),
        "count": counts,
        "total": counts,
        "stages": stages,
        "activity": st.sampled_from([None, "row 1"]),
        "failed_count": st.integers(0, 3),
        "elapsed": st.sampled_from([None, 1.5]),
        "remaining": st.sampled_from([None, 2.5, 100.0]),
        "cancellable": st.sampled_from([True, True, False]),
        "retention": st.sampled_from([60.0, 86_400.0, 200_000.0]),
        "scope": st.sampled_from([None, "user/1", "user/2"]),
        "details": details,
    },
)
hands = st.builds(
    Part,
    job=st.just(""),
    attempt=st.just(0),
    key=st.sampled_from(["hand 1", "hand 2"]),
    run=st.integers(1, 2),
    step=st.integers(0, 5),
    count=st.integers(0, 9),
    stage=st.sampled_from([None, "one"]),
)
children = st.builds(
    Part,
    job=st.just(""),
    attempt=st.just(0),
    key=st.sampled_from(["child 1", "child 2"]),
    run=st.integers(1, 2),
    step=st.integers(0, 5),
    weight=st.sampled_from([1.0, 2.0]),
    share=st.integers(0, 10_000),
    status=st.sampled_from(["running", "completed", "failed"]),
)
shares = hands | children
origins = st.sampled_from([{}, {}, {"parent": IDS[0], "parent_attempt": 1}])


class Job(NamedTuple):
    """What the model keeps of a job."""

    head: Head
    facts: Snapshot
    details: Details | None = None
    error: Error | None = None
    parts: dict[str, Part] = {}  # noqa: RUF012 - never changed in place
    details_version: int = 0


class Model:
    """The rules of `headway.core.transitions` over a dictionary: what a store must answer and keep."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.jobs: dict[str, Job] = {}

    def open(self, record: Snapshot, over: Over, *, exclusive: bool) -> Answer:
        """As `headway.stores.contract.Store.open`."""
        old = self.jobs.get(record.id)
        decision = transitions.open_job(
            old and old.head, record.head, over, self.clock(), exclusive=exclusive
        )
        before = self.read([record.id]).get(record.id)
        if decision.outcome == "opened" and decision.head is not None:
            kept = _next_attempt(old, record.details, begun=decision.head.phase > 0)
            error = None if old is None or decision.head.phase > 0 else old.error
            version = 0 if kept is None else decision.head.version
            self.jobs[record.id] = Job(decision.head, record, kept, error, details_version=version)
        job = self.jobs.get(record.id)
        opened = job and replace(job.facts, **_shallow(job.head))
        return _answer(decision, job, before, opened if decision.accepted else None)

    def write(self, records: Sequence[Snapshot], parts: Sequence[Part]) -> dict[str, Answer]:
        """As `headway.stores.contract.Store.write`."""
        answers: dict[str, Answer] = {}
        for record in records:
            answers[record.id] = self._report(record)
        for job in dict.fromkeys(part.job for part in parts):
            answers[job] = self._take_parts(job, [part for part in parts if part.job == job])
        return answers

    def end(self, id: str, attempt: int, status: str, error: Error | None) -> Answer:
        """As `headway.stores.contract.Store.end`."""
        old = self.jobs.get(id)
        return self._decided(id, transitions.end_job(old and old.head, attempt, status, self.clock()), error)

    def request_cancel(self, id: str) -> Answer:
        """As `headway.stores.contract.Store.request_cancel`."""
        old = self.jobs.get(id)
        return self._decided(id, transitions.request_cancel(old and old.head, self.clock()))

    def read(self, ids: Collection[str]) -> dict[str, Snapshot]:
        """As `headway.stores.contract.Store.read`, with details."""
        return {id: self._shown(self.jobs[id]) for id in ids if id in self.jobs}

    def find(self, scope: str | None, parent: str | None, status: Collection[str]) -> list[str]:
        """The ids that `headway.stores.contract.Store.find` must give on all its pages."""
        heads = [job.head for job in self.jobs.values()]
        found = [
            (head.created_at, head.id)
            for head in heads
            if scope in {None, head.scope}
            and parent in {None, head.parent}
            and (not status or head.reads(self.clock()) in status)
        ]
        return [id for _, id in sorted(found, reverse=True)]

    def forget(self, id: str) -> bool:
        """As `headway.stores.contract.Store.forget`."""
        job = self.jobs.get(id)
        if job is None or not (job.head.ended or job.head.stalled(self.clock())):
            return False
        del self.jobs[id]
        return True

    def sweep(self) -> int:
        """As `headway.stores.contract.Store.sweep`."""
        dropped = 0
        for id, job in list(self.jobs.items()):
            decision = transitions.sweep(job.head, self.clock())
            if decision.outcome == "dropped":
                del self.jobs[id]
                dropped += 1
            elif decision.head is not None:
                self.jobs[id] = job._replace(head=decision.head)
        return dropped

    def _report(self, record: Snapshot) -> Answer:
        old = self.jobs.get(record.id)
        decision = transitions.report(old and old.head, record.head, self.clock())
        if decision.head is not None:
            job = old or Job(decision.head, record)
            if decision.head.attempt > job.head.attempt:
                job = job._replace(parts={})
            job = job._replace(head=decision.head, facts=record)
            if record.details is not None:
                job = job._replace(details=record.details, details_version=decision.head.version)
            self.jobs[record.id] = job
        return _answer(decision, self.jobs.get(record.id))

    def _take_parts(self, id: str, parts: Sequence[Part]) -> Answer:
        said = transitions.Decision("missing")
        for part in parts:
            job = self.jobs.get(id)
            known = job.parts.get(part.key) if job else None
            merged = transitions.merge_part(known, part)
            decision = transitions.part_of(job and job.head, part, self.clock(), news=merged != known)
            said = said if said.rings else decision
            if job is not None and decision.head is not None:
                self.jobs[id] = job._replace(head=decision.head, parts=job.parts | {part.key: merged})
        return _answer(said, self.jobs.get(id))

    def _decided(self, id: str, decision: Decision, error: Error | None = None) -> Answer:
        job = self.jobs.get(id)
        if job is not None and decision.head is not None and decision.outcome != "same":
            job = job._replace(head=decision.head, error=error or job.error)
            self.jobs[id] = job
        return _answer(decision, job)

    def _shown(self, job: Job) -> Snapshot:
        told = job.details or Details()
        told = replace(told, error=job.error) if job.error else told
        record = replace(job.facts, **_shallow(job.head), details=told)
        return as_read(record, transitions.add_up(job.parts.values()), self.clock())


class Actor:
    """One worker's side of one job: once for the store, once for the model, whose clocks may differ."""

    def __init__(self, id: str, number: int) -> None:
        self.id = id
        self.run: str | None = f"stranger {number}"
        self.opened = (Snapshot(id=id), Snapshot(id=id))
        self.step = 0

    def take(self, run: str | None, real: Answer, model: Answer) -> None:
        """Hold what was opened."""
        if real.opened is not None and model.opened is not None:
            if real.outcome == "opened":
                self.step = 0
            self.run = run
            self.opened = (real.opened, model.opened)

    def records(self, **told: Any) -> tuple[Snapshot, Snapshot]:
        """What it reports, as the store and as the model are told."""
        real, model = (
            Snapshot(
                id=self.id,
                run=self.run,
                step=self.step,
                **{
                    "attempt": known.attempt,
                    "created_at": known.created_at,
                    "started_at": known.started_at,
                    **told,
                },
            )
            for known in self.opened
        )
        return real, model


class StoreMachine(RuleBasedStateMachine):
    """Random lives of jobs in a store; a subclass brings the store.

    Attributes:
        clock: The time; a store whose clock can be set must be given it.
        settable: Whether the store goes by that clock.
    """

    settable = True

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.model = Model(self.clock)
        self.store = self.make_store()
        self.stores = (self.store, self.make_another(self.store))
        self.actors = {(id, number): Actor(id, number) for id in IDS for number in range(WORKERS)}
        self.sent: list[tuple[Snapshot, Snapshot]] = []
        self.parts: list[Part] = []
        self.versions: dict[str, tuple[int, int]] = {}
        self.runs = 0
        self.turn = 0

    def make_store(self) -> Store:
        """An empty store."""
        raise NotImplementedError("a subclass brings the store")

    def make_another(self, store: Store) -> Store:
        """An independent handle on the same records, as another process would have."""
        return store

    def discard(self) -> None:
        """Let go of the stores at the end of a life."""
        for store in {id(store): store for store in self.stores}.values():
            store.close()

    def teardown(self) -> None:
        """Called by hypothesis."""
        self.discard()

    # Events

    @initialize(number=workers, told=facts)
    def begin(self, number: int, told: dict[str, Any]) -> None:
        """Most lives begin with a claim."""
        self.claim(IDS[0], number, told, {}, exclusive=False, again=False)

    @rule(id=ids, number=workers, told=facts, origin=origins, exclusive=st.booleans(), again=st.booleans())
    def claim(
        self, id: str, number: int, told: dict[str, Any], origin: dict[str, Any], *, exclusive: bool,
        again: bool,
    ) -> None:  # fmt: skip
        """A worker starts, or (``again``) asks once more for what it holds."""
        actor = self.actors[id, number]
        if not again or not actor.run:
            self.runs += 1
        run = actor.run if again and actor.run else f"run {self.runs}"
        self._open(actor, "anything", run, {"status": "running"} | told | origin, exclusive=exclusive)

    @rule(id=ids, number=workers, told=facts, origin=origins, over=st.sampled_from(["nothing", "ended"]))
    def create(self, id: str, number: int, told: dict[str, Any], origin: dict[str, Any], over: Over) -> None:
        """A job is created or reserved for a worker to come."""
        self._open(self.actors[id, number], over, None, told | origin, exclusive=False)

    @rule(
        id=ids, number=workers, told=facts, cancel=st.sampled_from([None, None, "seen"]),
        status=st.sampled_from(["running"] * 6 + ["retrying", "completed", "failed", "cancelled", "stopped"]),
    )  # fmt: skip
    def report(self, id: str, number: int, told: dict[str, Any], cancel: str | None, status: str) -> None:
        """A worker tells something new; a creator annotates or ends what nobody has claimed."""
        actor = self.actors[id, number]
        actor.step += 1
        self._send([self._recorded(actor, self._fit(actor, status), cancel, told)])

    @rule(id=ids, number=workers, told=facts)
    def beat(self, id: str, number: int, told: dict[str, Any]) -> None:
        """A worker says once more what it said: the same step, perhaps with other durations."""
        actor = self.actors[id, number]
        self._send([self._recorded(actor, self._fit(actor, "running"), None, told)])

    @rule(number=workers, told=st.lists(facts, min_size=1, max_size=4), silent=st.lists(ids, max_size=2))
    def report_many(self, number: int, told: list[dict[str, Any]], silent: list[str]) -> None:
        """One batch of several jobs, of one of them twice, that also listens to some."""
        batch = []
        for place, one in enumerate(told):
            actor = self.actors[IDS[place % len(IDS)], number]
            actor.step += 1
            batch.append(self._recorded(actor, self._fit(actor, "running"), None, one))
        self._send(batch, listening=silent)

    @precondition(lambda self: self.sent)
    @rule(which=st.lists(st.integers(0, 500), min_size=1, max_size=4))
    def resend(self, which: list[int]) -> None:
        """Some earlier writes arrive once more, late and in any order."""
        self._send([self.sent[-1 - place % len(self.sent)] for place in which])

    @rule(
        id=ids, ahead=st.sampled_from([0, 0, 0, -1, 1]),
        status=st.sampled_from(["completed", "failed", "cancelled", "stopped", "retrying"]),
        error=st.none() | st.just(Error("told by the queue")),
    )  # fmt: skip
    def end(self, id: str, ahead: int, status: str, error: Error | None) -> None:
        """Somebody who is not the worker tells an end, or a retry."""
        attempt = self._attempt(id) + ahead
        real = self._side().end(id, attempt, status, error)
        self._compare(id, real, self.model.end(id, attempt, status, error))

    @rule(id=ids)
    def request_cancel(self, id: str) -> None:
        """Somebody asks the job to stop."""
        self._compare(id, self._side().request_cancel(id), self.model.request_cancel(id))

    @rule(
        id=ids, ahead=st.sampled_from([0, 0, 0, -1, 1]), shares=st.lists(shares, min_size=1, max_size=3)
    )  # fmt: skip
    def take_part(self, id: str, ahead: int, shares: list[Part]) -> None:
        """Pool workers and children tell their shares."""
        attempt = self._attempt(id) + ahead
        told = [replace(part, job=id, attempt=attempt) for part in shares]
        self.parts += told
        self._send_parts(told)

    @precondition(lambda self: self.parts)
    @rule(which=st.lists(st.integers(0, 500), min_size=1, max_size=3))
    def resend_parts(self, which: list[int]) -> None:
        """Some earlier shares arrive once more, late and in any order."""
        self._send_parts([self.parts[-1 - place % len(self.parts)] for place in which])

    @rule(id=ids)
    def forget(self, id: str) -> None:
        """Somebody deletes a job."""
        self._agree(self._side().forget(id), self.model.forget(id))

    @rule()
    def sweep(self) -> None:
        """What is past its retention is dropped."""
        self._agree(self._side().sweep(), self.model.sweep())

    @precondition(lambda self: self.settable)
    @rule(seconds=st.sampled_from([0.001, 20.0, 31.0, 31.0, 50_000.0, 90_000.0, 400_000.0]))
    def pass_time(self, seconds: float) -> None:
        """Time passes: leases run out, then retentions."""
        self.clock.advance(seconds)

    @rule(
        scope=st.sampled_from([None, "user/1", "user/2"]),
        parent=st.sampled_from([None, None, IDS[0]]),
        status=st.lists(st.sampled_from(["pending", "running", "stalled", "completed"]), max_size=2),
        limit=st.integers(1, 4),
    )  # fmt: skip
    def find(self, scope: str | None, parent: str | None, status: list[str], limit: int) -> None:
        """Somebody looks through the pages of what is there."""
        found, cursor = [], None
        while True:
            page = self._side().find(scope=scope, parent=parent, status=status, limit=limit, cursor=cursor)
            found += [job.id for job in page]
            cursor = page.cursor
            if cursor is None:
                break
        self._agree(found, self._in_order(self.model.find(scope, parent, status)))

    @invariant()
    def everything_reads_as_the_rules_say(self) -> None:
        """All that is known, details included, after every event."""
        real, model = self._side().read(IDS, details=True), self.model.read(IDS)
        self._agree(real.keys(), model.keys())
        for id, job in real.items():
            self._agree(self._plain(job), self._plain(model[id]))
            self._compare_versions(id, job.version, model[id].version)

    # What events are made of

    def _side(self) -> Store:
        """One handle after the other; where the store has its own clock, the model's goes on."""
        self.turn += 1
        if not self.settable:
            self.clock.advance(0.001)
        return self.stores[self.turn // 2 % 2]

    def _in_order(self, found: list[str]) -> list[str]:
        """Newest first by the store's own times: it may give two jobs of one batch one time, or two."""
        if self.settable:
            return found
        jobs = self.store.read(found)
        return sorted(found, key=lambda id: (jobs[id].created_at or START, id), reverse=True)

    def _attempt(self, id: str) -> int:
        return self.model.jobs[id].head.attempt if id in self.model.jobs else 1

    def _fit(self, actor: Actor, status: str) -> str:
        """What a creator, who holds no run, says in place of what a worker says."""
        return "pending" if actor.run is None and status in {"running", "retrying"} else status

    def _recorded(
        self, actor: Actor, status: str, cancel: str | None, told: dict[str, Any]
    ) -> tuple[Snapshot, Snapshot]:
        records = actor.records(status=status, cancel=cancel, **told)
        self.sent.append(records)
        return records

    def _open(
        self, actor: Actor, over: Over, run: str | None, told: dict[str, Any], *, exclusive: bool
    ) -> None:
        record = Snapshot(id=actor.id, run=run, **told)
        real = self._side().open(record, over, exclusive=exclusive)
        model = self.model.open(record, over, exclusive=exclusive)
        self._compare(actor.id, real, model)
        self._agree(*(_identity(answer.snapshot) for answer in (real, model)))
        self._agree(*(_identity(answer.opened, details=False) for answer in (real, model)))
        if real.opened is not None and model.opened is not None:
            for name in ("created_at", "started_at") if self.settable else ():
                self._agree(getattr(real.opened, name), getattr(model.opened, name))
        actor.take(run, real, model)

    def _send(self, pairs: Sequence[tuple[Snapshot, Snapshot]], listening: Collection[str] = ()) -> None:
        real = self._side().write([real for real, _ in pairs], (), listening)
        model = self.model.write([model for _, model in pairs], ())
        for id in {*listening} - model.keys():
            self._agree(real[id].outcome, "heard" if id in self.model.jobs else "missing")
            model[id] = _answer(transitions.Decision(real[id].outcome), self.model.jobs.get(id))
        self._agree(real.keys(), model.keys())
        for id, answer in real.items():
            self._compare(id, answer, model[id])

    def _send_parts(self, parts: Sequence[Part]) -> None:
        real, model = self._side().write([], parts), self.model.write([], parts)
        self._agree(real.keys(), model.keys())
        for id, answer in real.items():
            self._compare(id, answer, model[id])

    def _compare(self, id: str, real: Answer, model: Answer) -> None:
        names = ("outcome", "attempt", "run", "status", "cancel")
        self._agree(*({name: getattr(answer, name) for name in names} for answer in (real, model)))
        self._agree(*((one.details_version > 0, one.details_version == one.version) for one in (real, model)))
        if real.version:
            self._compare_versions(id, real.version, model.version)

    def _compare_versions(self, id: str, real: int, model: int) -> None:
        """A version rises when the model's does, and only then."""
        if self.settable:
            self._agree(real, model)
        before = self.versions.get(id, (0, 0))
        self._agree(_sign(real - before[0]), _sign(model - before[1]))
        self.versions[id] = (real, model)

    def _plain(self, job: Snapshot) -> dict[str, Any]:
        """A record as data: details as they are shown, times and ages only where the clock is ours."""
        shown = asdict(job) | {name: getattr(job, name) for name in ("messages", "error", "result", "meta")}
        del shown["details"]
        if not self.settable:
            del shown["version"]
            shown |= {name: shown[name] is None for name in (*TIMES, *AGES)}
        return shown

    def _agree(self, real: object, model: object) -> None:
        """What the store says must be what the rules say."""
        if real != model:
            raise AssertionError(f"the store says {_difference(real, model)}")


def _answer(
    decision: Decision,
    job: Job | None,
    snapshot: Snapshot | None = None,
    opened: Snapshot | None = None,
) -> Answer:
    if job is None:
        return Answer(decision.outcome)
    head = job.head
    return Answer(
        decision.outcome, head.version, head.attempt, head.run, head.status, head.cancel,
        job.details_version, snapshot, opened,
    )  # fmt: skip


def _next_attempt(old: Job | None, new: Details | None, *, begun: bool) -> Details | None:
    """What a new attempt starts from: messages and meta stay, its own meta counts."""
    if old is None or old.details is None:
        return new
    meta = old.details.meta if new is None or new.meta is None else new.meta
    kept = replace(old.details, meta=meta)
    return replace(kept, error=None, result=None) if begun else kept


def _shallow(head: Head) -> dict[str, Any]:
    return {name: getattr(head, name) for name in head.__struct_fields__}


def _identity(job: Snapshot | None, *, details: bool = True) -> dict[str, Any] | None:
    """What an opener goes by, of what was there and of what it opened."""
    if job is None:
        return None
    names = ("id", "attempt", "run", "status", "cancel", "scope", "parent", "name")
    return {name: getattr(job, name) for name in names + (("meta", "error") if details else ())}


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def _difference(real: object, model: object) -> str:
    if isinstance(real, dict) and isinstance(model, dict):
        apart = [
            f"{name}={real.get(name, UNSET)!r} where the rules say {model.get(name, UNSET)!r}"
            for name in sorted(real.keys() | model.keys())
            if real.get(name, UNSET) != model.get(name, UNSET)
        ]
        return ", ".join(apart)
    return f"{real!r} where the rules say {model!r}"

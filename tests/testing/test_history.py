"""A history of what was asked and answered is checked: real stores pass, each planted violation is found."""

import threading

import pytest
from msgspec.structs import replace
from tests.testing.hammer import hammer

from headway.core.errors import StoreUnavailable
from headway.core.snapshot import Part
from headway.stores import open_store
from headway.stores.memory import MemoryStore
from headway.testing import FaultyStore, History
from headway.testing.history import ABSENT, LOST, Event
from headway.testing.store_scene import Worker, at_once


def happened(who, verb, outcome="applied", *, at, until=None, **shown):
    """An event of the job, by default so short that none is beside it."""
    facts = {"version": 1, "attempt": 1, "run": "a", "status": "running"} | shown
    if outcome in {LOST, ABSENT}:
        facts = {name: value for name, value in shown.items() if name in {"told", "parts"}}
    return Event(who, verb, "job", at, at + 0.1 if until is None else until, outcome, **facts)


def opened(who="a", *, at, **shown):
    return happened(who, "open", "opened", at=at, **{"run": who} | shown)


def read(at, who="reader", **shown):
    return happened(who, "read", ABSENT if shown.pop("absent", False) else "seen", at=at, **shown)


def wrote(at, step=1, outcome="applied", **shown):
    status = shown.get("status", "running")
    return happened("a", "write", outcome, at=at, told={"step": step, "status": status}, **shown)


def counted(at, count, outcome="applied", **shown):
    return happened("hand", "part", outcome, at=at, parts=(("hand", 1, "", count),), **shown)


def total(at, count, **shown):
    return read(at, counts={"": count}, **shown)


OPENED = opened(at=0)
VIOLATIONS = {
    "one end": [
        OPENED,
        wrote(1, status="completed", version=2),
        happened("queue", "end", at=2, status="completed", version=3),
    ],
    "the same end": [
        OPENED,
        wrote(1, status="completed", version=2),
        happened("queue", "end", "ended", at=2, status="failed", version=2),
    ],
    "held by one run": [OPENED, opened("b", at=1, version=2)],
    "without a gap": [OPENED, opened("b", at=1, attempt=3, version=2)],
    "versions never fall": [OPENED, read(1, version=5), read(2, version=4)],
    "version of its own": [OPENED, read(1), read(2, cancel="requested")],
    "backwards": [OPENED, read(1, step=3), read(2, step=2, version=2)],
    "acknowledged is there": [OPENED, wrote(1, version=2), read(2, version=1)],
    "acknowledged is shown": [OPENED, wrote(1, 4, version=2), read(2, version=3, step=3)],
    "cancel that was acknowledged": [
        OPENED,
        happened("user", "cancel", at=1, version=2, cancel="requested"),
        read(2, version=3),
    ],
    "add up": [OPENED, counted(1, 5), counted(2, 3, "heartbeat"), total(3, 8)],
}
MORE = {
    "backwards": [OPENED, read(1, status="completed"), read(2, status="running", version=2)],
    "acknowledged is there": [OPENED, wrote(1, version=2), read(2, absent=True)],
    "add up": [OPENED, counted(1, 5), total(2, 4)],
    "cancel that was acknowledged": [
        OPENED,
        happened("user", "cancel", at=1, version=2, cancel="requested"),
        opened("b", at=2, attempt=2, version=3, before="running", attempt_before=1),
    ],
    "everybody is told the same": [
        OPENED,
        wrote(1, status="completed", version=2),
        read(2, status="stopped", version=2),
    ],
}


@pytest.mark.parametrize(
    ("promise", "events"), [*VIOLATIONS.items(), *MORE.items()], ids=[*VIOLATIONS, *(f"{m} 2" for m in MORE)]
)
def test_a_violation_is_found_and_shown(promise, events):
    found = History(reversed(events)).violations()
    assert [promise for one in found if promise in one.promise]
    assert "job" in str(found[0])
    with pytest.raises(AssertionError, match=promise):
        History(events).check()


INNOCENT = {
    "an answer that was lost proves nothing": [
        OPENED,
        wrote(1, 4, LOST),
        read(2, step=0),
        happened("user", "cancel", LOST, at=3),
        read(4, version=2),
    ],
    "what was asked at the same time may come in any order": [
        OPENED,
        wrote(1, 4, version=2, until=3.0),
        read(2),
    ],
    "a reading that failed shows nothing": [OPENED, wrote(1, version=2), happened("r", "read", LOST, at=2)],
    "a lost claim may stand for a gap": [
        OPENED,
        happened("b", "open", LOST, at=1),
        opened("c", at=2, attempt=3, version=3),
    ],
    "a count whose answer was lost may be there": [OPENED, counted(1, 5), counted(2, 7, LOST), total(3, 7)],
    "a count whose answer was lost may be missing": [OPENED, counted(1, 5), counted(2, 7, LOST), total(3, 5)],
    "a stalled job is a running one": [OPENED, read(1), read(2, status="stalled"), read(3)],
    "an ended job that is opened again has no request": [
        OPENED,
        happened("user", "cancel", at=1, version=2, cancel="requested"),
        wrote(2, status="completed", version=3, cancel="requested"),
        opened("b", at=3, attempt=2, version=4, before="completed", attempt_before=1),
        read(4, attempt=2, run="b", version=4),
    ],
    "after it was forgotten a new life begins": [
        OPENED,
        wrote(1, status="completed", version=5),
        happened("user", "forget", "forgotten", at=2, attempt=0, version=0, run=None, status=""),
        opened("b", at=3, version=6),
        read(4, run="b", version=6),
    ],
}


@pytest.mark.parametrize("events", INNOCENT.values(), ids=INNOCENT)
def test_what_was_possible_is_no_violation(events):
    History(events).check()


def test_nothing_is_seen_twice_in_a_very_long_list():
    events = [OPENED, *(read(at, version=100 - at) for at in range(1, 50))]
    assert len(History(events).violations()) <= 6


def test_a_history_crosses_to_another_process_as_bytes():
    history = History([*VIOLATIONS["one end"], *VIOLATIONS["add up"]])
    assert History.load(history.dump()).events == history.events


class TestWhatIsRecorded:
    @pytest.fixture
    def history(self):
        return History()

    @pytest.fixture
    def faulty(self):
        return FaultyStore(open_store("memory://"))

    @pytest.fixture
    def worker(self, faulty, history):
        return Worker(history.watch(faulty, "a"))

    def test_each_verb_and_its_answer(self, worker, history):
        store = worker.store
        worker.claim()
        worker.report(count=3)
        store.write([worker.record(step=2)], [Part("job", 1, "hand", count=5)], ["other"])
        store.write([], [Part("job", 1, "hand", count=6)])
        store.request_cancel("job")
        assert store.read(["job", "other"])["job"].count == 6
        store.find()
        store.forget("job")
        store.end("job", 1, "failed")
        seen = [(event.verb, event.id, event.outcome) for event in history.events]
        assert seen == [
            ("open", "job", "opened"),
            ("write", "job", "applied"),
            ("write", "job", "applied"),
            ("part", "job", "unknown"),
            ("listen", "other", "missing"),
            ("part", "job", "applied"),
            ("cancel", "job", "applied"),
            ("read", "job", "seen"),
            ("read", "other", ABSENT),
            ("read", "job", "seen"),
            ("forget", "job", "refused"),
            ("end", "job", "applied"),
        ]
        assert history.events[-3].counts == {"": 6.0}
        assert all(event.called <= event.returned for event in history.events)
        history.check()

    def test_a_call_that_failed_may_have_been_carried_out(self, worker, history, faulty):
        worker.claim()
        faulty.losing_answers = True
        with pytest.raises(StoreUnavailable):
            worker.report("completed")
        faulty.losing_answers = False
        assert worker.report("failed").outcome == "ended"
        assert [event.outcome for event in history.events] == ["opened", LOST, "ended"]
        history.check()


def test_processes_that_do_everything_at_once_are_told_the_truth(tmp_path):
    history = hammer(f"sqlite:///{tmp_path / 'jobs.db'}")
    outcomes = {(event.verb, event.outcome) for event in history.events}
    for verb, outcome in [("write", "applied"), ("open", "opened"), ("part", "applied"), ("end", "applied")]:
        assert (verb, outcome) in outcomes
    assert len({event.who for event in history.events}) == 6
    history.check()


class ChecksThenSets(MemoryStore):
    """Decides by what it read, and writes later: the mistake that every store is tempted to make."""

    def end(self, id, attempt, status, error=None):
        before = self._shelf.jobs[id].head
        meanwhile.wait()
        answer = super().end(id, attempt, status, error)
        if answer.outcome == "ended" and not before.ended:
            kept = self._shelf.jobs[id]
            head = replace(kept.head, status=status, version=kept.head.version + 1)
            self._shelf.put(kept._replace(head=head))
            return replace(answer, outcome="applied", status=status, version=head.version)
        return answer


meanwhile = threading.Barrier(3)


def test_a_store_that_checks_and_then_sets_is_found():
    history, store = History(), ChecksThenSets()
    Worker(history.watch(store, "a")).claim()
    queues = [history.watch(store, f"queue {number}") for number in range(3)]
    ways = ["completed", "failed", "stopped"]
    at_once(
        [
            lambda queue=queue, way=way: queue.end("job", 1, way)
            for queue, way in zip(queues, ways, strict=True)
        ]
    )
    with pytest.raises(AssertionError, match="attempt 1 has one end"):
        history.check()

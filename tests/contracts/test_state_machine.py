"""Random lives of jobs in every store, held against the rules."""

import secrets
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from msgspec.structs import replace
from tests.servers.redis import redis_server

from headway.stores import open_store
from headway.stores.memory import MemoryStore
from headway.stores.sqlite import SQLiteStore
from headway.testing import StoreMachine

EXAMPLES = 40
NIGHTLY = 2_000
STEPS = 40


def lives(examples):
    return settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )


class MemoryMachine(StoreMachine):
    def make_store(self):
        return MemoryStore(clock=self.clock)


class MemoryByItsOwnClock(StoreMachine):
    """As a server is held to the rules: its clock cannot be set."""

    settable = False

    def make_store(self):
        return open_store("memory://")


class SQLiteMachine(StoreMachine):
    def make_store(self):
        self.folder = tempfile.TemporaryDirectory()
        return SQLiteStore(f"sqlite:///{Path(self.folder.name) / 'jobs.db'}", self.clock)

    def make_another(self, store):
        return SQLiteStore(store.url, self.clock)

    def discard(self):
        super().discard()
        self.folder.cleanup()


class RedisMachine(StoreMachine):
    settable = False

    def make_store(self):
        return open_store(f"{self.server}?prefix=test-{secrets.token_hex(4)}")

    def make_another(self, store):
        return open_store(store.url)


MACHINES = [MemoryMachine, MemoryByItsOwnClock, SQLiteMachine]


@pytest.mark.parametrize("machine", MACHINES)
def test_every_life_goes_by_the_rules(machine):
    run_state_machine_as_test(machine, settings=lives(EXAMPLES))


@pytest.mark.parametrize("engine", ["valkey", "redis"])
@pytest.mark.parametrize("examples", [EXAMPLES, pytest.param(NIGHTLY, marks=pytest.mark.nightly)])
def test_every_life_on_a_server_goes_by_the_rules(engine, examples):
    with redis_server(engine) as server:
        machine = type("Machine", (RedisMachine,), {"server": server.url})
        run_state_machine_as_test(machine, settings=lives(examples))


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("machine", MACHINES)
def test_very_many_lives_go_by_the_rules(machine):
    run_state_machine_as_test(machine, settings=lives(NIGHTLY))


def changed(decision, **fields):
    return replace(decision, head=decision.head and replace(decision.head, **fields))


def a_progress_write_loses_a_cancel(decision, old, record):
    return changed(decision, cancel=record.cancel) if record and decision.outcome == "applied" else decision


def a_late_write_counts(decision, old, record):
    return replace(decision, head=old.head) if decision.outcome == "late" else decision


def a_second_end_counts(decision, old, record):
    if decision.outcome == "ended" and record:
        return replace(decision, head=replace(old.head, status=record.status))
    return decision


def a_zombie_counts(decision, old, record):
    if decision.outcome == "superseded" and record:
        return replace(decision, head=old.head)
    return decision


def a_write_shortens_retention(decision, old, record):
    if not decision.head or not decision.head.seen_at:
        return decision
    return changed(decision, expires_at=decision.head.seen_at)


def a_heartbeat_is_a_new_version(decision, old, record):
    if decision.outcome == "heartbeat":
        return changed(decision, version=decision.head.version + 1)
    return decision


def a_cancel_is_no_new_version(decision, old, record):
    if decision.outcome == "applied" and old and record is None:
        return changed(decision, version=old.head.version)
    return decision


def a_claim_forgets_the_cancel(decision, old, record):
    return changed(decision, cancel=None) if decision.outcome == "opened" else decision


def a_new_attempt_keeps_parts(decision, old, record):
    return replace(decision, restarts=False)


def a_scope_may_change(decision, old, record):
    return changed(decision, scope=record.scope) if record else decision


MISTAKES = [
    a_progress_write_loses_a_cancel,
    a_late_write_counts,
    a_second_end_counts,
    a_zombie_counts,
    a_write_shortens_retention,
    a_heartbeat_is_a_new_version,
    a_cancel_is_no_new_version,
    a_claim_forgets_the_cancel,
    a_new_attempt_keeps_parts,
    a_scope_may_change,
]


class Spoilt(MemoryStore):
    """What is decided of an event is changed by a mistake."""

    def _apply(self, kept, decision, old, record=None, error=None):
        return super()._apply(kept, self.mistake(decision, old, record), old, record, error)


class AnErrorIsForgotten(MemoryStore):
    def _apply(self, kept, decision, old, record=None, error=None):
        error = None
        return super()._apply(kept, decision, old, record, error)


class PartsAreAdded(MemoryStore):
    def _take_parts(self, kept, job, parts):
        more = [
            replace(part, count=part.count + known.count) if known else part
            for part in parts
            for known in [kept.get_part(job, part.key)]
        ]
        return super()._take_parts(kept, job, more)


class APageLosesOne(MemoryStore):
    def find(self, *, limit=50, **search):
        page = super().find(limit=limit, **search)
        return replace(page, jobs=page.jobs[:-1]) if len(page) > 2 else page


class AnythingMayBeForgotten(MemoryStore):
    def forget(self, id):
        with self._shelf.lock():
            known = id in self._shelf.jobs
            self._shelf.drop(id)
            return known


STORES = [AnErrorIsForgotten, PartsAreAdded, APageLosesOne, AnythingMayBeForgotten]


@pytest.mark.parametrize("mistake", MISTAKES + STORES, ids=lambda mistake: mistake.__name__)
def test_a_planted_mistake_is_found(mistake):
    class Machine(StoreMachine):
        def make_store(self):
            if isinstance(mistake, type):
                return mistake(clock=self.clock)
            store = Spoilt(clock=self.clock)
            store.mistake = mistake
            return store

    search = settings(lives(500), phases=[Phase.generate], derandomize=True)
    with pytest.raises(AssertionError, match="the store says"):
        run_state_machine_as_test(Machine, settings=search)

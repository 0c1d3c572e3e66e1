"""Every store holds the one contract."""

import asyncio

import pytest
from tests.contracts.toy_store import ToyStore

from headway.client import Headway
from headway.core.estimate import Profile
from headway.core.wire import encode_facts
from headway.stores import open_store
from headway.stores.memory import MemoryStore
from headway.stores.sqlite import SQLiteStore
from headway.stores.transactional import Kept
from headway.testing import Clock, FaultyStore, StoreContract
from headway.testing.store_contract import Beside, Finding
from headway.testing.store_scene import Scene, Worker, known


class Clocked(StoreContract):
    @pytest.fixture
    def clock(self):
        return Clock()


class TestMemoryStore(Clocked):
    @pytest.fixture
    def store(self, clock):
        return MemoryStore(clock=clock)


class TestSQLiteStore(Clocked):
    @pytest.fixture
    def store(self, tmp_path, clock):
        store = SQLiteStore(f"sqlite:///{tmp_path / 'headway.db'}", clock)
        yield store
        store.close()

    @pytest.fixture
    def another(self, store, clock):
        another = SQLiteStore(store.url, clock)
        yield another
        another.close()


class TestNamedMemoryStore(StoreContract):
    """By the real clock: the contract waits."""

    @pytest.fixture
    def store(self, tmp_path):
        return open_store(f"memory://{tmp_path}")

    @pytest.fixture
    def another(self, store):
        return open_store(store.url)


class TestAThirdPartysStore(Clocked):
    @pytest.fixture
    def store(self, tmp_path, clock):
        return ToyStore(f"toy://{tmp_path}", clock)

    @pytest.fixture
    def another(self, store, clock):
        return ToyStore(store.url, clock)


class TestAFaultyStoreWithoutFaults(Clocked):
    @pytest.fixture
    def store(self, clock):
        return FaultyStore(MemoryStore(clock=clock))


class AsynchronousFace(FaultyStore):
    """The reader verbs as coroutines call them."""

    def __init__(self, store, loop):
        super().__init__(store)
        self.headway = Headway(store)
        self.run = loop

    def read(self, ids, *, details=False):
        wanted = [id for id in ids if id.replace("-", "").isalnum() and id.isascii()]
        found = [self.run(self.headway.aget(id, details=details)) for id in wanted]
        return {job.id: job for job in found if job is not None}

    def find(self, **search):
        return self.run(self.headway.afind(**search))


class Coroutines(Scene):
    @pytest.fixture
    def clock(self):
        return Clock()

    @pytest.fixture
    def run(self):
        with asyncio.Runner() as runner:
            yield runner.run

    @pytest.fixture
    def kept(self, tmp_path, clock):
        store = SQLiteStore(f"sqlite:///{tmp_path / 'headway.db'}", clock)
        yield store
        store.close()

    @pytest.fixture
    def store(self, kept, run):
        face = AsynchronousFace(kept, run)
        yield face
        face.headway.close()


class TestTheAsynchronousFaceFinds(Coroutines, Finding):
    pass


class TestTheAsynchronousFaceReads(Coroutines, Beside):
    test_reading_many_brings_those_that_are_known = None
    test_ids_that_differ_are_different_jobs = None


class TestTheAsynchronousFaceAsks(Coroutines):
    def test_a_cancel_is_recorded_once_and_for_live_jobs_only(self, run, store, worker):
        headway = store.headway
        assert run(headway.acancel("job")) is False
        worker.claim()
        assert run(headway.acancel("job")) is True
        assert known(store).cancel == "requested"
        worker.report("cancelled", cancel="seen")
        assert run(headway.acancel("job")) is False

    def test_a_reservation_is_held_by_one(self, run, store):
        first = run(store.headway.areserve("Import", id="job", scope="user/1"))
        assert (first.status, first.name, first.scope) == ("pending", "Import", "user/1")
        assert run(store.headway.areserve("Import", id="job")) is None
        assert Worker(store, run="worker-1").claim().attempt == 1


@pytest.mark.parametrize("url", ["memory://", "sqlite:///{}/h.db"])
def test_unknown_fields_of_a_newer_version_are_ignored_and_kept(url, tmp_path):
    store = open_store(url.format(tmp_path))
    worker = Worker(store)
    worker.claim()
    with store._transaction() as kept:
        head = kept.get("job").head
        kept.put(Kept(head, b'{"name":"x","sparkle":[1]}', b'{"glitter":2,"meta":3}'))
    assert (known(store).name, known(store, details=True).meta) == ("x", 3)
    store.request_cancel("job")
    store.end("job", 1, "failed")
    with store._transaction() as kept:
        after = kept.get("job")
    assert "sparkle" in str(after.facts)
    assert "glitter" in str(after.details)
    store.close()


def test_facts_that_are_damaged_leave_the_head_and_are_replaced_by_the_next_word():
    store = MemoryStore()
    worker = Worker(store)
    worker.claim()
    with store._transaction() as kept:
        kept.put(Kept(kept.get("job").head, b"{half a rec", b"\xff", b"no"))
    assert known(store, details=True).status == "running"
    worker.report(count=3)
    assert known(store).count == 3
    assert encode_facts(known(store))


def test_memory_keeps_the_kinds_that_were_learnt_last(monkeypatch):
    monkeypatch.setattr("headway.stores.memory.KINDS", 5)
    store = MemoryStore()
    for kind in (*range(8), 3):
        store.learn(f"kind-{kind}", Profile(1.0, 1))
    assert [kind for kind in range(8) if store.history(f"kind-{kind}")] == [3, 4, 5, 6, 7]

"""Is a store well?"""

from contextlib import closing

import pytest

from headway import doctor
from headway.doctor import examine
from headway.stores import open_store
from headway.stores.contract import Finding, Polling, Subscription
from headway.stores.memory import MemoryStore
from headway.stores.null import NullStore
from headway.testing import FaultyStore


class Deaf(Subscription):
    def add(self, ids=(), scopes=()):
        pass

    def remove(self, ids=(), scopes=()):
        pass

    def wait(self, timeout):  # noqa: ARG002 - as every subscription has it
        return set()

    def close(self):
        pass


class DeafStore(MemoryStore):
    def listen(self):
        return Deaf()


class PolledStore(MemoryStore):
    def listen(self):
        return Polling(self)


def findings(store):
    return [(found.level, found.what) for found in examine(store)]


def test_a_store_that_is_well_gives_only_good_findings_and_keeps_nothing():
    store = MemoryStore()
    assert {level for level, _ in findings(store)} == {"ok"}
    assert len(store.find()) == 0


def test_a_store_that_is_away_is_an_error_and_the_last_word():
    store = FaultyStore(MemoryStore())
    store.failing = True
    ((level, what),) = findings(store)
    assert level == "error"
    assert "told to fail" in what


def test_notices_that_do_not_arrive_are_a_warning(monkeypatch):
    monkeypatch.setattr(doctor, "PATIENCE", 0.2)
    assert [level for level, _ in findings(DeafStore())] == ["ok", "ok", "ok", "warning"]


def test_a_store_that_is_polled_is_said_so():
    assert "by looking again and again" in findings(PolledStore())[-1][1]


def test_a_folder_is_looked_at_again_and_again(tmp_path):
    with closing(open_store((tmp_path / "jobs").as_uri())) as store:
        assert "by looking again and again" in findings(store)[-1][1]


def test_a_store_that_takes_no_writes_is_an_error(monkeypatch):
    monkeypatch.setattr(doctor, "PATIENCE", 0.2)
    assert "error" in {level for level, _ in findings(NullStore())}


def test_a_slow_store_is_a_warning(monkeypatch):
    monkeypatch.setattr(doctor, "TRIPS", 3)
    store = FaultyStore(MemoryStore())
    store.delay = 0.06
    assert ("warning", "a read takes") in [(level, what[:12]) for level, what in findings(store)]


@pytest.mark.parametrize("level", ["ok", "warning", "error"])
def test_what_a_store_says_of_itself_comes_first(level):
    store = MemoryStore()
    store.diagnose = lambda: [Finding(level, "it said so", "do this")]
    assert next(examine(store)) == Finding(level, "it said so", "do this")

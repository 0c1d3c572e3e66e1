"""One object with all verbs."""

import threading

import pytest

import headway
from headway.client import Headway, default_url
from headway.core.errors import InvalidValue, StoreUnavailable, UnknownStore
from headway.testing import FaultyStore


def test_connecting_creates_nothing(tmp_path):
    headway.connect(f"sqlite:///{tmp_path / 'jobs.db'}").close()
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_store_is_refused_with_the_known_ones():
    with pytest.raises(UnknownStore) as caught:
        headway.connect("nowhere://x")
    assert "sqlite:///" in str(caught.value)


def test_the_environment_names_the_default_store(monkeypatch):
    monkeypatch.setenv("HEADWAY_STORE", "memory://mine")
    assert default_url() == "memory://mine"
    monkeypatch.delenv("HEADWAY_STORE")
    assert default_url().endswith("/headway/jobs.db")


def test_unknown_and_ended_are_different_answers(hw):
    with hw.job("Import") as job:
        pass
    assert hw.get("unknown") is None
    assert hw.get(job.id).status == "completed"


def test_jobs_are_found_newest_first_a_page_at_a_time(hw):
    for number in range(5):
        with hw.job(f"job {number}", scope="user/1"):
            pass
    with hw.job("other", scope="user/2"):
        pass
    first = hw.find(scope="user/1", limit=3)
    second = hw.find(scope="user/1", limit=3, cursor=first.cursor)
    assert [one.name for one in (*first, *second)] == [f"job {number}" for number in (4, 3, 2, 1, 0)]
    assert second.cursor is None
    assert len(hw.find(status="completed")) == 6
    assert len(hw.find(status=["running", "failed"])) == 0


@pytest.mark.parametrize("limit", [0, 201, -1])
def test_a_page_has_its_limits(hw, limit):
    with pytest.raises(InvalidValue):
        hw.find(limit=limit)


@pytest.mark.parametrize("id", ["", "a b", "-x", "x" * 201, "é", None, 5])
def test_every_verb_refuses_an_id_that_is_none(hw, id):
    for verb in (hw.get, hw.cancel, hw.forget):
        with pytest.raises(InvalidValue):
            verb(id)
    with pytest.raises(InvalidValue):
        hw.watch(id)
    if id is not None:
        with pytest.raises(InvalidValue):
            hw.reserve("Import", id=id)


def test_reader_verbs_say_that_the_store_is_away():
    store = FaultyStore(headway.connect("memory://").store)
    hw = Headway(store)
    store.failing = True
    calls = (
        lambda: hw.get("one"), hw.find, lambda: hw.cancel("one"), lambda: hw.reserve("Import"),
        lambda: hw.forget("one"), lambda: next(hw.watch("one")),
    )  # fmt: skip
    for call in calls:
        with pytest.raises(StoreUnavailable):
            call()
    hw.close()


@pytest.mark.asyncio
async def test_the_verbs_of_coroutines_do_the_same(hw):
    assert (await hw.areserve("Import", id="one", scope="user/1")).status == "pending"
    assert await hw.areserve("Import", id="one") is None
    assert (await hw.aget("one")).name == "Import"
    assert [one.id for one in await hw.afind(scope="user/1")] == ["one"]
    assert await hw.acancel("one")
    assert not await hw.acancel("one")


def test_a_live_job_cannot_be_forgotten(hw):
    with hw.job("Import") as job:
        assert not hw.forget(job.id)
    assert hw.forget(job.id)
    assert hw.get(job.id) is None


def test_a_reservation_leaves_a_stalled_job_to_its_successor(hw):
    assert hw.reserve("Import", id="one") is not None
    assert hw.reserve("Import", id="one") is None
    job = hw.job("Import", id="one", lease=0.2).start()
    assert hw.reserve("Import", id="one") is None
    job._publisher._reporters.clear()  # its worker dies
    import time

    time.sleep(0.3)
    assert hw.get("one").status == "stalled"
    assert hw.reserve("Import", id="one").attempt == 2


def test_threads_that_use_it_first_share_one_publisher(tmp_path, monkeypatch):
    for number in range(20):
        hw = headway.connect(f"sqlite:///{tmp_path / str(number)}")
        found, barrier = [], threading.Barrier(4)

        def use(hw=hw, found=found, barrier=barrier):
            barrier.wait()
            found.append(hw._publisher)

        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({id(one) for one in found}) == 1
        hw.close()


def test_it_can_be_used_again_after_it_was_closed(hw):
    with hw.job("first"):
        pass
    hw.close()
    with hw.job("second"):
        pass
    assert len(hw.find(status="completed")) == 2


def test_the_verbs_of_the_module_are_those_of_the_default_one(monkeypatch, tmp_path):
    assert headway.job.__self__ is headway.default
    for verb in ("track", "get", "find", "watch", "cancel", "reserve", "current", "aget"):
        assert getattr(headway, verb).__self__ is headway.default

"""Jobs within jobs, here and in other processes."""

from __future__ import annotations

import multiprocessing
import pickle
import time

import pytest
from tests.processes import eventually

import headway
from headway.client import Headway
from headway.stores.memory import MemoryStore


def measure_country(job, cities):
    with job:
        for _ in job.track(range(cities)):
            pass
    return job.id


def sell(ticket):
    part = headway.current()
    part.message(f"ticket {ticket}")
    with headway.job(f"ticket {ticket}", total=1) as job:
        job.advance()
    return part.id


def sleep_a_little(_):
    time.sleep(0.02)


def test_a_child_that_came_and_went_while_its_parent_was_told_still_counts():
    class Slow(MemoryStore):
        """While it opens the whole, that gets a child, and both end."""

        def open(self, record, over="anything", *, exclusive=False):
            if record.id == "whole":
                child = whole.child("Child").start()
                child.complete()
                whole.fail("too much")
            return super().open(record, over, exclusive=exclusive)

    hw = Headway(Slow())
    whole = hw.job("Whole", id="whole", children=2)
    whole.start()
    job = eventually(lambda: (one := hw.get("whole")) is not None and one.ended and one)
    hw.close()
    assert (job.status, job.percent, job.children.ended) == ("failed", 50, 1)


def test_a_job_begun_inside_another_is_its_child(hw):
    with hw.job("All countries", children=2) as parent:
        with hw.job("Chile", total=4) as first:
            first.advance(4)
        with hw.job("日本", total=4) as second:
            second.advance(4)
        half = hw.get(parent.id)
    assert [job.name for job in hw.find(parent=parent.id)] == ["日本", "Chile"]
    assert half.percent == 99  # all that was planned is done, and the parent has not ended
    assert hw.get(parent.id).children == headway.core.snapshot.Children(2, 2, 0)


def test_children_weigh_what_was_declared_and_the_plan_is_the_whole(hw):
    with hw.job("All", children=4) as parent:
        with parent.child("half of it", weight=2, total=10) as child:
            child.advance(10)
        assert hw.get(parent.id).percent == 50


def test_without_a_plan_the_whole_of_a_parent_is_unknown(hw):
    with hw.job("All") as parent, parent.child("one", total=2) as child:
        child.advance()
    assert hw.get(child.id).percent == 100
    with hw.job("Open end") as parent:
        with parent.child("one"):
            pass
        assert hw.get(parent.id).percent is None


def test_a_failed_child_shows_in_its_parent_and_does_not_hold_its_bar(hw):
    with hw.job("All", children=2) as parent:
        with pytest.raises(ZeroDivisionError), parent.child("one"):
            1 / 0  # noqa: B018
        snapshot = hw.get(parent.id)
    assert snapshot.children == headway.core.snapshot.Children(1, 1, 1)
    assert snapshot.percent == 50


def test_a_child_takes_over_its_parents_scope(hw):
    with hw.job("All", scope="user/3421") as parent, parent.child("one") as child:
        pass
    assert hw.get(child.id).scope == "user/3421"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_may_run_in_other_processes(hw, method):
    with hw.job("All", children=3) as parent:
        children = [parent.child(f"country {number}", total=5) for number in range(3)]
        with multiprocessing.get_context(method).Pool(2) as pool:
            ran = pool.starmap(measure_country, [(child, 5) for child in children])
        snapshot = hw.get(parent.id)
    assert ran == [child.id for child in children]
    assert snapshot.children.ended == 3
    assert snapshot.percent == 99


def test_in_a_pool_the_current_job_is_the_part_and_its_children_are_the_jobs(hw, monkeypatch):
    monkeypatch.setenv("HEADWAY_STORE", hw.store.url)
    with hw.job("Selling", total=6, children=6) as parent:
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            ids = pool.map(parent.counted(sell), range(6))
        snapshot = hw.get(parent.id)
    assert set(ids) == {parent.id}
    assert snapshot.count == 6
    assert snapshot.children.ended == 6


def test_time_left_and_rate_of_a_job_know_its_parts(hw):
    with hw.job("Shrinking", total=100) as job:
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            result = pool.map_async(job.counted(sleep_a_little), range(100), chunksize=1)
            seen = []
            while not result.ready():
                seen.append(hw.get(job.id))
                time.sleep(0.05)
        assert job.snapshot().count > 0
    assert any(one.remaining is not None and one.rate for one in seen)
    assert hw.get(job.id).count == 100


def test_a_job_that_has_not_started_pickles_as_itself(hw):
    job = hw.job("Import", id="import-7", total=3, scope="user/1")
    again = pickle.loads(pickle.dumps(job))  # noqa: S301
    with again:
        again.advance(3)
    snapshot = hw.get("import-7")
    assert (snapshot.name, snapshot.scope, snapshot.count) == ("Import", "user/1", 3)

"""F15, F16: many who end, cancel and count one job at the same moment."""

import multiprocessing
import random
from contextlib import closing

import pytest
from msgspec.structs import replace
from tests.faults.scene import on
from tests.testing.hammer import hammer

from headway.core.snapshot import Part, Snapshot
from headway.stores import open_store
from headway.testing import History

nightly = pytest.mark.nightly


def at_once(function, arguments):
    """What so many processes return that begin at the same moment."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])
    with processes.Manager() as manager, processes.Pool(len(arguments)) as pool:
        barrier = manager.Barrier(len(arguments))
        return pool.starmap(function, [(barrier, *one) for one in arguments], chunksize=1)


def end_all(barrier, url, way, jobs):
    """End each job in one way; what was asked and answered."""
    history = History()
    with closing(open_store(url)) as real:
        store = history.watch(real, way)
        for number in range(jobs):
            id = f"job-{number}"
            if number % 10 == 0:
                real.read([id])  # now it has its connection
                barrier.wait()
            if way.startswith("worker"):
                status = way.split()[1]
                store.write([Snapshot(id=id, run="a", attempt=1, step=1, status=status)])
            elif way.startswith("cancel"):
                store.request_cancel(id)
            else:
                store.end(id, 1, way.split()[1])
            store.read([id])
    return history.dump()


WAYS = ["worker completed", "worker failed", "queue completed", "queue failed", "cancel 1", "cancel 2"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("jobs", [60, pytest.param(1000, marks=nightly)])
def test_f15_however_many_end_it_at_once_a_job_has_one_end_and_all_agree(address, jobs):
    history = History()
    with closing(open_store(address)) as real:
        store = history.watch(real, "opener")
        for number in range(jobs):  # silent for longer than its lease: then a request to stop is an end
            store.open(Snapshot(id=f"job-{number}", run="a", status="running", lease=0.001))
        told = at_once(end_all, [(address, way, jobs) for way in WAYS])
        history = History.merged([history, *map(History.load, told)])
        store = history.watch(real, "reader")
        found = [store.read([f"job-{number}"])[f"job-{number}"] for number in range(jobs)]
    ends = [event for event in history.events if event.outcome == "applied" and event.ended]
    assert len(ends) == jobs
    assert all(job.ended for job in found)
    assert len({event.status for event in ends}) > 1
    history.check()


@on("redis", "postgres", "files")
def test_f15_whatever_is_done_at_once_everybody_is_told_the_truth(address):
    hammer(address).check()


def count(barrier, url, who, most):
    """Count to so many, in reports of which some come twice and some in the wrong order."""
    chance = random.Random(who)
    counts = [*range(0, most, 50), most]
    for place in range(len(counts) - 1):
        if chance.random() < 0.1:
            counts[place], counts[place + 1] = counts[place + 1], counts[place]
    with closing(open_store(url)) as store:
        barrier.wait()
        for number in counts:
            part = Part("job", 1, who, step=number, count=number)
            repeated = [part] * (1 + (chance.random() < 0.1))
            store.write([], [*repeated, replace(part, key=f"{who} too", stage="Crunch")])


@pytest.mark.timeout(600)
@pytest.mark.parametrize("most", [2_000, pytest.param(10_000, marks=nightly)])
def test_f16_many_who_count_add_up_exactly_however_their_reports_arrive(address, most):
    hands = [f"hand {number}" for number in range(8)]
    with closing(open_store(address)) as store:
        store.open(Snapshot(id="job", run="a", status="running", lease=600))
        at_once(count, [(address, hand, most) for hand in hands])
        job = store.read(["job"])["job"]
    assert job.count == 8 * most
    assert job.totals.counts == {None: 8 * most, "Crunch": 8 * most}

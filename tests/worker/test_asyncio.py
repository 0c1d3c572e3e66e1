"""In an event loop: nothing of ours blocks it, and the current job follows the tasks."""

# ruff: noqa: ASYNC110, PERF401, PT012, S301 - a store in another thread is asked again and again; loops raise; we unpickle what we pickled

import asyncio
import pickle
import threading
import time

import pytest
from tests.processes import eventually, run

import headway
from headway.core.errors import AlreadyRunning

pytestmark = pytest.mark.asyncio


async def numbers(until):
    for number in range(until):
        yield number
        await asyncio.sleep(0)


class Pulse:
    """The longest time for which the event loop did nothing else, beyond what a thread beside it did not.

    What keeps both from going on is the machine.
    """

    async def __aenter__(self):
        self._gaps = {"loop": 0.0, "thread": 0.0}
        self._task, self._over = asyncio.create_task(self._beat()), threading.Event()
        threading.Thread(target=self._beat_beside, daemon=True).start()
        await asyncio.sleep(0.01)
        return self

    async def __aexit__(self, *error):
        await asyncio.sleep(0.01)
        self._over.set()
        self._task.cancel()

    @property
    def longest(self):
        return self._gaps["loop"] - self._gaps["thread"]

    async def _beat(self):
        before = time.monotonic()
        while True:
            await asyncio.sleep(0.001)
            before = self._noted("loop", before)

    def _beat_beside(self):
        before = time.monotonic()
        while not self._over.wait(0.001):
            before = self._noted("thread", before)

    def _noted(self, who, before):
        now = time.monotonic()
        self._gaps[who] = max(self._gaps[who], now - before)
        return now


async def test_a_block_ends_when_its_end_has_arrived(hw):
    async with hw.job("Import", total=3) as job:
        job.advance(3)
    assert (await hw.aget(job.id)).status == "completed"


async def test_an_asynchronous_loop_is_a_job(hw):
    assert [number async for number in hw.track(numbers(5), "Rows", id="one", total=5)] == list(range(5))
    end = eventually(lambda: (found := hw.get("one")).ended and found)
    assert (end.status, end.count, end.percent) == ("completed", 5, 100)


class Both:
    """What both loops go over, as the results of a library that knows both worlds."""

    def __iter__(self):
        return iter(range(3))

    def __aiter__(self):
        return numbers(3)


async def test_what_is_gone_over_either_way_is_gone_over_as_we_run(hw):
    assert [number async for number in hw.track(Both(), "Here", id="here")] == [0, 1, 2]
    await asyncio.to_thread(lambda: list(hw.track(Both(), "In a thread", id="thread", total=3)))
    assert [hw.get(id).count for id in ("here", "thread")] == [3, 3]


async def test_an_asynchronous_loop_that_is_left_has_stopped(hw):
    async for number in hw.track(numbers(5), "Rows", id="one"):
        if number == 3:
            break
    assert eventually(lambda: hw.get("one").status == "stopped")
    assert hw.get("one").count == 3


async def test_an_asynchronous_loop_hears_a_request_to_stop(hw):
    with pytest.raises(headway.Cancelled):
        async for number in hw.track(numbers(10**9), "Rows", id="one"):
            if number == 1:
                await hw.acancel("one")
    assert eventually(lambda: hw.get("one").status == "cancelled")


async def test_an_asynchronous_loop_over_a_cancelled_reservation_never_runs(hw):
    await hw.areserve("Rows", id="one")
    assert await hw.acancel("one")
    ran = []
    with pytest.raises(headway.Cancelled):
        async for number in hw.track(numbers(5), "Rows", id="one"):
            ran.append(number)
    assert ran == []
    assert hw.get("one").status == "cancelled"


async def test_an_exclusive_asynchronous_loop_refuses_while_another_lives(hw):
    async with hw.job("Import", id="one"):
        pass
    other = hw.job("Import", id="one").start()
    eventually(lambda: other.attempt)
    ran = []

    async def outside():
        async for number in hw.track(numbers(5), "Rows", id="one", exclusive=True):
            ran.append(number)

    with pytest.raises(AlreadyRunning):
        await outside()
    assert ran == []
    other.complete()


async def test_a_task_that_is_cancelled_has_stopped(hw):
    async def work():
        async with hw.job("Import", id="one"):
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    while not await hw.aget("one"):
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await hw.aget("one")).status == "stopped"


async def test_a_task_that_is_cancelled_while_its_job_opens_has_stopped(faulty, shaky):
    faulty.delay = 0.3

    async def work():
        async with shaky.job("Import", id="one"):
            raise AssertionError

    task = asyncio.create_task(work())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    faulty.delay = 0
    while not (found := await shaky.aget("one")) or not found.ended:
        await asyncio.sleep(0.01)
    assert found.status == "stopped"


async def gathered(counted, rows):
    return await asyncio.gather(*map(counted, rows))


async def as_they_complete(counted, rows):
    return [await done for done in asyncio.as_completed(map(counted, rows))]


async def in_a_group(counted, rows):
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(counted(row)) for row in rows]
    return [task.result() for task in tasks]


@pytest.mark.parametrize("way", [gathered, as_they_complete, in_a_group])
async def test_a_coroutine_counts_when_it_is_done_and_not_when_it_is_made(hw, way):
    go_on = asyncio.Event()

    async def fetch(number):
        assert headway.current().id == job.id
        if number:
            await go_on.wait()
        return number

    async with hw.job("Fetching", total=5) as job:
        work = asyncio.create_task(way(job.counted(fetch), range(5)))
        while not job.count and not work.done():
            await asyncio.sleep(0.001)
        assert job.count == 1
        go_on.set()
        assert sorted(await work) == [0, 1, 2, 3, 4]
        assert job.count == 5
    assert (await hw.aget(job.id)).count == 5


async def test_a_coroutine_that_fails_is_not_counted_and_one_after_a_cancel_does_not_begin(hw):
    async def fail():
        raise ZeroDivisionError

    with pytest.raises(headway.Cancelled):
        async with hw.job("Fetching", total=2) as job:
            with pytest.raises(ZeroDivisionError):
                await job.counted(fail)()
            assert job.count == 0
            await hw.acancel(job.id)
            while not job.cancel_requested:
                await asyncio.sleep(0.01)
            await job.counted(fail)()


async def test_a_part_counts_coroutines_as_well(hw):
    async with hw.job("Fetching", total=2) as job:
        part = pickle.loads(pickle.dumps(job))
        await asyncio.gather(*[part.counted(asyncio.sleep)(0) for _ in range(2)])
        assert (await hw.aget(job.id)).count == 2


async def test_the_current_job_follows_the_tasks(hw):
    async def work(name):
        async with hw.job(name) as job:
            for _ in range(5):
                await asyncio.sleep(0)
                assert hw.current() is job
            await asyncio.gather(*(child(job) for _ in range(2)))

    async def child(parent):
        assert hw.current() is parent
        async with hw.job("child") as job:
            await asyncio.sleep(0)
            assert hw.current() is job
            assert job._parent is parent

    await asyncio.gather(*(work(f"job {number}") for number in range(5)))
    assert not hw.current().started


@pytest.mark.parametrize("fault", ["hanging", "failing", "slow"])
async def test_the_event_loop_is_never_blocked_whatever_the_store_does(faulty, shaky, fault):
    faulty.patience = 60
    if fault == "slow":
        faulty.delay = 0.4
    else:
        setattr(faulty, fault, True)
    async with Pulse() as pulse:
        began = time.monotonic()
        async with shaky.job("Import") as job:
            for _ in range(1000):
                job.advance()
            with shaky.job("inner") as inner:
                inner.message("hello")
            for _ in shaky.track(range(10), "sync"):
                pass
            async for _ in shaky.track(numbers(10), "async"):
                pass
        job.complete()
        shaky.job("started").start().fail("x")
        assert time.monotonic() - began < 4.6
    assert pulse.longest < 0.3  # a slow store's answer takes longer
    faulty.hanging = faulty.failing = False
    faulty.delay = 0
    while not (found := await shaky.aget(job.id)) or not found.ended:
        await asyncio.sleep(0.01)
    assert found.status == "completed"


async def test_what_ends_with_the_event_loop_is_delivered_at_exit(hw, url):
    code, _, errors = run("""
    import asyncio
    async def numbers():
        for number in range(5):
            yield number
    async def main():
        async for _ in hw.track(numbers(), "Rows", id="track"):
            pass
        with hw.job("Import", id="job"):
            pass
    asyncio.run(main())
    """, url)  # fmt: skip
    assert (code, errors) == (0, "")
    assert [hw.get(id).status for id in ("track", "job")] == ["completed"] * 2


async def test_a_child_that_ends_just_before_its_parent_still_counts(hw):
    """Nothing waits in a running loop, so both ends may go out at once."""
    for number in range(5):
        with (
            pytest.raises(ValueError, match="too much"),
            hw.job("Whole", id=f"whole-{number}", children=2),
        ):
            with hw.job("Child"):
                pass
            raise ValueError("too much")
        while (found := await hw.aget(f"whole-{number}")) is None or not found.ended:
            await asyncio.sleep(0.01)
        assert (found.status, found.percent, found.children.ended) == ("failed", 50, 1)

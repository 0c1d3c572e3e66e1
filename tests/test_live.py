"""Many watchers on one listener."""

import asyncio
import gc
import threading
import time

import pytest
from tests.processes import eventually, start

import headway
from headway.client import Headway
from headway.core.errors import JobNotFound, StoreUnavailable
from headway.stores import open_store
from headway.testing import FaultyStore


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'jobs.db'}"
    return FaultyStore(open_store(url))


@pytest.fixture
def hw(store):
    made = Headway(store)
    yield made
    store.failing = store.hanging = False
    made.close()


def watcher(*arguments, take=list, **options):
    """A thread that watches; what it saw is in ``seen``, what it raised in ``errors``."""

    def run():
        try:
            thread.seen = take(arguments[0].watch(*arguments[1:], **options))
        except Exception as error:  # noqa: BLE001 - the test looks at it
            thread.errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.seen, thread.errors = None, []
    thread.start()
    return thread


def ended(thread, seconds=10):
    thread.join(seconds)
    assert not thread.is_alive()
    assert thread.errors == []
    return thread.seen


def test_a_watch_shows_the_state_now_and_every_change_until_the_end(hw):
    job = hw.job("Import", total=4).start()
    watch = hw.watch(job.id)
    assert next(watch).count == 0
    job.advance(2)
    while next(watch).count != 2:
        pass
    job.complete(result=5)
    last = list(watch)[-1]
    assert (last.status, last.percent, last.result) == ("completed", 100, 5)


def test_an_ended_job_is_shown_once(hw):
    with hw.job("Import") as job:
        pass
    assert [one.status for one in hw.watch(job.id)] == ["completed"]


def test_a_job_that_is_not_known_yet_is_waited_for(hw):
    thread = watcher(hw, "later")
    time.sleep(0.3)
    with hw.job("Import", id="later"):
        pass
    assert ended(thread)[-1].status == "completed"


def test_a_job_that_does_not_appear_in_time_is_not_found(hw):
    began = time.monotonic()
    with pytest.raises(JobNotFound) as caught:
        list(hw.watch("never", timeout=0.3))
    assert caught.value.id == "never"
    assert 0.3 <= time.monotonic() - began < 2


def test_a_record_that_is_gone_is_not_found(hw, monkeypatch):
    monkeypatch.setattr("headway.live.SWEEP", 0.2)
    hw.reserve("Import", id="one")
    thread = watcher(hw, "one")
    eventually(lambda: hw._hub and hw._hub._ids)
    hw.cancel("one")
    assert ended(thread)[-1].status == "cancelled"
    hw.reserve("Import", id="two")
    thread = watcher(hw, "two")
    eventually(lambda: "two" in hw._hub._ids)
    with hw.store.store._transaction() as kept:  # dropped as past its retention
        kept.drop("two")
    thread.join(10)
    assert isinstance(thread.errors[0], JobNotFound)


def test_many_watchers_share_one_listener_and_one_read_of_each_change(hw, store):
    listened, listen = [], store.listen
    store.listen = lambda: listened.append(True) or listen()
    job = hw.job("Import", total=10).start()
    threads = [watcher(hw, job.id) for _ in range(50)]
    eventually(lambda: hw._hub and len(hw._hub._watches) == 50)
    time.sleep(0.3)
    before = store.calls.count("read")
    job.advance(5)
    time.sleep(0.8)
    assert store.calls.count("read") - before <= 3
    job.complete()
    assert all(ended(thread)[-1].status == "completed" for thread in threads)
    assert len(listened) == 1


def test_several_jobs_are_watched_until_the_last_has_ended(hw):
    first, second = hw.job("first").start(), hw.job("second").start()
    thread = watcher(hw, first.id, second.id)
    eventually(lambda: hw._hub and hw._hub._ids)
    first.complete()
    time.sleep(0.3)
    assert thread.is_alive()
    second.fail("x")
    ends = {one.id: one.status for one in ended(thread)}
    assert ends == {first.id: "completed", second.id: "failed"}


def test_a_scope_shows_what_there_is_and_what_is_new(hw):
    with hw.job("old", scope="user/1"):
        pass
    watch = hw.watch(scope="user/1")
    assert next(watch).name == "old"
    with hw.job("other", scope="user/2"), hw.job("new", scope="user/1"):
        pass
    seen = [next(watch)]
    while seen[-1].status != "completed":
        seen.append(next(watch))
    assert {one.name for one in seen} == {"new"}
    watch.close()


def test_a_job_that_appears_just_as_a_scope_is_subscribed_to_is_not_missed(hw):
    for number in range(10):
        watch = hw.watch(scope=f"user/{number}", timeout=5)
        watch._begin(watch._first())
        hw.reserve("new", scope=f"user/{number}")  # it will not change any more
        began = time.monotonic()
        assert next(watch).status == "pending"
        assert time.monotonic() - began < 2
        watch.close()


def test_everything_can_be_watched(hw):
    watch = hw.watch(everything=True)
    thread = threading.Thread(target=lambda: hw.job("Import", id="one").start().complete())
    watch._begin(watch._first())
    thread.start()
    assert eventually(lambda: next(watch)).id == "one"
    thread.join()
    watch.close()


def test_a_slow_watcher_skips_to_the_newest_state_and_to_the_end(hw):
    job = hw.job("Import", total=10**6).start()
    watch = hw.watch(job.id)
    next(watch)
    for _ in range(4):
        job.advance(10)
        time.sleep(0.55)
    assert next(watch).count >= 30
    job.complete()
    time.sleep(0.4)
    rest = list(watch)
    assert [one.status for one in rest] == ["completed"]


def test_leaving_the_loop_lets_the_listener_go(hw):
    job = hw.job("Import").start()
    for _ in hw.watch(job.id):
        break
    gc.collect()
    hub = hw._hub
    eventually(lambda: not hub._watches)
    eventually(lambda: not hub._running)
    job.complete()


@pytest.mark.asyncio
async def test_leaving_an_asynchronous_loop_lets_the_listener_go(hw):
    gc.disable()  # nothing of it may lie in a cycle
    try:
        async with hw.job("Import") as job:
            async for _ in hw.watch(job.id):
                break
            hub = hw._hub
            eventually(lambda: not hub._watches)
    finally:
        gc.enable()


@pytest.mark.asyncio
async def test_watching_never_blocks_the_event_loop(hw):
    gaps, before, done = [0.0], [time.monotonic()], asyncio.Event()

    async def pulse():
        while not done.is_set():
            await asyncio.sleep(0.005)
            now = time.monotonic()
            gaps[0], before[0] = max(gaps[0], now - before[0]), now

    beat = asyncio.create_task(pulse())
    async with hw.job("Import", total=3) as job:

        async def work():
            for _ in range(3):
                await asyncio.sleep(0.2)
                job.advance()
            job.complete()

        working = asyncio.create_task(work())
        seen = [one.status async for one in hw.watch(job.id)]
        await working
    done.set()
    await beat
    assert seen[-1] == "completed"
    assert gaps[0] < 0.25


def test_a_worker_that_falls_silent_is_noticed_and_so_is_its_return(tmp_path):
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    hw = headway.connect(url)
    process = start("""
    with hw.job("Import", id="one", lease=1) as job:
        sys.stdin.read()
    """, url, stdin=-1)  # fmt: skip
    eventually(lambda: hw.get("one"))
    import signal

    seen = []
    thread = threading.Thread(target=lambda: seen.extend(one.status for one in hw.watch("one")), daemon=True)
    thread.start()
    eventually(lambda: seen)
    process.send_signal(signal.SIGSTOP)
    eventually(lambda: seen[-1] == "stalled", 3)
    process.send_signal(signal.SIGCONT)
    eventually(lambda: seen[-1] == "running", 3)
    process.stdin.close()
    eventually(lambda: seen[-1] == "completed", 3)
    process.wait(10)
    process.stdout.close()
    process.stderr.close()
    thread.join(5)
    hw.close()


def test_a_store_that_is_away_in_the_middle_costs_latency_never_truth(hw, store):
    job = hw.job("Import", total=3).start()
    thread = watcher(hw, job.id)
    eventually(lambda: hw._hub and hw._hub._ids)
    store.failing = True
    job.advance()
    time.sleep(0.7)
    store.failing = False
    eventually(lambda: hw.get(job.id).count == 1)
    job.complete()
    assert ended(thread)[-1].status == "completed"


def test_a_store_that_is_away_when_a_watch_begins_is_said_so(hw, store):
    store.failing = True
    with pytest.raises(StoreUnavailable):
        next(hw.watch("one"))


def test_closing_lets_all_watchers_go(hw):
    job = hw.job("Import").start()
    thread = watcher(hw, job.id)
    eventually(lambda: hw._hub and hw._hub._watches)
    hw.close()
    assert ended(thread)[0].status == "running"


def test_a_job_that_begins_and_ends_just_as_a_watch_begins_is_not_missed(hw):
    for watched in ({"everything": True}, {"scope": "user/1"}):
        before = hw.job("before", scope="user/1").start()
        watch = hw.watch(**watched)
        watch._begin(watch._first())
        before.complete()
        with hw.job("meanwhile", scope="user/1"):
            pass
        ends = set()
        while len(ends) < 2:
            one = next(watch)
            if one.ended:
                ends.add(one.name)
        assert ends == {"before", "meanwhile"}
        watch.close()


def test_a_second_watcher_misses_nothing_that_happened_as_it_joined(hw):
    job = hw.job("Import").start()
    first, second = hw.watch(job.id), hw.watch(job.id)
    next(first)
    found = second._first()
    eventually(lambda: hw._hub and job.id in hw._hub._ids)
    job.complete()
    assert [one.status for one in first][-1] == "completed"
    began = time.monotonic()
    second._begin(found)
    assert [one.status for one in second][-1] == "completed"
    assert time.monotonic() - began < 2


def test_what_had_ended_before_is_no_news_to_a_watcher_of_everything(hw):
    with hw.job("long ago"):
        pass
    job = hw.job("Import").start()
    watch = hw.watch(everything=True)
    assert next(watch).name == "Import"
    job.complete()
    assert next(watch).name == "Import"
    watch.close()


def test_a_watcher_of_everything_remembers_a_bounded_number_of_jobs(hw, monkeypatch):
    monkeypatch.setattr("headway.live.KEPT", 5)
    watch = hw.watch(everything=True)
    watch._begin(watch._first())
    for number in range(20):
        with hw.job("Import", id=f"job{number}"):
            pass
    ends = set()
    while len(ends) < 20:
        one = next(watch)
        if one.ended:
            ends.add(one.id)
    assert len(watch._shown) <= 5
    assert watch.unended() == []
    watch.close()

"""The promises of design.md, section 4: each has a test of its name, in real processes on a real database.

Each is told once here, in its plainest form; its corners are tested beside the room that keeps it.

1, 2: worker/test_faults.py, worker/test_publisher.py, worker/test_loop.py · 3: worker/test_ends.py ·
4: worker/test_forks.py, worker/test_asyncio.py, worker/test_gevent.py · 5, 6: worker/test_job.py, stores ·
7: worker/test_cancel.py · 8: test_live.py · 9: worker/test_parts.py · 10: core, stores · 11–13: core, stores
"""

import sqlite3
import sys
import threading
import time

import msgspec
import pytest
from tests.processes import eventually, run, start

import headway
from headway.core import snapshot as limits
from headway.core.errors import InvalidValue


def test_promise_1_reporting_never_breaks_the_job(url, tmp_path):
    (tmp_path / "jobs.db").mkdir()  # nothing can be stored there
    code, out, errors = run("""
    import logging
    logging.basicConfig(format="%(levelname)s")
    with hw.job("Import", total=10**6) as job:
        for _ in job.track(range(10**6)):
            pass
        job.message("still here")
    for _ in range(100):
        with hw.job("short"):
            pass
    print(job.count, hw.dropped_writes > 0)
    os.rmdir(sys.argv[1][10:])
    """, url)  # fmt: skip
    assert (code, out.split(), errors.split()) == (0, ["1000000", "True"], ["WARNING"])
    assert len(headway.connect(url).find(status="completed", limit=200)) == 101


def test_promise_2_reporting_never_slows_the_job(hw):
    """No step does anything but count: no lock, no clock, no call of ours."""
    with hw.job("Import") as job:
        calls = []
        sys.setprofile(lambda _, event, what: calls.append((event, getattr(what, "__name__", None))))
        try:
            job.advance()
        finally:
            sys.setprofile(None)
    assert [event for event in calls if event[0] == "c_call"] == [("c_call", "setprofile")]
    assert [event for event, _ in calls].count("call") == 1


def test_promise_3_the_last_state_always_arrives(hw, url):
    run("""
    with hw.job("Import", id="one", total=5) as job:
        job.advance(5)
    os._exit(0)
    """, url)  # fmt: skip
    assert (hw.get("one").status, hw.get("one").count) == ("completed", 5)


def test_promise_4_safe_after_fork_and_in_threads(hw, url):
    code, _, errors = run("""
    with hw.job("Import", id="one") as job:
        def count():
            for _ in range(1000):
                job.advance()
        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        pid = os.fork()
        if pid == 0:
            with hw.job("child", id="two"):
                pass
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        for thread in threads:
            thread.join()
    """, url)  # fmt: skip
    assert (code, errors) == (0, "")
    assert hw.get("one").count == 4000
    assert hw.get("two").status == "completed"


def test_promise_4_a_seeded_program_draws_the_numbers_that_it_draws_without_us(url):
    if "+cluster" in url:
        pytest.skip("redis-py itself draws which server of a Cluster it asks first")
    code, _, errors = run("""
    import random
    random.seed(7)
    numbers = random.getstate()
    with hw.job("Import", id="one", total=20) as job:
        for _ in job.track(range(20)):
            with hw.job("short"):
                time.sleep(0.05)
    assert hw.find() and hw.get("one").status == "completed"
    hw._publisher._sweep_at = 0.0
    with hw.job("next"):
        time.sleep(1)
    hw.store.sweep()
    assert random.getstate() == numbers
    """, url)  # fmt: skip
    assert (code, errors) == (0, "")


def test_promise_5_exactly_one_end_per_attempt(hw, url):
    """Six processes end one attempt at once: one wins, and the record says the same to all."""
    job = hw.job("Import", id="one").start()
    script = """
    while time.time() < float(sys.argv[3]):
        pass
    answer = hw.store.end("one", 1, sys.argv[2])
    print(answer.outcome)
    """
    at = time.time() + 1.5
    ways = ["completed", "failed", "stopped"] * 2
    processes = [start(script, url, way, at) for way in ways]
    outcomes = [process.communicate(timeout=30)[0].strip() for process in processes]
    assert outcomes.count("applied") == 1
    winner = ways[outcomes.index("applied")]
    assert hw.get("one").status == winner
    job.complete()
    assert hw.get("one").status == winner


def test_promise_6_never_backwards_and_a_superseded_worker_falls_silent(hw, url):
    process = start("""
    with hw.job("Import", id="one", total=100) as job:
        job.advance(90)
        print("told", flush=True)
        while not job._entry.over:
            job.advance(0)
            time.sleep(0.01)
        job.advance(5)
        job.fail("from the first")
    """, url)  # fmt: skip
    assert process.stdout.readline() == "told\n"
    with hw.job("Import", id="one", total=100) as job:
        job.advance(10)
        process.communicate(timeout=20)
        seen = eventually(lambda: (found := hw.get("one")).count == 10 and found)
        assert (seen.attempt, seen.status) == (2, "running")
    assert (hw.get("one").status, hw.get("one").attempt) == ("completed", 2)


def test_promise_7_a_cancel_is_never_lost(hw, url):
    """However often the worker writes meanwhile."""
    process = start("""
    try:
        with hw.job("Import", id="one") as job:
            while True:
                job.message("busy")
                job._entry.change()
                job.checkpoint()
                time.sleep(0.001)
    except headway.Cancelled:
        print("heard")
    """, url)  # fmt: skip
    eventually(lambda: hw.get("one"))
    assert hw.cancel("one")
    out, _ = process.communicate(timeout=10)
    assert out.strip() == "heard"
    assert (hw.get("one").status, hw.get("one").cancel) == ("cancelled", "seen")


def test_promise_8_a_dead_worker_shows(hw, url):
    process = start("job = hw.job('Import', id='one', lease=1).start(); time.sleep(60)", url)
    eventually(lambda: hw.get("one"))
    process.kill()
    process.communicate(timeout=10)
    seen = eventually(lambda: (found := hw.get("one")).status == "stalled" and found, 3)
    assert seen.silent_for >= 1


def test_promise_9_fan_out_adds_up_exactly(hw):
    from multiprocessing import get_context

    with hw.job("Import", total=100) as job:
        with get_context("fork").Pool(4) as pool:
            pool.map(job.counted(abs), range(100))
        assert hw.get(job.id).count == 100


def test_promise_10_a_hundred_percent_means_done(hw):
    assert hw.get("unknown") is None
    with hw.job("good", total=3) as good:
        good.advance(3)
        assert good.snapshot().percent == 99
    assert hw.get(good.id).percent == 100
    with hw.job("bad", total=3) as bad:
        bad.advance(3)
        bad.fail("broken")
    assert (hw.get(bad.id).status, hw.get(bad.id).percent) == ("failed", 99)


def test_promise_11_a_live_workers_record_does_not_expire(hw):
    with hw.job("Import", lease=0.4, retention=0.2) as job:
        for _ in range(4):
            time.sleep(0.3)
            hw.store.sweep()
            assert hw.get(job.id).status == "running"
    with hw.job("Import", id="kept", retention=3600):
        first = hw.get("kept").expires_at
    with hw.job("Import", id="kept", retention=0.2):
        pass
    assert hw.get("kept").expires_at >= first


def test_promise_12_old_readers_read_new_records_and_do_not_rewrite_them(hw, url, tmp_path):
    with hw.job("Import", id="one", total=4) as job:
        job.advance(2)
    hw.store.close()
    database = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)
    facts = msgspec.json.decode(database.execute("SELECT facts FROM job").fetchone()[0])
    newer = msgspec.json.encode(facts | {"format": 2, "colour": "red"}).decode()
    database.execute("UPDATE job SET facts = ?, status = 'paused', ended_at = NULL", (newer,))
    seen = hw.get("one", details=True)
    assert (seen.count, seen.total, seen.name) == (2, 4, "Import")
    assert seen.status in {"running", "stalled"}
    assert next(hw.watch("one")).count == 2
    assert database.execute("SELECT facts, status FROM job").fetchone() == (newer, "paused")
    database.close()


def test_promise_13_everything_is_bounded(hw):
    with hw.job("x" * 10_000, unit="u" * 100) as job:
        job.activity = "\x1b[31m" + "a" * 10_000_000
        job.message("m" * 10_000_000)
        for number in range(200):
            job.message(f"line {number}")
        with pytest.raises(InvalidValue):
            job.meta = "x" * 70_000
        with pytest.raises(InvalidValue):
            job.complete(result=["x" * 1000] * 100)
        job.complete(result="small")
    seen = hw.get(job.id, details=True)
    assert (len(seen.name), seen.name[-1]) == (limits.NAME, "…")
    assert len(seen.activity) == limits.ACTIVITY
    assert "\x1b" not in seen.activity
    assert (len(seen.messages), seen.message_count) == (limits.MESSAGES, 201)
    assert seen.result == "small"


def test_no_thread_of_ours_is_left_behind(url):
    before = threading.active_count()
    hw = headway.connect(url)
    with hw.job("Import"):
        pass
    hw.close()
    assert threading.active_count() == before

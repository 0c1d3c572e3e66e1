"""Fan-out: others count for a job, and it adds up exactly."""

# ruff: noqa: PT012, S301, SIM117 - what is told to raise is a block; we unpickle what we pickled

import multiprocessing
import pickle
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from multiprocessing.pool import ThreadPool

import pytest
from tests.processes import eventually

import headway
from headway.worker.hand import PartReport, hand
from headway.worker.publisher import Publisher

ROWS = 60


def double(number):
    return number * 2


def slow(number):
    time.sleep(0.02)
    return number


def tracked(job, rows):
    with job:
        for _ in job.track(rows):
            pass


def inner(number):
    for _ in headway.track(range(5), "inner"):
        pass
    for _ in headway.track(range(5)):
        pass
    headway.current().message(f"row {number}", level="debug")
    return headway.current().id


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_the_calls_of_a_process_pool_are_counted(hw, method):
    with hw.job("Import", total=ROWS) as job:
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map(job.counted(double), range(ROWS)) == [number * 2 for number in range(ROWS)]
        seen = hw.get(job.id)
        assert (seen.count, seen.percent) == (ROWS, 99)
    assert (hw.get(job.id).count, hw.get(job.id).status) == (ROWS, "completed")


def test_the_calls_of_an_executor_are_counted(hw):
    context = multiprocessing.get_context("fork")
    with hw.job("Import", total=ROWS) as job, ProcessPoolExecutor(2, mp_context=context) as pool:
        assert list(pool.map(job.counted(double), range(ROWS))) == [number * 2 for number in range(ROWS)]
        assert hw.get(job.id).count == ROWS


@pytest.mark.parametrize("pool", [ThreadPool, ThreadPoolExecutor])
def test_the_calls_of_threads_are_counted(hw, pool):
    with hw.job("Import", total=ROWS) as job, pool(4) as threads:
        assert list(threads.map(job.counted(double), range(ROWS))) == [number * 2 for number in range(ROWS)]
        assert job.count == ROWS


@pytest.mark.parametrize("pool", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_a_loop_over_what_completes_counts_as_it_completes(hw, pool):
    with hw.job("Import", total=ROWS) as job, pool(2) as workers:
        futures = [workers.submit(double, number) for number in range(ROWS)]
        done = {future.result() for future in job.track(as_completed(futures))}
    assert done == {number * 2 for number in range(ROWS)}
    assert hw.get(job.id).count == ROWS


@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "threading"])
def test_the_calls_of_joblib_are_counted(hw, backend):
    joblib = pytest.importorskip("joblib")
    with hw.job("Import", total=ROWS) as job:
        work = joblib.delayed(job.counted(double))
        assert joblib.Parallel(2, backend=backend)(work(n) for n in range(ROWS)) == [
            double(n) for n in range(ROWS)
        ]
    assert hw.get(job.id).count == ROWS


def test_the_calls_may_count_for_a_stage(hw):
    with hw.job("Import", stages={"Crunch": 1}) as job, job.stage("Crunch", total=ROWS) as stage:
        with multiprocessing.get_context("fork").Pool(2) as pool:
            pool.map(stage.counted(double), range(ROWS))
        assert hw.get(job.id).stages[0].count == ROWS
        assert eventually(lambda: hw.get(job.id).percent) == 99


def test_a_job_may_be_passed_on_and_count_loops_elsewhere(hw):
    with hw.job("Import", total=ROWS) as job:
        workers = [
            multiprocessing.get_context("spawn").Process(target=tracked, args=(job, list(range(ROWS // 2))))
            for _ in range(2)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert hw.get(job.id).count == ROWS


def test_what_a_call_tracks_itself_does_not_miscount_the_job(hw):
    with hw.job("Import", total=10) as job:
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert set(pool.map(job.counted(inner), range(10))) == {job.id}
        assert hw.get(job.id).count == 10


def test_an_exception_in_a_call_goes_through_and_is_not_counted(hw):
    with hw.job("Import", total=3) as job:
        with multiprocessing.get_context("fork").Pool(1) as pool, pytest.raises(TypeError):
            pool.map(job.counted(double), [1, None, 2], chunksize=1)
        job.complete()
    assert hw.get(job.id).count <= 2


def test_a_request_to_stop_reaches_the_pool(hw):
    with pytest.raises(headway.Cancelled), hw.job("Import", total=1000) as job:
        with multiprocessing.get_context("fork").Pool(2) as pool:
            result = pool.map_async(job.counted(slow), range(1000), chunksize=1)
            eventually(lambda: hw.get(job.id).count)
            assert hw.cancel(job.id)
            result.get(10)
    assert hw.get(job.id).status == "cancelled"


def test_counting_twice_over_changes_nothing(hw):
    """A part's report is absolute: a resend cannot miscount."""
    with hw.job("Import", total=10) as job:
        hand = pickle.loads(pickle.dumps(job))
        hand.advance(4)
        hand.flush()
        assert hw.get(job.id).count == 4
        hand._report.urgent = True
        hand._report._told = -1
        hand.flush()
        assert hw.get(job.id).count == 4


def test_parts_count_again_in_a_store_that_was_emptied(hw, monkeypatch):
    monkeypatch.setattr("headway.worker.hand.HEARTBEAT", 0.5)
    with hw.job("Import", total=10) as job:
        hand = pickle.loads(pickle.dumps(job))
        hand.advance(4)
        hand.flush()
        with hw.store._transaction() as kept:
            kept.drop(job.id)
        eventually(lambda: (found := hw.get(job.id)) and found.count == 4, 5)


def test_a_part_of_a_job_that_has_ended_falls_silent(hw):
    with hw.job("Import", total=10) as job:
        hand = pickle.loads(pickle.dumps(job))
        hand.advance(4)
        hand.flush()
    hand.advance(3)
    hand.flush()
    eventually(lambda: hand._report.over)
    began = time.monotonic()
    hand.advance(3)
    hand.flush()
    assert time.monotonic() - began < 0.1
    assert hw.get(job.id).count == 4


def test_parts_of_an_earlier_attempt_do_not_count(hw):
    job = hw.job("Import", id="one", total=10).start()
    hand = pickle.loads(pickle.dumps(job))
    hand.advance(4)
    hand.flush()
    with hw.job("Import", id="one", total=10) as second:
        second.advance(1)
        hand.advance(2)
        hand.flush()
    assert (hw.get("one").attempt, hw.get("one").count) == (2, 1)


def test_a_part_that_nobody_can_reach_does_not_break_the_work(caplog):
    from headway.worker.hand import hand

    lost = hand(("nowhere://", "one", 1, None))
    with lost:
        lost.advance(3)
        assert list(lost.track([1, 2])) == [1, 2]
    assert "cannot be reported" in caplog.text


def test_who_waits_for_a_count_is_not_woken_by_word_of_an_earlier_one(faulty, shaky):
    """Its report was under way when more was counted."""
    with shaky.job("Import", id="import", total=10):
        part = hand((faulty.url, "import", 1, None))
        part._report = PartReport(Publisher(faulty), part, "import", 1, None)
        faulty.delay = 0.4
        part.advance()
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(part.flush)
            time.sleep(0.2)
            part.advance()
            part.flush()
            faulty.delay = 0
            assert shaky.get("import").count == 2
            first.result()
        part._report.publisher.close()

"""However a job ends, it ends at once, as what can be known."""

# ruff: noqa: PT012 - what is told to raise is a loop, with its body

import asyncio
import contextlib
import gc
import threading
from datetime import timedelta
from itertools import islice

import pytest
from tests.processes import eventually, run

import headway
from headway.core.errors import InvalidValue
from headway.core.snapshot import later


def end_of(hw, job):
    return hw.get(job.id, details=True)


def test_leaving_the_block_completes(hw):
    with hw.job("Import", total=3) as job:
        job.advance(2)
    end = end_of(hw, job)
    assert (end.status, end.count, end.percent) == ("completed", 2, 100)


def test_an_attempt_that_is_to_be_tried_again_is_retrying_and_says_why(hw):
    for attempt in (1, 2):
        job = hw.job("Import", id="one", total=3).start()
        job.advance(attempt)
        job.retry(ConnectionError("secret"))
        job.complete()  # too late
        again = end_of(hw, job)
        assert (again.status, again.attempt, again.count) == ("retrying", attempt, attempt)
        assert (again.ended, again.error.type, again.error.text) == (False, "ConnectionError", None)
    with hw.job("Import", id="one") as job:
        pass
    assert [message.text for message in end_of(hw, job).messages] == [
        "attempt 1: ConnectionError",
        "attempt 2: ConnectionError",
    ]
    assert end_of(hw, job).status == "completed"


def test_a_retry_that_is_waited_for_says_how_long_and_counts_down(hw):
    job = hw.job("Import", id="one").start()
    job.retry("The server is busy.", after=30)
    waits = end_of(hw, job)
    assert 25 < waits.retry_in <= 30
    assert waits.retry_at == waits.read_at + timedelta(seconds=waits.retry_in)
    assert later(waits, waits.read_at + timedelta(seconds=10)).retry_in == waits.retry_in - 10
    assert later(waits, waits.read_at + timedelta(hours=1)).retry_in == 0.0
    with hw.job("Import", id="one") as job:
        assert hw.get("one").retry_in is None
    assert hw.get("one").retry_in is None


@pytest.mark.parametrize("after", [-1, float("nan"), float("inf"), "soon"])
def test_a_wait_that_is_no_number_of_seconds_is_refused_and_the_job_goes_on(hw, after):
    with hw.job("Import") as job:
        with pytest.raises(headway.InvalidValue, match="after"):
            job.retry(after=after)
        assert not job.ended
    assert end_of(hw, job).status == "completed"


def test_a_retry_of_a_job_that_was_asked_to_stop_is_its_end(hw):
    job = hw.job("Import", id="one").start()
    hw.cancel("one")
    job.retry()
    assert end_of(hw, job).status == "cancelled"
    with pytest.raises(headway.Cancelled):
        hw.job("Import", id="one").start()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("secret"), "failed"),
        (KeyboardInterrupt(), "stopped"),
        (SystemExit(3), "stopped"),
        (GeneratorExit(), "stopped"),
        (asyncio.CancelledError(), "stopped"),
        (headway.Cancelled("another"), "failed"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_leaves_the_block_tells_the_end(hw, error, status):
    job = hw.job("Import", total=4)
    with pytest.raises(type(error)), job:
        job.advance(2)
        raise error
    end = end_of(hw, job)
    assert (end.status, end.count) == (status, 2)
    assert end.percent == 50


def test_the_text_of_an_exception_is_for_owners_only(hw):
    job = hw.job("Import")
    with pytest.raises(ValueError), job:
        raise ValueError("password=hunter2")
    error = end_of(hw, job).error
    assert (error.text, error.type) == (None, "ValueError")
    assert "hunter2" in error.detail


def test_a_text_given_to_fail_is_for_everybody(hw):
    with hw.job("Import") as job:
        job.fail("The file has no header row.")
    end = end_of(hw, job)
    assert (end.status, end.error.text, end.error.type) == ("failed", "The file has no header row.", None)


def test_an_exception_given_to_fail_keeps_its_text_from_viewers(hw):
    with hw.job("Import") as job:
        job.fail(RuntimeError("token=abc"))
    assert end_of(hw, job).error.text is None


def test_fail_takes_text_or_an_exception_only(hw):
    job = hw.job("Import").start()
    with pytest.raises(InvalidValue):
        job.fail(42)
    assert hw.get(job.id).status == "running"
    job.complete()


def test_a_result_that_is_no_json_raises_and_nothing_is_lost(hw):
    job = hw.job("Import", total=2).start()
    job.advance(2)
    with pytest.raises(InvalidValue):
        job.complete(result=object())
    assert hw.get(job.id).status == "running"
    job.complete(result={"rows": 2})
    assert end_of(hw, job).result == {"rows": 2}


def test_the_first_end_counts(hw):
    job = hw.job("Import").start()
    job.fail("first")
    job.complete(result=1)
    job.stop()
    end = end_of(hw, job)
    assert (end.status, end.error.text) == ("failed", "first")


def test_threads_that_end_a_job_at_once_give_it_one_end(hw, hasty):
    for _ in range(20):
        job = hw.job("Import").start()
        barrier = threading.Barrier(4)

        def end(how, job=job, barrier=barrier):
            barrier.wait()
            how(job)

        ways = (
            lambda job: job.complete(), lambda job: job.fail("x"), lambda job: job.stop(),
            lambda job: job.complete(1),
        )  # fmt: skip
        threads = [threading.Thread(target=end, args=(way,)) for way in ways]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert hw.get(job.id).status == job.snapshot().status


def test_a_generator_that_is_closed_stops_its_job(hw):
    jobs = []

    def work():
        with hw.job("Import") as job:
            jobs.append(job)
            yield 1
            yield 2

    generator = work()
    next(generator)
    generator.close()
    assert end_of(hw, jobs[0]).status == "stopped"


def test_a_job_that_is_let_go_of_has_stopped(hw):
    id = hw.job("Import").start().id
    assert eventually(lambda: hw.get(id).status == "stopped", 2)


def test_a_job_in_a_cycle_has_stopped_when_it_is_collected(hw):
    job = hw.job("Import", total=9).start()
    job.advance(4)
    cycle = [job]
    cycle.append(cycle)
    id = job.id
    del job, cycle
    gc.collect()
    assert eventually(lambda: hw.get(id).status == "stopped", 2)
    assert hw.get(id).count == 4


# A bare track


def only(hw):
    (found,) = hw.find().jobs
    return found


def test_a_bare_track_completes_at_its_end(hw):
    assert list(hw.track([1, 2, 3], "Rows")) == [1, 2, 3]
    assert (only(hw).status, only(hw).count, only(hw).total, only(hw).name) == ("completed", 3, 3, "Rows")


def test_a_bare_track_that_is_left_early_has_stopped(hw):
    for item in hw.track([1, 2, 3], "Rows"):
        if item == 2:
            break
    assert (only(hw).status, only(hw).count) == ("stopped", 1)


def test_a_bare_track_cannot_tell_an_exception_from_a_break(hw):
    def work():
        for item in hw.track([1, 2, 3], "Rows"):
            raise KeyError(item)

    with pytest.raises(KeyError):
        work()
    gc.collect()
    assert only(hw).status == "stopped"


def test_a_return_stops_a_bare_track(hw):
    def work():
        for item in hw.track(iter([1, 2, 3]), "Rows"):
            return item
        return None

    assert work() == 1
    assert only(hw).status == "stopped"


def pairs_in_a_loop(hw):
    for _ in zip("ab", hw.track([1, 2]), strict=False):
        pass


@pytest.mark.parametrize(
    "take",
    [
        lambda hw: list(zip("ab", hw.track([1, 2]), strict=False)),
        lambda hw: list(islice(hw.track(iter(range(100)), total=2), 2)),
        lambda hw: sum(islice(hw.track(range(2)), 2)),
        pairs_in_a_loop,
    ],
    ids=["zip", "islice", "sum", "for"],
)
def test_what_takes_all_items_and_asks_for_no_more_has_completed(hw, take):
    take(hw)
    assert (only(hw).status, only(hw).count, only(hw).total) == ("completed", 2, 2)


def test_what_takes_fewer_items_has_stopped(hw):
    assert list(zip(hw.track("abc"), [1], strict=False)) == [("a", 1)]
    assert (only(hw).status, only(hw).count) == ("stopped", 1)


@pytest.mark.parametrize("items", [[1], [1, 2], (1, 2)])
@pytest.mark.parametrize("way", ["break", "raise", "return", "call"])
def test_a_body_that_is_left_at_the_last_item_has_not_completed(hw, items, way):
    def work():
        for item in hw.track(items, "Rows"):
            if item < len(items):
                continue
            if way == "break":
                break
            if way == "return":
                return
            if way == "raise":
                raise KeyError
            int("x")

    with contextlib.suppress(KeyError, ValueError):
        work()
    gc.collect()
    assert (only(hw).status, only(hw).count) == ("stopped", len(items) - 1)


def test_a_source_that_raises_stops_a_bare_track(hw):
    def rows():
        yield 1
        raise KeyError

    with pytest.raises(KeyError):
        list(hw.track(rows(), "Rows"))
    gc.collect()
    assert (only(hw).status, only(hw).count) == ("stopped", 1)


# Nested


def test_a_failure_ends_each_job_that_it_goes_through(hw):
    with pytest.raises(KeyError), hw.job("outer") as outer, hw.job("inner") as inner:
        raise KeyError
    assert (hw.get(outer.id).status, hw.get(inner.id).status) == ("failed", "failed")
    assert hw.get(inner.id).parent == outer.id


def test_a_child_that_fails_and_is_forgiven_leaves_its_parent_whole(hw):
    with hw.job("outer", children=2) as outer:
        for fails in (True, False):
            try:
                with hw.job("inner"):
                    if fails:
                        raise KeyError  # noqa: TRY301 - from the body
            except KeyError:
                pass
    end = hw.get(outer.id)
    assert (end.status, end.children.count, end.children.ended, end.children.failed) == ("completed", 2, 2, 1)


# Ways out of the process


@pytest.mark.parametrize(
    ("way", "status", "code"),
    [
        ("sys.exit(3)", "stopped", 3),
        ("raise KeyError", "failed", 1),
        ("job.complete(); os._exit(7)", "completed", 7),
        ("job.fail('x'); os._exit(7)", "failed", 7),
        ("signal.raise_signal(signal.SIGINT)", "stopped", -2),
    ],
)
def test_the_last_state_is_stored_whatever_ends_the_process(hw, url, way, status, code):
    script = f"""
    with hw.job("Import", id="one", total=10) as job:
        job.advance(4)
        {way}
    """
    assert run(script, url)[0] == code
    end = hw.get("one")
    assert (end.status, end.count) == (status, 4)


def test_an_exit_right_behind_a_loop_loses_nothing(hw, url):
    run("""
    for i in hw.track(range(5), "Rows", id="one"):
        pass
    os._exit(0)
    """, url)  # fmt: skip
    assert (hw.get("one").status, hw.get("one").count) == ("completed", 5)


def test_a_job_that_was_started_and_never_ended_has_stopped_when_the_interpreter_exits(hw, url):
    code, _, errors = run("job = hw.job('Import', id='one', total=9).start(); job.advance(5)", url)
    assert (code, errors) == (0, "")
    assert (hw.get("one").status, hw.get("one").count) == ("stopped", 5)


def test_a_job_may_still_run_when_the_interpreter_exits(hw, url):
    code, _, errors = run("""
    import atexit
    def late():
        with hw.job("late", id="late"):
            pass
    atexit.register(late)
    with hw.job("early", id="early"):
        pass
    """, url)  # fmt: skip
    assert (code, errors) == (0, "")
    assert hw.get("early").status == "completed"
    assert hw.get("late").status == "completed"

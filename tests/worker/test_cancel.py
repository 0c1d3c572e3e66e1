"""A request to stop reaches the job at its next step, and is never lost."""

# ruff: noqa: PERF401, PT012, SIM117 - what is told to raise is a loop, with its body

import contextlib
import gc
import threading
import time

import pytest
from tests.processes import eventually, start

import headway


def after(seconds, call):
    timer = threading.Timer(seconds, call)
    timer.start()
    return timer


def test_a_loop_of_short_items_hears_it_within_a_second(hw):
    asked = []
    after(0.3, lambda: asked.append((hw.cancel("one"), time.monotonic())))
    with pytest.raises(headway.Cancelled) as caught:
        for _ in hw.track(iter(int, 1), "Rows", id="one"):
            time.sleep(0.001)
    heard = time.monotonic()
    assert caught.value.id == "one"
    ((recorded, at),) = asked
    assert recorded
    assert heard - at < 1
    assert (hw.get("one").status, hw.get("one").cancel) == ("cancelled", "seen")


@pytest.mark.parametrize("kind", ["list", "generator"])
def test_a_loop_of_long_items_hears_it_at_the_end_of_the_item(hw, kind):
    items = [0.1, 2.0, 2.0]
    done = []
    after(0.4, lambda: hw.cancel("one"))
    with pytest.raises(headway.Cancelled):
        for item in hw.track(items if kind == "list" else (item for item in items), "Rows", id="one"):
            time.sleep(item)
            done.append(item)
    assert done == [0.1, 2.0]
    assert (hw.get("one").status, hw.get("one").count) == ("cancelled", 2)


STEPS = {
    "advance": lambda job, _: job.advance(),
    "checkpoint": lambda job, _: job.checkpoint(),
    "update": lambda job, _: job.update(0.5),
    "stage": lambda _, stage: stage.advance(),
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())
def test_every_step_hears_it(hw, step):
    with pytest.raises(headway.Cancelled), hw.job("Import") as job, job.stage("Rows") as stage:
        assert hw.cancel(job.id)
        eventually(lambda: job.cancel_requested, 2)
        step(job, stage)
    assert hw.get(job.id).status == "cancelled"


def test_on_cancel_runs_first_and_once_in_the_raising_thread(hw):
    ran = []
    with pytest.raises(headway.Cancelled):
        with hw.job("Import", on_cancel=lambda: ran.append(threading.current_thread())) as job:
            hw.cancel(job.id)
            eventually(lambda: job.cancel_requested, 2)
            try:
                job.advance()
            finally:
                with pytest.raises(headway.Cancelled):
                    job.advance()
    assert ran == [threading.current_thread()]


def test_an_exception_of_on_cancel_fails_the_job(hw):
    def break_down():
        raise KeyError("on_cancel")

    with pytest.raises(KeyError), hw.job("Import", on_cancel=break_down) as job:
        hw.cancel(job.id)
        eventually(lambda: job.cancel_requested, 2)
        job.advance()
    assert (hw.get(job.id).status, hw.get(job.id, details=True).error.type) == ("failed", "KeyError")


def test_a_body_that_swallows_it_is_still_cancelled(hw):
    with hw.job("Import") as job:
        hw.cancel(job.id)
        eventually(lambda: job.cancel_requested, 2)
        with contextlib.suppress(headway.Cancelled):
            job.advance()
    assert hw.get(job.id).status == "cancelled"


def test_a_body_that_swallows_it_and_completes_has_completed(hw):
    with hw.job("Import") as job:
        hw.cancel(job.id)
        eventually(lambda: job.cancel_requested, 2)
        with pytest.raises(headway.Cancelled):
            job.advance()
        job.complete()
    assert hw.get(job.id).status == "completed"


def test_a_job_that_ends_before_it_sees_the_request_ends_as_what_it_did(hw):
    with hw.job("Import") as job:
        assert hw.cancel(job.id)
    end = hw.get(job.id)
    assert end.status == "completed"
    assert end.cancel_requested


def test_a_job_past_its_point_of_no_return_refuses(hw):
    with hw.job("Import", total=10) as job:
        job.cancellable = False
        assert eventually(lambda: not hw.get(job.id).cancellable, 2)
        assert not hw.cancel(job.id)
        job.advance(10)
    assert hw.get(job.id).status == "completed"


def test_the_point_of_no_return_may_be_a_share(hw):
    with hw.job("Import", total=10, cancellable_until=0.5) as job:
        job.advance(5)
        assert eventually(lambda: not hw.get(job.id).cancellable, 2)
        assert not hw.cancel(job.id)
        job.advance(5)


def test_a_request_that_came_before_is_heard_at_the_point_of_no_return(hw):
    with pytest.raises(headway.Cancelled), hw.job("Import") as job:
        hw.cancel(job.id)
        eventually(lambda: job.cancel_requested, 2)
        job.cancellable = False
    assert hw.get(job.id).status == "cancelled"


def test_a_request_never_takes_items_from_a_loop_that_may_not_be_stopped(hw):
    done = 0
    with hw.job("Import") as job:
        job._cancellable = False  # the store has not heard of it yet
        assert hw.cancel(job.id)
        for _ in job.track(range(12)):
            time.sleep(0.1)
            done += 1
        assert job.cancel_requested
    assert done == 12
    assert hw.get(job.id).status == "completed"


def test_a_pause_of_the_point_of_no_return_only_puts_it_off(hw):
    done = []
    with pytest.raises(headway.Cancelled), hw.job("Import") as job:
        job._cancellable = False
        assert hw.cancel(job.id)
        for item in job.track(range(1000)):
            done.append(item)
            time.sleep(0.01)
            if item == 100:
                assert job.cancel_requested
                job.cancellable = True
    assert done == list(range(101))


def test_cleaning_up_after_it_may_go_on_undisturbed(hw):
    with pytest.raises(headway.Cancelled), hw.job("Import") as job:
        hw.cancel(job.id)
        eventually(lambda: job.cancel_requested, 2)
        try:
            job.advance()
        except headway.Cancelled:
            job.cancellable = False
            assert list(job.track([1, 2, 3])) == [1, 2, 3]
            raise
    assert hw.get(job.id).status == "cancelled"


def test_a_pending_job_ends_at_once_and_never_runs(hw):
    hw.reserve("Import", id="one")
    assert hw.cancel("one")
    assert hw.get("one").status == "cancelled"
    ran = []
    with pytest.raises(headway.Cancelled), hw.job("Import", id="one"):
        ran.append(True)
    with pytest.raises(headway.Cancelled):
        for _ in hw.track([1], "Import", id="one"):
            ran.append(True)
    assert ran == []
    assert hw.get("one").status == "cancelled"


def test_after_a_new_reservation_it_runs_again(hw):
    hw.reserve("Import", id="one")
    hw.cancel("one")
    assert hw.reserve("Import", id="one").attempt == 2
    with hw.job("Import", id="one") as job:
        pass
    assert (hw.get("one").status, job.attempt) == ("completed", 2)


def test_it_walks_down_to_the_children(hw):
    with pytest.raises(headway.Cancelled), hw.job("outer") as outer, hw.job("inner") as inner:
        assert hw.cancel(outer.id)
        assert hw.get(inner.id).cancel_requested
        while True:
            inner.advance()
            time.sleep(0.01)
    assert (hw.get(outer.id).status, hw.get(inner.id).status) == ("cancelled", "cancelled")


def test_an_unknown_and_an_ended_job_cannot_be_cancelled(hw):
    assert not hw.cancel("unknown")
    with hw.job("Import") as job:
        pass
    assert not hw.cancel(job.id)


def test_it_crosses_processes(hw, url):
    process = start("""
    try:
        for i in hw.track(range(10**9), "Rows", id="one"):
            pass
    except headway.Cancelled as error:
        print("heard", error.id)
    """, url)  # fmt: skip
    eventually(lambda: hw.get("one") is not None)
    asked = time.monotonic()
    assert hw.cancel("one")
    eventually(lambda: hw.get("one").ended, 3)
    assert time.monotonic() - asked < 1.2
    out, _ = process.communicate(timeout=10)
    assert out.strip() == "heard one"


def test_it_is_acknowledged_while_the_job_cleans_up(hw):
    with hw.job("Import") as job:
        hw.cancel(job.id)
        assert eventually(lambda: hw.get(job.id).cancel == "seen", 2)


def test_a_nested_loop_hears_it_too(hw):
    done = []
    after(0.3, lambda: hw.cancel("one"))
    with pytest.raises(headway.Cancelled), hw.job("Import", id="one"):
        for outer in hw.track(iter(int, 1), "outer"):
            for inner in hw.track(range(50), "inner"):
                time.sleep(0.001)
                done.append((outer, inner))
    gc.collect()
    assert hw.get("one").status == "cancelled"

"""The handle that a worker holds on its job."""

import threading
import time

import pytest
from tests.processes import eventually

import headway
from headway.core.errors import AlreadyRunning, InvalidValue


def test_nothing_happens_before_it_starts(hw):
    job = hw.job("Import", id="one", total=3)
    assert not job.started
    assert hw.get("one") is None


def test_it_is_stored_when_it_has_started(hw):
    with hw.job("Import", scope="user/1", total=3, unit="rows", meta={"file": "a.csv"}) as job:
        seen = hw.get(job.id, details=True)
        assert (seen.status, seen.name, seen.scope) == ("running", "Import", "user/1")
        assert (seen.total, seen.unit, seen.meta) == (3, "rows", {"file": "a.csv"})
        assert job.attempt == seen.attempt == 1


def test_what_it_does_is_published(hw):
    with hw.job("Import", total=10) as job:
        job.advance(3, activity="row 3", failed=1)
        job.message("one row skipped", level="warning")
        seen = eventually(lambda: (found := hw.get(job.id, details=True)).count == 3 and found)
        assert (seen.percent, seen.activity, seen.failed_count) == (30, "row 3", 1)
        assert [(one.text, one.level) for one in seen.messages] == [("one row skipped", "warning")]


def test_its_own_snapshot_shows_it_as_it_is_now(hw):
    with hw.job("Import", total=10) as job:
        job.advance(4)
        here = job.snapshot()
        assert (here.status, here.count, here.percent, here.attempt) == ("running", 4, 40, 1)
    assert job.snapshot().status == "completed"


def test_it_starts_once(hw):
    with hw.job("Import") as job, pytest.raises(InvalidValue):
        job.start()


def test_a_count_may_be_set_and_lowered(hw):
    with hw.job("Import", total=10) as job:
        job.count = 7
        job.count = 5
        job.advance()
        assert job.count == 6
        with pytest.raises(InvalidValue):
            job.count = -1


def test_a_share_will_do_where_nothing_is_counted(hw):
    with hw.job("Import") as job:
        job.update(0.25)
        assert job.snapshot().percent == 25
        with pytest.raises(InvalidValue):
            job.update(1.5)


@pytest.mark.parametrize("n", [float("nan"), float("inf"), "3", None, 2**60])
def test_a_step_that_is_no_number_is_refused(hw, n):
    with hw.job("Import") as job:
        with pytest.raises(InvalidValue):
            job.advance(n)
        assert job.count == 0


def test_numbers_beyond_the_limits_are_kept_out_of_the_record(hw):
    with hw.job("Import") as job:
        for _ in range(3):
            job.advance(2**53 - 1)
        job.message("still there")
    seen = hw.get(job.id, details=True)
    assert (seen.count, seen.message_count) == (2**53 - 1, 1)
    assert list(zip(range(2), hw.track(range(2**70), "huge"), strict=False)) == [(0, 0), (1, 1)]


def test_a_length_that_raises_does_not_matter(hw):
    class Rows:
        def __iter__(self):
            return iter([1, 2])

        def __len__(self):
            raise RuntimeError("no length")

    assert list(hw.track(Rows(), "Rows")) == [1, 2]


def test_many_threads_count_exactly(hw, hasty):
    with hw.job("Import") as job:

        def work():
            for _ in range(5000):
                job.advance()

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert hw.get(job.id).count == 40_000


def test_loops_in_many_threads_add_up_exactly(hw, hasty):
    with hw.job("Import") as job:

        def work():
            for _ in range(100):
                for _ in job.track([1, 2, 3]):
                    pass

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert job.count == 2400
    assert (hw.get(job.id).count, hw.get(job.id).total) == (2400, 2400)


def test_the_total_is_what_all_its_loops_bring(hw):
    with hw.job("Import") as job:
        for _ in job.track([1, 2, 3]):
            pass
        for _ in job.track([1, 2]):
            assert job.total == 5
        job.total = 100
        for _ in job.track([1, 2]):
            assert job.total == 100


def test_a_total_that_is_smaller_than_the_count_is_no_error(hw):
    with hw.job("Import", total=2) as job:
        job.advance(5)
        assert job.snapshot().percent == 99
    seen = hw.get(job.id)
    assert (seen.count, seen.total, seen.percent) == (5, 2, 100)


def test_work_of_an_earlier_run_is_not_done_again(hw):
    with hw.job("Import", total=10, initial=4) as job:
        job.advance(2)
        assert job.count == 6
        assert job.snapshot().initial == 4


def test_an_exclusive_job_refuses_while_another_lives(hw):
    with hw.job("Import", id="one"):
        with pytest.raises(AlreadyRunning) as caught:
            hw.job("Import", id="one", exclusive=True).start()
        assert caught.value.snapshot.id == "one"
    with hw.job("Import", id="one", exclusive=True) as job:
        assert job.attempt == 2


def test_an_exclusive_track_refuses_while_another_lives(hw):
    other = hw.job("Import", id="one").start()
    with pytest.raises(AlreadyRunning):
        list(hw.track([1], "Import", id="one", exclusive=True))
    other.complete()
    assert list(hw.track([1], "Import", id="one", exclusive=True)) == [1]


def test_the_job_that_was_refused_may_try_again(hw):
    with hw.job("Import", id="one"):
        second = hw.job("Import", id="one", exclusive=True)
        with pytest.raises(AlreadyRunning):
            second.start()
    with second:
        pass
    assert hw.get("one").status == "completed"


def test_a_decorated_function_is_a_job_at_each_call(hw):
    @hw.job("Report", scope="user/1")
    def report(n):
        """Make it."""
        headway.current().advance(n)
        return n * 2

    assert (report(1), report(2)) == (2, 4)
    assert report.__doc__ == "Make it."
    assert [one.count for one in hw.find(scope="user/1")] == [2, 1]


def test_a_decorated_generator_is_a_job_from_its_first_item_to_its_last(hw):
    @hw.job("Report", id="one")
    def rows():
        yield 1
        yield 2
        return 3

    generator = rows()
    assert hw.get("one") is None
    assert next(generator) == 1
    assert hw.get("one").status == "running"
    assert list(generator) == [2]
    assert hw.get("one").status == "completed"


@pytest.mark.asyncio
async def test_decorated_coroutines_and_asynchronous_generators_are_jobs_too(hw):
    @hw.job("Report", id="one")
    async def report():
        headway.current().advance()
        return 5

    @hw.job("Rows", id="two")
    async def rows():
        yield 1
        yield headway.current().id

    assert await report() == 5
    assert [row async for row in rows()] == [1, "two"]
    assert [(await hw.aget(id)).status for id in ("one", "two")] == ["completed", "completed"]


def test_unknown_options_and_wrong_values_are_refused_at_once(hw):
    with pytest.raises(TypeError):
        hw.job("Import", colour="red")
    for wrong in ({"id": ""}, {"id": "a b"}, {"total": -1}, {"lease": 0}, {"stages": {"a": -1}}):
        with pytest.raises(InvalidValue):
            hw.job("Import", **wrong)
        with pytest.raises(InvalidValue):
            hw.track([1], "Import", **wrong)
    assert len(hw.find()) == 0


# Attempts


def test_a_second_worker_is_the_next_attempt_and_the_first_falls_silent(hw, url):
    other = headway.connect(url)
    with hw.job("Import", id="one") as first:
        first.advance(5)
        with other.job("Import", id="one") as second:
            assert second.attempt == 2
            second.advance(2)
            eventually(lambda: first._entry.over, 3)
            first.advance(100)
            first.message("from the first")
            assert hw.get("one").attempt == 2
        first.complete(result="first")
    end = hw.get("one", details=True)
    assert (end.status, end.attempt, end.count, end.result) == ("completed", 2, 2, None)
    other.close()


def test_the_record_never_mixes_when_the_store_was_emptied_in_between(faulty, shaky):
    with shaky.job("Import", id="one") as first:
        first.advance(5)
        faulty.store._shelf.jobs.clear()
        with shaky.job("Import", id="one") as second:
            second.advance(2)
            eventually(lambda: first._entry.over, 4)
            seen = [eventually(lambda: shaky.get("one")).run for _ in range(10) if not time.sleep(0.05)]
            assert len(set(seen)) == 1
            first.advance(10)
    assert (shaky.get("one").count, shaky.get("one").run) == (2, second._entry.run)


def test_an_answer_to_open_that_was_lost_makes_no_second_attempt(faulty, shaky):
    faulty.losing_answers = 1
    with shaky.job("Import", id="one", meta={"a": 1}) as job:
        job.message("hello")
        eventually(lambda: job.attempt)
    end = shaky.get("one", details=True)
    assert (end.attempt, end.status, end.meta) == (1, "completed", {"a": 1})
    assert [one.text for one in end.messages] == ["hello"]


def test_what_an_earlier_attempt_left_is_inherited_once_also_when_an_answer_was_lost(faulty, shaky):
    with shaky.job("Import", id="one", meta={"a": 1}) as job:
        job.message("first")
        job.fail("no header")
    faulty.losing_answers = 1
    with shaky.job("Import", id="one") as job:
        job.message("second")
        eventually(lambda: job.attempt == 2)
    end = shaky.get("one", details=True)
    assert [one.text for one in end.messages if "attempt" not in one.text] == ["first", "second"]
    assert (end.meta, end.error) == ({"a": 1}, None)


def test_a_new_attempt_keeps_what_was_said_and_why_the_last_one_failed(hw):
    with hw.job("Import", id="one", meta={"a": 1}) as job:
        job.message("first")
        job.fail("no header")
    with hw.job("Import", id="one") as job:
        job.message("second")
    end = hw.get("one", details=True)
    assert [one.text for one in end.messages] == ["first", "attempt 1: no header", "second"]
    assert (end.meta, end.message_count, end.error) == ({"a": 1}, 3, None)


def test_new_messages_are_kept_before_old_ones(hw):
    for attempt in range(2):
        with hw.job("Import", id="one") as job:
            for number in range(40):
                job.message(f"{attempt}.{number}")
    end = hw.get("one", details=True)
    assert len(end.messages) == 50
    assert (end.messages[0].text, end.messages[-1].text, end.message_count) == ("0.30", "1.39", 80)


def test_a_reserved_job_is_opened_as_its_first_attempt(hw):
    pending = hw.reserve("Import", id="one", meta={"by": "web"})
    assert (pending.status, pending.attempt) == ("pending", 1)
    assert hw.reserve("Import", id="one") is None
    with hw.job("Import", id="one") as job:
        assert job.attempt == 1
        assert eventually(lambda: job.meta) == {"by": "web"}
    assert hw.get("one", details=True).meta == {"by": "web"}


def test_a_reservation_over_an_ended_job_keeps_its_messages(hw):
    with hw.job("Import", id="one") as job:
        job.message("first")
        job.fail("no header")
    assert hw.reserve("Import", id="one").attempt == 2
    with hw.job("Import", id="one"):
        pass
    end = hw.get("one", details=True)
    assert (end.status, end.attempt) == ("completed", 2)
    assert end.messages[0].text == "first"


# The current job


def test_outside_any_job_the_current_one_does_nothing(hw):
    job = hw.current()
    job.advance(3)
    job.message("nobody hears")
    with job.stage("x") as stage:
        stage.advance()
    job.complete()
    assert len(hw.find()) == 0


def test_the_current_job_is_the_innermost(hw):
    with hw.job("outer") as outer:
        with hw.job("inner") as inner:
            assert hw.current() is inner
        assert hw.current() is outer
        for _ in hw.track([1], "Rows"):
            assert hw.current() is outer
        with outer.stage("Stage"):
            assert hw.current() is outer
    assert hw.current().id != outer.id


def test_a_new_thread_is_outside_any_job(hw):
    found = []
    with hw.job("outer") as outer:
        thread = threading.Thread(target=lambda: found.append(hw.current()))
        thread.start()
        thread.join()
    assert found[0] is not outer
    assert not found[0].started

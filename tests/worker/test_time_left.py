"""What is told of time left, and what a run leaves for the next ones."""

# ruff: noqa: PT012 - what raises is a job, with its body

import time
from multiprocessing import get_context

import pytest
from tests.processes import eventually, run, start

import headway
from headway.core.estimate import Profile
from headway.stores.memory import MemoryStore

STEADY = tuple(10_000 * point // 64 for point in range(1, 65))


def known(seconds, total=100.0, stages=None, done=STEADY):
    return Profile(seconds, total, done, None, stages or {})


class Counter(MemoryStore):
    """Notes what is asked of histories."""

    def __init__(self):
        super().__init__()
        self.learnt, self.asked, self.damaged = [], [], False

    def learn(self, kind, profile):
        self.learnt.append((kind, profile))
        super().learn(kind, profile)

    def history(self, kind):
        self.asked.append(kind)
        if self.damaged:
            raise ValueError("this is no profile")
        return super().history(kind)


@pytest.fixture
def counter():
    return Counter()


@pytest.fixture
def counted(counter):
    made = headway.client.Headway(counter)
    yield made
    made.close()


def test_an_earlier_run_tells_the_time_left_before_the_first_report(hw):
    hw.store.learn("Import", known(60.0))
    with hw.job("Import", total=100) as job:
        seen = eventually(lambda: (found := hw.get(job.id)).remaining and found)
        assert (seen.estimate_basis, seen.usual) == ("history", pytest.approx(60))
        assert 30 < seen.remaining <= 60
        assert seen.remaining_low < seen.remaining < seen.remaining_high
        assert seen.finish_at > seen.read_at
        for _ in range(10):
            job.advance()
        assert eventually(lambda: hw.get(job.id).estimate_basis == "both")


def test_a_job_that_counts_nothing_has_the_time_left_that_it_usually_takes(hw):
    hw.store.learn("Report", known(60.0, 0.0, done=()))
    with hw.job("Report") as job:
        seen = eventually(lambda: (found := hw.get(job.id)).remaining and found)
        assert (seen.estimate_basis, seen.fraction) == ("history", None)


def test_the_first_run_of_a_kind_has_a_time_left_from_its_second_report_on(hw):
    with hw.job("Import", total=1_000) as job:
        job.advance()
        time.sleep(0.7)
        assert hw.get(job.id).remaining is None
        until = time.monotonic() + 30
        while hw.get(job.id).remaining is None:
            assert time.monotonic() < until
            job.advance()
            time.sleep(0.05)
        seen = hw.get(job.id)
        assert (seen.estimate_basis, seen.usual) == ("run", None)


def test_a_completed_run_teaches_and_no_other_does(hw):
    with hw.job("Import", total=10) as job:
        for _ in range(10):
            job.advance()
    assert [run.total for run in eventually(lambda: hw.store.history("Import"))] == [10]
    for status in ("failed", "cancelled", "stopped"):
        job = hw.job("Export", total=10).start()
        job.advance()
        job._finish(status)
    with hw.job("after"):
        pass
    assert eventually(lambda: hw.store.history("after"))
    assert hw.store.history("Export") == []


def test_a_kind_is_what_runs_have_in_common_and_nameless_ones_have_nothing(counted, counter):
    with counted.job("Import of Monday", kind="import"):
        pass
    with counted.job():
        pass
    with counted.job("last"):
        pass
    eventually(lambda: len(counter.learnt) == 2)
    assert [kind for kind, _ in counter.learnt] == ["import", "last"]


def test_of_many_short_runs_one_a_second_is_kept_and_none_reads_the_history(counted, counter):
    for _ in range(200):
        with counted.job("short"):
            pass
    counted.close()
    assert 1 <= len(counter.learnt) < 200
    assert len(counter.asked) < 20


def test_what_a_run_has_taught_is_kept_when_its_program_ends_at_once(url):
    code, _, errors = run("for _ in hw.track(range(10), 'Import'): pass", url)
    assert (code, errors) == (0, "")
    reader = headway.connect(url)
    assert len(reader.store.history("Import")) == 1
    reader.close()


def test_programs_that_end_at_once_lose_no_run(url):
    programs = [start("for _ in hw.track(range(10), 'Import'): pass", url) for _ in range(6)]
    for program in programs:
        program.communicate(timeout=60)
    assert [program.returncode for program in programs] == [0] * 6
    reader = headway.connect(url)
    assert len(reader.store.history("Import")) == 6
    reader.close()


def test_the_second_run_knows_the_shape_of_the_first(hw):
    def work(job):
        for step in range(60):
            job.advance()
            time.sleep(0.02 if step < 40 else 0.2)  # slow at the end

    with hw.job("Import", total=60) as job:
        work(job)
    (first,) = eventually(lambda: hw.store.history("Import"))
    assert first.seconds == pytest.approx(hw.get(job.id).elapsed, rel=0.2)
    assert first.done[20] > 4_000, "two thirds of the work in a fifth of the time"
    with hw.job("Import", total=60) as job:
        work(job)
    assert eventually(lambda: len(hw.store.history("Import")) == 2)
    assert hw.store.history("Import")[1].width is not None


def square(number):
    time.sleep(0.1)
    return number * number


def test_a_run_whose_steps_others_have_counted_leaves_their_shape(hw):
    with hw.job("Squares", total=100) as job, get_context("spawn").Pool(2) as pool:
        pool.map(job.counted(square), range(100), chunksize=1)
    (left,) = eventually(lambda: hw.store.history("Squares"))
    assert (left.total, len(left.done)) == (100, 64)
    assert left.done[55] > 2_000


def test_a_damaged_history_is_no_reason_to_report_nothing(counted, counter):
    counter.damaged = True
    with counted.job("Import", total=10) as job:
        eventually(lambda: counter.asked)
        job.advance(3)
        eventually(lambda: counted.get(job.id).count == 3)
    assert counted.get(job.id).status == "completed"


def test_steps_that_an_earlier_run_has_done_are_no_speed(hw):
    with hw.job("Import", total=1_000_000, initial=999_000) as job:
        for _ in range(60):
            job.advance()
            time.sleep(0.05)
        seen = eventually(lambda: (found := hw.get(job.id)).remaining and found)
        assert seen.remaining > 10, "940 of 20 a second are left; a line through all would say: none"


def test_an_ended_job_has_final_times_and_no_estimate(hw):
    hw.store.learn("Import", known(60.0))
    with pytest.raises(ZeroDivisionError), hw.job("Import", total=100) as job:
        eventually(lambda: hw.get(job.id).remaining)
        raise ZeroDivisionError
    seen = hw.get(job.id)
    assert (seen.status, seen.remaining, seen.estimate_basis, seen.patience) == ("failed", None, None, None)
    elapsed = seen.elapsed
    time.sleep(0.05)
    assert hw.get(job.id).elapsed == elapsed


def test_a_pending_job_has_no_time_left_and_its_waiting_is_no_speed(hw):
    hw.store.learn("Import", known(60.0))
    hw.reserve("Import", id="one", total=100)
    time.sleep(0.3)
    assert hw.get("one").remaining is None
    with hw.job("Import", id="one", total=100):
        seen = eventually(lambda: (found := hw.get("one")).remaining and found)
        assert seen.elapsed + seen.remaining == pytest.approx(60, abs=0.2)


def test_a_next_attempt_begins_its_estimate_anew(hw):
    with pytest.raises(ZeroDivisionError), hw.job("Import", id="one", total=100) as job:
        job.advance(90)
        raise ZeroDivisionError
    with hw.job("Import", id="one", total=100):
        time.sleep(0.7)
        assert (hw.get("one").attempt, hw.get("one").remaining) == (2, None)


# Items that weigh differently


def test_progress_follows_what_items_weigh_and_the_count_still_counts(hw):
    files = {"small": 10, "large": 80, "last": 10}
    seen = []
    with hw.job("Read") as job:
        for _ in job.track(files, weight=lambda name: files[name], unit="files"):
            snapshot = job.snapshot()
            seen.append((snapshot.count, snapshot.total, snapshot.percent))
    assert seen == [(0, 3, 0), (1, 3, 10), (2, 3, 90)]
    found = hw.get(job.id)
    assert (found.count, found.total, found.unit, found.work, found.total_work) == (3, 3, "files", 100, 100)


def test_steps_of_unknown_weight_weigh_the_mean(hw):
    with hw.job("Read", total=6) as job:
        job.advance(2)
        for item in job.track([10, 20, 30, 40], weight=lambda item: item):
            if item == 40:
                assert job.snapshot().percent == 73  # 2 * 25 + 60 of 150


def test_weighed_loops_add_up_and_a_stage_has_its_own(hw):
    with hw.job("Read") as job:
        for _ in job.track([1, 3], weight=lambda item: item):
            pass
        assert job.snapshot().percent == 99
        for item in job.track([2, 2], weight=lambda item: item):
            assert job.snapshot().percent in {50, 75}, item
        with job.stage("More") as stage:
            for item in stage.track([9, 1], weight=lambda item: item):
                assert job.snapshot().stages[0].fraction == (0 if item == 9 else 0.9)


@pytest.mark.parametrize("items", [iter([1, 2]), [0, 0], []], ids=["iterator", "weightless", "empty"])
def test_where_weights_tell_nothing_all_items_weigh_the_same(hw, items):
    with hw.job("Read", total=2) as job:
        for _ in job.track(items, total=2, weight=lambda item: item):
            pass
        assert job.snapshot().total_work is None


def test_a_weight_that_is_none_raises_before_the_first_item(hw):
    with hw.job("Read") as job, pytest.raises(headway.InvalidValue):
        next(job.track([1, -1], weight=lambda item: item))


def read_ten_small_files(child, paused, go_on):
    sizes = [1] * 10 + [90]
    with child:
        for size in child.track(sizes, weight=lambda size: size):
            if size > 1:
                paused.set()
                go_on.wait(60)
            time.sleep(0.1)


def test_a_parent_follows_what_items_weigh_in_a_child_of_another_process(hw):
    spawn = get_context("spawn")
    paused, go_on = spawn.Event(), spawn.Event()
    with hw.job("Both", children=1) as parent:
        arguments = (parent.child("Read"), paused, go_on)
        process = spawn.Process(target=read_ten_small_files, args=arguments)
        process.start()
        assert paused.wait(60)
        seen = eventually(lambda: (now := hw.get(parent.id)).percent == 10 and now.remaining and now, 60)
        (child,) = hw.find(parent=parent.id)
        assert seen.remaining > child.elapsed, "ten of eleven are done, but a tenth of the work"
        assert (child.count, child.total, child.percent) == (10, 11, 10)
        go_on.set()
        process.join(60)
    assert hw.get(child.id).status == "completed"


def count_two(part):
    with part:
        for _ in part.track(["small", "large"], weight={"small": 1, "large": 9}.get):
            pass


def test_a_part_in_another_process_counts_items_each_of_which_weighs_the_mean(hw):
    with hw.job("Read", total=4) as job:
        for _ in job.track([1, 3], weight=lambda item: item):
            pass
        process = get_context("spawn").Process(target=count_two, args=(job,))
        process.start()
        process.join(60)
        seen = hw.get(job.id)
        assert (seen.count, seen.work, seen.total_work, seen.percent) == (4, 8, 8, 99)


# Trees


def test_stages_that_history_knows_weigh_what_they_took(hw):
    hw.store.learn("Nightly", known(100.0, 0.0, {"Load": 75.0, "Save": 25.0}, ()))
    with hw.job("Nightly") as job:
        with job.stage("Load", total=10) as stage:
            stage.advance(5)
            seen = eventually(lambda: (found := hw.get(job.id)).percent and found)
            assert (seen.percent, seen.total_weight, seen.stages[0].weight) == (37, 100, 75)
        with job.stage("Save"):
            eventually(lambda: hw.get(job.id).percent == 75)
    assert hw.get(job.id).percent == 100
    last = eventually(lambda: len(runs := hw.store.history("Nightly")) == 2 and runs[1])
    assert set(last.stages) == {"Load", "Save"}


def test_declared_weights_stay_as_they_are(hw):
    hw.store.learn("Nightly", known(100.0, 1.0, {"Load": 75.0, "Save": 25.0}))
    with hw.job("Nightly", stages={"Load": 1, "Save": 1}) as job:
        eventually(lambda: hw.get(job.id).usual)
        with job.stage("Load"):
            pass
        assert job.snapshot().percent == 50


def test_a_parent_lasts_as_long_as_the_longest_of_its_children(hw):
    hw.store.learn("Short", known(40.0))
    hw.store.learn("Long", known(500.0))
    with hw.job("Both", children=2) as parent:
        short, long = parent.child("Short", total=100).start(), parent.child("Long", total=100).start()
        seen = eventually(lambda: (found := hw.get(parent.id)).remaining and found)
        assert seen.remaining == pytest.approx(500, abs=20)
        assert seen.estimate_basis == "both"
        long.complete()
        short.complete()


def test_a_parent_of_which_more_is_to_come_does_not_go_by_its_children_alone(hw):
    hw.store.learn("Part", known(40.0))
    with hw.job("All", children=10) as parent:
        child = parent.child("Part", total=100).start()
        eventually(lambda: hw.get(child.id).remaining)
        time.sleep(0.8)
        assert hw.get(parent.id).remaining is None
        child.complete()


# Standing still


def test_a_finish_that_moves_while_nothing_is_counted_is_news(hw):
    """Whoever watches a job that stands still must not see its time left run out."""
    hw.store.learn("Import", known(2.0))
    with hw.job("Import", total=100) as job:
        for _ in range(20):
            job.advance()
            time.sleep(0.02)
        first = eventually(lambda: (found := hw.get(job.id)).remaining and found)
        later = eventually(lambda: (found := hw.get(job.id)).version > first.version + 2 and found, 30)
        assert later.remaining > first.remaining / 2


def test_how_long_a_standstill_is_nothing_unusual_is_told(hw):
    with hw.job("Import", total=100) as job:
        job.advance()
        seen = eventually(lambda: (found := hw.get(job.id)).patience and found)
        assert seen.patience >= 10
    assert hw.get(job.id).patience is None

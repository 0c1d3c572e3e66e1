"""How a record reads, and how it ages."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from headway.core.snapshot import Children, Details, Error, Message, Snapshot, Stage, Totals, as_read, later
from headway.testing.clock import START

seconds = st.floats(0, 200)
durations = st.none() | st.floats(0, 1e4)
records = st.builds(
    Snapshot, id=st.just("job"), seen_at=st.just(START), lease=st.floats(1, 100), elapsed=durations,
    idle_for=durations, remaining=durations, remaining_low=durations, remaining_high=durations,
    rate=durations,
    status=st.sampled_from(["pending", "running", "retrying", "odd", "completed", "failed", "stopped"]),
    count=st.integers(0, 9), total=st.just(9), cancellable=st.booleans(),
).map(lambda one: replace(one, ended_at=START if one.ended else None))  # fmt: skip


def at(offset):
    return START + timedelta(seconds=offset)


def near(snapshot):
    return {
        name: pytest.approx(value, abs=1e-5) if isinstance(value, float) else value
        for name, value in ((name, getattr(snapshot, name)) for name in snapshot.__struct_fields__)
        if name != "totals"
    }


@given(records, seconds, seconds)
def test_what_was_read_ages_as_if_it_were_read_again(record, first, more):
    once = as_read(record, Totals(), at(first + more))
    twice = later(as_read(record, Totals(), at(first)), at(first + more))
    if not once.ended:  # it stays as it was read
        assert near(twice) == near(once)


@given(records, seconds, seconds)
def test_time_only_ever_adds_silence(record, first, more):
    before, after = as_read(record, Totals(), at(first)), as_read(record, Totals(), at(first + more))
    for name in ("elapsed", "idle_for", "silent_for"):
        earlier, now = getattr(before, name), getattr(after, name)
        assert (earlier is None) == (now is None)
        assert earlier is None or now >= earlier
    for name in ("remaining", "remaining_low", "remaining_high"):
        now = getattr(after, name)
        assert now is None or 0 <= now <= getattr(before, name)
    assert before.grid == after.grid
    if before.status == "stalled":
        assert after.status == "stalled"


@given(records, seconds)
def test_a_job_that_ended_does_not_age(record, passed):
    read = as_read(record, Totals(), at(0))
    if read.ended:
        assert later(read, at(passed)) == read
        assert replace(as_read(record, Totals(), at(passed)), read_at=None) == replace(read, read_at=None)
        assert (read.elapsed, read.cancellable, read.silent_for) == (record.elapsed, False, None)
        assert read.remaining == (0.0 if read.status == "completed" else None)


def test_a_silent_worker_stalls_when_its_lease_has_passed_and_not_before():
    record = Snapshot(
        id="job",
        status="running",
        seen_at=START,
        lease=30.0,
        elapsed=10.0,
        idle_for=1.0,
        remaining=100.0,
        rate=2.0,
    )
    believed, silent = as_read(record, Totals(), at(30)), as_read(record, Totals(), at(30.001))
    assert (believed.status, believed.elapsed, believed.remaining, believed.rate) == (
        "running",
        40.0,
        70.0,
        2.0,
    )
    assert (silent.status, silent.elapsed, silent.remaining, silent.rate) == ("stalled", 40.0, None, None)
    much_later = later(silent, at(300))
    assert (much_later.status, much_later.elapsed, much_later.silent_for) == ("stalled", 40.0, 300.0)
    assert much_later.idle_for == pytest.approx(301)


@pytest.mark.parametrize("status", ["pending", "retrying"])
def test_a_waiting_job_only_waits(status):
    record = Snapshot(id="job", status=status, seen_at=START, elapsed=5.0)
    read = as_read(record, Totals(), at(10_000))
    assert (read.status, read.elapsed, read.silent_for) == (status, 5.0, 10_000.0)


def test_a_clock_that_was_set_back_ages_nothing():
    record = Snapshot(id="job", status="running", seen_at=START, elapsed=5.0, remaining=9.0)
    read = as_read(record, Totals(), at(-3600))
    assert (read.status, read.elapsed, read.remaining, read.silent_for) == ("running", 5.0, 9.0, 0.0)
    shown = as_read(record, Totals(), at(10))
    assert later(shown, at(5)).read_at == shown.read_at
    waiting = as_read(replace(record, status="pending"), Totals(), at(10))
    assert later(waiting, at(5)).read_at == waiting.read_at


def test_what_a_newer_version_wrote_reads_as_what_it_most_likely_is():
    odd = Snapshot(id="job", status="sharpening", cancel="shouted", seen_at=START)
    assert (as_read(odd, Totals(), at(1)).status, as_read(odd, Totals(), at(1)).cancel) == (
        "running",
        "requested",
    )
    assert as_read(odd, Totals(), at(99)).status == "stalled"
    assert as_read(replace(odd, ended_at=START), Totals(), at(99)).status == "stopped"


def test_parts_are_added_where_they_belong():
    record = Snapshot(
        id="job",
        status="running",
        seen_at=START,
        count=1,
        total=10,
        stages=(Stage("a", 1.0, 2, 4), Stage("b")),
    )
    read = as_read(record, Totals({None: 4, "a": 1, "gone": 9}), at(0))
    assert (read.count, read.percent, read.stages[0].fraction, read.stages[1].count) == (5, 50, 0.75, None)
    alone = as_read(Snapshot(id="job"), Totals({None: 3}), at(0))
    assert alone.count == 3


def test_steps_that_others_count_weigh_what_the_weighed_ones_do_on_average():
    weighed = Stage("a", 1.0, count=1, total=4, work=10, total_work=80)
    record = Snapshot(id="job", count=2, total=8, work=30, total_work=80, stages=(weighed,))
    read = as_read(record, Totals({None: 2, "a": 1}), START)
    assert (read.count, read.work, read.percent) == (4, 50, 62)
    assert (read.stages[0].count, read.stages[0].work, read.stages[0].fraction) == (2, 30, 0.375)
    assert as_read(record, Totals({None: 2_000}), START).work == 80


def test_children_and_stages_share_one_bar():
    record = Snapshot(id="job", stages=(Stage("own", 1.0, 1, 2),), total_weight=4.0)
    read = as_read(record, Totals(weight=3.0, done=15_000.0, children=3, ended=1, failed=1), START)
    assert read.fraction == 0.5
    assert read.children == Children(3, 1, 1)
    assert as_read(replace(record, total_weight=None), Totals(weight=3.0, children=1), START).fraction is None
    assert as_read(record, Totals(children=2), START).percent == 12


def test_a_failure_never_reads_as_full_and_a_completed_job_always_does():
    for status in ("running", "retrying", "failed", "stopped", "cancelled"):
        assert Snapshot(id="job", status=status, count=5, total=5).percent == 99
    for count in (None, 0, 3):
        done = Snapshot(id="job", status="completed", count=count, total=5)
        assert (done.percent, done.fraction) == (100, 1.0)


def test_results_and_errors_are_shown_with_the_status_they_belong_to():
    details = Details((Message(START, "a"),), Error("x"), 5, 6)
    for status, error, result in (
        ("failed", Error("x"), None),
        ("retrying", Error("x"), None),
        ("completed", None, 5),
        ("running", None, None),
    ):
        job = Snapshot(id="job", status=status, details=details)
        assert (job.error, job.result, job.meta, len(job.messages)) == (error, result, 6, 1)
    bare = Snapshot(id="job", status="failed")
    assert (bare.error, bare.result, bare.meta, bare.messages) == (None, None, None, ())


def test_times_follow_from_what_is_known():
    record = Snapshot(
        id="job",
        status="running",
        created_at=at(-10),
        started_at=at(-4),
        seen_at=START,
        remaining=60.0,
        idle_for=2.0,
    )
    read = as_read(record, Totals(), at(5))
    assert (read.waited, read.finish_at, read.progressed_at) == (6.0, at(60), at(-2))
    assert Snapshot(id="job").finish_at is None
    assert Snapshot(id="job").waited is None


def test_what_was_felt_of_a_run_is_over_while_the_next_is_waited_for():
    felt = {"remaining": 60.0, "remaining_low": 30.0, "remaining_high": 90.0, "estimate_basis": "both"}
    job = Snapshot(id="a", status="retrying", seen_at=START, read_at=START, rate=2.0, patience=10.0, **felt)
    seen = later(job, START + timedelta(seconds=5))
    assert [getattr(seen, name) for name in (*felt, "rate", "patience")] == [None] * 6

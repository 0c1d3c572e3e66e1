"""What is felt of a job's progress is sane, whatever the job says of itself."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from headway.core.estimate import Profile
from headway.core.snapshot import LARGEST, Snapshot, Stage, Totals
from headway.worker.pulse import Pulse, among_children, work_of

counts = st.one_of(st.none(), st.integers(0, 20), st.integers(0, LARGEST), st.floats(0, 1e6))
weights = st.one_of(st.none(), st.sampled_from([0.0, 1.0, 3.0]), st.floats(0, 1e9))
bars = {"count": counts, "total": counts, "work": counts, "total_work": counts}
stages = st.builds(
    Stage,
    name=st.sampled_from(["Load", "Save"]),
    weight=weights,
    elapsed=st.one_of(st.none(), st.floats(0, 1e6)),
    ended=st.booleans(),
    **bars,
)
states = st.builds(
    Snapshot,
    id=st.just("a"),
    initial=st.integers(0, 30),
    stages=st.lists(stages, max_size=3).map(tuple),
    total_weight=weights,
    **bars,
)
totals = st.builds(
    Totals,
    weight=st.floats(0, 100),
    done=st.floats(0, 1e6),
    children=st.integers(0, 5),
    ended=st.integers(0, 5),
)
lefts = st.one_of(st.none(), st.floats(0, 1e6))
children = st.builds(Snapshot, id=st.just("b"), remaining=lefts, remaining_low=lefts, remaining_high=lefts)
profiles = st.builds(
    Profile,
    seconds=st.floats(0.001, 1e6),
    total=st.sampled_from([0.0, 1.0, 100.0]),
    done=st.sampled_from([(), tuple(10_000 * point // 64 for point in range(1, 65))]),
    stages=st.sampled_from([{}, {"Load": 3.0}, {"Load": 0.0, "Save": math.inf}]),
)
steps = st.lists(
    st.tuples(st.floats(0, 1e5), states, st.one_of(st.none(), totals), st.lists(children, max_size=2)),
    max_size=12,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(profiles, max_size=3), steps, st.integers(0, 12))
def test_no_state_makes_an_estimate_negative_infinite_or_an_error(history, told, learns_at):
    pulse, now = Pulse(0.5), 0.0
    for index, (passes, state, others, young) in enumerate(told):
        if index == learns_at:
            pulse.learn(history)
        now += passes
        facts = replace(pulse.planned(state, others), elapsed=now)
        felt = pulse.felt(facts, others, young, now)
        seen = [felt.idle_for, felt.rate, felt.usual, felt.patience, felt.remaining]
        seen += [felt.remaining_low, felt.remaining_high]
        assert all(one is None or (math.isfinite(one) and one >= 0) for one in seen), seen
    final = pulse.profile(Snapshot(id="a", elapsed=now))
    assert math.isfinite(final.seconds)
    assert final.seconds > 0


def test_work_is_counted_in_what_items_weigh_and_without_what_was_done_before():
    assert work_of(Snapshot(id="a", count=30, total=100, initial=20)) == (10, 80)
    assert work_of(Snapshot(id="a", count=3, total=10, work=50, total_work=200)) == (50, 200)
    resumed = Snapshot(id="a", count=30, total=100, initial=20, work=60, total_work=200)
    assert work_of(resumed) == (20, 160)
    assert work_of(Snapshot(id="a", count=3)) == (3, None)
    assert work_of(Snapshot(id="a")) == (0, None)


def test_work_of_stages_and_children_is_a_share_in_fine_steps():
    halves = (Stage("a", 1.0, ended=True), Stage("b", 1.0, count=1, total=1_000_000))
    assert work_of(Snapshot(id="a", stages=halves, total_weight=2.0)) == (0.5000005, 1.0)
    grown = Totals(weight=2.0, done=10_000.0, children=2)
    assert work_of(Snapshot(id="a", totals=grown, total_weight=4.0)) == (0.25, 1.0)


def left(seconds):
    return Snapshot(id="c", remaining=seconds, remaining_low=seconds / 2, remaining_high=seconds * 2)


def test_a_parent_lasts_at_least_as_long_as_the_longest_child():
    parent = Snapshot(id="a", total_weight=4.0, totals=Totals(weight=2.0, children=2))
    assert among_children(parent, (10.0, 8.0, 12.0), [left(3.0), left(40.0)]) == (40, 20, 80)
    assert among_children(parent, (50.0, 8.0, 90.0), [left(40.0)]) == (50, 20, 90)
    assert among_children(parent, None, [left(40.0)]) is None


def test_a_parent_of_which_nothing_else_is_left_lasts_just_as_long():
    parent = Snapshot(id="a", total_weight=2.0, totals=Totals(weight=2.0, children=2, ended=1))
    assert among_children(parent, (500.0, 400.0, 600.0), [left(40.0)]) == (40, 20, 80)
    assert among_children(parent, None, [left(40.0)]) == (40, 20, 80)

"""Time left: never absurd, whatever is told; good on jobs that never ran, on a clock that is set."""

import math
import random

import pytest
from bench.eta import __main__ as bench
from bench.eta.jobs import runs
from bench.eta.score import mean
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from headway.core.estimate import Estimator, Profile
from headway.core.estimate.trail import MOST
from headway.core.words import Finish

ANYTHING = st.floats(allow_nan=True, allow_infinity=True)
COUNTS = st.one_of(st.integers(-5, 20), st.integers(0, 10**9), st.floats(-1e3, 1e12), ANYTHING)
TIMES = st.one_of(st.floats(0, 100), st.floats(-1e4, 1e9), ANYTHING)
TOTALS = st.one_of(st.none(), st.sampled_from([0, 1, 5, 10**9, 2**53 - 1]), st.floats(-1, 1e12), ANYTHING)
PROFILES = st.builds(
    Profile,
    seconds=st.one_of(st.floats(1e-6, 1e7), ANYTHING),
    total=st.one_of(st.floats(0, 1e12), ANYTHING),
    done=st.one_of(
        st.lists(st.integers(0, 10_000), min_size=63, max_size=63).map(lambda it: (*sorted(it), 10_000)),
        st.lists(st.integers(-5, 20_000), max_size=70).map(tuple),
    ),
    width=st.one_of(st.none(), st.floats(-2, 2), ANYTHING),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("update"), TIMES, COUNTS),
        st.tuples(st.just("goes on"), st.floats(0, 1e4), st.floats(0, 100)),
        st.tuples(st.just("total"), TOTALS, st.none()),
        st.tuples(st.just("now"), TIMES, st.none()),
    ),
    max_size=60,
)


def is_sane(found):
    if found is None:
        return True
    seconds, low, high = found
    return all(math.isfinite(one) for one in found) and 0 <= low <= seconds <= high


def is_a_profile(profile):
    return (
        math.isfinite(profile.seconds)
        and profile.seconds > 0
        and math.isfinite(profile.total)
        and (not profile.done or (len(profile.done) == 64 and list(profile.done) == sorted(profile.done)))
        and all(0 <= one <= 10_000 for one in profile.done)
    )


@settings(max_examples=400, deadline=None)
@given(TOTALS, st.lists(PROFILES, max_size=10), STEPS)
def test_whatever_is_told_an_estimate_is_never_negative_infinite_or_an_error(total, history, steps):
    estimator, at, done = Estimator(total, history), 0.0, 0.0
    for step, one, other in steps:
        if step == "update":
            estimator.update(one, other)
        elif step == "goes on":
            at, done = at + one, done + other
            estimator.update(at, done)
        elif step == "total":
            estimator.total = one
        assert is_sane(estimator.remaining(one if step == "now" else at))
        assert estimator.basis in {"run", "history", "both"}
        assert len(estimator._trail.at) <= MOST
    assert is_a_profile(estimator.profile(at))


def after(*reports, total=100.0, history=()):
    estimator = Estimator(total, history)
    for at, done in reports:
        estimator.update(at, done)
    return estimator


def whole(seconds=100.0, total=100.0, history=(), pace=lambda share: share):
    estimator = Estimator(total, history)
    for point in range(1, 201):
        estimator.update(seconds * point / 200, total * pace(point / 200))
    return estimator.profile(seconds)


def test_a_steady_job_ends_when_its_pace_says():
    estimator = after(*((float(at), float(at)) for at in range(1, 51)))
    seconds, low, high = estimator.remaining(50.0)
    assert seconds == pytest.approx(50, rel=0.03)
    assert low < 50 < high


@pytest.mark.parametrize("power", [2.0, 1.5, 0.6])
def test_a_pace_that_changes_steadily_is_foretold(power):
    estimator = after(*((100 * (n / 100) ** power, float(n)) for n in range(1, 41)))
    now = 100 * 0.4**power
    seconds, low, high = estimator.remaining(now)
    assert seconds == pytest.approx(100 - now, rel=0.1), "as sorting, indexing and warming up do"
    assert low < 100 - now < high


def test_a_pace_that_wavers_is_no_trend():
    reports, at = [], 0.0
    for n in range(1, 49):
        at += 3.0 if n % 24 > 12 else 1.0
        reports.append((at, float(n)))
    assert after(*reports).remaining(at)[0] == pytest.approx(at / 48 * 52, rel=0.35)


def test_a_stall_is_no_progress_and_makes_the_estimate_longer_never_absurd():
    estimator = after(*((10.0 * n, n) for n in range(1, 6)), total=10)
    said = [estimator.remaining(50.0 + age)[0] for age in (0, 5, 10, 100, 1_000, 100_000)]
    assert said[:3] == pytest.approx([50, 50, 50], rel=0.15)
    assert said[2:] == sorted(said[2:])
    assert estimator.remaining(100_050.0)[0] < 1e6


def test_the_finish_that_is_shown_counts_down_between_two_reports():
    estimator, finish = after(*((10.0 * n, n) for n in range(1, 6)), total=10), Finish()
    said = [finish.left(50.0 + age, *estimator.remaining(50.0 + age)) for age in range(10)]
    assert said == pytest.approx([50 - age for age in range(10)], abs=0.1)


def test_without_ground_there_is_no_estimate():
    assert after().remaining(10.0) is None
    assert after((1.0, 5.0), total=None).remaining(10.0) is None
    assert after((1.0, 5.0), total=0).remaining(10.0) is None


def test_nothing_is_left_when_all_is_done_or_more():
    assert after((1.0, 100.0)).remaining(10.0) == (0, 0, 0)
    assert after((1.0, 120.0)).remaining(10.0) == (0, 0, 0)


def test_a_total_that_changes_is_followed_and_one_that_comes_late_is_used():
    estimator = after(*((float(at), float(at)) for at in range(1, 51)), total=None)
    assert estimator.remaining(50.0) is None
    estimator.total = 100
    assert estimator.remaining(50.0)[0] == pytest.approx(50, rel=0.03)
    estimator.total = 150
    assert estimator.remaining(50.0)[0] == pytest.approx(100, rel=0.03)


def test_what_was_undone_counts_neither_as_work_nor_as_time():
    estimator = after(*((float(at), float(at)) for at in range(1, 51)))
    estimator.update(51.0, 20.0)
    assert estimator.remaining(51.0)[0] == pytest.approx(80, rel=0.05)
    estimator.update(52.0, 0.0)
    assert estimator.remaining(52.0) is None
    for more in range(1, 11):
        estimator.update(52.0 + more, more)
    assert estimator.remaining(62.0)[0] == pytest.approx(90, rel=0.05)


def test_a_job_that_falls_back_to_next_to_nothing_begins_anew():
    estimator = after((1.0, 50.0), (2.0, 1e-308))
    assert estimator.remaining(3.0) is None
    estimator.update(4.0, 50.0)
    assert is_sane(estimator.remaining(4.0))


def test_a_clock_that_is_set_back_goes_on_from_where_it_was():
    estimator = after(*((float(at), float(at)) for at in range(1, 31)))
    for more in range(1, 21):
        estimator.update(more - 1_000.0, 30.0 + more)
    assert estimator.remaining(-980.0)[0] == pytest.approx(50, rel=0.2)


def test_a_billion_items_are_no_more_than_a_few_checkpoints():
    rng, estimator, at = random.Random(7), Estimator(1e9), 0.0
    for n in range(1, 20_001):
        at += rng.paretovariate(1.1)
        estimator.update(at, 50_000.0 * n)
        assert len(estimator._trail.at) <= MOST
    assert is_sane(estimator.remaining(at))


def test_an_earlier_run_tells_the_time_left_before_the_first_report():
    estimator = after(history=[whole()])
    seconds, low, high = estimator.remaining(0.0)
    assert (seconds, estimator.basis) == (pytest.approx(100, rel=0.01), "history")
    assert low < 100 < high
    assert estimator.remaining(30.0)[0] == pytest.approx(70, rel=0.01)


def test_an_earlier_run_of_unknown_size_tells_it_for_a_job_that_counts_nothing():
    uncounted = Estimator(None).profile(60.0)
    assert uncounted == Profile(60.0, 0.0)
    assert Estimator(None, [uncounted]).remaining(20.0)[0] == pytest.approx(40, rel=0.01)
    assert Estimator(None, [whole()]).remaining(20.0)[0] == pytest.approx(80, rel=0.01)


def test_twice_the_work_usually_takes_twice_the_time():
    assert after(total=200.0, history=[whole()]).remaining(0.0)[0] == pytest.approx(200, rel=0.01)


def test_time_that_does_not_go_with_the_work_is_noticed():
    runs = [whole(100.0, total) for total in (10.0, 100.0, 1_000.0, 30.0)]
    assert after(total=10_000.0, history=runs).remaining(0.0)[0] == pytest.approx(100, rel=0.01)


def test_a_slow_tail_is_known_from_the_second_run_on():
    def tail(share):
        return min(2 * share, 0.8 + 0.2 * share)  # 90 % of the work in 45 % of the time

    history = [whole(pace=tail)] * 3
    reports = [(0.5 * n, 100 * tail(0.005 * n)) for n in range(1, 81)]  # 40 s
    first, informed = after(*reports), after(*reports, history=history)
    assert first.remaining(40.0)[0] < 20
    assert informed.remaining(40.0)[0] == pytest.approx(60, rel=0.1)
    assert informed.basis == "both"


def test_a_job_that_has_changed_lets_its_history_go():
    history = [whole(10.0)] * 5
    reports = [(10.0 * n, 2.0 * n) for n in range(1, 26)]  # 5 s each, half of it done in 250 s
    assert after(*reports, history=history).remaining(250.0)[0] == pytest.approx(250, rel=0.2)


def test_a_long_last_step_survives_in_the_profile():
    estimator = after(*((float(n), n) for n in range(1, 100)), total=100)
    profile = estimator.profile(200.0)
    assert (len(profile.done), profile.done[-1]) == (64, 10_000)
    assert profile.done[62] == 9_900
    informed = after(*((float(n), n) for n in range(1, 100)), total=100, history=[profile] * 4)
    assert informed.remaining(99.0)[0] == pytest.approx(101, rel=0.15)


def test_what_comes_after_the_last_step_is_known_from_the_second_run_on():
    steps = [(float(at), float(at)) for at in range(1, 101)]
    first = after(*steps)
    assert first.remaining(110.0) == (0, 0, 0)
    informed = after(*steps, history=[first.profile(160.0)] * 4)
    assert informed.remaining(110.0)[0] == pytest.approx(50, rel=0.2)
    assert informed.remaining(400.0)[0] > 5, "it does not run out"


def test_only_the_last_eight_runs_are_looked_at():
    history = [whole(1e4)] * 20 + [whole(100.0)] * 8
    assert after(history=history).remaining(0.0)[0] == pytest.approx(100, rel=0.01)


def test_ranges_that_were_too_narrow_are_wider_in_the_next_run():
    def surprise(share):
        return min(1.0, share * 4) * 0.5 + max(0.0, share - 0.25) * 2 / 3

    usual = [whole()] * 3
    odd = whole(300.0, history=usual, pace=surprise)
    assert odd.width > 0
    unmeasured = replace(odd, width=None)
    _, low, high = after(history=[*usual, unmeasured]).remaining(0.0)
    _, lower, higher = after(history=[*usual, odd]).remaining(0.0)
    assert higher / lower > high / low


def test_damaged_history_is_passed_over():
    bad = [Profile(math.nan, 1), Profile(-1.0, 1), Profile(0.0, 1), Profile(math.inf, 1)]
    assert after(history=bad).remaining(1.0) is None
    assert after(history=bad).basis == "run"
    unshaped = Profile(100.0, 100.0, (0, 5_000, 10_000), math.inf)
    assert after(history=[unshaped]).remaining(0.0)[0] == pytest.approx(100, rel=0.01)


@pytest.fixture(scope="module")
def scores():
    """One job of each family: the whole of it is in bench/eta."""
    return {name: mean(list(of.values())) for name, of in bench.measured(2).items()}


def test_the_budgets_hold_on_the_synthetic_families(scores):
    """With a margin, since it is a sample of the bench."""
    for name, most in bench.BUDGETS.items():
        assert scores[name].error <= most * 1.1
        assert 0.70 <= scores[name].held <= 0.93
    for name in (bench.AS_SHOWN, "headway, 5 earlier, as shown"):
        assert scores[name].moves <= bench.MOST_MOVED


def test_it_is_better_than_a_line_and_no_worse_than_the_best_peer(scores):
    ours = scores[bench.OURS].error
    assert ours <= scores["a straight line"].error * 0.9
    assert ours <= min(scores["tqdm"].error, scores["rich"].error)


def test_the_jobs_are_the_same_each_time():
    assert [run.seconds for run in runs("warm_up", 0, 2)] == [run.seconds for run in runs("warm_up", 0, 2)]

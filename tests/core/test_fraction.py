"""Shown percents are exact, and 100 means done."""

from fractions import Fraction
from math import floor, inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.core.fraction import FULL, NEARLY, bar, members, whole

NUMBERS = st.floats(0, 1e15) | st.integers(0, 2**53 - 1)


def test_every_pair_up_to_a_thousand_is_exact():
    for total in range(1, 1001):
        for count in range(total + 1):
            assert bar(count, total) == count * 10_000 // total
            assert bar(count, total) // 100 == count * 100 // total


@pytest.mark.parametrize("total", [1, 3, 7, 29, 100, 333, 1000])
def test_floats_that_stand_for_whole_numbers_read_the_same(total):
    for count in range(total + 1):
        assert bar(float(count), float(total)) == bar(count, total)
        assert bar(count / total, 1) == bar(count, total)


@given(NUMBERS, NUMBERS)
def test_a_bar_is_rounded_down_and_at_most_full(count, total):
    shown = bar(count, total)
    if total == 0:
        assert shown is None
        return
    exact = floor(Fraction(min(count, total)) / Fraction(total) * FULL)
    assert shown - exact in {0, 1}  # a float may stand a billionth below what was meant
    assert 0 <= shown <= FULL
    assert isinstance(shown, int)


@pytest.mark.parametrize(
    ("count", "total"),
    [(None, 5), (5, None), (1, 0), (0, 0), (1, -1), (-1, 5), (nan, 5), (5, nan), (5, inf), (inf, 5), (inf,
     inf),
     (-inf, 5), (10**400, 0.5), (0.5, 10**400)],
)  # fmt: skip
def test_what_is_no_number_of_steps_is_unknown(count, total):
    assert bar(count, total) is None


def test_more_than_all_is_full():
    assert bar(7, 5) == FULL
    assert bar(2**53 - 1, 2**53 - 1) == FULL
    assert bar(2**53 - 2, 2**53 - 1) == NEARLY


def test_members_count_by_their_weight():
    assert members([(1, 10_000), (3, 4_201)], 4) == 5_650
    assert members([(1, FULL), (1, 0)], None) is None
    assert members([(1, FULL), (None, 0)], 2) is None
    assert members([(0, FULL), (0, 0)], 0) is None
    assert members([], 4) == 0


def test_members_still_to_come_count_as_not_begun_and_those_beyond_the_plan_enlarge_it():
    assert members([(1, FULL)], 4) == 2_500
    assert members([(1, FULL), (1, FULL), (2, 0)], 2) == 5_000


@given(st.lists(st.integers(1, 1_000), min_size=1, max_size=100))
def test_all_members_full_are_a_full_whole_whatever_their_weights(weights):
    scaled = [weight / 7 for weight in weights]
    assert members([(weight, FULL) for weight in scaled], sum(scaled)) == FULL


@given(st.none() | st.integers(0, FULL), st.none() | st.integers(0, FULL))
def test_a_job_is_full_when_it_has_completed_and_only_then(own, parts):
    assert whole(own, parts, completed=True) == FULL
    shown = whole(own, parts, completed=False)
    assert shown is None or 0 <= shown <= NEARLY
    assert (shown is None) == (own is None and parts is None)
    assert shown is None or shown >= min(NEARLY, max(own or 0, parts or 0))

"""How good an estimate was, over whole runs of which the end is known."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import log
from statistics import fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.eta.estimates import Estimate, Range
    from bench.eta.jobs import Run

LOOKS = tuple(percent / 100 for percent in range(5, 100, 5))
"""The shares of a run's time at which its estimate is compared with the truth."""
DISPLAYS = 100
MISSING = log(10)
"""An estimate that is missing, or further off than ten times, counts as ten times off."""


@dataclass(frozen=True)
class Score:
    """One run's, or the mean of several.

    Attributes:
        error: Mean of abs(ln(said / true)).
        near: Share of the estimates within 20 % of the truth.
        held: Share of the truths inside the range.
        moves: How far the finish moved between two displays, in percent of the run.
        changes: Share of the displays at which the finish moved by more than 2 % of the time left.
        breadth: Mean of ln(high / low).
    """

    error: float
    near: float
    held: float
    moves: float
    changes: float
    breadth: float


def score(estimate: Estimate, run: Run) -> Score:
    """Replay a run, with a display at each percent of its time."""
    said, index = [], 0
    for display in range(1, DISPLAYS):
        now = run.seconds * display / DISPLAYS
        while index < len(run.reports) and run.reports[index][0] <= now:
            estimate.update(*run.reports[index])
            index += 1
        said.append((now, estimate.remaining(now)))
    looks = [said[round(look * DISPLAYS) - 1] for look in LOOKS]
    errors = [_error(found, run.seconds - now) for now, found in looks]
    moves, changes = _moves(said, run.seconds)
    ranges = [found for _, found in looks if found and 0 < found[1] < found[2]]
    return Score(
        error=fmean(errors),
        near=fmean(error <= log(1.2) for error in errors),
        held=fmean(_holds(found, run.seconds - now) for now, found in looks),
        moves=moves,
        changes=changes,
        breadth=fmean(log(high / low) for _, low, high in ranges) if ranges else 0.0,
    )


def mean(scores: Sequence[Score]) -> Score:
    """All weigh the same."""
    names = Score.__dataclass_fields__
    return Score(**{name: fmean(getattr(one, name) for one in scores) for name in names})


def _error(found: Range | None, true: float) -> float:
    if found is None or found[0] <= 0:
        return MISSING
    return min(MISSING, abs(log(found[0] / true)))


def _holds(found: Range | None, true: float) -> bool:
    return found is not None and found[1] <= true <= found[2]


def _moves(said: Sequence[tuple[float, Range | None]], seconds: float) -> tuple[float, float]:
    finishes = [(now, now + found[0]) for now, found in said if found is not None]
    if len(finishes) < 2:
        return 0.0, 0.0
    moved = [(abs(finish - before), finish - now) for (_, before), (now, finish) in pairwise(finishes)]
    far = [distance > 0.02 * max(left, 0.0) for distance, left in moved]
    return fmean(min(100.0, 100 * distance / seconds) for distance, _ in moved), fmean(far)

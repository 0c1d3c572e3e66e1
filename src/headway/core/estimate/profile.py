"""What a completed run leaves, and what several of them tell together."""

from __future__ import annotations

from bisect import bisect_left
from math import exp, isfinite, log, sqrt
from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Sequence

POINTS = 64
"""A profile says how much was done after each 1/64 of the time."""
FULL = 10_000
KEPT = 8
"""Runs that are looked at: the last ones."""
FADE = 0.8
"""What a run weighs beside the one after it."""
ONE_RUN = 1.0
"""How many runs the two guesses below are worth."""
SPREAD = 0.30
"""Guess: how far ln(seconds) differs from run to run."""
SCATTER = 0.12
"""Guess: how far the profile differs from run to run, as ln((1 - share) / share)."""
FLAT, CLEAR = 0.20, 3.0
"""How much noise to expect in a profile, and how clear a shape must stand out of it to be used."""
WIDEN, NARROW = 0.5, 0.25
"""How fast the width of the ranges follows what the runs would have needed."""
WIDEST = 1.2
"""The ln of the factor by which ranges are widened or narrowed at most."""
TWENTIETHS = 20
FARTHEST = 50.0
"""The ln of the most and the least that is believed; beyond lie damaged records."""


class Profile(Struct, frozen=True, omit_defaults=True):
    """What a completed run leaves for estimates of later ones: some 350 bytes.

    Attributes:
        seconds: How long it took.
        total: How much work it was; 0 where nothing was counted.
        done: Work done, in ten-thousandths, after each 1/64 of its time; empty where that is not known.
        width: ln of the factor by which its ranges should have been wider; None for a first run.
        stages: How many seconds each of its stages took, by name.
    """

    seconds: float
    total: float
    done: tuple[int, ...] = field(default=())
    width: float | None = None
    stages: dict[str, float] = field(default_factory=dict)


def shape(
    at: Sequence[float], done: Sequence[float], seconds: float, total: float, tick: float = 0.0
) -> tuple[int, ...]:
    """Work done, in ten-thousandths, after each 1/64 of the time.

    A gap is a gap and not a ramp, unless nobody has looked in between: within two ticks.
    """
    shortest = max(seconds / POINTS, 2 * tick)
    at, done = [*at, seconds], [*done, total]
    shares, index = [], 0
    for point in range(1, POINTS):
        then = seconds * point / POINTS
        while index < len(at) - 2 and at[index + 1] < then:
            index += 1
        before, after = at[index], at[index + 1]
        work = done[index]
        is_gap = after - before > shortest and then < after
        if not is_gap and after > before:
            work += (done[index + 1] - work) * min(1.0, (then - before) / (after - before))
        shares.append(max(0, min(FULL, int(FULL * work / total))))
    return (*shares, FULL)


def when(shares: Sequence[float], done: float) -> float:
    """The share of the time after which a share of the work had been done."""
    work = done * FULL
    if work <= 0:
        return 0.0
    index = bisect_left(shares, work)
    if index >= POINTS:
        return 1.0
    before = shares[index - 1] if index else 0
    return (index + (work - before) / (shares[index] - before)) / POINTS


class Earlier:
    """What earlier runs of a kind tell together.

    Attributes:
        scatter: How far their profiles differ, at each twentieth of the work.
        trust: How far their shape stands out of that, 0 to 1.
        width: The factor by which ranges are widened.
        uncertainty: How far the ln of the next run's seconds will differ.
    """

    def __init__(self, runs: Sequence[Profile]) -> None:
        weights = [FADE ** (len(runs) - 1 - index) for index in range(len(runs))]
        self.width = exp(_width_of(runs))
        self._learn_seconds(runs, weights)
        shaped = [(run.done, weight) for run, weight in zip(runs, weights, strict=True) if _is_shape(run)]
        self._learn_shape([shares for shares, _ in shaped], [weight for _, weight in shaped])

    def seconds(self, total: float | None) -> float:
        """How long a run of so much work usually takes."""
        by_work = self._by_work and total is not None
        ln_seconds = self._ln_pace + log(total or 1.0) if by_work else self._ln_seconds
        return exp(max(-FARTHEST, min(FARTHEST, ln_seconds)))

    def warped(self, done: float) -> float:
        """The share of the time after which a share of the work is usually done."""
        if not self.trust:
            return done
        return self.trust * when(self._shares, done) + (1 - self.trust) * done

    def scatter_at(self, done: float) -> float:
        """How far the profiles differ where a share of the work is done."""
        return self.scatter[min(TWENTIETHS - 2, max(0, int(done * TWENTIETHS) - 1))]

    def _learn_seconds(self, runs: Sequence[Profile], weights: Sequence[float]) -> None:
        """Does the time go with the work?  Yes, unless clearly not."""
        self._ln_seconds, alone = _middle([log(run.seconds) for run in runs], weights)
        self._ln_pace, squares = self._ln_seconds, alone
        self._by_work = all(0 < run.total < float("inf") for run in runs)
        if self._by_work:
            self._ln_pace, squares = _middle([log(run.seconds) - log(run.total) for run in runs], weights)
            if len(runs) > 1 and alone < 0.5 * squares:
                self._by_work, squares = False, alone
        count = len(runs)
        variance = (squares + ONE_RUN * SPREAD**2) / (count - 1 + ONE_RUN) * (1 + 1 / count)
        self.uncertainty = max(0.08, sqrt(variance))

    def _learn_shape(self, shapes: Sequence[Sequence[int]], weights: Sequence[float]) -> None:
        self.trust = 0.0
        self.scatter = [SCATTER] * (TWENTIETHS - 1)
        if not shapes:
            return
        self._shares = [_median(point, weights) for point in zip(*shapes, strict=True)]
        count, signal, noise = len(shapes), 0.0, 0.0
        for index in range(1, TWENTIETHS):
            straight = index / TWENTIETHS
            found = [_logit(when(shares, straight)) for shares in shapes]
            middle, squares = _middle(found, weights)
            self.scatter[index - 1] = sqrt((squares + ONE_RUN * SCATTER**2) / (count - 1 + ONE_RUN))
            signal += (middle - _logit(straight)) ** 2
            noise += (squares + FLAT**2) / count
        self.trust = signal / (signal + CLEAR * noise / count + 1e-12)


def usable(history: Sequence[Profile]) -> list[Profile]:
    """The last runs that can be learnt from."""
    return [run for run in history if isfinite(run.seconds) and run.seconds > 1e-9][-KEPT:]


def weights(history: Sequence[Profile]) -> dict[str, float]:
    """What the stages of the last run weigh: the seconds that they took, in the middle of all runs."""
    last = history[-1].stages if history else {}
    return {name: _usual([run.stages[name] for run in history if name in run.stages]) for name in last}


def _usual(seconds: Sequence[float]) -> float:
    known = [one for one in seconds if isfinite(one)]
    return max(0.001, _median(known, [1.0] * len(known))) if known else 0.001


def _is_shape(run: Profile) -> bool:
    return len(run.done) == POINTS and run.done[-1] == FULL and all(map(_is_rising, run.done, run.done[1:]))


def _is_rising(one: int, next_: int) -> bool:
    return 0 <= one <= next_


def _width_of(runs: Sequence[Profile]) -> float:
    """Adaptive conformal inference (Gibbs and Candès 2021), with the width as the state."""
    width = 0.0
    for run in runs:
        needed = width if run.width is None or not isfinite(run.width) else run.width
        width += (WIDEN if needed > width else NARROW) * (needed - width)
    return max(-WIDEST, min(WIDEST, width))


def _middle(values: Sequence[float], weights: Sequence[float]) -> tuple[float, float]:
    """Their weighted median, and the sum of their squared distances from it."""
    middle = _median(values, weights)
    return middle, sum((value - middle) ** 2 for value in values)


def _median(values: Sequence[float], weights: Sequence[float]) -> float:
    half, so_far = sum(weights) / 2, 0.0
    ordered = sorted(zip(values, weights, strict=True))
    for index, (value, weight) in enumerate(ordered):
        so_far += weight
        if so_far > half + 1e-12:
            return value
        if so_far > half - 1e-12:
            return (value + ordered[index + 1][0]) / 2
    return ordered[-1][0]


def _logit(share: float) -> float:
    share = min(0.999, max(0.001, share))
    return log((1 - share) / share)

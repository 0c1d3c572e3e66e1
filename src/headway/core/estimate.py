"""How long a job will go on, from the progress it has reported.

The method is a power-weighted pace: seconds per unit, each weighted by how much had been done, so that the
beginning is slowly forgotten and no time constant has to be chosen.  It needs four numbers.
"""

from __future__ import annotations

from math import exp, sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SPREAD = 0.33
"""Spread of ln(remaining) that is always there, and ``FEW`` what few reports add to it."""
FEW = 2.4
LOW, HIGH = 1.3, 1.0
"""The 80 % range lies between ``exp(-LOW * spread)`` and ``exp(HIGH * spread)`` times the estimate."""


class Estimator:
    """Time left of one run.

    Args:
        total: The work to be done, more than 0.
        history: What earlier runs left; not used yet.
    """

    def __init__(self, total: float, history: Sequence[object] = ()) -> None:
        self.total = total
        self.history = history
        self._at = self._done = self._area = 0.0
        self._gap = self._step = 0.0
        self._reports = 0

    def update(self, at: float, done: float) -> None:
        """So much was done after so many seconds; what goes backwards is left out."""
        if done <= self._done or at < self._at:
            return
        self._reports += 1
        weight = 1 / min(self._reports, 8)
        self._gap += weight * (at - self._at - self._gap)
        self._step += weight * (done - self._done - self._step)
        self._area += (done**2 - self._done**2) * (at - self._at) / (done - self._done)
        self._at, self._done = at, done

    def remaining(self, now: float) -> tuple[float, float, float] | None:
        """Seconds left after ``now`` seconds, with the range that holds four truths in five.

        None before the second report; zeros when nothing is left.
        """
        left = self.total - self._done
        if self._reports < 2:
            return None
        if left <= 0:
            return (0.0, 0.0, 0.0)
        seconds = self._area / self._done**2 * (left - self._credit(now, left))
        spread = sqrt(SPREAD**2 + FEW**2 / (self._reports + 1))
        return (seconds, seconds * exp(-LOW * spread), seconds * exp(HIGH * spread))

    def _credit(self, now: float, left: float) -> float:
        """What has likely been done of the item in hand: it counts down smoothly, never to nothing."""
        age = now - self._at
        return 0.0 if age <= 0 else min(self._step, left) * age / (age + self._gap)

"""How many seconds a unit of work takes: three opinions, weighed by how well each would have done so far."""

from __future__ import annotations

from bisect import bisect_left
from math import exp, log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WINDOWS = (1.0, 0.25, 0.125)
"""Whose opinions: the mean pace of all the work done, of its last quarter, of its last eighth."""
BONUS = (0.0, -1.0, -1.0)
"""Their head start."""
SHARPNESS = 8.0
"""How sharply their errors so far decide between them."""
CUTS = (0.25, 0.375, 0.5, 0.625, 0.75, 0.875)
"""The shares of the work done so far at which they are put to the test."""
WORST = 1.5
"""The error, in ln, that counts as much as any larger one."""


def pace(at: Sequence[float], done: Sequence[float], now: float, so_far: float) -> tuple[float, float]:
    """The ln of the seconds for a unit of work, and the mean error, in ln, that its opinion has made so far.

    Args:
        at: Seconds of the checkpoints, rising, the first 0.
        done: Work done by then, rising, the first 0, the last at most ``so_far``.
        now: Seconds now.
        so_far: Work done now, more than 0.
    """
    tiny = 1e-9 * now + 1e-12
    last = len(done)

    def when(work: float) -> float:
        index = bisect_left(done, work)
        if index == 0:
            return 0.0
        before_at, before = at[index - 1], done[index - 1]
        after_at, after = (now, so_far) if index == last else (at[index], done[index])
        if after <= before:
            return now
        return before_at + (after_at - before_at) * (work - before) / (after - before)

    def opinions(work: float, moment: float) -> list[float]:
        whole, *windows = WINDOWS
        paces = [log((moment + tiny) / (whole * work))]
        for share in windows:
            spent = moment - when(work - share * work)
            paces.append(log((max(spent, 0.0) + tiny) / (share * work)))
        return paces

    losses = [0.0] * len(WINDOWS)
    for cut in CUTS:
        work = cut * so_far
        moment = when(work)
        truth = log((max(now - moment, 0.0) + tiny) / (so_far - work))
        for index, opinion in enumerate(opinions(work, moment)):
            losses[index] += min(abs(opinion - truth), WORST) / len(CUTS)
    scores = [bonus - SHARPNESS * loss for bonus, loss in zip(BONUS, losses, strict=True)]
    best = max(scores)
    shares = [exp(score - best) for score in scores]
    whole = sum(shares)
    blended = sum(map(_times, shares, opinions(so_far, now))) / whole
    return blended, sum(map(_times, shares, losses)) / whole


def _times(share: float, value: float) -> float:
    return share * value

"""How many seconds a unit of work will take: five opinions, weighed by how well each has foretold so far."""

from __future__ import annotations

from bisect import bisect_left
from math import exp, log
from operator import mul
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

BONUS = (0.0, -1.0, -1.0, 0.0, 0.0)
"""The opinions' head start.  Means: the pace of all the work done, of its last quarter, of its last eighth.
Trends, from the first half of it to the second: a pace that changes by so much a unit, or by so much each
time the work doubles."""
SHARPNESS = (8.0, 8.0, 8.0, 28.0, 28.0)
"""How sharply their errors so far decide: a trend must have foretold nearly all to be believed."""
CUTS = (0.25, 0.375, 0.5, 0.625, 0.75, 0.875)
"""The shares of the work done so far at which they are put to the test."""
WORST = 1.5
"""The error, in ln, that counts as much as any larger one."""
FASTEST = 0.25
"""What a trend leaves of the seconds for a unit of work, at least."""
LEAST_POWER, MOST_POWER = 0.5, 2.5
"""By which power of the work its time may go."""
FARTHEST = 1e4
"""How many times the work done so far a trend looks ahead, at most."""
_LN_2, _NEARLY_NONE = log(2), 1e-4
_BACK = (1.0, 0.875, 0.75, 0.5)
_SHARES = tuple(sorted({cut * back for cut in (*CUTS, 1.0) for back in _BACK} - {1.0}))


def pace(
    at: Sequence[float], done: Sequence[float], now: float, so_far: float, total: float
) -> tuple[float, float]:
    """The ln of the seconds for a unit of what is left, and the mean error, in ln, of what was said so far.

    Args:
        at: Seconds of the checkpoints, rising, the first 0.
        done: Work done by then, rising, the first 0, the last at most ``so_far``.
        now: Seconds now.
        so_far: Work done now, more than 0.
        total: Work to be done in all.
    """
    moments = _moments(at, done, now, so_far)
    tiny = 1e-9 * now + 1e-12
    losses = [0.0] * len(BONUS)
    for cut in CUTS:
        truth = log((max(now - moments[cut], 0.0) + tiny) / (1 - cut))
        for index, opinion in enumerate(_opinions(moments, cut, 1.0, tiny)):
            losses[index] += min(abs(opinion - truth), WORST) / len(CUTS)
    scores = [bonus - sharp * loss for bonus, sharp, loss in zip(BONUS, SHARPNESS, losses, strict=True)]
    best = max(scores)
    weights = [exp(score - best) for score in scores]
    opinions = _opinions(moments, 1.0, total / so_far, tiny)
    said, error = (sum(map(mul, weights, values)) / sum(weights) for values in (opinions, losses))
    return said - log(so_far), error


def _moments(at: Sequence[float], done: Sequence[float], now: float, so_far: float) -> dict[float, float]:
    """The seconds after which each of the shares had been done."""
    found, last = {1.0: now}, len(done)
    for share in _SHARES:
        work = share * so_far
        index = bisect_left(done, work)
        if index == 0:
            found[share] = 0.0
            continue
        before_at, before = at[index - 1], done[index - 1]
        after_at, after = (now, so_far) if index == last else (at[index], done[index])
        if after > before:
            found[share] = before_at + (after_at - before_at) * (work - before) / (after - before)
        else:
            found[share] = now
    return found


def _opinions(moments: dict[float, float], share: float, ahead: float, tiny: float) -> tuple[float, ...]:
    """The ln of the seconds for so much as is done now, said when a share of it was, about what came then.

    Args:
        moments: When which share of what is done now had been done.
        share: How much of that was done when this is said.
        ahead: How much will have been done when what it is said about is over.
        tiny: What is added to all seconds.
    """
    whole, half = moments[share] + tiny, moments[0.5 * share] + tiny
    second = max(whole - half, tiny)
    times = min(max(ahead / share, 1 + _NEARLY_NONE), FARTHEST)
    trend = second + (second - half) * (times - 0.5)
    power = min(max(log(whole / half) / _LN_2, LEAST_POWER), MOST_POWER)
    return (
        log(whole / share),
        log((max(moments[share] - moments[0.75 * share], 0.0) + tiny) / (0.25 * share)),
        log((max(moments[share] - moments[0.875 * share], 0.0) + tiny) / (0.125 * share)),
        log(max(trend, FASTEST * second) / (0.5 * share)),
        log(whole / share * (times**power - 1) / (times - 1)),
    )

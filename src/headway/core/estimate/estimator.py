"""The time left of one run.

Without history: five opinions of the pace, weighed by a backtest (`headway.core.estimate.pace`), times the
work left.  With history, three things more:

1. Work is counted in time: the share of it that is done becomes the share of the time that was usual for it.
   The plain share of the work stays in the blend, weighed by the same backtest: that is how a job that goes
   another way than its earlier runs is noticed.
2. What a run usually takes is combined with that by precision, and given up as fast as the run disagrees.
3. The range is as wide as earlier runs' ranges would have had to be to hold four truths in five.

What was undone, because a job set its position back, counts as if it had not been: neither its work nor the
time that it took.
"""

from __future__ import annotations

from math import exp, log, sqrt
from typing import TYPE_CHECKING

from headway.core.estimate.pace import pace
from headway.core.estimate.profile import WIDEST, Earlier, Profile, shape, usable
from headway.core.estimate.trail import Trail

if TYPE_CHECKING:
    from collections.abc import Sequence

ALWAYS, ERROR, FEW, LAST = 0.33, 0.93, 2.40, 0.56
"""Spread of ln(remaining): always there, by the backtest's error, by few reports, by few steps left."""
LOW, HIGH = 1.30, 1.00
"""The 80 % range of a first run: ``exp(-LOW * spread)`` to ``exp(HIGH * spread)`` times the estimate."""
KNOWN_ERROR, KNOWN_FEW, KNOWN_LAST, KNOWN_SCATTER = 0.75, 0.53, 0.53, 0.62
"""The same with history; the last by how far the profiles of earlier runs differ."""
PLAIN = 0.49
"""The variance of a first run in the units of one with history."""
RANGE = 1.65
"""The 80 % range with history: ``exp(±RANGE * spread)`` times the estimate."""
LEFT_OF_ITEM = 0.2
"""What is taken to be left of the item in hand, at least, as long as it is not reported."""
FAITH = 2.0
"""Head start of the learnt shape over the plain work done, and"""
SURENESS = 8.0
"""how sharply their errors so far decide between them."""
TAIL = 2.0
"""Student's degrees of freedom: how fast the usual time is given up when this run disagrees."""
DOUBT = 0.3
"""How much a usual time that disagrees widens the range."""
NEARLY = 0.9999
"""The most of the work that counts as done before the last step is."""
COARSEST = 8
"""Looks at a run that are needed at least to tell its shape."""
USUAL = 8
"""Reports over which the usual gap and the usual step are taken, about."""
_SMALLEST, _LARGEST = 1e-100, 1e100
_LONGEST = 1e10
"""Seconds, some 300 years: beyond lie errors of clocks and of counts."""
_WIDEST = 12.0
_ROUNDING = 1e-9

Range = tuple[float, float, float]


class Estimator:
    """Time left of one run.  About 1 µs an update, 0.1 ms an estimate, at most 192 checkpoints.

    Args:
        total: The work to be done; None (or what is no positive number) while it is not known.  It may be
            set anew at any time.
        history: What earlier runs of the kind left, oldest first; the last 8 are looked at.
        tick: Seconds between two updates where progress is looked at now and then; 0 where each step of the
            work is told.

    Attributes:
        reports: How many updates have told of progress.
    """

    def __init__(self, total: float | None, history: Sequence[Profile] = (), *, tick: float = 0.0) -> None:
        self.total = total
        self._tick = tick
        self.reports = 0
        self._runs = usable(history)
        self._earlier = Earlier(self._runs) if self._runs else None
        self._trail = Trail()
        self._at = self._done = self._lost = 0.0
        self._gap = self._step = 0.0
        self._warped: list[float] = []
        self._warped_for: tuple[float, int] = (0.0, 0)

    @property
    def basis(self) -> str:
        """What an estimate rests on now: ``run``, ``history``, or ``both``."""
        if self._earlier is None:
            return "run"
        return "both" if self.reports and self._work() else "history"

    @property
    def usual(self) -> float | None:
        """Seconds that so much work usually takes; None without history."""
        return None if self._earlier is None else min(self._earlier.seconds(self._work()), _LONGEST)

    @property
    def patience(self) -> float | None:
        """Seconds without progress that are nothing unusual at this point; None before the first report.

        They are five usual gaps, or as long as the item in hand took in earlier runs.
        """
        if not self.reports:
            return None
        total, usual = self._work(), self.usual
        if self._earlier is None or total is None or usual is None:
            return 5 * self._gap
        done, step = self._done / total, self._step / total
        item = self._earlier.warped(min(done + step, 1.0)) - self._earlier.warped(min(done, 1.0))
        return max(5 * self._gap, item * usual)

    def update(self, at: float, done: float) -> None:
        """So much was done after so many seconds.  A clock that is set back goes on from where it was."""
        if not (-_LONGEST < at < _LONGEST and -_LARGEST < done < _LARGEST):
            return
        done = done if done >= _SMALLEST else 0.0
        at -= self._lost
        if at < self._at:
            self._lost -= self._at - at
            at = self._at
        if done < self._done * (1 - _ROUNDING):
            self._fall_back(at, done)
        if done <= self._done:
            return
        self.reports += 1
        weight = 1 / min(self.reports, USUAL)
        self._gap += weight * (at - self._at - self._gap)
        self._step += weight * (done - self._done - self._step)
        self._at, self._done = at, done
        self._trail.add(at, done)

    def remaining(self, now: float) -> Range | None:
        """Seconds left after ``now`` seconds, with the range that holds four truths in five.

        None while there is no ground: before the first report of a first run, and while the end of a first
        run is not known.  Zeros when nothing is left to do, as far as is known.
        """
        now = max(now - self._lost if now < _LONGEST else 0.0, self._at)
        total = self._work()
        if self._earlier is not None and (total is None or not self._done):
            return self._usual(self._earlier, total, now)
        if total is None or not self._done:
            return None
        if total <= self._done:
            return self._rest(now)
        if self._earlier is None:
            return self._first(total, now)
        return self._informed(self._earlier, total, now)

    def profile(self, seconds: float, stages: dict[str, float] | None = None) -> Profile:
        """What this run leaves, now that it has completed after so many seconds.

        Args:
            seconds: How long it took.
            stages: How long each of its stages took.
        """
        seconds = min(max(seconds - self._lost, self._at, 1e-6), _LONGEST)
        total = self._work() or self._done
        at, done = [*self._trail.at, self._at], [*self._trail.done, self._done]
        is_clear = self._done and seconds >= COARSEST * self._tick
        shares = shape(at, done, seconds, total, self._tick) if is_clear else ()
        width = self._needed_width(seconds, total) if shares and self._runs else None
        return Profile(round(seconds, 6), total, shares, width, stages or {})

    def _work(self) -> float | None:
        total = self.total
        return total if total is not None and _SMALLEST < total < _LARGEST else None

    def _fall_back(self, at: float, done: float) -> None:
        then = self._trail.cut(done)
        self._lost += at - then
        self._at, self._done = then, done

    def _credit(self, now: float, left: float) -> float:
        """What has likely been done of the item in hand: it counts down smoothly, never to nothing."""
        age = now - self._at
        return 0.0 if age <= 0 else min(self._step, left) * age / (age + self._gap)

    # A first run

    def _plain(self, total: float, now: float) -> tuple[float, float]:
        """The ln of the seconds left by the plain work done, and the error of that so far."""
        so_far = min(self._done + self._credit(now, total - self._done), NEARLY * total)
        so_far = max(so_far, self._done)
        at, done = [*self._trail.at, self._at], [*self._trail.done, self._done]
        ln_pace, error = pace(at, done, now, so_far, total)
        return ln_pace + log(max(total - so_far, (1 - NEARLY) * total)), error

    def _plain_variance(self, error: float, few: float, last: float) -> float:
        return ALWAYS**2 + (ERROR * error) ** 2 + FEW**2 * few + LAST**2 * last

    def _sparseness(self, total: float) -> tuple[float, float]:
        """How few reports there were, and how few steps are left: 0 to 1."""
        left = total - self._done
        step = min(self._step, left)
        return 1 / (self.reports + 1), step / (left + step) if left + step > 0 else 1.0

    def _first(self, total: float, now: float) -> Range:
        ln_left, error = self._plain(total, now)
        spread = sqrt(self._plain_variance(error, *self._sparseness(total)))
        return _range(ln_left, LOW * spread, HIGH * spread)

    # With history

    def _usual(self, earlier: Earlier, total: float | None, now: float) -> Range:
        """Nothing was reported yet: what it usually takes."""
        usual = min(earlier.seconds(total), _LONGEST)
        left = max(usual - now, 0.1 * usual, 1e-9)
        spread = RANGE * earlier.width * earlier.uncertainty * usual / left
        return _range(log(left), spread, spread)

    def _rest(self, now: float) -> Range:
        """All steps are done, but the job goes on: so long as it did in earlier runs."""
        share = 1.0 if self._earlier is None else self._earlier.warped(1.0)
        if self._earlier is None or share > NEARLY:
            return (0.0, 0.0, 0.0)
        rest = max(self._at, 1e-9) * (1 - share) / max(share, 0.01)
        left = max(rest - (now - self._at), LEFT_OF_ITEM * rest)
        spread = RANGE * self._earlier.width * self._earlier.uncertainty * rest / left
        return _range(log(left), spread, spread)

    def _informed(self, earlier: Earlier, total: float, now: float) -> Range:
        few, last = self._sparseness(total)
        ln_left, error = self._shaped(earlier, total, now)
        ln_plain, plain_error = self._plain(total, now)
        likely = 1 / (1 + exp(SURENESS * (error - plain_error) - FAITH))  # does it go as the earlier ones?
        shaped = (KNOWN_ERROR * error) ** 2 + KNOWN_FEW**2 * few + KNOWN_LAST**2 * last
        shaped += (KNOWN_SCATTER * earlier.scatter_at(self._done / total)) ** 2
        plain = PLAIN * self._plain_variance(plain_error, few, last)
        variance = likely * shaped + (1 - likely) * plain
        variance += likely * (1 - likely) * (ln_left - ln_plain) ** 2
        ln_left = likely * ln_left + (1 - likely) * ln_plain
        ln_left, variance = self._with_usual(earlier, total, now, ln_left, variance)
        spread = RANGE * earlier.width * sqrt(variance)
        return _range(ln_left, spread, spread)

    def _shaped(self, earlier: Earlier, total: float, now: float) -> tuple[float, float]:
        """The same as `_plain`, with the work counted in the time that was usual for it."""
        warp = earlier.warped
        done, step = self._done / total, min(self._step, total - self._done) / total
        before, after = warp(done), warp(done + step)
        usual = max(self._at, 1e-9) / max(before, 1e-4)  # if it went on as the earlier ones did
        item = (after - before) * usual
        gap = max(self._gap, item)
        age, so_far = now - self._at, before
        if age > 0:  # count down through the item in hand, but not to its end: it may take longer
            counted = min(age / usual, (1 - LEFT_OF_ITEM) * (after - before))
            so_far += max(counted, (after - before) * age / (age + gap))
        so_far = max(min(so_far, NEARLY), before, 1e-12)
        ln_pace, error = pace([*self._trail.at, self._at], [*self._warps(total), before], now, so_far, 1.0)
        return ln_pace + log(max(1 - so_far, 1 - NEARLY)), error

    def _warps(self, total: float) -> list[float]:
        """The checkpoints, warped; those that were warped before are kept."""
        version = (total, self._trail.sifted)
        if version != self._warped_for:
            self._warped, self._warped_for = [], version
        warp = self._earlier.warped if self._earlier else float
        self._warped += [min(1.0, warp(done / total)) for done in self._trail.done[len(self._warped) :]]
        return self._warped

    def _with_usual(
        self, earlier: Earlier, total: float, now: float, ln_left: float, variance: float
    ) -> tuple[float, float]:
        """Combined with what it usually takes in all, as long as that can still be."""
        usual = min(earlier.seconds(total), _LONGEST)
        if usual <= now:
            return ln_left, variance
        ln_usual = log(usual - now)
        doubt = (earlier.uncertainty * usual / (usual - now)) ** 2
        distance = (ln_left - ln_usual) ** 2
        doubt *= 1 + distance / (variance + doubt) / TAIL
        share = variance / (variance + doubt)
        ln_left = (1 - share) * ln_left + share * ln_usual
        return ln_left, (1 - share) * variance + DOUBT * share * (1 - share) * distance

    def _needed_width(self, seconds: float, total: float) -> float:
        """The ln of the factor by which the ranges should have been wider, to hold 80 % of the truths."""
        again = Estimator(total, self._runs)
        if again._earlier is not None:
            again._earlier.width = 1.0
        ats, dones, index, needed = self._trail.at, self._trail.done, 1, []
        for twentieth in range(1, 20):
            now = seconds * twentieth / 20
            while index < len(ats) and ats[index] <= now:
                again.update(ats[index], dones[index])
                index += 1
            needed.append(_needed(again.remaining(now), seconds - now))
        return round(min(WIDEST, max(-WIDEST, log(max(0.2, sorted(needed)[15])))), 3)


def _range(ln_left: float, below: float, above: float) -> Range:
    left = exp(max(-50.0, min(ln_left, log(_LONGEST))))
    return (left, left * exp(-min(below, _WIDEST)), left * exp(min(above, _WIDEST)))


def _needed(said: Range | None, true: float) -> float:
    """How many times as wide the range would have had to be to hold this truth."""
    if said is None or said[0] <= 0 or true <= 0:
        return 1.0
    left, low, high = said
    off, reach = (true / left, high / left) if true > left else (left / true, left / low)
    return log(off) / log(reach) if reach > 1 else 1.0

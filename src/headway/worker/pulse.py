"""What a job's progress tells of its pace: idle time, rate, time left.

It is felt once a tick.  Time left is estimated as often as it matters: at each tick near the end, every two
seconds where more than half a minute is left; in between it counts down.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from headway.core.estimate import Estimator
from headway.core.estimate.profile import weights
from headway.core.snapshot import Totals, position, with_parts
from headway.core.words import STANDSTILL, Finish
from headway.threads import cached_property

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headway.core.estimate import Profile
    from headway.core.estimate.estimator import Range
    from headway.core.snapshot import Snapshot, Stage

WINDOW = 30.0
"""Seconds over which a rate is taken."""
FRESH = 0.05
"""The share of the time left for which an estimate counts down before there is a new one, and"""
FRESHEST, OLDEST = 0.4, 1.9
"""the seconds that this may be: from less than a tick to less than four, as long as words stand."""
GROUND = 2
"""Reports from which on a first run has a time left."""
LEFT = ("remaining", "remaining_low", "remaining_high", "estimate_basis", "patience")
"""What is known of a job that goes on, and only then."""


class Pulse:
    """What is felt of one run.

    Attributes:
        moves: How often the time at which it is likely to end has moved so far that it is news.
        stages: What stages weigh that were not declared: the seconds that they took in earlier runs.
    """

    def __init__(self, tick: float) -> None:
        self.moves = 0
        self.stages: dict[str, float] = {}
        self._tick = tick
        self._history: Sequence[Profile] = ()
        self._in_shares = False
        self._left: Range | None = None
        self._estimated = 0.0
        self._finish = Finish()
        self._ends_at: float | None = None
        self._seen: object = None
        self._progressed = 0.0
        self._samples: deque[tuple[float, float]] = deque(maxlen=64)
        self._last: dict[str, Any] = {}

    def learn(self, history: Sequence[Profile]) -> None:
        """What earlier runs of the kind left is known from now on."""
        self._history, self.stages = history, weights(history)
        self._left = None
        self._begin()

    def planned(self, state: Snapshot, totals: Totals | None) -> Snapshot:
        """With the weights of its stages from earlier runs, where it counts nothing else and has no plan."""
        if not self.stages or state.total_weight is not None or position(state) != (None, None):
            return state
        if totals is not None and totals.children:
            return state
        if any(stage.weight is not None for stage in state.stages):
            return state
        stages = tuple(replace(stage, weight=self.stages.get(stage.name, 0.0)) for stage in state.stages)
        return replace(state, stages=stages, total_weight=sum(self.stages.values()))

    def remembered(self, state: Snapshot) -> Snapshot:
        """The state with what was felt last, for any thread."""
        return replace(state, **self._last) if self._last else state

    def felt(
        self, state: Snapshot, totals: Totals | None, children: Sequence[Snapshot], now: float
    ) -> Snapshot:
        """The state with its idle time, rate and time left, what others report of it included."""
        whole = with_parts(state, totals) if totals else state
        seen = (
            whole.count,
            whole.work,
            [(stage.count, stage.work, stage.ended) for stage in whole.stages],
            whole.totals.done,
        )
        if seen != self._seen:
            self._seen, self._progressed = seen, now
        left = self._counted_down(whole, now) or self._remaining(whole, children, now)
        basis, patience = self._estimator.basis, self._estimator.patience
        if basis == "run" and any(child.estimate_basis in {"history", "both"} for child in children):
            basis = "both"
        self._last = {
            "idle_for": now - self._progressed,
            "rate": self._rate(whole),
            "remaining": left and left[0],
            "remaining_low": left and left[1],
            "remaining_high": left and left[2],
            "estimate_basis": left and basis,
            "usual": self._estimator.usual,
            "patience": None if patience is None else max(STANDSTILL, patience),
        }
        return self.remembered(state)

    def profile(self, final: Snapshot) -> Profile:
        """What the run leaves, now that it has completed."""
        self._update(final)
        took = {stage.name: stage.elapsed for stage in final.stages if stage.ended and stage.elapsed}
        return self._estimator.profile(final.elapsed or 0.0, took)

    @cached_property
    def _estimator(self) -> Estimator:
        """Made when the pulse is felt first: most of what a queue runs is over by then."""
        return Estimator(None, self._history, tick=self._tick)

    def _begin(self) -> None:
        vars(self).pop("_estimator", None)

    def _note_finish(self, now: float, left: Range | None) -> None:
        ends_at = None if left is None else 0.0
        if left is not None and left[0] > 0:
            ends_at = now + self._finish.left(now, *left)
        known, self._ends_at = self._ends_at, ends_at
        if ends_at is None or known is None:
            self.moves += ends_at is not known
        else:
            self.moves += abs(ends_at - known) > 0.001

    def _rate(self, state: Snapshot) -> float | None:
        """Units a second over the last half minute or so."""
        if state.count is None or state.elapsed is None:
            return None
        samples = self._samples
        samples.append((state.elapsed, state.count))
        while samples[0][0] <= state.elapsed - WINDOW:
            samples.popleft()
        (began, first), (ended, last) = samples[0], samples[-1]
        return (last - first) / (ended - began) if ended - began > 1e-6 and last > first else None

    def _counted_down(self, state: Snapshot, now: float) -> Range | None:
        """The estimate of a moment ago, less that moment; None where it is time for another one."""
        passed = now - self._estimated
        if self._left is None or passed < 0:
            return None
        if passed >= min(max(FRESHEST, FRESH * self._left[0]), OLDEST, *self._left):
            return None
        self._update(state)
        left, low, high = self._left
        return (left - passed, low - passed, high - passed)

    def _remaining(self, state: Snapshot, children: Sequence[Snapshot], now: float) -> Range | None:
        if state.elapsed is None:
            return None
        self._update(state)
        self._left, self._estimated = self._estimate(state, state.elapsed, children), now
        self._note_finish(now, self._left)
        return self._left

    def _estimate(self, state: Snapshot, elapsed: float, children: Sequence[Snapshot]) -> Range | None:
        estimator = self._estimator
        has_ground = estimator.basis != "run" or estimator.reports >= GROUND
        own = estimator.remaining(elapsed) if has_ground else None
        return among_children(state, own, children)

    def _update(self, state: Snapshot) -> None:
        done, total = work_of(state)
        in_shares = total == 1.0
        if in_shares != self._in_shares and done:
            self._in_shares = in_shares
            self._begin()
        self._estimator.total = total
        if state.elapsed is not None:
            self._estimator.update(state.elapsed, done)


def work_of(state: Snapshot) -> tuple[float, float | None]:
    """How much of its work a job has done in this run, and of how much: its own steps, or shares of 1.0."""
    done, total = position(state)
    before: float = state.initial
    if state.total_work is not None:  # what was done before weighs the mean
        before *= state.total_work / state.total if state.total else 0
    own = max(0.0, (done or 0) - before), None if total is None else total - before
    members = _members(state)
    if members is None:
        return own
    share = own[0] / own[1] if own[1] else 0.0
    return max(members, min(share, 1.0)), 1.0


def _members(state: Snapshot) -> float | None:
    """How far stages and children are together; as the bar has it, but in finer steps."""
    if state.total_weight is None or not (state.stages or state.totals.children):
        return None
    weight, done = state.totals.weight, state.totals.done / 10_000
    for stage in state.stages:
        if stage.weight is None:
            return None
        weight += stage.weight
        done += stage.weight * _share(stage)
    whole = max(state.total_weight, weight)
    return min(1.0, done / whole) if whole > 0 else None


def _share(stage: Stage) -> float:
    done, total = position(stage)
    if stage.ended:
        return 1.0
    return min(1.0, max(0.0, done / total)) if done and total else 0.0


def among_children(state: Snapshot, own: Range | None, children: Sequence[Snapshot]) -> Range | None:
    """A job's time left, seeing what those of its children are that run.

    It lasts as long as the longest of them, at least; and just so long where nothing else is left to do.
    """
    known = [found for child in children if (found := _range_of(child)) is not None]
    if not known:
        return own
    longest = max(one[0] for one in known), max(one[1] for one in known), max(one[2] for one in known)
    if _is_all_that_is_left(state, len(known)):
        return longest
    return own and (max(own[0], longest[0]), max(own[1], longest[1]), max(own[2], longest[2]))


def _range_of(child: Snapshot) -> Range | None:
    left, low, high = child.remaining, child.remaining_low, child.remaining_high
    return None if left is None or low is None or high is None else (left, low, high)


def _is_all_that_is_left(state: Snapshot, running: int) -> bool:
    """Whether the children that run are all that is still to be done."""
    totals = state.totals
    planned = state.total_weight is not None and totals.weight >= state.total_weight
    return planned and running == totals.children - totals.ended and not state.stages and state.total is None

"""The estimates that are compared: ours, and the peers' as their own code makes them, on a fake clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from rich.progress import Progress
from tqdm.std import EMA

from headway.core.estimate import Estimator
from headway.core.words import Finish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headway.core.estimate import Profile

Range = tuple[float, float, float]


class Estimate(Protocol):
    """What is told of progress, and says how long it will take."""

    def update(self, at: float, done: float) -> None:
        """So much was done after so many seconds."""

    def remaining(self, now: float) -> Range | None:
        """Seconds left, with the 80 % range where there is one."""


class Linear:
    """What has passed, times what is left by what is done."""

    def __init__(self, total: float, _: Sequence[Profile] = ()) -> None:
        self._total, self._done = total, 0.0

    def update(self, _: float, done: float) -> None:
        """See `Estimate`."""
        self._done = done

    def remaining(self, now: float) -> Range | None:
        """See `Estimate`."""
        return _alone(now * (self._total - self._done) / self._done) if self._done else None


class Tqdm:
    """tqdm's moving averages, of 0.3, of what was done and of how long it took between two displays."""

    def __init__(self, total: float, _: Sequence[Profile] = ()) -> None:
        self._total, self._done, self._shown = total, 0.0, (0.0, 0.0)
        self._steps, self._seconds = EMA(0.3), EMA(0.3)

    def update(self, at: float, done: float) -> None:
        """See `Estimate`; a display comes 0.1 s after the one before, at the earliest."""
        self._done = done
        before, had_done = self._shown
        if at - before >= 0.1:
            self._steps(done - had_done)
            self._seconds(at - before)
            self._shown = (at, done)

    def remaining(self, _: float) -> Range | None:
        """See `Estimate`."""
        steps = self._steps()
        return _alone((self._total - self._done) * self._seconds() / steps) if steps else None


class Rich:
    """rich's own `Progress`: what was done in the last 30 s."""

    def __init__(self, total: float, _: Sequence[Profile] = ()) -> None:
        self._now = 0.0
        self._progress = Progress(get_time=lambda: self._now, auto_refresh=False, disable=True)
        self._task = self._progress.add_task("", total=total)

    def update(self, at: float, done: float) -> None:
        """See `Estimate`."""
        self._now = at
        self._progress.update(self._task, completed=done)

    def remaining(self, now: float) -> Range | None:
        """See `Estimate`."""
        self._now = now
        left = self._progress.tasks[0].time_remaining
        return None if left is None else _alone(left)


class Shown:
    """Ours, as it is shown: the finish is held while it is likely."""

    def __init__(self, total: float, history: Sequence[Profile] = ()) -> None:
        self._estimator, self._finish = Estimator(total, history), Finish()

    def update(self, at: float, done: float) -> None:
        """See `Estimate`."""
        self._estimator.update(at, done)

    def remaining(self, now: float) -> Range | None:
        """See `Estimate`."""
        found = self._estimator.remaining(now)
        return found and (self._finish.left(now, *found), *found[1:])


def _alone(seconds: float) -> Range:
    return (seconds, seconds, seconds)

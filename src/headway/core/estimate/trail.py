"""When how much was done: few checkpoints, dense enough in time and in work."""

from __future__ import annotations

from bisect import bisect_left

DENSITY = 48.0
"""A checkpoint is kept when time or work has moved by this share of what has passed since the start."""
MOST = 192
"""Checkpoints that are kept at most."""


class Trail:
    """Checkpoints of one run, from (0, 0) on; both edges of every gap are among them.

    Adding one costs O(1), amortised: beyond `MOST` all are sifted again, by a coarser grain.

    Attributes:
        at: Seconds, rising.
        done: Work done by then, rising.
        sifted: How often it was sifted or cut: whoever keeps something beside the checkpoints begins anew.
    """

    __slots__ = ("_grain_at", "_grain_done", "_last", "at", "done", "sifted")

    def __init__(self) -> None:
        self.sifted = 0
        self._begin()

    def _begin(self) -> None:
        self.at, self.done = [0.0], [0.0]
        self._last = (0.0, 0.0)
        self._grain_at = self._grain_done = 0.0

    def add(self, at: float, done: float) -> None:
        """So much was done after so many seconds; neither may fall."""
        self._sift(at, done)
        density = DENSITY
        while len(self.at) > MOST - 2:
            self._sift_all(at, done, density)
            density /= 2

    def cut(self, done: float) -> float:
        """Forget what was done beyond this; the seconds after which it had been done."""
        if self._last[0] > self.at[-1]:
            self._keep(*self._last)
        at = self.when(done)
        known = list(zip(self.at, self.done, strict=True))
        self._begin()
        self.sifted += 1
        for then, so_much in known[1:]:
            if so_much < done:
                self._sift(then, so_much)
        if done > 0:
            self._sift(at, done)
        return at

    def when(self, done: float) -> float:
        """The seconds after which so much had been done, or all that was."""
        index = bisect_left(self.done, done)
        if index in {0, len(self.done)}:
            return self.at[-1] if index else 0.0
        share = (done - self.done[index - 1]) / (self.done[index] - self.done[index - 1])
        return self.at[index - 1] + share * (self.at[index] - self.at[index - 1])

    def _sift_all(self, at: float, done: float, density: float) -> None:
        known = list(zip(self.at, self.done, strict=True))
        self._begin()
        self.sifted += 1
        self._grain_at, self._grain_done = at / density, done / density
        for then, so_much in known[1:]:
            self._sift(then, so_much)
        if self.at[-1] != at or self.done[-1] != done:
            self._keep(at, done)

    def _sift(self, at: float, done: float) -> None:
        before_at, before_done = self._last
        last_at, last_done = self.at[-1], self.done[-1]
        if at - last_at >= self._grain_at or done - last_done >= self._grain_done:
            wide = at - before_at >= self._grain_at or done - before_done >= self._grain_done
            if before_at > last_at and wide:
                self._keep(before_at, before_done)
            self._keep(at, done)
        self._last = (at, done)

    def _keep(self, at: float, done: float) -> None:
        self.at.append(at)
        self.done.append(done)

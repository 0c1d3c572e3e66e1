"""Measuring variants side by side, on a machine that other work disturbs.

Each round runs every variant once, in a new order, each with a code object of its own (an interpreter that
specialises code then sees what it would see in a user's loop).  The *median* is that of the differences to
the bare variant of the same round, the *min* is the difference of the two minima.  Where they disagree, the
machine was busy: trust the min.
"""

from __future__ import annotations

import gc
import os
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import FunctionType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BARE = "bare"


@dataclass(frozen=True)
class Variant:
    """One way to do something.

    Attributes:
        run: Does it ``steps`` times and returns the seconds that it took.
        steps: How often, in one round: fewer where one step is slow.
    """

    name: str
    run: Callable[[int], float]
    steps: int


@dataclass(frozen=True)
class Cost:
    """Seconds for one step, over what the bare variant takes."""

    median: float
    least: float


def measured(variants: Sequence[Variant], rounds: int) -> dict[str, Cost]:
    """What each variant costs; the one called ``bare`` as it is, all others over it."""
    times: dict[str, list[float]] = {variant.name: [] for variant in variants}
    for round_ in range(-1, rounds):  # the first warms up
        for variant in random.sample(variants, len(variants)):
            seconds = variant.run(variant.steps) / variant.steps
            if round_ >= 0:
                times[variant.name].append(seconds)
    bare = times.pop(BARE)
    costs = {BARE: Cost(median(bare), min(bare))}
    for name, taken in times.items():
        over = [one - other for one, other in zip(taken, bare, strict=True)]
        costs[name] = Cost(median(over), min(taken) - min(bare))
    return costs


def own(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with a code object of its own."""
    assert isinstance(function, FunctionType)
    code = function.__code__.replace()
    return FunctionType(code, function.__globals__, None, function.__defaults__, function.__closure__)


class Stopwatch:
    """``with Stopwatch() as watch``: seconds on the clock and of processor time; no garbage is collected."""

    def __enter__(self) -> Self:
        gc.collect()
        gc.disable()
        self._cpu, self._began = time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        self.seconds = time.perf_counter() - self._began
        self.cpu = time.process_time() - self._cpu
        gc.enable()


class Screen:
    """A terminal whose screen is /dev/null, and which knows whether it was drawn on."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self._null = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for good
        self.writes = 0

    def write(self, text: str) -> int:
        """Draw."""
        self.writes += 1
        return self._null.write(text)

    def flush(self) -> None:
        """Show what was drawn."""
        self._null.flush()

    def fileno(self) -> int:
        """Where it is drawn."""
        return self._null.fileno()

    def isatty(self) -> bool:
        """It says so."""
        return True


def quick() -> bool:
    """Whether a rough answer will do."""
    return "--quick" in sys.argv

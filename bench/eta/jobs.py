"""Jobs that never ran: 35 families of them, each a way in which real work is uneven.

A family draws jobs, a job draws runs.  Runs of one job share its shape; each has a speed, a number of items
and an order of its own.  All of it follows from one seed.

How uneven each family is was set by two peers alone: a straight line and tqdm are about as far off here as
they were in the comparison that the estimator's constants come from (0.50 and 0.41, as a mean).
"""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass
from math import exp, log, sin, tau
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Seconds = list[float]
    Draw = Callable[[random.Random, int], Seconds]
    """The seconds of each item of one run, in any unit."""
    Family = Callable[[random.Random], tuple[int, Draw]]
    """A job: about how many items it has, and how its runs are drawn."""

SEED = 20_261_125
SHORTEST, LONGEST = 15.0, 9_000.0
"""Seconds of a job."""
SPEED, SIZE = 0.15, 0.15
"""How far the ln of a run's speed, and of its number of items, differs from run to run."""


@dataclass(frozen=True)
class Run:
    """One run: when how much was done.

    Attributes:
        reports: (seconds, work done), rising; the last one is the end.
        total: The work to be done.
    """

    reports: list[tuple[float, float]]
    total: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.reports[-1][0]


def runs(family: str, job: int, count: int) -> Iterator[Run]:
    """The first runs of a job of a family."""
    rng = random.Random(zlib.crc32(f"{SEED} {family} {job}".encode()))
    items, draw = FAMILIES[family](rng)
    varies = items > 20
    seconds = exp(rng.uniform(log(SHORTEST), log(LONGEST)))
    scale = seconds / sum(draw(random.Random(rng.random()), items))
    for _ in range(count):
        size = max(3, round(items * exp(rng.gauss(0, SIZE)))) if varies else items
        speed = exp(rng.gauss(0, SPEED)) * scale
        yield _run([one * speed for one in draw(random.Random(rng.random()), size)], family)


def _run(seconds: Seconds, family: str) -> Run:
    reports, now = [], 0.0
    for done, took in enumerate(seconds, 1):
        now += took
        reports.append((now, float(done)))
    if family == "coarse_percent":
        return _coarse(reports)
    return Run(reports, len(seconds))


def _coarse(reports: list[tuple[float, float]]) -> Run:
    """Told in whole steps of 5 % only."""
    told, total = [], len(reports)
    for at, done in reports:
        step = done * 20 // total
        if step > (told[-1][1] if told else 0):
            told.append((at, step))
    return Run(told, 20)


# Items that are alike


def const(rng: random.Random) -> tuple[int, Draw]:
    return rng.randint(100, 2_000), lambda run, n: [exp(run.gauss(0, 0.05)) for _ in range(n)]


def iid_lognormal(rng: random.Random) -> tuple[int, Draw]:
    spread = rng.uniform(0.4, 1.0)
    return rng.randint(200, 2_000), lambda run, n: [exp(run.gauss(0, spread)) for _ in range(n)]


def iid_expo(rng: random.Random) -> tuple[int, Draw]:
    return rng.randint(100, 1_000), lambda run, n: [run.expovariate(1) for _ in range(n)]


def iid_pareto(rng: random.Random) -> tuple[int, Draw]:
    tail = rng.uniform(1.8, 2.5)
    return rng.randint(300, 2_000), lambda run, n: [run.paretovariate(tail) for _ in range(n)]


def few_items(rng: random.Random) -> tuple[int, Draw]:
    spread = rng.uniform(0.2, 0.6)
    return rng.randint(6, 16), lambda run, n: [exp(run.gauss(0, spread)) for _ in range(n)]


# A pace that drifts


def drift_slower(rng: random.Random) -> tuple[int, Draw]:
    factor = rng.uniform(2, 4)
    return rng.randint(200, 2_000), lambda run, n: [
        factor ** (i / n) * exp(run.gauss(0, 0.2)) for i in range(n)
    ]


def drift_faster(rng: random.Random) -> tuple[int, Draw]:
    factor = rng.uniform(2.5, 4.5)
    return rng.randint(200, 2_000), lambda run, n: [
        factor ** (-i / n) * exp(run.gauss(0, 0.2)) for i in range(n)
    ]


def quadratic(rng: random.Random) -> tuple[int, Draw]:
    return rng.randint(200, 2_000), lambda run, n: [(i + 1) * exp(run.gauss(0, 0.1)) for i in range(n)]


def nlogn(rng: random.Random) -> tuple[int, Draw]:
    return rng.randint(200, 2_000), lambda run, n: [log(i + 2) * exp(run.gauss(0, 0.1)) for i in range(n)]


def power_pace(rng: random.Random) -> tuple[int, Draw]:
    power = rng.uniform(0.5, 1.2)
    return rng.randint(200, 2_000), lambda run, n: [
        (i + 1) ** power * exp(run.gauss(0, 0.3)) for i in range(n)
    ]


def gc_growing(rng: random.Random) -> tuple[int, Draw]:
    every, share = rng.randint(20, 60), rng.uniform(0.01, 0.04)

    def draw(run: random.Random, n: int) -> Seconds:
        return [exp(run.gauss(0, 0.1)) + (i * share * 3 if i % every == every - 1 else 0) for i in range(n)]

    return rng.randint(300, 1_200), draw


# Beginnings and ends that are not like the rest


def warm_up(rng: random.Random) -> tuple[int, Draw]:
    slow, share = rng.uniform(6, 18), rng.uniform(0.04, 0.12)
    return rng.randint(200, 2_000), lambda run, n: [
        (slow if i < share * n else 1) * exp(run.gauss(0, 0.2)) for i in range(n)
    ]


def skip_then_work(rng: random.Random) -> tuple[int, Draw]:
    share = rng.uniform(0.1, 0.5)
    return rng.randint(200, 2_000), lambda run, n: [
        (0.01 if i < share * n else 1) * exp(run.gauss(0, 0.3)) for i in range(n)
    ]


def slow_tail(rng: random.Random) -> tuple[int, Draw]:
    slow, share = rng.uniform(3, 9), rng.uniform(0.05, 0.12)
    return rng.randint(200, 2_000), lambda run, n: [
        (slow if i > n - share * n else 1) * exp(run.gauss(0, 0.2)) for i in range(n)
    ]


def last_step_long(rng: random.Random) -> tuple[int, Draw]:
    share = rng.uniform(0.1, 0.3)

    def draw(run: random.Random, n: int) -> Seconds:
        most = [exp(run.gauss(0, 0.2)) for _ in range(n - 1)]
        return [*most, sum(most) * share / (1 - share) * exp(run.gauss(0, 0.1))]

    return rng.randint(20, 300), draw


# Phases


def _phases(rng: random.Random, count: int, ratio: float) -> tuple[int, Draw]:
    cuts = sorted(rng.uniform(0.1, 0.9) for _ in range(count - 1))
    paces = [exp(rng.uniform(-ratio, ratio)) for _ in range(count)]

    def draw(run: random.Random, n: int) -> Seconds:
        return [paces[sum(i >= cut * n for cut in cuts)] * exp(run.gauss(0, 0.2)) for i in range(n)]

    return rng.randint(200, 2_000), draw


def two_phase(rng: random.Random) -> tuple[int, Draw]:
    return _phases(rng, 2, 1.5)


def three_phase(rng: random.Random) -> tuple[int, Draw]:
    return _phases(rng, 3, 1.7)


def many_phases(rng: random.Random) -> tuple[int, Draw]:
    return _phases(rng, rng.randint(6, 10), 1.0)


def download_then_process(rng: random.Random) -> tuple[int, Draw]:
    share, ratio = rng.uniform(0.3, 0.6), exp(rng.uniform(-1, 1))

    def draw(run: random.Random, n: int) -> Seconds:
        jitter, pace = 0.0, []
        for i in range(n):
            jitter = 0.95 * jitter + run.gauss(0, 0.15)
            pace.append(exp(jitter) if i < share * n else ratio * exp(run.gauss(0, 0.2)))
        return pace

    return rng.randint(200, 1_500), draw


# Interruptions


def one_big_stall(rng: random.Random) -> tuple[int, Draw]:
    place, share = rng.uniform(0.2, 0.8), rng.uniform(0.3, 0.5)

    def draw(run: random.Random, n: int) -> Seconds:
        pace = [exp(run.gauss(0, 0.3)) for _ in range(n)]
        pace[int(place * n)] += sum(pace) * share / (1 - share)
        return pace

    return rng.randint(200, 2_000), draw


def stalls(rng: random.Random) -> tuple[int, Draw]:
    odds, long = rng.uniform(0.005, 0.015), rng.uniform(30, 100)
    return rng.randint(300, 2_000), lambda run, n: [
        exp(run.gauss(0, 0.2)) + (long * run.expovariate(1) if run.random() < odds else 0) for _ in range(n)
    ]


def retry_backoff(rng: random.Random) -> tuple[int, Draw]:
    odds = rng.uniform(0.1, 0.2)

    def one(run: random.Random) -> float:
        took, pause = exp(run.gauss(0, 0.2)), 2.0
        while run.random() < odds:
            took, pause = took + pause, 2 * pause
        return took

    return rng.randint(200, 1_500), lambda run, n: [one(run) for _ in range(n)]


def throttle_once(rng: random.Random) -> tuple[int, Draw]:
    place, slow = rng.uniform(0.2, 0.8), rng.uniform(1.3, 1.8)
    return rng.randint(200, 2_000), lambda run, n: [
        (slow if i > place * n else 1) * exp(run.gauss(0, 0.2)) for i in range(n)
    ]


def periodic_slow(rng: random.Random) -> tuple[int, Draw]:
    every, slow = rng.randint(40, 120), rng.uniform(3, 6)
    return rng.randint(400, 2_000), lambda run, n: [
        (slow if i % every < every / 4 else 1) * exp(run.gauss(0, 0.2)) for i in range(n)
    ]


# Many at a time


def batch_bursts(rng: random.Random) -> tuple[int, Draw]:
    batch = rng.randint(20, 100)

    def draw(run: random.Random, n: int) -> Seconds:
        return [exp(run.gauss(0, 0.4)) * batch if i % batch == 0 else 0.0 for i in range(n)]

    return batch * rng.randint(4, 14), draw


def parallel_workers(rng: random.Random) -> tuple[int, Draw]:
    workers, spread = rng.randint(4, 12), rng.uniform(0.4, 0.9)

    def draw(run: random.Random, n: int) -> Seconds:
        busy, ends = [0.0] * workers, []
        for _ in range(n):
            first = min(range(workers), key=busy.__getitem__)
            busy[first] += exp(run.gauss(0, spread))
            ends.append(busy[first])
        return _between(ends)

    return rng.randint(100, 600), draw


def waves(rng: random.Random) -> tuple[int, Draw]:
    workers = rng.randint(8, 32)

    def draw(run: random.Random, n: int) -> Seconds:
        ends, began = [], 0.0
        while len(ends) < n:
            wave = sorted(began + exp(run.gauss(0, 0.15)) for _ in range(min(workers, n - len(ends))))
            ends, began = ends + wave, wave[-1]
        return _between(ends)

    return workers * rng.randint(5, 15), draw


def _between(ends: Seconds) -> Seconds:
    ends = sorted(ends)
    return [now - before for before, now in zip([0.0, *ends], ends, strict=False)]


# A pace that wanders


def _wandering(items: int, stays: float, moves: float) -> tuple[int, Draw]:
    def draw(run: random.Random, n: int) -> Seconds:
        level, pace = 0.0, []
        for _ in range(n):
            level = stays * level + run.gauss(0, moves)
            pace.append(exp(level))
        return pace

    return items, draw


def ar1_rate(rng: random.Random) -> tuple[int, Draw]:
    return _wandering(rng.randint(200, 1_500), 0.98, rng.uniform(0.08, 0.16))


def random_walk_rate(rng: random.Random) -> tuple[int, Draw]:
    return _wandering(rng.randint(200, 1_500), 1.0, rng.uniform(0.01, 0.02))


def regime_switch(rng: random.Random) -> tuple[int, Draw]:
    stays, slow = rng.uniform(0.985, 0.995), rng.uniform(6, 15)

    def draw(run: random.Random, n: int) -> Seconds:
        pace, is_slow = [], run.random() < 0.5
        for _ in range(n):
            is_slow ^= run.random() > stays
            pace.append((slow if is_slow else 1) * exp(run.gauss(0, 0.2)))
        return pace

    return rng.randint(200, 1_500), draw


def download_bytes(rng: random.Random) -> tuple[int, Draw]:
    period, depth = rng.uniform(0.2, 0.6), rng.uniform(0.1, 0.4)

    def draw(run: random.Random, n: int) -> Seconds:
        level, begin, pace = 0.0, run.random(), []
        for i in range(n):
            level = 0.99 * level + run.gauss(0, 0.05)
            pace.append(exp(level + depth * sin(tau * (i / n / period + begin))) * (3 if i < n / 50 else 1))
        return pace

    return rng.randint(500, 2_000), draw


# Items of unequal size, in an order that is not random


def _sizes(run: random.Random, n: int, spread: float) -> Seconds:
    return sorted(exp(run.gauss(0, spread)) for _ in range(n))


def sorted_big_first(rng: random.Random) -> tuple[int, Draw]:
    spread = rng.uniform(0.6, 1.2)
    return rng.randint(100, 1_000), lambda run, n: _sizes(run, n, spread)[::-1]


def sorted_small_first(rng: random.Random) -> tuple[int, Draw]:
    spread = rng.uniform(0.4, 0.8)
    return rng.randint(100, 1_000), lambda run, n: _sizes(run, n, spread)


def clumpy_dirs(rng: random.Random) -> tuple[int, Draw]:
    folders = [(rng.randint(3, 60), exp(rng.gauss(0, 1.1))) for _ in range(rng.randint(10, 25))]
    items = [pace for size, pace in folders for _ in range(size)]

    def draw(run: random.Random, n: int) -> Seconds:
        return [items[i * len(items) // n] * exp(run.gauss(0, 0.4)) for i in range(n)]

    return len(items), draw


def coarse_percent(rng: random.Random) -> tuple[int, Draw]:
    return drift_slower(rng) if rng.random() < 0.5 else two_phase(rng)


FAMILIES: dict[str, Family] = {
    family.__name__: family
    for family in (
        ar1_rate, batch_bursts, clumpy_dirs, coarse_percent, const, download_bytes, download_then_process,
        drift_faster, drift_slower, few_items, gc_growing, iid_expo, iid_lognormal, iid_pareto,
        last_step_long, many_phases, nlogn, one_big_stall, parallel_workers, periodic_slow, power_pace,
        quadratic, random_walk_rate, regime_switch, retry_backoff, skip_then_work, slow_tail,
        sorted_big_first, sorted_small_first, stalls, three_phase, throttle_once, two_phase, warm_up, waves,
    )
}  # fmt: skip

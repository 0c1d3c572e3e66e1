"""What a step costs with ``from headway.tqdm import tqdm`` instead of tqdm's own.

With the store up, hung and away; in a loop, and by a manual ``update(1)``.  Nothing of ours runs in a step,
so what is measured is the thread beside it, in processor time, and the noise.  The bodies do nothing, and all
draw to a terminal whose screen is /dev/null.
"""

from __future__ import annotations

import time
from itertools import repeat
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.rounds import Screen, Stopwatch, own, quick
from bench.table import show_where
from tqdm import tqdm as real

from headway import client
from headway.mirrored import mirror
from headway.stores import open_store
from headway.testing import FaultyStore
from headway.tqdm import tqdm as ours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

BUDGET = 0.03
screen = Screen()


def main() -> None:
    """Measure and print."""
    steps, rounds = (1_000_000, 5) if quick() else (3_000_000, 15)
    show_where()
    store = FaultyStore(open_store("memory://"))
    client.default._store = store  # noqa: SLF001 - the drop-in has the default store
    print("| step | store | tqdm, ns | headway.tqdm, ns | more, median | more, of the minima | close(), ms |")
    print("|---|---|---|---|---|---|---|")
    for state in ("up", "hung", "away"):
        store.hanging, store.failing = state == "hung", state == "away"
        for what, run in (("range", _over_range), ("generator", _over_numbers), ("update(1)", _updates)):
            _show(what, state, run, steps if what != "update(1)" else steps // 2, rounds)
    store.hanging = store.failing = False
    assert screen.writes, "nobody drew"


def _show(
    what: str, state: str, run: Callable[[Any, int], tuple[float, float]], steps: int, rounds: int
) -> None:
    times: dict[Any, list[float]] = {real: [], ours: []}
    closes: list[float] = []
    for number in range(-1, rounds):
        for bars in (real, ours) if number % 2 else (ours, real):
            mirror()._allowed = 10.0  # noqa: SLF001 - each is a job, however short
            seconds, close = run(bars, steps)
            if number >= 0:
                times[bars].append(seconds / steps * 1e9)
                closes += [close * 1e3] if bars is ours else []
    more = median(b / a - 1 for a, b in zip(times[real], times[ours], strict=True))
    least = min(times[ours]) / min(times[real]) - 1
    holds = "" if min(more, least) <= BUDGET else "  (over the budget of 3 %)"
    print(
        f"| {what} | {state} | {median(times[real]):.1f} | {median(times[ours]):.1f} | {more:+.1%} | "
        f"{least:+.1%}{holds} | {median(closes):.1f}, at most {max(closes):.0f} |",
        flush=True,
    )


def _timed(loop: Callable[[Any], None], bar: Any) -> tuple[float, float]:
    """Seconds of processor time in the steps, our thread's included, and on the clock in the bar's end."""
    with Stopwatch() as watch:
        loop(bar)
    began = time.perf_counter()
    bar.close()
    return watch.cpu, time.perf_counter() - began


def _over_range(bars: Any, steps: int) -> tuple[float, float]:
    return _of_loop(bars, range(steps), steps)


def _over_numbers(bars: Any, steps: int) -> tuple[float, float]:
    return _of_loop(bars, own(_numbers)(steps), steps)


def _of_loop(bars: Any, source: Iterable[int], steps: int) -> tuple[float, float]:
    """The end of the loop closes the bar, so the last item is left out of the steps."""
    items = iter(bars(source, total=steps, file=screen))
    loop = own(_loop)
    with Stopwatch() as watch:
        loop(items, steps - 1)
    began = time.perf_counter()
    for _ in items:
        pass
    return watch.cpu, time.perf_counter() - began


def _loop(items: Iterator[int], last: int) -> None:
    for number in items:
        if number == last - 1:
            break


def _numbers(steps: int) -> Iterator[int]:
    for number in range(steps):  # noqa: UP028 - a user's generator has a body
        yield number


def _updates(bars: Any, steps: int) -> tuple[float, float]:
    return _timed(lambda bar: own(_update)(bar, steps), bars(total=steps, file=screen))


def _update(bar: Any, steps: int) -> None:
    for _ in repeat(None, steps):
        bar.update(1)


if __name__ == "__main__":
    main()

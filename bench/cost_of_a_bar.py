"""What a step costs with ``from headway.tqdm import tqdm`` instead of tqdm's own.

With a real server up, stopped (it hangs) and killed; in a loop over a range, over a generator, and by a
manual ``update(1)``.  The bodies do nothing, and all draw to a terminal whose screen is /dev/null.

The machine is never as fast twice, so both bars are open at once and take turns every few milliseconds.
Each pair of turns gives one ratio; what is shown is the median of all, and the quartiles of the rounds' own
medians beside it.  Each round has new bars, of classes with code objects of their own: an interpreter that
specialises code then sees one kind of bar in each, as it does in a user's program.

Nothing of ours runs in a step.  So to what a turn takes of its own thread is added what our thread takes
beside it, as a share of the time on the clock: together it is what the loop loses at most.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from itertools import islice, repeat
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

from bench.rounds import Screen, own, quick
from bench.table import held, show, show_where
from tests.servers.redis import redis_server
from tqdm import tqdm as real

from headway import client
from headway.mirrored import mirror
from headway.stores import open_store
from headway.tqdm import tqdm as ours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BUDGET = 0.03
STEPS = 20_000
"""Of one turn: 2 to 5 ms."""
screen = Screen()


def main() -> None:
    """Measure and print."""
    rounds, turns = (6, 100) if quick() else (12, 200)
    show_where()
    rows = []
    with redis_server("valkey") as server:
        client.default._store = open_store(server.url)  # noqa: SLF001 - the drop-in has the default store
        for state, change in {"up": None, "hung": server.pause, "away": server.kill}.items():
            if change is not None:
                change()
            rows += [_row(what, state, _measured(made, rounds, turns)) for what, made in STEPPERS.items()]
        server.start()
    assert screen.writes, "nobody drew"
    columns = (
        "step",
        "store",
        "tqdm, ns",
        "more in a step",
        "quartiles",
        "beside it",
        "in all",
        "",
        "close(), ms",
    )
    show("What headway.tqdm costs more", columns, rows)


@dataclass
class Measured:
    """What came of a cell.

    Attributes:
        plain: Nanoseconds of a step of tqdm's own bar, one for each turn.
        ratios: How much longer ours took, one for each pair of turns.
        medians: The median of the ratios of each round.
        beside: Seconds that threads other than the loop's took.
        clock: Seconds that the turns lasted.
        closes: Seconds that the end of each of our bars took.
    """

    plain: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    medians: list[float] = field(default_factory=list)
    beside: float = 0.0
    clock: float = 0.0
    closes: list[float] = field(default_factory=list)


def _row(what: str, state: str, found: Measured) -> list[str]:
    more, beside = median(found.ratios) - 1, found.beside / found.clock
    low, _, high = quantiles(found.medians, n=4)
    return [
        what,
        state,
        f"{median(found.plain):.0f}",
        f"{more:+.2%}",
        f"{low - 1:+.1%} to {high - 1:+.1%}",
        f"{beside:+.2%}",
        f"{more + beside:+.2%}",
        held(more + beside, BUDGET),
        f"{median(found.closes) * 1e3:.1f}, at most {max(found.closes) * 1e3:.0f}",
    ]


def _measured(made: Callable[[Any, int], Stepper], rounds: int, turns: int) -> Measured:
    found = Measured()
    for _ in range(rounds):
        mirror()._allowed = 10.0  # noqa: SLF001 - each is a job, however short
        steppers = [made(_with_own_code(bars), turns) for bars in (real, ours)]
        random.shuffle(order := [0, 1])
        _turn(steppers, order)  # the first one warms up
        processor, thread, clock = time.process_time(), time.thread_time(), time.perf_counter()
        taken = [_turn(steppers, random.sample(order, 2)) for _ in range(turns)]
        found.beside += (time.process_time() - processor) - (time.thread_time() - thread)
        found.clock += time.perf_counter() - clock
        ratios = [mine / plain for plain, mine in taken]
        found.plain += [plain / STEPS * 1e9 for plain, _ in taken]
        found.ratios += ratios
        found.medians.append(median(ratios))
        steppers[0].close()
        began = time.perf_counter()
        steppers[1].close()
        found.closes.append(time.perf_counter() - began)
    return found


def _turn(steppers: list[Stepper], order: list[int]) -> tuple[float, float]:
    """Seconds of processor time for a turn of each, in an order."""
    taken = [0.0, 0.0]
    for which in order:
        run = steppers[which].run
        began = time.thread_time()
        run(STEPS)
        taken[which] = time.thread_time() - began
    return taken[0], taken[1]


def _with_own_code(bars: Any) -> Any:
    """The class, its steps in code objects that no other class runs."""
    return type("tqdm", (bars,), {name: own(getattr(real, name)) for name in ("__iter__", "update")})


class Stepper:
    """A bar and what moves it."""

    def __init__(self, run: Callable[[int], None], close: Callable[[], object]) -> None:
        self.run = run
        self.close = close


def _of_loop(bars: Any, source: Any, total: int) -> Stepper:
    items = iter(bars(source, total=total, file=screen, position=0))
    loop = own(_loop)
    return Stepper(lambda steps: loop(items, steps), items.close)


def _over_range(bars: Any, turns: int) -> Stepper:
    total = STEPS * (turns + 2)
    return _of_loop(bars, range(total), total)


def _over_numbers(bars: Any, turns: int) -> Stepper:
    total = STEPS * (turns + 2)
    return _of_loop(bars, own(_numbers)(total), total)


def _loop(items: Iterator[int], steps: int) -> None:
    for _ in islice(items, steps):
        pass


def _numbers(steps: int) -> Iterator[int]:
    for number in range(steps):  # noqa: UP028 - a user's generator has a body
        yield number


def _updates(bars: Any, turns: int) -> Stepper:
    bar = bars(total=STEPS * (turns + 2), file=screen, position=0)
    update = own(_update)
    return Stepper(lambda steps: update(bar, steps), bar.close)


def _update(bar: Any, steps: int) -> None:
    for _ in repeat(None, steps):
        bar.update(1)


STEPPERS = {"range": _over_range, "generator": _over_numbers, "update(1)": _updates}

if __name__ == "__main__":
    main()

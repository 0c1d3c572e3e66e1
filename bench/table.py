"""What was measured, as a Markdown table, with what was promised beside it."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from bench.rounds import BARE
from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.rounds import Cost

_console = Console(width=160, highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Budget:
    """A promise of section 9 of the design: ``of`` costs at most ``share`` of what ``peer`` does."""

    of: str
    peer: str
    share: float


def show_costs(
    title: str, costs: Mapping[str, Cost], *, unit: str, budget: Budget | None = None, peer: str = "tqdm"
) -> None:
    """The costs, each as a share of the peer's too, and whether the budget holds."""
    peer = budget.peer if budget else peer
    scale = {"ns": 1e9, "µs": 1e6, "ms": 1e3}[unit]
    rows = []
    for name, cost in costs.items():
        plus = "" if name == BARE else "+"
        row = [name, f"{plus}{cost.median * scale:,.1f}", f"{plus}{cost.least * scale:,.1f}"]
        if name != BARE:
            row += [_share(cost.median, costs[peer].median), _share(cost.least, costs[peer].least)]
        rows.append(row)
    show(title, ("", f"median, {unit}", f"min, {unit}", f"of {peer}'s", "of its min"), rows)
    if budget is not None:
        print(_verdict(budget, costs) + "\n")


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table."""
    table = Table(box=box.MARKDOWN, pad_edge=True)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row, *[""] * (len(columns) - len(row)))
    print(f"### {title}\n")
    with _console.capture() as drawn:
        _console.print(table)
    print(drawn.get().strip())
    print()


def held(measured: float, limit: float) -> str:
    """The word for it."""
    return "held" if measured <= limit else "NOT HELD"


def held_by(median: float, least: float, limit: float) -> str:
    """The word where medians and minima may say different things."""
    by_median, by_least = held(median, limit), held(least, limit)
    return by_median if by_median == by_least else f"{by_median} by medians, {by_least} by minima"


def show_where() -> None:
    """On what it was measured."""
    peers = ", ".join(f"{name} {version(name)}" for name in ("headway", "tqdm", "rich"))
    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"{python}, {peers}, {platform.machine()}\n")


def _verdict(budget: Budget, costs: Mapping[str, Cost]) -> str:
    mine, theirs = costs[budget.of], costs[budget.peer]
    word = held_by(mine.median / theirs.median, mine.least / theirs.least, budget.share)
    return f"Budget: {budget.of} at most 1/{1 / budget.share:.0f} of {budget.peer}: {word}"


def _share(mine: float, theirs: float) -> str:
    if mine <= 0:
        return "0"
    return f"1/{theirs / mine:.1f}" if mine < theirs else f"{mine / theirs:.2f}"

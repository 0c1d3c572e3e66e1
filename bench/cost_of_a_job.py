"""What a job costs before and after its steps: to create it, take one item and end it."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.rounds import BARE, Screen, Stopwatch, Variant, measured, quick
from bench.table import show_costs, show_where
from rich.console import Console
from rich.progress import track as rich_track
from tqdm import tqdm

import headway

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ONE = [None]
screen = Screen()
console = Console(file=screen, force_terminal=True, width=100)  # type: ignore[arg-type]


def main() -> None:
    """Measure and print."""
    rounds = 5 if quick() else 25
    show_where()
    with tempfile.TemporaryDirectory() as folder:
        memory = headway.connect("memory://")
        sqlite = headway.connect(f"sqlite:///{Path(folder) / 'jobs.db'}")
        ways: dict[str, tuple[Callable[[], Iterable[Any]], int]] = {
            BARE: (lambda: ONE, 1_000),
            "headway.track, memory": (lambda: memory.track(ONE, "Bench"), 20),
            "headway.track, sqlite": (lambda: sqlite.track(ONE, "Bench"), 20),
            "with headway.job, memory": (partial(_block, memory), 20),
            "with headway.job, sqlite": (partial(_block, sqlite), 20),
            "tqdm": (lambda: tqdm(ONE, file=screen), 20),
            "rich": (lambda: rich_track(ONE, console=console), 5),
        }
        for title, clock in (("on the clock", "seconds"), ("of processor time, all threads", "cpu")):
            variants = [
                Variant(name, partial(_run, way, clock), count) for name, (way, count) in ways.items()
            ]
            show_costs(f"One job with one step, {title}", measured(variants, rounds), unit="µs")
        sqlite.close()
        memory.close()
    print("No budget; headway's time on the clock is mostly waiting for its end to be written.")


def _run(way: Callable[[], Iterable[Any]], clock: str, count: int) -> float:
    with Stopwatch() as watch:
        for _ in range(count):
            for _ in way():
                pass
    taken: float = getattr(watch, clock)
    return taken


def _block(hw: headway.Headway) -> Iterable[Any]:
    with hw.job("Bench", total=1) as job:
        job.advance()
    return ()


if __name__ == "__main__":
    main()

"""What one step costs over the bare loop: `track`, `advance` and ``async for``, beside tqdm and rich.

The body does nothing, which is the worst case for everybody.  All draw, or report, for real.
"""

from __future__ import annotations

import asyncio
from itertools import repeat
from typing import TYPE_CHECKING, Any

from bench.rounds import BARE, Screen, Stopwatch, Variant, measured, own, quick
from bench.table import Budget, show_costs, show_where
from rich.console import Console
from rich.progress import Progress
from rich.progress import track as rich_track
from tqdm import tqdm
from tqdm.asyncio import tqdm as async_tqdm

import headway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

hw = headway.connect("memory://")
screen = Screen()
console = Console(file=screen, force_terminal=True, width=100)  # type: ignore[arg-type]

WRAPPERS: dict[str, Callable[[Any], Any]] = {
    BARE: lambda items: items,
    "headway": lambda items: hw.track(items, "Bench"),
    "tqdm": lambda items: tqdm(items, file=screen),
    "rich": lambda items: rich_track(items, console=console),
}


def main() -> None:
    """Measure and print."""
    steps, rounds = (500_000, 3) if quick() else (4_000_000, 9)
    show_where()
    items = [None] * steps
    for source, make, share in (
        ("range", range, 1 / 10),
        ("list", lambda _: items, 1 / 10),
        ("generator", None, 1 / 5),
    ):
        variants = [
            _track(name, wrap, make or own(_numbers), steps // (1 if make else 2))
            for name, wrap in WRAPPERS.items()
        ]
        budget = Budget("headway", "tqdm", share)
        show_costs(f"for x in track({source})", measured(variants, rounds), unit="ns", budget=budget)
    show_costs(
        "job.advance()",
        measured(_calls(steps // 8), rounds),
        unit="ns",
        budget=Budget("headway", "tqdm", 1 / 3),
    )
    show_costs(
        "async for x in track(asynchronous generator)",
        measured(_asynchronous(steps // 12), rounds),
        unit="ns",
        budget=Budget("headway", "tqdm", 1 / 3),
    )
    assert screen.writes, "the peers did not draw"
    assert all(job.count == job.total for job in hw.find(status="completed") if job.total)


def _track(
    name: str, wrap: Callable[[Any], Any], make: Callable[[int], Iterable[Any]], steps: int
) -> Variant:
    loop = own(_loop)

    def run(steps: int) -> float:
        with Stopwatch() as watch:
            loop(wrap(make(steps)))
        return watch.seconds

    return Variant(name, run, steps)


def _loop(items: Iterable[Any]) -> None:
    for _ in items:
        pass


def _numbers(steps: int) -> Iterator[int]:
    for number in range(steps):  # noqa: UP028 - a user's generator has a body
        yield number


def _calls(steps: int) -> list[Variant]:
    def bare(steps: int) -> float:
        with Stopwatch() as watch:
            for _ in repeat(None, steps):
                pass
        return watch.seconds

    def with_headway(steps: int) -> float:
        with hw.job("Bench", total=steps) as job, Stopwatch() as watch:
            for _ in repeat(None, steps):
                job.advance()
        return watch.seconds

    def with_tqdm(steps: int) -> float:
        with tqdm(total=steps, file=screen) as bar, Stopwatch() as watch:
            for _ in repeat(None, steps):
                bar.update(1)
        return watch.seconds

    def with_rich(steps: int) -> float:
        with Progress(console=console) as progress:
            task = progress.add_task("Bench", total=steps)
            with Stopwatch() as watch:
                for _ in repeat(None, steps):
                    progress.advance(task)
        return watch.seconds

    return [
        Variant(BARE, bare, steps),
        Variant("headway", with_headway, steps),
        Variant("tqdm", with_tqdm, steps),
        Variant("rich", with_rich, max(1, steps // 4)),
    ]


def _asynchronous(steps: int) -> list[Variant]:
    wrappers = {**WRAPPERS, "tqdm": lambda items: async_tqdm(items, file=screen)}
    del wrappers["rich"]  # it has none
    return [_async_track(name, wrap, steps) for name, wrap in wrappers.items()]


def _async_track(name: str, wrap: Callable[[Any], Any], steps: int) -> Variant:
    loop, numbers = own(_async_loop), own(_async_numbers)

    async def run_in_loop(steps: int) -> float:
        with Stopwatch() as watch:
            await loop(wrap(numbers(steps)))
        return watch.seconds

    return Variant(name, lambda steps: asyncio.run(run_in_loop(steps)), steps)


async def _async_loop(items: AsyncIterator[Any]) -> None:
    async for _ in items:
        pass


async def _async_numbers(steps: int) -> AsyncIterator[int]:
    for number in range(steps):
        yield number


if __name__ == "__main__":
    main()

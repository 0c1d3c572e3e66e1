"""What the publisher's thread takes of a core while 20 jobs are live, beside rich's drawing of 20 bars.

Nothing else runs beside the main thread, so it is the process's processor time less the main thread's.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.rounds import Screen, quick
from bench.table import held, show, show_where
from rich.console import Console
from rich.progress import Progress
from tests.servers.redis import redis_server

import headway

if TYPE_CHECKING:
    from collections.abc import Callable

JOBS = 20
PAUSE = 0.1
TOTAL = 100_000
BUDGET = 0.005


def main() -> None:
    """Measure and print."""
    seconds = 3.0 if quick() else 12.0
    show_where()
    with tempfile.TemporaryDirectory() as folder, redis_server("valkey") as server:
        sqlite = f"sqlite:///{Path(folder)}/jobs.db"
        shares = {
            f"{JOBS} jobs, each with news at each tick, Valkey": _of_headway(server.url, JOBS, seconds),
            f"{JOBS} jobs, idle, Valkey": _of_headway(server.url, JOBS, seconds, step=0),
            f"{JOBS} jobs, each with news at each tick, sqlite": _of_headway(sqlite, JOBS, seconds),
            f"{JOBS} jobs, idle, sqlite": _of_headway(sqlite, JOBS, seconds, step=0),
            "1 job with news at each tick, sqlite": _of_headway(sqlite, 1, seconds),
            f"{JOBS} jobs, each with news at each tick, memory": _of_headway("memory://", JOBS, seconds),
            f"rich: {JOBS} bars at its default pace": _of_rich(seconds),
        }
    rows = [[name, f"{share:.2%}", f"{share * 500:.2f} ms"] for name, share in shares.items()]
    show("Processor time of the publisher at its default pace", ("", "of a core", "every 0.5 s"), rows)
    print(
        f"Budget: {JOBS} live jobs under {BUDGET:.1%} of a core: {held(next(iter(shares.values())), BUDGET)}"
    )


def _of_headway(url: str, jobs: int, seconds: float, step: int = 1) -> float:
    hw = headway.connect(url)
    live = [hw.job(f"Job {n}", total=TOTAL, scope="bench").start() for n in range(jobs)]

    def work() -> None:
        for job in live:
            job.advance(step)

    share = _share(work, seconds)
    seen = [hw.get(job.id) for job in live]
    assert all(one is not None and bool(one.count) == bool(step) for one in seen), "nothing was published"
    for job in live:
        job.complete()
    hw.close()
    return share


def _of_rich(seconds: float) -> float:
    console = Console(file=Screen(), force_terminal=True, width=100)  # type: ignore[arg-type]
    with Progress(console=console) as progress:
        bars = [progress.add_task(f"Job {n}", total=TOTAL) for n in range(JOBS)]

        def work() -> None:
            for bar in bars:
                progress.advance(bar)

        return _share(work, seconds)


def _share(work: Callable[[], None], seconds: float) -> float:
    """Processor time of all other threads while this one works a little, as a share of a core."""
    _work(work, 1.0)  # starting up is not what is measured
    others = -time.process_time() + time.thread_time()
    began = time.perf_counter()
    _work(work, seconds)
    others += time.process_time() - time.thread_time()
    return others / (time.perf_counter() - began)


def _work(work: Callable[[], None], seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        work()
        time.sleep(PAUSE)


if __name__ == "__main__":
    main()

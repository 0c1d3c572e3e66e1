"""What many live jobs with news take of a core at the default pace: of the process, and of the server."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import psutil
from bench.rounds import quick
from bench.stores import places
from bench.table import show, show_where

import headway

if TYPE_CHECKING:
    from bench.stores import Place

PAUSE = 0.25


def main() -> None:
    """Measure and print."""
    seconds, most = (3.0, (1, 100)) if quick() else (8.0, (1, 100, 10_000))
    show_where()
    rows = []
    with places() as found:
        for place in found[:3]:
            for jobs in most:
                own, servers = _shares(place, jobs, seconds)
                rows.append(
                    [f"{place.name}, {jobs:,} live", f"{own:.1%}", f"{servers:.1%}" if place.server else "–"]
                )
    show("Of a core, at the default pace", ("", "process with the jobs", "server"), rows)
    print("The process's own loops are in it: they touch each job four times a second.")


def _shares(place: Place, jobs: int, seconds: float) -> tuple[float, float]:
    with closing(headway.connect(place.url)) as hw:
        live = [hw.job(f"Job {n}", total=10**9, scope="bench").start() for n in range(jobs)]
        _work(live, 2.0)
        before, began = (time.process_time(), _seconds_of(place)), time.perf_counter()
        _work(live, seconds)
        took = time.perf_counter() - began
        shares = (time.process_time() - before[0]) / took, (_seconds_of(place) - before[1]) / took
        assert all((hw.get(job.id) or job).count for job in live[:50]), "nothing was published"
        for job in live:
            job.complete()
        return shares


def _work(live: list[headway.Job], seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        for job in live:
            job.advance()
        time.sleep(PAUSE)


def _seconds_of(place: Place) -> float:
    if place.server is None:
        return 0.0
    first = psutil.Process(place.server.process.pid)
    total = 0.0
    for process in (first, *first.children(recursive=True)):
        times = process.cpu_times()
        total += times.user + times.system
    return total


if __name__ == "__main__":
    main()

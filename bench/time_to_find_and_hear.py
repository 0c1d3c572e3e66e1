"""How long it takes to find the jobs of a scope among many others, and until a watcher hears of a change."""

from __future__ import annotations

import time
from contextlib import closing
from statistics import median, quantiles
from threading import Thread
from typing import TYPE_CHECKING

from bench.rounds import quick
from bench.stores import places
from bench.table import show, show_where

from headway.core.snapshot import Snapshot
from headway.stores import open_store

if TYPE_CHECKING:
    from headway.stores.contract import Store

FEW = 100
BATCH = 1_000
MINE = 20
"""How many jobs the scope has."""


def main() -> None:
    """Measure and print."""
    many, changes = (2_000, 50) if quick() else (100_000, 300)
    show_where()
    found_in, heard_in = [], []
    with places() as found:
        for place in found:
            with closing(open_store(place.url)) as store:
                others = min(many, 5_000) if place.name == "folder" else many
                _fill(store, "mine", 0, MINE)
                _fill(store, "others", 0, FEW)
                few = _find(store)
                heard_in.append([place.name, *(f"{delay * 1e3:.1f}" for delay in _hear(store, changes))])
                _fill(store, "others", FEW, others)
                among = _find(store)
            found_in.append(
                [
                    f"{place.name}, {others:,} others",
                    f"{few * 1e3:.2f}",
                    f"{among * 1e3:.2f}",
                    f"{among / few:.2f}",
                ]
            )
    columns = ("", f"among {FEW}, ms", "among all, ms", "ratio")
    show(f"find(scope=…) with {MINE} jobs in it, median", columns, found_in)
    show("From a write to the watcher", ("", "p50, ms", "p99, ms"), heard_in)


def _fill(store: Store, scope: str, first: int, last: int) -> None:
    for start in range(first, last, BATCH):
        records = [
            Snapshot(id=f"{scope}-{n}", name="Bench", run="bench", status="running", scope=scope)
            for n in range(start, min(start + BATCH, last))
        ]
        store.write(records)


def _find(store: Store) -> float:
    took = []
    for _ in range(30):
        began = time.perf_counter()
        assert len(store.find(scope="mine")) == MINE
        took.append(time.perf_counter() - began)
    return median(took)


def _hear(store: Store, changes: int) -> tuple[float, float]:
    """The median, and what 99 of 100 changes need at most."""
    heard: list[float] = []
    subscription = store.listen()
    subscription.add(["mine-0"])
    while subscription.wait(0.3):
        pass

    def listen() -> None:
        while len(heard) < changes:
            if subscription.wait(5.0):
                heard.append(time.perf_counter())

    delays = []
    listener = Thread(target=listen)
    listener.start()
    for step in range(1, changes + 1):
        written = time.perf_counter()
        store.write([Snapshot(id="mine-0", run="bench", status="running", scope="mine", step=step)])
        while len(heard) < step:
            time.sleep(0.0005)
        delays.append(heard[-1] - written)
    listener.join()
    subscription.close()
    return median(delays), quantiles(delays, n=100)[-1]


if __name__ == "__main__":
    main()

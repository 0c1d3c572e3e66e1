"""What one update costs: through headway on each store, bare, and through its peers; all in one run.

An update is a report that is sent and answered.  A job's own loop never waits for one: what it pays is the
line ``advance``.
"""

from __future__ import annotations

import asyncio
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import psycopg
from bench.rounds import BARE, Stopwatch, Variant, measured, quick
from bench.stores import Place, places
from bench.table import show_costs, show_where

import headway
from headway.core.snapshot import Snapshot
from headway.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PEERS = ("celery", "celery_progress", "rq", "saq")
UPSERT = "INSERT INTO bench VALUES (1, %s) ON CONFLICT (id) DO UPDATE SET value = excluded.value"


def main() -> None:
    """Measure and print."""
    rounds, steps = (3, 50) if quick() else (15, 200)
    show_where()
    with places(memory=True) as found:
        valkey, database = found[0].server, found[1].server
        ways: dict[str, Callable[[], object]] = {BARE: lambda: None}
        ways |= dict(_floors(valkey, database))
        ways |= {f"headway, {place.name}": _update(place) for place in found}
        job = headway.connect(valkey.url).job("Bench", total=10**9).start()
        ways["headway, advance() in the loop, valkey"] = job.advance
        missing = [name for name in PEERS if find_spec(name) is None]
        if not missing:
            ways |= dict(_peers(valkey.url.replace("valkey", "redis")))
        variants = [Variant(name, partial(_run, way), steps) for name, way in ways.items()]
        show_costs("One update, on the clock", measured(variants, rounds), unit="µs", peer="SET")
        job.complete()
    if missing:
        print(f"Without {', '.join(missing)}: uv sync --group peers, then measure again.")


def _run(way: Callable[[], object], count: int) -> float:
    with Stopwatch() as watch:
        for _ in range(count):
            way()
    return watch.seconds


def _update(place: Place) -> Callable[[], object]:
    store = open_store(place.url)
    opened = store.open(Snapshot(id="bench", name="Bench", run="bench", status="running", total=10**9)).opened
    assert opened is not None
    known = {"id": "bench", "name": "Bench", "run": "bench", "status": "running", "total": 10**9}
    known |= {"created_at": opened.created_at, "started_at": opened.started_at}
    steps = iter(range(1, 10**9))

    def update() -> None:
        step = next(steps)
        answer = store.write([Snapshot(**known, step=step, count=step, elapsed=1.0)])["bench"]
        assert answer.outcome == "applied"

    return update


def _floors(valkey: Any, database: Any) -> Iterator[tuple[str, Callable[[], object]]]:
    """The least that each engine takes for keeping a value."""
    client, value = valkey.client(), b"x" * 200
    yield "SET", lambda: client.set("bench", value)
    yield "HSET", lambda: client.hset("bench-hash", mapping={"head": value, "facts": value})
    connection = psycopg.connect(database.url, autocommit=True)
    connection.execute("SET synchronous_commit = off")
    connection.execute("CREATE TABLE bench (id integer PRIMARY KEY, value text)")
    yield "upsert, not waiting for the disk", lambda: connection.execute(UPSERT, [value.decode()])


def _nothing(task: object) -> None:
    """The work of a peer's task."""


def _peers(url: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """What those who use a queue have for it, on the same server."""
    from celery import Celery
    from celery_progress.backend import ProgressRecorder
    from redis import Redis
    from rq import Queue
    from saq import Queue as AsyncQueue

    app = Celery(broker=url, backend=url)
    task = app.task(_nothing, bind=True, name="bench")
    task.push_request(id="bench")
    recorder = ProgressRecorder(task)
    yield "celery-progress, set_progress", lambda: recorder.set_progress(1, 10**9, "Bench")

    job = Queue(connection=Redis.from_url(url)).enqueue("math.sqrt", 4)

    def save_meta() -> None:
        job.meta["progress"] = 1
        job.save_meta()

    yield "RQ, save_meta", save_meta

    runner = asyncio.Runner()
    queue = AsyncQueue.from_url(url)
    runner.run(queue.connect())
    saq_job = runner.run(queue.enqueue("bench"))
    assert saq_job is not None
    yield "SAQ, job.update", lambda: runner.run(saq_job.update(progress=0.5))


if __name__ == "__main__":
    main()

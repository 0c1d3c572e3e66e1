"""The public surface, as type checkers see it.  Checked by mypy, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import assert_type

import headway
from headway import Job, Snapshot, Stage


def what_a_worker_writes(rows: list[int]) -> None:
    assert_type(headway.track(rows, "Importing"), Iterator[int])
    assert_type(headway.track(rows, total=3, unit="rows", weight=lambda row: row * 2), Iterator[int])
    with headway.job("Report", scope="user/3421", stages={"Download": 1, "Crunch": 3.5}) as job:
        assert_type(job, Job)
        with job.stage("Download", total=3) as stage:
            assert_type(stage, Stage)
            assert_type(stage.track(rows), Iterator[int])
            stage.advance(2, activity="row 3", failed=1)
        job.count = 3
        job.total = None
        job.message("2 rows skipped", level="warning")
        assert_type(job.snapshot(), Snapshot)
        job.complete(result={"rows": len(rows)})
    assert_type(headway.current(), Job)


@headway.job("Decorated", exclusive=True)
def decorated(a: int, *, b: str) -> float:
    return len(b) / a


def what_a_decorator_keeps() -> None:
    assert_type(decorated(1, b="x"), float)
    decorated("1", b="x")  # type: ignore[arg-type]


def what_options_there_are() -> None:
    headway.job("x", lease="30")  # type: ignore[arg-type]
    headway.job("x", colour="red")  # type: ignore[call-arg]


def what_a_reader_writes() -> None:
    snapshot = headway.get("x")
    assert_type(snapshot, Snapshot | None)
    if snapshot is not None:
        assert_type(snapshot.fraction, float | None)
        assert_type(snapshot.percent, int | None)
        assert_type(snapshot.started_at, datetime | None)
    page = headway.find(scope="user/3421", status="running")
    for found in page:
        assert_type(found, Snapshot)
    assert_type(page.cursor, str | None)
    for seen in headway.watch("x", timeout=3):
        assert_type(seen, Snapshot)
    assert_type(headway.cancel("x"), bool)
    assert_type(headway.reserve("x", id="y"), Snapshot | None)


async def what_a_coroutine_writes(source: AsyncIterator[str]) -> None:
    assert_type(headway.track(source, "Reading"), AsyncIterator[str])
    async with headway.job("Report") as job:
        assert_type(job, Job)
        async for line in job.track(source):
            assert_type(line, str)
    assert_type(await headway.aget("x"), Snapshot | None)
    async for seen in headway.watch("x"):
        assert_type(seen, Snapshot)
    assert_type(await headway.acancel("x"), bool)

"""What jobs are called in words, by Python: `words.json`, which tests of Python and of the browser read.

A job there is what differs from "usual".  Written anew by: python -m tests.golden.words
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from headway.core import words
from headway.core.snapshot import ENDED, Details, Error, Snapshot, Stage, Totals
from headway.core.wire import encode_frame

FILE = Path(__file__).with_suffix(".json")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
BYTES = (
    0, 1, 999, 1_000, 12_250, 99_949, 99_951, 812_300, 999_949, 999_951, 12_900_000, 61_300_000_000,
    2**53 - 1,
)  # fmt: skip
SECONDS = (
    0, 0.4, 1, 12.9, 59.99, 60, 61, 192, 3_599, 3_600, 3_661, 7_503, 86_399, 86_400, 100_800, 2_000_000,
)  # fmt: skip
LEFT = (
    (1, 2, 4), (0, 0, 0), (220, 240, 260), (170, 230, 310), (45, 80, 130), (110, 500, 1_500), (1, 8, 22),
    (0, 300, 900), (5_300, 5_400, 5_500), (9e5, 1e9, 1e12), (2.4, 2.6, 3), (52, 52.5, 53), (57, 57.5, 58),
    (3_590, 3_600, 3_650), (20_000, 21_600, 22_000), (7_100, 7_199, 7_300), (86_000, 90_000, 95_000),
    (170_000, 180_000, 190_000), (4, 7, 12), (10, 20, 60), (3_000, 4_000, 8_000),
    (80_000, 100_000, 200_000), (3, 20, 61), (3, 20, 70), (1, 15, 62), (0.1, 2, 5.1),
)  # fmt: skip


def running(**facts):
    moments = {"created_at": NOON, "started_at": NOON, "seen_at": NOON, "read_at": NOON}
    return Snapshot(**({"id": "a1", "status": "running", "version": 1, "elapsed": 60.0} | moments | facts))


def ended(status, **facts):
    left = 0.0 if status == "completed" else None
    return running(**({"status": status, "ended_at": NOON, "cancellable": False, "remaining": left} | facts))


def with_left(low, middle, high, **facts):
    return running(remaining=middle, remaining_low=low, remaining_high=high, **facts)


def pictures():
    """Jobs as they may read, one of each sort."""
    crunch = Stage("Crunch", 3.0, 5_210, 12_400, "rows", 38.4)
    stages = (Stage("Download", 1.0, 40, 40, "files", 21.7, ended=True), crunch, Stage("Upload", 0.0))
    yield from (
        Snapshot(id="b2", created_at=NOON, read_at=NOON, seen_at=NOON),
        running(name="  Nightly report "),
    )
    yield from (running(count=count, total=total, unit=unit) for count, total, unit in COUNTS)
    yield from (running(count=count, unit="B") for count in BYTES)
    yield from (running(count=count, total=61_300_000, unit="B") for count in BYTES[:-2])
    yield from (running(count=n, total=200) for n in (0, 1, 57, 58, 115, 199, 200))
    yield from (running(elapsed=seconds) for seconds in SECONDS)
    yield from (with_left(*left) for left in LEFT)
    yield from (running(rate=rate, unit=unit) for rate in RATES for unit in (None, "rows", "B"))
    yield from (
        running(rate=2.0, total=1, count=0.3),
        running(elapsed=1.0, remaining=3.0),
        running(remaining=70.0),
    )
    yield from (
        running(cancel="requested", remaining=60.0),
        running(cancel="seen"),
        running(status="pending", cancel="seen"),
    )
    yield from (
        running(status="stalled", seen_at=NOON - timedelta(seconds=47)),
        running(seen_at=NOON - timedelta(seconds=8)),
    )
    yield from (running(count=12, total=99, idle_for=float(idle)) for idle in (9, 24, 25, 26, 700))
    yield from (
        running(count=12, initial=10, total=99, idle_for=160.0),
        running(stages=(crunch,), idle_for=11.0),
    )
    yield from (running(failed_count=n, activity="row 7", rate=3.0) for n in (1, 2, 1_234))
    yield from (
        ended(status, count=45, total=100, rate=2.0, activity="row 45", elapsed=192.0)
        for status in sorted(ENDED)
    )
    yield from (
        ended("failed", attempt=2),
        running(status="retrying", attempt=3),
        running(status="retrying", rate=1.0),
    )
    yield from (running(status="retrying", retry_in=seconds) for seconds in (0.0, 0.9, 1.0, 40.2, 3_599.0))
    yield from (ended("failed", details=Details(error=error)) for error in ERRORS)
    yield from (running(totals=totals, total_weight=4.0) for totals in FAMILIES)
    yield from (
        running(stages=stages, total_weight=4.0),
        ended("completed", stages=stages),
        ended("failed", stages=stages),
    )


COUNTS = (
    (None, 10, None), (1_842, None, "files"), (5_210, 12_400, "rows"), (12, 10, None), (2.5, 10, None),
    (0.5, 1, None), (3, 0, None), (1_234.5, 9_999_999, "m"), (0.125, 2, None), (2.675, 3, None),
    (10.25, 11.75, None), (1e15, 2e15, "x"), (0, 0, None), (7, None, None),
)  # fmt: skip
RATES = (0.0, 0.0001, 0.005, 0.025, 1.0, 1.5, 4.26, 135.7, 12_900_000.0)
ERRORS = (
    Error(text="The file has no header row."),
    Error(type="ValueError", detail="Traceback\n  at line 3\nValueError: no\n"), Error(type="ValueError"),
    Error(),
)  # fmt: skip
FAMILIES = (Totals(weight=1.0, children=1), Totals(weight=4.0, done=20_000.0, children=10, ended=3, failed=1))


@dataclass
class Said:
    """A job, and what is said of it."""

    job: Snapshot
    teller: words.TimeLeft = field(default_factory=words.TimeLeft)

    def as_data(self):
        shown = {name: value for name, value in shown_as(self.job).items() if value != USUAL[name]}
        return {"job": shown, "says": self.says()}

    def says(self):
        job = self.job
        state, left = words.state(job), self.teller.words(job)
        rate = words.rate(job.rate, job.total, job.unit) if job.status == "running" else None
        detail = [*words.worries(job), words.reason(job), words.children(job.children)]
        detail += ["" if job.ended else job.activity, rate]
        return {
            "name": words.name(job),
            "state": state,
            "percent": words.percent(job),
            "counts": words.counts(job.count, job.total, job.unit),
            "rate": rate,
            "elapsed": words.duration(job.elapsed),
            "left": left,
            "status": (left or state) if state == "running" else state,
            "detail": " · ".join(part for part in detail if part),
            "stages": [self.stage(stage) for stage in job.stages],
        }

    def stage(self, stage):
        begun = stage.elapsed is not None or stage.ended
        return {
            "name": stage.name,
            "state": "completed" if stage.ended else self.job.status if begun else "pending",
            "percent": words.percent(stage) if begun else None,
            "counts": words.counts(stage.count, stage.total, stage.unit),
        }


def holding():
    """Words of time left while estimates wobble: one teller hears all."""
    teller = words.TimeLeft()
    for second in range(0, 300, 3):
        truth = 300.0 - second
        wobble = 1 + 0.3 * ((second * 7) % 11 - 5) / 5 * (truth / 300)
        middle = truth * wobble
        at = NOON + timedelta(seconds=second + (second % 2) * 0.5)
        yield Said(with_left(middle * 0.8, middle, middle * 1.3, read_at=at, elapsed=float(second)), teller)


def shown_as(job):
    """The frame, as those read it who parse it."""
    return json.loads(encode_frame(job, owner=True))


USUAL = shown_as(running())


def golden():
    """All of it, as plain data."""
    jobs, left = ([said.as_data() for said in all_] for all_ in (map(Said, pictures()), holding()))
    return {"usual": USUAL, "jobs": jobs, "holding": left}


def spelled(data):
    """The file: one job a line."""
    lines = (
        ",\n".join(json.dumps(one, ensure_ascii=False) for one in data[name]) for name in ("jobs", "holding")
    )
    usual = json.dumps(data["usual"])
    return '{{\n"usual": {},\n"jobs": [\n{}\n],\n"holding": [\n{}\n]\n}}\n'.format(usual, *lines)


if __name__ == "__main__":
    FILE.write_text(spelled(golden()))

"""Time left in words, by Python: `remaining.json`, which the tests of Python and of the browser both read.

Each line is one job as it reads at several moments, as a frame without what is as usual, with what is said of
it.  One teller hears all moments of a job.  Written anew by: python -m tests.golden.remaining
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from headway.core import words
from headway.core.estimate import Estimator, Profile
from headway.core.snapshot import Snapshot, later
from headway.core.wire import encode_frame

FILE = Path(__file__).with_suffix(".json")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
STEADY = tuple(10_000 * point // 64 for point in range(1, 65))
SLOW_TAIL = tuple(round(min(point / 32 * 9_000, 9_000 + (point - 32) / 32 * 1_000)) for point in range(1, 65))


def running(at=0.0, **facts):
    moment = NOON + timedelta(seconds=at)
    known = {"created_at": NOON, "started_at": NOON, "seen_at": moment, "read_at": moment, "elapsed": at}
    return Snapshot(**({"id": "a1", "status": "running", "version": 1} | known | facts))


def estimated(estimator, at, done, total=100, **facts):
    """What a worker would report at this moment."""
    if done:
        estimator.update(at, done)
    found = estimator.remaining(at)
    left = [round(seconds, 4) for seconds in found] if found else [None] * 3
    return running(
        at,
        count=int(done),
        total=total,
        remaining=left[0],
        remaining_low=left[1],
        remaining_high=left[2],
        estimate_basis=estimator.basis if left[0] is not None else None,
        usual=estimator.usual and round(estimator.usual, 4),
        patience=round(max(10.0, estimator.patience or 0.0), 4),
        **facts,
    )


def a_first_run():
    """Steady, one step in 3 s."""
    estimator = Estimator(100)
    yield from (estimated(estimator, 3.0 * step, step) for step in range(100))


def a_known_run():
    """As five runs before it."""
    estimator = Estimator(100, [Profile(300.0, 100, STEADY)] * 5)
    yield from (estimated(estimator, 3.0 * step, step) for step in range(0, 100, 3))


def a_known_tail():
    """Nine tenths of the work in half of the time."""
    estimator = Estimator(100, [Profile(600.0, 100, SLOW_TAIL)] * 3)
    for second in range(0, 600, 12):
        yield estimated(estimator, float(second), min(90, second * 0.3) + max(0, second - 300) / 30)


def between_two_reports():
    """One report, read again and again."""
    estimator = Estimator(100, [Profile(300.0, 100, STEADY)])
    for step in range(1, 40):
        estimator.update(3.0 * step, step)
    told = estimated(estimator, 120.0, 40, lease=300.0, idle_for=0.0)
    yield from (later(told, NOON + timedelta(seconds=120 + age)) for age in (0, 1, 3, 5, 7))


def a_standstill():
    """No step for minutes, where one takes a second."""
    estimator = Estimator(100)
    for step in range(1, 31):
        estimator.update(float(step), step)
    for idle in (0, 5, 9, 10, 40, 100, 400):
        yield estimated(estimator, 30.0 + idle, 30, idle_for=float(idle))


def a_long_step():
    """A step that took minutes in earlier runs, too."""
    tail = (*(min(9_900, 20_000 * point // 64) for point in range(1, 64)), 10_000)
    estimator = Estimator(100, [Profile(200.0, 100, tail)] * 3)
    for step in range(1, 100):
        estimator.update(float(step), step)
    for idle in (0, 20, 60, 99, 140, 600):
        yield estimated(estimator, 99.0 + idle, 99, idle_for=float(idle))


def longer_than_usual():
    """It counts nothing, and usually takes 6 min."""
    estimator = Estimator(None, [Profile(360.0, 0.0)] * 4)
    for at in (0, 120, 300, 355, 380, 451, 540, 541, 900, 7_200):
        yield estimated(estimator, float(at), 0, total=None)


def slower_than_usual():
    """It goes on at half of its usual pace."""
    estimator = Estimator(100, [Profile(100.0, 100, STEADY)] * 4)
    yield from (estimated(estimator, 2.0 * step, step) for step in range(0, 100, 5))


def as_wide_as_it_comes():
    """All that can be said, at once."""
    for low, middle, high in RANGES:
        yield running(9e9, remaining=middle, remaining_low=low, remaining_high=high, estimate_basis="run")


RANGES = (
    (0.0, 0.0, 0.0), (1, 2, 4), (2.4, 3, 5), (3, 4, 6), (1, 8, 22), (10, 14, 22), (30, 40, 61), (45, 80, 130),
    (52, 55, 58), (110, 118, 125), (170, 230, 310), (220, 240, 260), (110, 500, 1_500), (0, 300, 900),
    (280, 400, 700), (3_000, 4_000, 8_000), (5_300, 5_400, 5_500), (7_100, 7_199, 7_300),
    (86_000, 90_000, 95_000), (80_000, 100_000, 200_000), (9e5, 1e9, 1e12),
    (8.9e8, 9e8, 9.1e8), (9e10, 1e11, 1.1e11),
)  # fmt: skip
STORIES = (
    a_first_run, a_known_run, a_known_tail, between_two_reports, a_standstill, a_long_step,
    longer_than_usual, slower_than_usual,
)  # fmt: skip


def told(moments):
    """Each moment with what is said of it, by one teller."""
    teller = words.TimeLeft()
    for job in moments:
        shown = {name: value for name, value in frame(job).items() if value != USUAL[name]}
        yield {"job": shown, "says": {"left": teller.words(job), "worries": words.worries(job)}}


def frame(job):
    """As those read it who parse it."""
    return json.loads(encode_frame(job))


USUAL = frame(running())


def golden():
    """All of it, as plain data."""
    stories = {story.__name__: list(told(story())) for story in STORIES}
    alone = [next(told([job])) for job in as_wide_as_it_comes()]
    return {"usual": USUAL, "stories": stories, "ranges": alone}


def spelled(data):
    """The file: one moment a line."""

    def lines(moments):
        return ",\n".join(json.dumps(moment, ensure_ascii=False) for moment in moments)

    stories = ",\n".join(f'"{name}": [\n{lines(moments)}\n]' for name, moments in data["stories"].items())
    usual, ranges = json.dumps(data["usual"]), lines(data["ranges"])
    return f'{{\n"usual": {usual},\n"stories": {{\n{stories}\n}},\n"ranges": [\n{ranges}\n]\n}}\n'


if __name__ == "__main__":
    FILE.write_text(spelled(golden()))

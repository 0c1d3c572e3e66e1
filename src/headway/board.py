"""What is shown of jobs, wherever there is a line of text for it: rows, log lines, table cells, JSON.

Nothing here knows how anything is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, NamedTuple

from headway.core import words
from headway.core.estimate.profile import Earlier, usable
from headway.core.snapshot import later
from headway.core.wire import encode_frame, encode_profile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headway.core.estimate import Profile
    from headway.core.snapshot import Snapshot, Stage

PULSE = 0.3
"""Seconds after which a bar without an end moves on by one cell."""


MOST = 1_000
"""Jobs that are kept in mind; beyond, the first that has ended is forgotten."""


class Shown(NamedTuple):
    """A job as it reads at this moment, with the words for its time left."""

    snapshot: Snapshot
    left: str | None = None


class Board:
    """The jobs that are shown: what was heard of each, and how it reads at a later moment."""

    def __init__(self) -> None:
        self._heard: dict[str, tuple[Snapshot, float]] = {}
        self._left: dict[str, words.TimeLeft] = {}

    def hear(self, snapshot: Snapshot, at: float) -> None:
        """Take in a snapshot that was received at ``at``, by any clock that only ever rises."""
        self._heard[snapshot.id] = (snapshot, at)
        self._left.setdefault(snapshot.id, words.TimeLeft())
        if len(self._heard) > MOST:
            ended = (id for id, (known, _) in self._heard.items() if known.ended)
            self.forget(next(ended, next(iter(self._heard))))

    def get(self, id: str) -> Snapshot | None:
        """A job as it was last heard of."""
        return self._heard[id][0] if id in self._heard else None

    def forget(self, id: str) -> None:
        """Show a job no longer."""
        self._heard.pop(id, None)
        self._left.pop(id, None)

    def at(self, now: float) -> list[Shown]:
        """How the jobs read now, in the order in which they appeared."""
        return [self._shown(id, now) for id in self._heard]

    def _shown(self, id: str, now: float) -> Shown:
        snapshot, heard_at = self._heard[id]
        if snapshot.read_at is not None:
            snapshot = later(snapshot, snapshot.read_at + timedelta(seconds=max(0.0, now - heard_at)))
        return Shown(snapshot, self._left[id].words(snapshot))


# Rows: what is said of a job and of its stages


@dataclass(frozen=True)
class Row:
    """One bar with what stands beside it.

    Attributes:
        cells: State or time left, counts, time taken.
        worries, children, activity: What the line under it says, as far as it fits.
        step: How far a bar without an end has moved.
    """

    level: int
    state: str
    name: str
    grid: int | None
    begun: bool = True
    percent: str = ""
    cells: tuple[str, str, str] = ("", "", "")
    worries: tuple[str, ...] = ()
    children: str = ""
    activity: str = ""
    step: int = 0


def rows(shown: Shown, stages: str = "all") -> list[Row]:
    """A job's own row, and those of its stages: ``all``, ``running`` ones, or ``none``.

    What is happening right now stands under the last stage that runs, else under the job.
    """
    job = shown.snapshot
    wanted = [stage for stage in job.stages if _is_wanted(stage, stages)]
    drawn = [job_row(shown), *(_stage_row(stage, job) for stage in wanted)]
    activity = "" if job.ended else words.harmless(job.activity or "")
    running = [at for at, stage in enumerate(wanted, 1) if _is_running(stage)]
    at = running[-1] if running else 0
    drawn[at] = replace(drawn[at], activity=activity)
    return drawn


def _is_wanted(stage: Stage, stages: str) -> bool:
    return stages == "all" or (stages == "running" and _is_running(stage))


def _is_running(stage: Stage) -> bool:
    return stage.elapsed is not None and not stage.ended


def job_row(shown: Shown) -> Row:
    """A job's own row."""
    job, left = shown
    state = words.state(job)
    worries = (*words.worries(job), words.reason(job))
    return Row(
        level=0,
        state=job.status,
        name=words.name(job),
        grid=job.grid,
        begun=job.started_at is not None,
        percent=(words.percent(job) or "") if job.started_at else "",
        cells=(
            (left or "") if state == "running" else state,
            words.counts(job.count, job.total, job.unit) or "",
            words.duration(job.elapsed) or "",
        ),
        worries=tuple(worry for worry in worries if worry),
        children=words.children(job.children) or "",
        step=int((job.elapsed or 0.0) / PULSE),
    )


def _stage_row(stage: Stage, job: Snapshot) -> Row:
    begun = stage.elapsed is not None or stage.ended
    counts = words.counts(stage.count, stage.total, stage.unit)
    return Row(
        level=1,
        state="completed" if stage.ended else job.status if begun else "pending",
        name=words.harmless(stage.name),
        grid=stage.grid,
        begun=begun,
        percent=(words.percent(stage) or "") if begun else "",
        cells=("", counts or "", words.duration(stage.elapsed) or ""),
        step=int((job.elapsed or 0.0) / PULSE),
    )


# Lines of text


def line(shown: Shown) -> str:
    """A job in one line of a log."""
    job, left = shown
    at = job.read_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if job.read_at else "-"
    said = [
        words.state(job),
        words.percent(job),
        words.counts(job.count, job.total, job.unit) or _counts_of_stage(job),
    ]
    said += [words.duration(job.elapsed), left, *words.worries(job), words.reason(job)]
    return f"{at}  {words.name(job)}  " + ", ".join(part for part in said if part)


def _counts_of_stage(job: Snapshot) -> str | None:
    running = [stage for stage in job.stages if _is_running(stage)]
    if not running:
        return None
    counts = words.counts(running[-1].count, running[-1].total, running[-1].unit)
    return f"{words.harmless(running[-1].name)} {counts or ''}".strip()


def json_line(snapshot: Snapshot) -> str:
    """A job as one line of JSON, for its owner, in ASCII: harmless in any terminal."""
    return _in_ascii(encode_frame(snapshot, owner=True).decode())


def _in_ascii(json: str) -> str:
    return "".join(map(_escaped, json)) if not json.isascii() or "\x7f" in json else json


def _escaped(character: str) -> str:
    if " " <= character <= "~":
        return character
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def table_cells(job: Snapshot) -> tuple[str, ...]:
    """A job in a table: status, name, share done, count, when it started, how long it took, id."""
    started = job.started_at or job.created_at
    since = (job.read_at - started).total_seconds() if job.read_at and started else None
    return (
        words.state(job),
        words.name(job),
        (words.percent(job) or "") if job.started_at else "",
        words.counts(job.count, job.total, job.unit) or "",
        words.ago(since) or "",
        words.duration(job.elapsed) or "",
        words.harmless(job.id),
    )


# History: what is known of a kind


def history_lines(kind: str, runs: Sequence[Profile]) -> list[str]:
    """What earlier runs of a kind tell of the next one, and how long each of them took, the newest first."""
    known = usable(runs)
    if not known:
        return [f"{words.harmless(kind)}: nothing is known yet; completed runs teach"]
    last, earlier = known[-1], Earlier(known)
    usual = round(earlier.seconds(last.total or None), 3)
    count = "1 run" if len(known) == 1 else f"{len(known)} runs"
    lines = [f"{words.harmless(kind)}: {count}, usually {words.duration(usual)}"]
    lines += [f"  {words.duration(run.seconds):>12}  {_work_of(run)}".rstrip() for run in reversed(known)]
    if earlier.trust:
        half = next((share for share in range(100) if earlier.warped(0.5) <= share / 100), 100)
        lines.append(f"  half of the work is usually done after {half}% of the time")
    if last.stages:
        took = (f"{words.harmless(name)} {words.duration(seconds)}" for name, seconds in last.stages.items())
        lines.append(f"  stages: {', '.join(took)}")
    return lines


def run_json(run: Profile) -> str:
    """What a run left, as one line of JSON, in ASCII."""
    return _in_ascii(encode_profile(run).decode())


def _work_of(run: Profile) -> str:
    return f"for {words.number(run.total)}" if run.total not in {0, 1} else ""

"""What progress is called, in plain English: percents, counts, durations, time left, states.

Unknown is None and stays None: nothing is invented.  Words are coarse and steady, so that they can be read.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from headway.core.text import REPLACEMENT

if TYPE_CHECKING:
    from headway.core.snapshot import Children, Number, Snapshot, Stage

SILENCE = 8.0
"""Seconds without a word that are worth mentioning: a live worker says one at least every 5."""
STANDSTILL = 10.0
"""Seconds without progress that are worth mentioning, where the usual gap is not longer."""
LONGER = 1.5
"""How many times its usual seconds a job may take before that is worth mentioning: so long take 2 to 6 % of
the runs that are as usual, and 1.25 times 12 to 18 % (``bench/eta``)."""
SHORT = 5.0
"""Jobs of fewer seconds have no time left worth saying."""
DWELL = 2.0
"""Seconds for which words of time left stand at least."""
STEADY = 0.25
"""The part of the estimated range, on each side and in ratios, in which a shown finish time stays."""

_SECOND, _MINUTE, _HOUR, _DAY = 1, 60, 3_600, 86_400
_ROUND = (
    *(5, 10, 15, 20, 30, 45),
    *(_MINUTE * n for n in (1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50)),
    *(_HOUR * n for n in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 18)),
    *(_DAY * n for n in (1, 1.5, 2, 3, 4, 5, 7, 10, 14, 21, 30)),
)
_STEPS = (
    (60, 5), (300, 30), (1_200, 60), (3_600, 300), (7_200, 600), (21_600, 1_800), (172_800, _HOUR),
)  # fmt: skip
_PER = (("s", _SECOND), ("min", _MINUTE), ("h", _HOUR))
_UNITS = ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (_SECOND, "s"))
_SIZES = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_PLAIN = re.compile(r"[\x20-\x7e]*")
_SPACE = re.compile(r"[\t\n\r\v\f\x85\u2028\u2029]+")
_MODIFIERS = {*range(0xFE00, 0xFE10), *range(0x1F3FB, 0x1F400)}


# Text


def harmless(text: str) -> str:
    """The text in one line, with nothing in it that a terminal would obey or measure in two ways.

    Control characters become U+FFFD.  What has no width of its own goes: controls of direction, joiners,
    variation selectors, skin tones; so each character left is as wide as everybody thinks it is.
    """
    if _PLAIN.fullmatch(text):
        return text
    return "".join(map(_harmless, _SPACE.sub(" ", text)))


def _harmless(character: str) -> str:
    if ord(character) in _MODIFIERS:
        return ""
    category = unicodedata.category(character)
    return "" if category == "Cf" else REPLACEMENT if category in {"Cc", "Cs"} else character


# Numbers


def percent(of: Snapshot | Stage) -> str | None:
    """How far it is: 100 % when it has completed and only then."""
    grid = of.grid
    if grid is None:
        return None
    done = of.status == "completed" if hasattr(of, "status") else of.ended
    return f"{grid // 100 if done else min(99, grid // 100)}%"


def number(value: Number) -> str:
    """A number with thousands separators: 1,842."""
    if isinstance(value, int) or value.is_integer():
        return f"{int(value):,}"
    return f"{value:,.2f}" if abs(value) < 10 else f"{value:,.1f}"


def size(amount: Number) -> str:
    """A number of bytes: 12.9 MB."""
    power = _power(amount)
    return f"{_scaled(amount, power)} {_SIZES[power]}"


def _power(amount: Number) -> int:
    power = 0
    while round(amount / 1000**power, 1) >= 1000 and power < len(_SIZES) - 1:
        power += 1
    return power


def _scaled(amount: Number, power: int) -> str:
    scaled = amount / 1000**power
    return f"{scaled:,.1f}" if power and round(scaled, 1) < 100 else f"{scaled:,.0f}"


def counts(count: Number | None, total: Number | None, unit: str | None = None) -> str | None:
    """How many are done: 5,210/12,400 rows, 35.1/61.3 MB, 1,842 files; 12/10 where there are too many."""
    if count is None or total == 1:  # a total of 1 is a share: the percent says it
        return None
    if unit == "B":
        return _sizes(count, total)
    words = number(count) if total is None else f"{number(count)}/{number(total)}"
    return f"{words} {harmless(unit)}" if unit else words


def rate(per_second: float | None, total: Number | None, unit: str | None = None) -> str | None:
    """How fast it goes, per second, minute or hour: 135.7 rows/s, 12.9 MB/s, 1.50 files/min."""
    if not per_second or total == 1:
        return None
    per, times = next((per for per in _PER if per_second * per[1] >= 1 or unit == "B"), _PER[-1])
    return f"{counts(per_second * times, None, unit)}/{per}"


def _sizes(count: Number, total: Number | None) -> str:
    if total is None:
        return size(count)
    power = _power(total)
    return f"{_scaled(count, power)}/{_scaled(total, power)} {_SIZES[power]}"


# Times


def duration(seconds: float | None) -> str | None:
    """How long something took or takes, in two units at most: 3 min 12 s."""
    if seconds is None:
        return None
    whole = int(seconds)
    if whole < 1:
        return "<1 s"
    at = next(i for i, (unit, _) in enumerate(_UNITS) if whole >= unit)
    unit, name = _UNITS[at]
    words = f"{whole // unit} {name}"
    if at + 1 < len(_UNITS):
        smaller, its_name = _UNITS[at + 1]
        rest = whole % unit // smaller
        words += f" {rest} {its_name}" if rest else ""
    return words


def ago(seconds: float | None) -> str | None:
    """How long ago something was, in one unit: 3 min ago."""
    if seconds is None:
        return None
    unit, name = next((unit for unit in _UNITS if seconds >= unit[0]), _UNITS[-1])
    return "just now" if unit == _SECOND and seconds < 5 else f"{int(seconds // unit)} {name} ago"


def left(seconds: float, low: float, high: float) -> str | None:
    """Time left as a range that is as coarse as the estimate: about 4 min left, over 2 min left."""
    if high <= 5:
        return "a few seconds left"
    if high <= low * 1.35:
        return f"about {_about(seconds)} left"
    down, up = _near(low), _near(high)
    if high > low * 10 and (down or up > _MINUTE):
        return f"over {_round_words(down)} left" if down else None
    if not down and up <= 5:
        return "a few seconds left"
    if not down:
        return f"up to {_round_words(up)} left"
    return f"{_range(down, up)} left"


def _range(down: float, up: float) -> str:
    first, last = _round_words(down), _round_words(up)
    if first == last:
        return f"about {last}"
    if first.split()[-1] == last.split()[-1]:
        first = first.split()[0]
    return f"{first}–{last}"


def _near(seconds: float) -> float:
    """The nearest round number, by ratio; 0 below 2.5 s."""
    if seconds <= 2.5:
        return 0
    return min(_ROUND, key=lambda round_: max(round_ / seconds, seconds / round_))


def _about(seconds: float) -> str | None:
    """One number, to about a tenth; two where the first is small."""
    whole = _coarse(seconds)
    has_two = _HOUR < whole < 6 * _HOUR or _DAY < whole < 2 * _DAY
    return duration(whole) if has_two else _round_words(whole)


def _coarse(seconds: float) -> float:
    """The seconds, to about a tenth."""
    step = next((step for top, step in _STEPS if seconds < top), _DAY)
    return max(step, round(seconds / step) * step)


def _round_words(seconds: float) -> str:
    unit, name = next((unit for unit in _UNITS if seconds >= unit[0]), _UNITS[-1])
    return f"{float(f'{seconds / unit:.3g}'):.15g} {name}"  # three digits, never an exponent


class Finish:
    """When a job is said to end: that time is held while the estimate holds it for likely.

    Between two changes the time left only counts down.  When it changes, it changes at once, never creeping.
    """

    def __init__(self) -> None:
        self._at: float | None = None

    def left(self, now: float, remaining: float, low: float, high: float) -> float:
        """Seconds from ``now`` to the time that is held, or that is held from now on."""
        held = (self._at or 0.0) - now
        if held <= 0 or not _inner(remaining, low) <= held <= _inner(remaining, high):
            self._at, held = now + remaining, remaining
        return held

    def forget(self) -> None:
        """There is no estimate any more."""
        self._at = None


class TimeLeft:
    """Says how long one job will go on, without jumping about; the words stand for 2 s at least."""

    def __init__(self) -> None:
        self._finish = Finish()
        self._words: str | None = None
        self._said_at = float("-inf")

    def words(self, snapshot: Snapshot) -> str | None:
        """Time left of the job as it reads now; None where there is no ground for an estimate."""
        remaining, read_at = snapshot.remaining, snapshot.read_at
        if remaining is None or read_at is None or _has_none(snapshot):
            self._finish.forget()
            self._words = None
            return None
        now = read_at.timestamp()
        low, high = snapshot.remaining_low, snapshot.remaining_high
        low, high = remaining if low is None else low, remaining if high is None else high
        words = left(self._finish.left(now, remaining, low, high), low, high)
        if self._words is None or now - self._said_at >= DWELL:
            self._said_at = now if words != self._words else self._said_at
            self._words = words
        return self._words


def _inner(remaining: float, bound: float) -> float:
    return remaining * (bound / remaining) ** STEADY if remaining > 0 else 0.0


def _has_none(snapshot: Snapshot) -> bool:
    """Whether nothing should be said: it has ended, is short, or is longer than all that is known of it."""
    if snapshot.ended or snapshot.status == "stalled":
        return True
    if snapshot.estimate_basis == "history" and _overrun(snapshot):
        return True
    return (snapshot.elapsed or 0.0) + (snapshot.remaining or 0.0) < SHORT


# States


def state(snapshot: Snapshot) -> str:
    """What the job is at: its status, or what somebody asked of it."""
    if snapshot.ended or snapshot.status == "stalled" or not snapshot.cancel_requested:
        again = snapshot.status == "retrying" or (snapshot.status == "failed" and snapshot.attempt > 1)
        return f"{snapshot.status}, attempt {snapshot.attempt}" if again else snapshot.status
    return "stopping" if snapshot.cancel == "seen" else "asked to stop"


def worries(snapshot: Snapshot) -> list[str]:
    """What whoever watches the job should know: silence, standstill, a wait, a long run, failed items."""
    return [
        said for about in (_silence, _standstill, _wait, _overrun, _failures) if (said := about(snapshot))
    ]


def _silence(snapshot: Snapshot) -> str | None:
    silent_for = snapshot.silent_for or 0.0
    stalled = snapshot.status == "stalled"
    if stalled or (snapshot.status == "running" and silent_for >= SILENCE):
        return f"nothing heard for {duration(silent_for)}"
    return None


def _standstill(snapshot: Snapshot) -> str | None:
    idle_for, patience = snapshot.idle_for, _patience(snapshot)
    if snapshot.status != "running" or idle_for is None or patience is None or _silence(snapshot):
        return None
    return f"no progress for {duration(idle_for)}" if idle_for >= max(STANDSTILL, patience) else None


def _wait(snapshot: Snapshot) -> str | None:
    wait = snapshot.retry_in or 0.0
    return f"next attempt in {duration(wait)}" if wait >= 1 else None


def _overrun(snapshot: Snapshot) -> str | None:
    elapsed, usual = snapshot.elapsed or 0.0, snapshot.usual
    if snapshot.status != "running" or not usual or elapsed < SHORT or elapsed <= LONGER * usual:
        return None
    return f"longer than usual (usually {duration(_coarse(usual))})"


def _patience(snapshot: Snapshot) -> float | None:
    """Seconds without progress that are nothing unusual; None for a job that has not counted a step.

    They are five steps as these have taken so far, where the worker knows no better.
    """
    if snapshot.patience is not None:
        return snapshot.patience
    steps = (snapshot.count or 0) - snapshot.initial
    steps += sum(stage.count or 0 for stage in snapshot.stages)
    return 5 * (snapshot.elapsed or 0.0) / steps if steps > 0 else None


def _failures(snapshot: Snapshot) -> str | None:
    failed = snapshot.failed_count
    return f"{failed:,} {'item' if failed == 1 else 'items'} failed" if failed else None


def children(those: Children | None) -> str | None:
    """How child jobs fare: 3 of 10 children ended, 1 failed."""
    if those is None:
        return None
    failed = f", {those.failed:,} failed" if those.failed else ""
    kind = "child" if those.count == 1 else "children"
    return f"{those.ended:,} of {those.count:,} {kind} ended{failed}"


def reason(snapshot: Snapshot) -> str | None:
    """Why a job failed or is tried again, for its owner; None where that was not read."""
    error = snapshot.error
    if error is None:
        return None
    if error.text:
        return harmless(error.text)
    lines = (error.detail or "").strip().splitlines()
    return harmless(lines[-1] if lines else error.type or "") or None


def name(snapshot: Snapshot) -> str:
    """What people call the job; its id where it has no name."""
    return harmless(snapshot.name or "").strip() or harmless(snapshot.id)

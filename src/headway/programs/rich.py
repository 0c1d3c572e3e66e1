"""rich's bars, reported: `track`, and each row of a `Progress`, in programs that know nothing of us."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any, Self
from weakref import ref

from headway.mirrored import mirror
from headway.worker.mirror import Reading, amount

if TYPE_CHECKING:
    from collections.abc import Callable


class RichBar:
    """One row of a progress display, without keeping it alive."""

    __slots__ = ("_display", "_name", "_row")

    def __init__(self, display: Any, row: Any) -> None:
        self._display = ref(display)
        self._row = row
        self._name = _plain(row.description)

    def reading(self) -> Reading:
        """Where it stands."""
        row, now = self._row, _plain(self._row.description)
        count, total = amount(row.completed), amount(row.total) if row.total is not None else None
        return Reading(
            name=self._name,
            count=max(0, _whole(count) or 0),
            total=None if total is None or total < 0 else _whole(total),
            activity=now if now != self._name else None,
        )

    def interrupt(self, stop: Callable[[], object]) -> None:
        """Stop it at its next step: at the sum that `track` and `advance` take, or at an `update`."""
        display, row = self._display(), self._row
        if display is None:
            return
        _watch_updates(display)
        for one in (row, *_counting(display, row.id)):
            if not isinstance(one.completed, Halt):
                one.completed = Halt(one.completed, stop)


def _counting(display: Any, number: Any) -> list[Any]:
    """The threads of rich that hold the count of a row: one for each `track` that draws itself."""
    threads = [one for one in threading.enumerate() if getattr(one, "progress", None) is display]
    return [one for one in threads if getattr(one, "task_id", None) == number]


class Halt(float):
    """A count that stops whoever adds to it, as every step does.

    So a row that nobody stops pays nothing.  rich's own threads add as well, and must not be stopped.
    """

    stop: Callable[[], object]

    def __new__(cls, count: float, stop: Callable[[], object]) -> Self:
        """The same count."""
        halt = super().__new__(cls, count)
        halt.stop = stop
        return halt

    def __add__(self, steps: float) -> float:
        """For ``completed += steps``."""
        if not _draws():
            self.stop()
        return float(self) + steps


def _draws() -> bool:
    """Whether this thread is one of rich's."""
    return type(threading.current_thread()).__module__.startswith("rich.")


def _watch_updates(display: Any) -> None:
    """An `update` may set the count without a sum; from now on it looks whether it is to stop."""
    if "update" in display.__dict__:
        return
    update: Any = type(display).update
    there: Callable[[], Any] = ref(display)

    def update_or_stop(number: Any, *args: Any, **options: Any) -> None:
        shown = there()
        count = shown._tasks[number].completed if number in shown._tasks else None
        if isinstance(count, Halt) and not _draws():
            count.stop()
        update(shown, number, *args, **options)

    display.update = update_or_stop


def _whole(number: float | None) -> float | None:
    """Rich turns lengths into floats; 3.0 of something is 3."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _plain(description: object) -> str | None:
    """A description without its markup."""
    from rich.errors import MarkupError
    from rich.text import Text

    try:
        return Text.from_markup(str(description)).plain.strip() or None
    except MarkupError:
        return str(description).strip() or None


class _Rows:
    """The rows of one display that are reported."""

    def __init__(self) -> None:
        self._known: dict[Any, RichBar] = {}

    def add(self, number: Any, display: Any) -> None:
        bar = self._known[number] = RichBar(display, display._tasks[number])
        mirror().opened(id(bar), bar)

    def end(self, number: Any) -> None:
        bar = self._known.pop(number, None)
        if bar is not None:
            reading = bar.reading()
            done = reading.total is None or reading.count >= reading.total
            mirror().closed(id(bar), "completed" if done else "stopped")

    def end_all(self) -> None:
        for number in list(self._known):
            self.end(number)


def patch(progress: Any) -> None:
    """Report the rows of every `Progress`."""
    displays = progress.Progress
    if "_headway_patched" in displays.__dict__:
        return
    add, remove, stop = displays.add_task, displays.remove_task, displays.stop
    rows: dict[int, _Rows] = {}

    @functools.wraps(add)
    def add_row(self: Any, *args: Any, **options: Any) -> Any:
        number = add(self, *args, **options)
        if not self.disable:
            if id(self) not in rows:
                rows[id(self)] = _Rows()
                _when_gone(self, id(self), rows)
            rows[id(self)].add(number, self)
        return number

    @functools.wraps(remove)
    def remove_row(self: Any, number: Any) -> None:
        if id(self) in rows:
            rows[id(self)].end(number)
        remove(self, number)

    @functools.wraps(stop)
    def stop_all(self: Any) -> None:
        try:
            stop(self)
        finally:
            if id(self) in rows:
                rows[id(self)].end_all()

    displays.add_task, displays.remove_task, displays.stop = add_row, remove_row, stop_all
    displays._headway_patched = True


def _when_gone(display: Any, key: int, rows: dict[int, _Rows]) -> None:
    def gone(_: Any) -> None:
        _watched.pop(key, None)
        left = rows.pop(key, None)
        if left is not None:
            left.end_all()

    _watched[key] = ref(display, gone)


_watched: dict[int, Any] = {}

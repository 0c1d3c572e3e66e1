"""rich's bars, reported: `track`, and each row of a `Progress`, in programs that know nothing of us."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any
from weakref import ref

from headway.mirrored import mirror
from headway.worker.mirror import Reading, amount

if TYPE_CHECKING:
    from collections.abc import Callable


class RichBar:
    """One row of a progress display, without keeping it alive."""

    __slots__ = ("_name", "_row")

    def __init__(self, row: Any) -> None:
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
        """Nothing in rich looks at anything that could stop it; the program is stopped as a whole."""


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

    def add(self, number: Any, row: Any) -> None:
        bar = self._known[number] = RichBar(row)
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
            rows[id(self)].add(number, self._tasks[number])
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

"""Snapshots drawn in a terminal: bars that move, plain lines where nobody looks, and tables.

A picture is a list of lines, each exactly as wide as the terminal or narrower: columns are dropped, then
text is cut, and nothing ever wraps.  Marks and words say all that colours say.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol, TextIO

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from headway.board import job_row, json_line, line, rows, table_cells
from headway.core import words
from headway.core.fraction import NEARLY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from headway.board import Row, Shown
    from headway.core.snapshot import Snapshot

NARROWEST_BAR, WIDEST_BAR = 8, 40
LONGEST_WORDS = len("a few seconds left")
"""Room for words of time left, kept from the beginning, so that bars hold still."""


class Glyphs(NamedTuple):
    """What bars and marks are made of."""

    full: str
    half: str
    track: str
    ellipsis: str
    between: str
    marks: dict[str, str]


_STATES = ("pending", "running", "retrying", "stalled", "completed", "failed", "cancelled", "stopped")
FINE = Glyphs("━", "╾", "─", "…", " · ", dict(zip(_STATES, "○●○!✓✗■■", strict=True)))
ASCII = Glyphs("#", "", "-", "~", ", ", dict(zip(_STATES, "o>o!+x--", strict=True)))
COLOURS = dict(
    zip(
        _STATES,
        ("dim", "cyan", "yellow", "yellow", "green", "red", "yellow", "yellow"),
        strict=True,
    )
)
_TO_ASCII = str.maketrans({"…": "...", "–": "-", "·": "|"})


# Lines: rows in a terminal of some width


class Pen:
    """Draws rows as lines of text; its columns grow with what they hold, and do not shrink again.

    Attributes:
        encoding: What the output can take.
        glyphs: What it draws with: ASCII where the output cannot take better.
    """

    def __init__(self, encoding: str | None = None) -> None:
        self.encoding = encoding or "utf-8"
        self.glyphs = FINE if _can_draw(self.encoding) else ASCII
        self._widths: dict[int, int] = {}

    def text(self, text: str) -> str:
        """The text as the output can take it."""
        if self.glyphs is FINE:
            return text
        return text.translate(_TO_ASCII).encode(self.encoding, "replace").decode(self.encoding)

    def cut(self, text: str, width: int) -> str:
        """The text in at most so many cells, with an ellipsis where it was longer."""
        if cell_len(text) <= width:
            return text
        return (set_cell_size(text, width - 1).rstrip() + self.glyphs.ellipsis) if width > 0 else ""

    def pad(self, text: str, width: int) -> str:
        """The text in exactly so many cells."""
        return set_cell_size(self.cut(text, width), width)

    def lines(self, drawn: Sequence[Row], width: int) -> list[Text]:
        """The rows, each with the line beneath it where there is something to say."""
        columns = self._columns(drawn, width)
        lines: list[Text] = []
        for row in drawn:
            lines += [self._line(row, columns), *self._below(row, columns, width)]
        return lines

    def bars(self, drawn: Sequence[Row], width: int) -> list[Text]:
        """The rows alone."""
        columns = self._columns(drawn, width)
        return [self._line(row, columns) for row in drawn]

    def _columns(self, drawn: Sequence[Row], width: int) -> Columns:
        names = [2 * row.level + 2 + cell_len(self.text(row.name)) for row in drawn]
        name = min(max(names, default=0), max(14, width * 3 // 10))
        room = width - name - 2 - 5
        kept = []
        for column in range(3):
            needed = self._needed(column, [self._width(row, column) for row in drawn])
            if needed and room - needed - 2 >= NARROWEST_BAR + 2:
                kept.append((column, needed))
                room -= needed + 2
        bar = max(NARROWEST_BAR, min(WIDEST_BAR, room))
        return Columns(min(max(names, default=0), name + max(0, room - bar)), bar, dict(kept))

    def _width(self, row: Row, column: int) -> int:
        """How wide a cell is, or will be: whoever runs has but a few seconds left one day."""
        going_on = column == _STATE and row.state == "running" and not row.level
        return max(cell_len(self.text(row.cells[column])), LONGEST_WORDS if going_on else 0)

    def _needed(self, column: int, widths: list[int]) -> int:
        self._widths[column] = max(self._widths.get(column, 0), *widths, 0)
        return self._widths[column]

    def _line(self, row: Row, columns: Columns) -> Text:
        colour = COLOURS.get(row.state, "cyan")
        mark = self.glyphs.marks.get(row.state, "?")
        bold = "bold" if row.level == 0 else "" if row.begun else "dim"
        line = _text("  " * row.level)
        line.append(f"{mark} ", colour)
        line.append(self.pad(self.text(row.name), columns.name - 2 * row.level - 2), bold)
        line.append("  ")
        self._draw_bar(line, row, columns.bar, colour)
        line.append(f" {row.percent:>4}", bold)
        for column in sorted(columns.kept, key=_IN_ORDER.index):
            cell = self.pad(self.text(row.cells[column]), columns.kept[column])
            line.append("  " + cell, _style(row, column))
        line.rstrip()
        return line

    def _draw_bar(self, line: Text, row: Row, width: int, colour: str) -> None:
        glyphs = self.glyphs
        if row.grid is None and row.begun and row.state == "running":
            block = max(2, width // 5)
            at = row.step % (width - block + 1)
            line.append(glyphs.track * at, "dim").append(glyphs.full * block, colour)
            line.append(glyphs.track * (width - block - at), "dim")
            return
        halves = min(2 * width, 2 * width * (row.grid or 0) // NEARLY)
        drawn = glyphs.full * (halves // 2) + (glyphs.half if halves % 2 else "")
        line.append(drawn, colour).append(glyphs.track * (width - len(drawn)), "dim")

    def _below(self, row: Row, columns: Columns, width: int) -> list[Text]:
        """What there was no room for, what is worrying, and what is happening."""
        dropped = [row.cells[at] for at in (_STATE, _COUNTS) if at not in columns.kept and not row.level]
        tone = COLOURS["failed" if row.state == "failed" else "stalled"]
        said = [(worry, tone) for worry in row.worries]
        said += [(cell, "") for cell in (*dropped, row.children)]
        line = _text("  " * (row.level + 1))
        for part, style in [*said, (row.activity, "dim")]:
            if part:
                line.append(self.glyphs.between if line.plain.strip() else "", "dim")
                line.append(self.text(part), style)
        return [self._cropped(line, width)] if line.plain.strip() else []

    def _cropped(self, line: Text, width: int) -> Text:
        if cell_len(line.plain) > width:
            shorter = self.cut(line.plain, width)
            line.right_crop(len(line.plain) - len(shorter) + 1)
            line.append(shorter[len(line.plain) :], "dim")
        return line


class Columns(NamedTuple):
    """How many cells each column has; ``kept`` are those of a row's cells for which there is room."""

    name: int
    bar: int
    kept: dict[int, int]


_STATE, _COUNTS, _ELAPSED = range(3)
_IN_ORDER = (_COUNTS, _ELAPSED, _STATE)


def _style(row: Row, column: int) -> str:
    if column != _STATE:
        return "dim" if row.level or column == _ELAPSED else ""
    return "" if row.state == "running" else COLOURS.get(row.state, "")


def _text(text: str = "", style: str = "") -> Text:
    return Text(text, style, no_wrap=True, overflow="crop")


def _can_draw(encoding: str) -> bool:
    try:
        "".join((*FINE[:5], *FINE.marks.values(), "–")).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


# Pictures: lines in a terminal of some height


def picture(
    shown: Sequence[Shown], pen: Pen, width: int, height: int, notices: Iterable[str] = ()
) -> list[Text]:
    """All jobs as lines that fit; where they cannot, what matters least is left out and counted."""
    footer = [_text(pen.cut(pen.text(notice), width), "dim") for notice in notices]
    height = max(1, height - len(footer))
    for stages in ("all", "running") if len(shown) <= height else ():
        drawn = [row for job in shown for row in rows(job, _stages_of(job, stages))]
        lines = pen.lines(drawn, width)
        if len(lines) <= height:
            return lines + footer
    return _crowd(shown, pen, width, height) + footer


def _stages_of(shown: Shown, stages: str) -> str:
    return "none" if stages == "running" and shown.snapshot.ended else stages


def _crowd(shown: Sequence[Shown], pen: Pen, width: int, height: int) -> list[Text]:
    """Live jobs before ended ones, one line each, then how many more there are."""
    ordered = sorted(shown, key=lambda job: job.snapshot.ended)
    room = height if len(ordered) <= height else height - 1
    bare = [job_row(job) for job in ordered[:room]]
    lines = pen.bars(bare, width)
    if ordered[room:]:
        more = Counter(words.state(job.snapshot) for job in ordered[room:])
        counted = ", ".join(f"{count:,} {state}" for state, count in more.items())
        said = f"{pen.glyphs.ellipsis} and {len(ordered) - room:,} more: {counted}"
        lines.append(_text(pen.cut(said, width), "dim"))
    return lines


# Outputs: where pictures go


class Output(Protocol):
    """Where what is heard of jobs is shown."""

    def hear(self, snapshot: Snapshot) -> None:
        """A job has changed."""

    def show(self, shown: Sequence[Shown], notices: Sequence[str] = ()) -> None:
        """This is how the jobs read now, and what else there is to say."""

    def close(self) -> None:
        """The last word was said."""


class Screen:
    """Bars that move, drawn in place; only what changed visibly is drawn again."""

    def __init__(self, file: TextIO) -> None:
        self.console = _console(file)
        self._pen = Pen(file.encoding)
        self._live = Live(console=self.console, auto_refresh=False, vertical_overflow="crop")
        self._drawn: list[Text] = []

    def hear(self, snapshot: Snapshot) -> None:
        """Nothing: what is heard shows in `show`."""

    def show(self, shown: Sequence[Shown], notices: Sequence[str] = ()) -> None:
        """See `Output.show`."""
        width, height = self.console.size
        lines = picture(shown, self._pen, width, height - 1, notices)
        if lines == self._drawn:
            return
        self._drawn = lines
        self._live.start()
        with self._at_once():
            self._live.update(Group(*lines), refresh=True)

    def close(self) -> None:
        """Leave the last picture where it is."""
        self._live.stop()

    @contextmanager
    def _at_once(self) -> Iterator[None]:
        """Terminals that know how show nothing half drawn; the others take no notice."""
        write = self.console.file.write
        if self.console.legacy_windows:
            yield
            return
        write("\x1b[?2026h")
        try:
            yield
        finally:
            write("\x1b[?2026l")
            self.console.file.flush()


class Lines:
    """Plain lines for logs: one at each change of state and each 10 % of a job."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._pen = Pen(file.encoding)
        self._said: dict[str, tuple[str, int, int]] = {}
        self._noticed: Sequence[str] = ()

    def hear(self, snapshot: Snapshot) -> None:
        """Nothing: what is heard shows in `show`."""

    def show(self, shown: Sequence[Shown], notices: Sequence[str] = ()) -> None:
        """See `Output.show`."""
        for job in shown:
            self._tell(job)
        self._said = {job.snapshot.id: self._said[job.snapshot.id] for job in shown}
        for notice in notices:
            if notice not in self._noticed:
                self._write(notice)
        self._noticed = notices

    def close(self) -> None:
        """Nothing is left to say."""

    def _tell(self, shown: Shown) -> None:
        job = shown.snapshot
        news = (words.state(job), job.attempt, (job.percent or 0) // 10)
        before = self._said.get(job.id)
        if before is None or news[:2] != before[:2] or news[2] > before[2]:
            self._said[job.id] = news
            self._write(line(shown))

    def _write(self, text: str) -> None:
        self._file.write(self._pen.text(text) + "\n")
        self._file.flush()


class Frames:
    """One line of JSON at each change."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def hear(self, snapshot: Snapshot) -> None:
        """See `Output.hear`."""
        self._file.write(json_line(snapshot) + "\n")
        self._file.flush()

    def show(self, shown: Sequence[Shown], notices: Sequence[str] = ()) -> None:
        """Nothing: JSON says what was heard."""

    def close(self) -> None:
        """Nothing is left to say."""


# Tables

_HEADS = ("", "STATUS", "NAME", "DONE", "COUNT", "STARTED", "TOOK", "ID")
_MARK, _STATUS, _NAME, _DONE, _COUNT, _STARTED, _TOOK, _ID = range(len(_HEADS))
_LEAST_FIRST = (_COUNT, _TOOK, _STARTED, _STATUS, _DONE)
_READABLE = 12


def table(jobs: Iterable[Snapshot], file: TextIO) -> None:
    """Jobs as a table; in a terminal cut to its width, else whole."""
    console, pen = _console(file), Pen(file.encoding)
    found = [(_marked(job, pen), job.status) for job in jobs]
    cells = [_HEADS, *(row for row, _ in found)]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    kept = _fitting(widths, console.width) if console.is_terminal else dict(enumerate(widths))
    for row, state in ((_HEADS, "head"), *found):
        console.print(_table_line(row, state, kept, pen), soft_wrap=True)


def _marked(job: Snapshot, pen: Pen) -> tuple[str, ...]:
    return (pen.glyphs.marks.get(job.status, "?"), *map(pen.text, table_cells(job)))


def _fitting(widths: list[int], room: int) -> dict[int, int]:
    """Which columns there is room for, and how wide each is: marks, names and ids stay."""
    kept = dict(enumerate(widths))
    for dropped in _LEAST_FIRST:
        if _name_room(kept, room) >= min(widths[_NAME], _READABLE):
            break
        kept.pop(dropped)
    kept[_NAME] = max(0, min(widths[_NAME], _name_room(kept, room)))
    kept[_ID] = min(kept[_ID], max(0, room - 4))
    return {at: width for at, width in kept.items() if width}


def _name_room(kept: dict[int, int], room: int) -> int:
    return room - sum(width + 2 for at, width in kept.items() if at != _NAME) + 1


def _table_line(row: Sequence[str], state: str, kept: dict[int, int], pen: Pen) -> Text:
    line = _text()
    for at, width in kept.items():
        padding = " " * (width - cell_len(row[at])) if at == _DONE else ""
        line.append(padding + pen.pad(row[at], width - len(padding)), _table_style(at, state))
        line.append(" " if at == _MARK else "  ")
    line.rstrip()
    return line


def _table_style(at: int, state: str) -> str:
    if state == "head" or at in {_STARTED, _TOOK, _ID}:
        return "dim"
    return COLOURS.get(state, "cyan") if at in {_MARK, _STATUS} else ""


# Terminals


def output(file: TextIO, *, json: bool = False) -> Output:
    """What fits the file: moving bars in a terminal that can, else plain lines; or lines of JSON."""
    if json:
        return Frames(file)
    console = _console(file)
    return Screen(file) if console.is_terminal and not console.is_dumb_terminal else Lines(file)


def _console(file: TextIO) -> Console:
    """A console that believes the file alone: no variable makes it write escape codes into a pipe."""
    return Console(file=file, force_terminal=file.isatty(), highlight=False, markup=False, emoji=False)

"""Draws docs/terminal.svg, the picture of the terminal in README.md, from the snapshots of a real job.

    python tools/picture.py            draws it again: the same snapshots, the same picture
    python tools/picture.py --record   runs `headway demo` first, and keeps its snapshots in picture.jsonl

The picture moves where it may, and stands still for readers who asked for less motion.
"""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec.structs import replace
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

import headway
from headway import demo
from headway.board import Board
from headway.core import wire
from headway.core.snapshot import Head, Snapshot
from headway.terminal import Pen, picture

HERE = Path(__file__).parent
RECORDED = HERE / "picture.jsonl"
DRAWN = HERE.parent / "docs" / "terminal.svg"
ID = "demo-7f3a91c2"
WIDTH, HEIGHT = 88, 12
SECONDS = 30.0
STEP, HELD = 0.8, 6.0
STILL = 0.6
"""The share of the way at which it stands still."""
THEME = TerminalTheme(
    (22, 27, 34),
    (201, 209, 217),
    [
        (72, 79, 88), (255, 123, 114), (86, 211, 100), (227, 179, 65),
        (121, 192, 255), (210, 168, 255), (57, 197, 207), (177, 186, 196),
    ],
)  # fmt: skip
SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" \
aria-label="headway demo in a terminal: bars that fill, then a summary">
<style>
text {{ font: {size}px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; \
white-space: pre; }}
.frame {{ visibility: hidden; }}
.still {{ visibility: visible; }}
@media (prefers-reduced-motion: no-preference) {{
.frame {{ visibility: hidden; animation: {whole}s step-end infinite; }}
{timing}
}}
{styles}
</style>
<rect width="{width}" height="{height}" rx="10" fill="#161b22"/>
<circle cx="22" cy="20" r="6" fill="#ff5f57"/><circle cx="42" cy="20" r="6" fill="#febc2e"/>\
<circle cx="62" cy="20" r="6" fill="#28c840"/>
{frames}
</svg>
"""
BETWEEN = "\x00"
PIECES = BETWEEN.join(("{styles}", "{backgrounds}", "{matrix}", "{char_height}"))


class Heard(NamedTuple):
    """A snapshot, and after how many seconds it was received."""

    at: float
    snapshot: Snapshot


def record() -> None:
    """Run the demo, and keep what a reader hears of it."""
    with tempfile.TemporaryDirectory() as folder:
        hw = headway.connect(f"sqlite:///{folder}/jobs.db")
        library = demo.standard_library()
        hw.reserve(id=ID, **demo.options(library))
        with demo.start(library, ID, SECONDS, hw.store.url):
            began = time.monotonic()
            lines = [_kept(time.monotonic() - began, snapshot) for snapshot in hw.watch(ID)]
        hw.close()
    RECORDED.write_bytes(b"\n".join(lines) + b"\n")


def _kept(at: float, snapshot: Snapshot) -> bytes:
    snapshot = replace(snapshot, worker=None, run=None)
    details = snapshot.details and wire.encode_details(snapshot.details).decode()
    facts = wire.encode_facts(snapshot).decode()
    return msgspec.json.encode((round(at, 3), snapshot.head, facts, snapshot.read_at, details))


def recorded() -> list[Heard]:
    """What was kept."""
    return [_restored(line) for line in RECORDED.read_bytes().splitlines()]


def _restored(line: bytes) -> Heard:
    at, head, facts, read_at, details = msgspec.json.decode(line)
    record = wire.decode_record(msgspec.convert(head, Head), facts, details and wire.decode_details(details))
    return Heard(at, replace(record, read_at=datetime.fromisoformat(read_at)))


def screens(heard: list[Heard]) -> list[list[Text]]:
    """What the terminal showed, every little while, and at the end."""
    board, pen, shown = Board(), Pen(), []
    news = list(heard)
    for tick in range(int(heard[-1].at / STEP) + 1):
        while news and news[0].at <= tick * STEP:
            board.hear(news[0].snapshot, news.pop(0).at)
        shown.append([_prompt(), *picture(board.at(tick * STEP), pen, WIDTH, HEIGHT)])
    last = heard[-1].snapshot
    board.hear(last, heard[-1].at)
    end = [Text(line) for line in ["", *demo.summary(last.result, last.failed_count)]]
    next_ = demo.next_lines(["headway list", f"headway watch {ID}"])
    return [
        *shown,
        [_prompt(), *picture(board.at(heard[-1].at), pen, WIDTH, HEIGHT), *end, Text(), *map(Text, next_)],
    ]


def _prompt() -> Text:
    return Text("$ ", "green").append("headway demo", "default")


def draw(shown: list[list[Text]]) -> str:
    """All screens as one moving picture."""
    height = max(map(len, shown))
    pieces = [_pieces(screen, f"f{at}", height) for at, screen in enumerate(shown)]
    whole = STEP * (len(shown) - 1) + HELD
    cell = float(pieces[0][3])
    return SVG.format(
        width=round(WIDTH * cell * 0.61 + 36),
        height=round(height * cell * 1.22 + 52),
        size=cell,
        whole=whole,
        timing="\n".join(_timing(at, len(shown), whole) for at in range(len(shown))),
        styles="\n".join(piece[0] for piece in pieces),
        frames="\n".join(_frame(at, piece, len(shown)) for at, piece in enumerate(pieces)),
    )


def _pieces(screen: list[Text], id: str, height: int) -> list[str]:
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="standard"
    )
    for line in [*screen, *[Text()] * (height - len(screen))]:
        console.print(line, soft_wrap=True)
    svg = console.export_svg(theme=THEME, code_format=PIECES, unique_id=id)
    return re.sub(r'<text[^>]*>\s*</text>|\s*clip-path="[^"]*"', "", svg).split(BETWEEN)


def _timing(at: int, count: int, whole: float) -> str:
    begins, ends = 100 * at * STEP / whole, 100 * (at + 1) * STEP / whole if at < count - 1 else 100
    shown = [f"{begins:.3f}% {{ visibility: visible; }}", f"{ends:.3f}%, 100% {{ visibility: hidden; }}"]
    if at:
        shown.insert(0, "0% { visibility: hidden; }")
    if at == count - 1:
        shown[-1] = "100% { visibility: visible; }"
    return f"@keyframes k{at} {{ {' '.join(shown)} }} #s{at} {{ animation-name: k{at}; }}"


def _frame(at: int, piece: list[str], count: int) -> str:
    still = " still" if at == int(STILL * count) else ""
    return (
        f'<g id="s{at}" class="frame{still}" transform="translate(18, 40)">{piece[1]}'
        f'<g class="f{at}-matrix">{piece[2]}</g></g>'
    )


def main() -> None:
    """Draw it."""
    if "--record" in sys.argv[1:]:
        record()
    DRAWN.parent.mkdir(exist_ok=True)
    DRAWN.write_text(draw(screens(recorded())), encoding="utf-8")
    sys.stdout.write(f"{os.path.relpath(DRAWN)}\n")


if __name__ == "__main__":
    main()

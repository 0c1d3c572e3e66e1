import io
import re
import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from tests.emulator import Terminal

from headway import terminal
from headway.board import Board, Shown
from headway.core.snapshot import ENDED, Details, Error, Snapshot, Stage, Totals
from headway.terminal import Lines, Pen, picture, table

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ESCAPE = "\x1b"


def job(id, status="running", **facts):
    known = {"created_at": NOON, "started_at": NOON, "seen_at": NOON, "read_at": NOON, "elapsed": 72.0}
    if status in ENDED:
        known["ended_at"] = NOON
    if status == "pending":
        known |= {"started_at": None, "elapsed": None}
    return Snapshot(id=id, status=status, **known | facts)


def left(seconds):
    return {"remaining": seconds, "remaining_low": seconds * 0.8, "remaining_high": seconds * 1.3}


STAGES = (
    Stage("Find files", 1, 3_866, None, "files", 1.2, ended=True),
    Stage("Compress", 24, 54_100_000, 102_000_000, "B", 70.8),
    Stage("Report", 1),
)
EVERY_SORT = [
    job("a", name="python3.11 under xz", total_weight=26, stages=STAGES, activity="x.py", **left(25)),
    job("b", name="Import", count=5_210, total=12_400, unit="rows", rate=135.7, **left(200)),
    job("c", name="顧客データの取り込み 🎉👨‍👩‍👧", count=12, total=10, activity="件目" * 40),
    job("d", name="Listening", activity="\x1b[2J[bold]evil[/bold]\u202e", count=1_842, unit="files"),
    job("e", "failed", name="Nightly", count=45, total=100, details=Details(error=Error("No header."))),
    job("f", "completed", name="Thumbnails", count=300, total=300),
    job("g", name="Training" * 20, seen_at=NOON - timedelta(seconds=12), count=3, total=10),
    job("h", "stalled", name="Zombie", seen_at=NOON - timedelta(seconds=120), count=3, total=10),
    job("i", "cancelled", count=3, total=10, failed_count=2),
    job("j", name="Stopping", cancel="seen", scope="a"),
    job("k", "pending", name="In the queue"),
    job("l", total_weight=10, totals=Totals(weight=10, done=45_000, children=10, ended=3, failed=1)),
    job("m", "retrying", name="Again", attempt=2),
    job("n", "stopped", name="Left\nthere", elapsed=1e7),
]


def shown(jobs=EVERY_SORT):
    board = Board()
    for snapshot in jobs:
        board.hear(snapshot, 0.0)
    return board.at(0.0)


def drawn(jobs, width=80, height=100, encoding="utf-8", notices=()):
    return [line.plain for line in picture(shown(jobs), Pen(encoding), width, height, notices)]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "shift_jis"])
@pytest.mark.parametrize("width", range(30, 121))
def test_nothing_wraps_at_any_width(width, encoding):
    lines = drawn(EVERY_SORT, width, encoding=encoding)
    assert max(map(cell_len, lines)) <= width
    for line in lines:
        assert "\n" not in line
        assert ESCAPE not in line
        line.encode(encoding)


NUMBERS = st.integers(0, 2**53) | st.floats(0, 1e15) | st.none()
FACTS = st.fixed_dictionaries(
    {"name": st.text(max_size=60), "activity": st.text(max_size=60), "unit": st.text(max_size=20)}
    | {"count": NUMBERS, "total": NUMBERS}
)


@settings(max_examples=300)
@given(FACTS, st.text(min_size=1, max_size=40), st.integers(1, 130), st.integers(1, 12))
def test_no_text_and_no_number_breaks_the_picture(facts, stage, width, height):
    stages = (Stage(stage, 1.0, facts["count"], facts["total"], facts["unit"], 3.0),)
    lines = drawn([job("a", **facts, stages=stages), job("b", **facts)], width, height)
    assert len(lines) <= height
    if width >= 30:
        assert max(map(cell_len, lines)) <= width


def test_at_thirty_columns_name_bar_percent_and_what_is_left_are_there():
    lines = drawn([job("a", name="Import", count=42, total=100, **left(200))], 30)
    assert lines == ["● Import  ━━━━━━─────────  42%", "  3–4 min left · 42/100"]


def test_names_are_data_and_no_markup():
    (line, below) = drawn([job("a", name="[red]x[/red]", activity="[link=file:///]y[/link]", count=1)])
    assert "[red]x[/red]" in line
    assert "[link=file:///]y[/link]" in below


def test_a_count_beyond_the_total_is_a_full_bar_at_99_percent():
    (line,) = drawn([job("a", count=12, total=10)])
    assert "━" in line
    assert "─" not in line
    assert " 99%  12/10" in line


def test_a_failed_job_never_reads_100_percent_and_a_completed_one_always_does():
    (failed,) = drawn([job("a", "failed", count=10, total=10)])
    (completed,) = drawn([job("a", "completed", count=3, total=10)])
    assert " 99%" in failed
    assert "100%" in completed
    assert "─" not in completed


def test_unknown_progress_shows_no_percent_and_moves_only_while_the_job_is_heard():
    (now,) = drawn([job("a", elapsed=10.0)])
    (then,) = drawn([job("a", elapsed=11.0)])
    assert "%" not in now
    assert now != then
    (silent,) = (drawn([job("a", "stalled", elapsed=10.0)])[0],)
    assert "━" not in silent


def test_states_are_told_without_colours():
    states = ("pending", "running", "stalled", "completed", "failed", "cancelled")
    marks = [drawn([job("a", state)])[0][0] for state in states]
    assert len(set(marks)) == len(states)


@pytest.mark.parametrize("height", range(1, 40))
def test_any_number_of_jobs_fits_any_height_and_what_is_left_out_is_counted(height):
    many = EVERY_SORT + [job(f"z{n}", "completed") for n in range(30)]
    lines = drawn(many, 80, height, notices=["Ctrl-C leaves"])
    assert len(lines) <= max(2, height)
    assert lines[-1] == "Ctrl-C leaves"
    assert "more: " in lines[-2] or len(lines) - 1 >= len(many)


def test_live_jobs_are_shown_before_ended_ones():
    many = [job(f"e{n}", "completed") for n in range(30)] + [job("x", name="Alive")]
    lines = drawn(many, 80, 5)
    assert "Alive" in lines[0]
    assert lines[-1] == "… and 27 more: 27 completed"


def test_stages_of_ended_jobs_give_way_first():
    done = job("a", "completed", name="Done", stages=STAGES)
    live = job("b", name="Live", stages=STAGES, total_weight=26)
    text = "\n".join(drawn([done, live], 80, 4))
    assert text.count("Compress") == 1
    assert "Find files" not in text


def test_columns_do_not_shrink_again_so_that_bars_hold_still():
    pen = Pen()
    wide = picture([Shown(job("a", count=1_000_000, total=2_000_000), "20–30 s left")], pen, 90, 20)
    narrow = picture([Shown(job("a", count=1, total=2), None)], pen, 90, 20)
    assert len(wide[0].plain.split("%")[0]) == len(narrow[0].plain.split("%")[0])


# Lines


class Pipe(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return False


def test_a_log_has_a_line_for_each_state_and_each_ten_percent():
    pipe = Pipe()
    lines = Lines(pipe)
    lines.show([Shown(job("a", "pending"))])
    for count in range(100):
        lines.show([Shown(job("a", count=count, total=100))], ["hello"])
    lines.show([Shown(job("a", count=20, total=100, cancel="requested"))])
    lines.show([Shown(job("a", "stalled", count=20, total=100))])
    lines.show([Shown(job("a", "completed", count=20, total=100))])
    said = pipe.getvalue().splitlines()
    assert [line.split()[2].rstrip(",") for line in said if line != "hello"] == [
        "pending",
        *(["running"] * 10),
        "asked",
        "stalled",
        "completed",
    ]
    assert said.count("hello") == 1


def test_a_pipe_gets_plain_lines_whatever_the_environment_says(monkeypatch):
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.setenv(name, "1")
    pipe = Pipe()
    assert isinstance(terminal.output(pipe), Lines)
    table(EVERY_SORT, pipe)
    assert ESCAPE not in pipe.getvalue()


def test_a_table_in_a_pipe_is_whole():
    pipe = Pipe()
    table([job("a" * 200, name="Import " * 20, count=1)], pipe)
    (_, line) = pipe.getvalue().splitlines()
    assert "a" * 200 in line
    assert "Import " * 20 in line


@pytest.mark.parametrize("width", range(25, 121, 5))
def test_a_table_fits_the_terminal_and_keeps_ids_whole(width, monkeypatch):
    class Tty(io.StringIO):
        encoding = "utf-8"

        def isatty(self):
            return True

    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    tty = Tty()
    ids = [snapshot for snapshot in EVERY_SORT if snapshot.id != "d"]
    table([*ids, job("Jx2cQ0mBv7mP4v0o8", name="顧客")], tty)
    lines = re.sub(r"\x1b\[[\d;]*m", "", tty.getvalue()).splitlines()
    assert len(lines) == len(ids) + 2
    assert max(map(cell_len, lines)) <= width
    assert "Jx2cQ0mBv7mP4v0o8"[: width - 4] in tty.getvalue()


# A real terminal

SHOW = """
import sys, time
from datetime import UTC, datetime
from headway import terminal
from headway.board import Shown
from headway.core.snapshot import Snapshot
now = datetime.now(UTC)
output = terminal.output(sys.stdout)
for count in range(101):
    jobs = [Snapshot(id=id, name=id + " 顧客🎉", status="running", started_at=now, seen_at=now, read_at=now,
                     elapsed=1.0, count=count, total=100, activity="\\x1b]0;title\\x07\\x1b[2J" * (count % 3))
            for id in "abc"]
    for again in range(3):
        output.show([Shown(job) for job in jobs])
output.close()
print("over")
"""


def test_a_terminal_shows_one_picture_that_changes_in_place():
    with Terminal(sys.executable, "-c", SHOW, width=60, height=12) as screen:
        assert screen.ended() == 0
        lines = [line for line in screen.lines if line]
    assert len(lines) == 3 * 2 + 1, lines
    assert [line[2] for line in lines if "99%" in line] == ["a", "b", "c"]
    assert lines[-1] == "over"


def test_what_did_not_change_is_not_drawn_again():
    with Terminal(sys.executable, "-c", SHOW, width=60, height=12) as screen:
        screen.ended()
        assert screen.written.count(b" 42%") == 3


def test_a_dumb_terminal_gets_lines_and_no_escape_codes():
    with Terminal(sys.executable, "-c", SHOW, TERM="dumb", width=200) as screen:
        screen.ended()
        assert b"\x1b" not in screen.written
        assert screen.written.count(b"running") == 3 * 10


def test_no_color_is_respected():
    with Terminal(sys.executable, "-c", SHOW, NO_COLOR="1") as screen:
        screen.ended()
        colours = {f"\x1b[{code}m".encode() for code in range(30, 38)}
        assert not any(colour in screen.written for colour in colours)
        assert "━" in screen.text


def test_a_terminal_without_unicode_gets_ascii():
    with Terminal(sys.executable, "-c", SHOW, PYTHONIOENCODING="ascii:replace") as screen:
        assert screen.ended() == 0
        assert screen.written.isascii()
        assert "#" in screen.text

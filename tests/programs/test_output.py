"""What a command's output tells, without any command."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.programs.output import TAIL, Output, last_line, share_in

LINES = {
    b"one\ntwo\n": "two",
    b"one\r\ntwo\r\n\r\n": "two",
    b" 10%\r 20%\r 30%": "30%",
    b"\x1b[2K\x1b[32mgreen\x1b[0m line\x1b[K": "green line",
    b"\x1b]0;a title\x07named\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\": "namedlink",
    b"half an esca\x1b[3": "half an esca",
    b"Gr\xc3\xbc\xc3\x9fe \xe6\x97": "Grüße",
    b"text\n\x00\x01\x02\x03\x04\x05": "text",
    b"\n \n": None,
    b"": None,
    b"\x1b(B\x1b=\x1b>plain": "plain",
}


@pytest.mark.parametrize("written", LINES)
def test_the_last_line_that_says_something_is_the_activity(written):
    assert last_line(written) == LINES[written]


SHARES = {
    "45%|####     | 45/100": 45,
    " 12.5 % done": 12.5,
    "12,5 % fertig": 12.5,
    "[ 30%] Building, 80% of memory": 80,
    "100%": 100,
    "150%": None,
    "v1.2.345%": None,
    "x45%": None,
    "nothing": None,
    None: None,
    "10% then 999%": 10,
}


@pytest.mark.parametrize("line", SHARES)
def test_the_last_percentage_of_a_line_moves_the_bar(line):
    assert share_in(line) == SHARES[line]


@pytest.mark.parametrize(
    ("written", "percent"),
    [
        (b"\x1b]9;4;1;42\x07", 42),
        (b"\x1b]9;4;1;42\x1b\\", 42),
        (b"\x1b]9;4;1;10\x07 99% \x1b]9;4;1;20\x07", 20),
        (b"\x1b]9;4;4;70\x07", 70),
        (b"\x1b]9;4;2;80\x07", 80),
        (b"\x1b]9;4;1;300\x07", 100),
        (b"\x1b]9;4;3\x07", None),
        (b"\x1b]9;4;0;0\x07", None),
    ],
)
def test_the_terminals_own_sequence_moves_the_bar_before_any_percentage(written, percent):
    output = Output()
    output.feed(written)
    assert output.heard().percent == percent


def test_once_spoken_the_sequence_holds_against_percentages():
    output = Output()
    output.feed(b"\x1b]9;4;1;42\x07")
    assert output.heard().percent == 42
    output.feed(b"x" * 2 * TAIL + b"\n99%\n")
    assert output.heard() == ("99%", 42)


@given(st.lists(st.binary(max_size=3 * TAIL), max_size=5))
def test_any_bytes_are_taken_and_little_is_kept(chunks):
    output = Output()
    for chunk in chunks:
        output.feed(chunk)
        line, percent = output.heard()
        assert percent is None or 0 <= percent <= 100
        assert line is None or line.strip() == line
    assert len(output._tail) <= TAIL

"""Text from jobs is harmless wherever it is shown."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.core.text import REPLACEMENT, block, line

ANY = st.text(st.characters(), max_size=300)  # lone surrogates included


@given(ANY, st.integers(1, 60))
def test_a_line_is_one_clean_line_within_its_limit(text, limit):
    shown = line(text, limit)
    assert len(shown) <= limit
    assert len(shown.splitlines()) <= 1
    assert not [char for char in shown if unicodedata.category(char) in {"Cc", "Cs"} and char != "\t"]
    shown.encode()


@given(ANY, st.integers(1, 60))
def test_a_block_keeps_its_lines_and_is_clean_within_its_limit(text, limit):
    shown = block(text, limit)
    assert len(shown) <= limit
    assert not [char for char in shown if unicodedata.category(char) in {"Cc", "Cs"} and char not in "\t\n"]
    shown.encode()


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=50))
def test_plain_text_stays_as_it_is(text):
    assert line(text, 50) == block(text, 50) == text


@given(ANY)
def test_cleaning_twice_is_cleaning_once(text):
    assert line(line(text, 40), 40) == line(text, 40)
    assert block(block(text, 40), 40) == block(text, 40)


def test_what_is_too_long_ends_in_an_ellipsis():
    assert line("a" * 11, 10) == block("a" * 11, 10) == "a" * 9 + "…"
    assert line("a" * 10, 10) == block("a" * 10, 10) == "a" * 10
    assert len(block("x" * 10_000_000, 1_000)) == 1_000
    assert line("\n" * 10_000_000 + "end", 500) == "…"


def test_line_breaks_of_all_kinds_become_one_space():
    assert line(" one \r\n two\n\n\u2028three\x85four ", 80) == "one two three four"


def test_returns_become_line_breaks():
    assert block("10 %\r20 %\r\nend\n", 80) == "10 %\n20 %\nend\n"


@pytest.mark.parametrize("evil", ["\x1b[2J", "\x9b2J", "\x07", "\x00", "\x7f", "\ud800", "\x08"])
def test_what_terminals_obey_is_replaced(evil):
    for clean in (line, block):
        assert clean(f"a{evil}b", 80) == f"a{REPLACEMENT}{evil[1:]}b"


def test_a_strings_subclass_becomes_plain_text():
    class Safe(str):
        __slots__ = ()

    assert {type(clean(Safe("safe"), 10)) for clean in (line, block)} == {str}


def test_other_scripts_are_kept():
    assert line("集計中… 5210 行 😀 ñ", 80) == "集計中… 5210 行 😀 ñ"

"""Bad input gets a clear error, before anything is written."""

from decimal import Decimal
from enum import IntEnum, StrEnum
from fractions import Fraction
from math import inf, nan

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.core import arguments
from headway.core.errors import InvalidValue
from headway.core.snapshot import DATA


class Text(str):
    __slots__ = ()


class Name(StrEnum):
    JOB = "job-1"


class Five(IntEnum):
    FIVE = 5


class Float(float):
    __slots__ = ()


class Odd:
    """A number as NumPy's are: no int, but it knows how to become one."""

    def __init__(self, value):
        self.value = value

    def __index__(self):
        return self.value

    __int__ = __index__

    def __str__(self):
        return f"Odd {self.value}"


class Broken:
    def __float__(self):
        raise RuntimeError("only length-1 arrays can be converted")

    def __str__(self):
        return "Broken"


@pytest.mark.parametrize("id", ["a", "0", "A0._:~@-z", "a" * 200, "celery:4f", "user@host~1"])
def test_an_id_of_letters_digits_and_a_few_signs_is_taken(id):
    assert arguments.identifier(id) == id


@pytest.mark.parametrize(
    "id",
    ["", "a" * 201, "-a", ".", "..", "_a", "a b", "a/b", "a\\b", "a\n", "\na", "ä", "a\0", "a%", "a{b}",
     "日本",
     "\ud800", None, 5, b"a", ["a"]],
)  # fmt: skip
def test_any_other_id_is_refused(id):
    with pytest.raises(InvalidValue, match="id="):
        arguments.identifier(id)


def test_the_error_says_which_argument_and_what_was_given():
    with pytest.raises(ValueError, match="parent='a b'") as caught:
        arguments.identifier("a b", "parent")
    assert (caught.value.field, caught.value.value) == ("parent", "a b")


@pytest.mark.parametrize("scope", ["user/3421", "ユーザー", " ", "a" * 200, "%", None])
def test_a_scope_is_any_text(scope):
    assert arguments.scope(scope) == scope


@pytest.mark.parametrize("scope", ["", "a" * 201, "a\nb", "\x1b[0m", "\x00", "\ud800", 5, b"a"])
def test_a_scope_that_is_empty_too_long_or_not_clean_is_refused(scope):
    with pytest.raises(InvalidValue, match="scope"):
        arguments.scope(scope)


def test_words_are_text_or_nothing():
    assert arguments.words(None, "name") is None
    assert arguments.words("\x1b[31mred", "name") == "\x1b[31mred"  # it is cleaned when it is recorded
    for wrong in (5, b"name", ["name"], object()):
        with pytest.raises(InvalidValue, match="name"):
            arguments.words(wrong, "name")


NUMBERS = [
    (5, 5), (0, 0), (-3, -3), (1.5, 1.5), (2**53 - 1, 2**53 - 1), (Five.FIVE, 5), (Float(1.5), 1.5),
    (Odd(7), 7),
    (Decimal("2.5"), 2.5), (Fraction(1, 4), 0.25),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(NUMBERS)))
def test_numbers_of_others_become_plain_ones(case):
    value, plain = NUMBERS[case]
    found = arguments.number(value, "total")
    assert (found, type(found)) == (plain, type(plain))
    msgspec.json.encode(found)


@pytest.mark.parametrize(
    "value",
    [nan, inf, -inf, 2**53, -(2**53), 10**400, 1e300, True, "five", b"5", None, [], 1j, Odd(2**60), Broken(),
     Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), object],
    ids=str,
)  # fmt: skip
def test_what_is_no_finite_number_is_refused(value):
    with pytest.raises(InvalidValue, match="total"):
        arguments.number(value, "total")


def test_totals_and_amounts_are_not_negative():
    assert (arguments.total(None), arguments.total(0), arguments.amount(0.5, "n")) == (None, 0, 0.5)
    for call in (arguments.total, lambda value: arguments.amount(value, "n")):
        with pytest.raises(InvalidValue, match="negative"):
            call(-1)


def test_a_share_is_between_nothing_and_all():
    assert [arguments.share(value) for value in (0, 1, 0.5)] == [0.0, 1.0, 0.5]
    for wrong in (-0.01, 1.01, 50, nan, True, "0.5"):
        with pytest.raises(InvalidValue, match="fraction"):
            arguments.share(wrong)


def test_durations_are_more_than_nothing():
    assert arguments.seconds(30, "lease") == 30.0
    for wrong in (0, -1, nan, inf, "30", None):
        with pytest.raises(InvalidValue, match="lease"):
            arguments.seconds(wrong, "lease")


def test_weights_map_names_to_amounts():
    assert arguments.weights({"Download": 1, "Crunch\n": Odd(3)}) == {"Download": 1.0, "Crunch": 3.0}
    many = {f"stage {number}": 1 for number in range(101)}
    for wrong in (
        ["a"],
        "ab",
        {"": 1},
        {5: 1},
        {"a": -1},
        {"a": nan},
        {"a": "1"},
        {"a": None},
        {"a ": 1, "a": 2},
        many,
    ):
        with pytest.raises(InvalidValue, match="stages"):
            arguments.weights(wrong)


def test_a_page_has_one_to_two_hundred_jobs():
    assert [arguments.page(limit) for limit in (1, 200)] == [1, 200]
    for wrong in (0, -1, 201, 1.5, "5", None, True):
        with pytest.raises(InvalidValue, match="limit"):
            arguments.page(wrong)


@pytest.mark.parametrize(
    "value", [None, 5, 2**70, 1.5, "text 😀", [1, [2]], {"a": {"b": None}}, True, "", [], {}]
)
def test_data_comes_back_as_it_was(value):
    assert arguments.data(value, "result") == value


def test_data_of_other_types_becomes_plain():
    given = {"text": Text("a"), "name": Name.JOB, "n": Five.FIVE, "f": Float(1.5), "odd": Odd(7), "t": (1, 2)}
    assert arguments.data(given, "result") == {
        "text": "a", "name": "job-1", "n": 5, "f": 1.5, "odd": 7, "t": [1, 2],
    }  # fmt: skip


def test_data_is_a_copy():
    given = {"rows": [1]}
    kept = arguments.data(given, "meta")
    given["rows"].append(2)
    assert kept == {"rows": [1]}


CYCLE: list = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    "value",
    [object(), {(1, 2): 3}, "\ud800", CYCLE, 1j, lambda: 0, Broken()],
    ids=lambda value: type(value).__name__,
)
def test_what_json_cannot_carry_is_refused(value):
    with pytest.raises(InvalidValue, match="result"):
        arguments.data(value, "result")


def test_too_much_data_is_refused_and_the_error_stays_short():
    assert arguments.data("x" * (DATA - 2), "result")
    with pytest.raises(InvalidValue, match="65,536") as caught:
        arguments.data("x" * (DATA - 1), "result")
    assert len(str(caught.value)) < 300


def test_strings_of_others_become_plain_ones():
    for found in (
        arguments.identifier(Text("a")), arguments.scope(Text("a")), arguments.words(Text("a"), "name"),
        arguments.identifier(Name.JOB),
    ):  # fmt: skip
        assert type(found) is str


@given(st.integers() | st.floats() | st.text() | st.booleans() | st.none() | st.binary())
def test_anything_is_either_a_good_number_or_refused(value):
    try:
        found = arguments.number(value, "n")
    except InvalidValue:
        return
    assert type(found) in {int, float}
    assert abs(found) < 2**53

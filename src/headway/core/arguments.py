"""What callers may pass: checked before anything is written, refused with a reason."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from headway.core import text
from headway.core.errors import InvalidValue
from headway.core.snapshot import DATA, LARGEST, NAME, STAGE_NAME, STAGES, Number

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:~@-]{0,199}")
LARGEST_PAGE = 200
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def identifier(id: object, field: str = "id") -> str:
    """An id: a letter or digit, then letters, digits or ``._:~@-``, at most 200 in all."""
    if isinstance(id, str) and _ID.fullmatch(id):
        return id[:]
    raise InvalidValue(
        field, id, "an id is a letter or digit, then [A-Za-z0-9._:~@-], at most 200 characters in all"
    )


def scope(scope: object) -> str | None:
    """A scope: any text of 1 to 200 characters without control characters, matched exactly."""
    if scope is None:
        return None
    if isinstance(scope, str) and 0 < len(scope) <= NAME and not _CONTROL.search(scope):
        return scope[:]
    reason = "a scope is text of 1 to 200 characters, none a control character"
    raise InvalidValue("scope", scope, reason)


def words(value: object, field: str) -> str | None:
    """Text or None; it is cut and cleaned when it is recorded."""
    if value is None:
        return None
    if isinstance(value, str):
        return value[:]
    raise InvalidValue(field, value, "this must be text")


def number(value: object, field: str) -> Number:
    """A finite number of at most 2^53 - 1 in size; NumPy's and others' become Python's own."""
    if isinstance(value, (bool, str)):
        raise InvalidValue(field, value, "this must be a number")
    try:
        plain = plain_number(value)
    except Exception as error:  # whatever somebody's own __float__ raises
        raise InvalidValue(field, value, "this must be a number") from error
    if not abs(plain) <= LARGEST:  # neither is NaN
        raise InvalidValue(field, value, "this must be a finite number of at most 2**53 - 1")
    return plain


def plain_number(value: Any) -> Number:
    """The same number as Python's own type.

    Raises:
        TypeError: It is no number.
    """
    if isinstance(value, int) or hasattr(value, "__index__"):
        return int(value)
    if isinstance(value, float) or hasattr(value, "__float__"):
        return float(value)
    raise TypeError(f"{type(value).__name__} is no number")


def plain(value: Any) -> Any:
    """The same data as Python's own type, for JSON: others' strings, mappings and numbers.

    Raises:
        TypeError: JSON has no such type.
    """
    if isinstance(value, str):
        return value[:]
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (list, tuple)):
        return list(value)
    return plain_number(value)


def amount(value: object, field: str) -> Number:
    """A finite number that is not negative."""
    plain = number(value, field)
    if plain < 0:
        raise InvalidValue(field, value, "this must not be negative")
    return plain


def total(value: object) -> Number | None:
    """A total: a number that is not negative, or None where the end is unknown."""
    return None if value is None else amount(value, "total")


def share(value: object, field: str = "fraction") -> float:
    """A share of a whole: 0.0 to 1.0."""
    plain = number(value, field)
    if not 0 <= plain <= 1:
        raise InvalidValue(field, value, "a share is 0.0 to 1.0; for counts use advance() or count")
    return float(plain)


def seconds(value: object, field: str) -> float:
    """A duration: more than 0 seconds."""
    plain = float(number(value, field))
    if plain <= 0:
        raise InvalidValue(field, value, "this must be more than 0 seconds")
    return plain


def weights(stages: object) -> dict[str, float]:
    """Declared stages: name to weight; names as they are recorded."""
    if not (isinstance(stages, Mapping) and all(isinstance(name, str) for name in stages)):
        reason = 'this must map names to weights, as {"Download": 1, "Crunch": 3}'
        raise InvalidValue("stages", stages, reason)
    planned = {
        text.line(name, STAGE_NAME): float(amount(weight, f"stages[{name!r}]"))
        for name, weight in stages.items()
    }
    if len(planned) < len(stages) or "" in planned or len(planned) > STAGES:
        reason = f"a job has at most {STAGES} stages, each with a name of its own"
        raise InvalidValue("stages", stages, reason)
    return planned


def page(limit: object) -> int:
    """How many jobs a page has: 1 to 200."""
    plain = number(limit, "limit")
    if isinstance(plain, int) and 1 <= plain <= LARGEST_PAGE:
        return plain
    raise InvalidValue("limit", limit, f"a page has 1 to {LARGEST_PAGE} jobs")


def data(value: Any, field: str) -> Any:
    """Data that JSON can carry, at most 64 KiB of it, as a copy that nobody can change afterwards.

    Raises:
        InvalidValue: JSON cannot carry it, or it is too large.
    """
    if value is None:
        return None
    try:
        encoded = msgspec.json.encode(value, enc_hook=plain)
    except Exception as error:  # what JSON lacks, and whatever somebody's own __float__ raises
        raise InvalidValue(field, value, f"JSON cannot carry this ({error})") from error
    if len(encoded) > DATA:
        size = f"this is {len(encoded):,} bytes as JSON, the most is {DATA:,}"
        raise InvalidValue(field, value, f"{size}; keep a link instead")
    return msgspec.json.decode(encoded)

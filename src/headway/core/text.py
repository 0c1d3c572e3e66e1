"""Text from jobs is data: cleaned once, on the way in, so that it is harmless wherever it is shown."""

from __future__ import annotations

import re
from functools import lru_cache

ELLIPSIS = "…"
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_RETURNS = re.compile(r"\r\n?")
# Control characters but tab and newline, and lone surrogates, which UTF-8 cannot carry.
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def line(text: str, limit: int) -> str:
    """One line of at most ``limit`` characters; what is longer ends in an ellipsis."""
    return _line(text[: 4 * limit + 1], limit)


@lru_cache(1_024)
def _line(text: str, limit: int) -> str:
    """The same of a text of bounded length: a job's words are looked at again and again."""
    lines = text[: 4 * limit].splitlines()
    joined = " ".join(filter(None, map(str.strip, lines)))
    return block(joined + ELLIPSIS if len(text) > 4 * limit else joined, limit)


def block(text: str, limit: int) -> str:
    """Text of at most ``limit`` characters, its lines kept; what is longer ends in an ellipsis."""
    kept = _RETURNS.sub("\n", text[: 2 * limit])
    if len(kept) > limit or len(text) > 2 * limit:
        kept = kept[: limit - 1] + ELLIPSIS
    return _UNSAFE.sub(REPLACEMENT, kept)


def label(value: str | None, limit: int) -> str | None:
    """The same as `line` of something that may be missing."""
    return None if value is None else line(str(value), limit)

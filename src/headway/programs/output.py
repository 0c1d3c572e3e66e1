"""What a command's output tells of its progress: the last line, percentages, and the terminal's own sequence.

Only the end of what was written last is kept, and looked at a few times a second, so that a command may write
as much as it likes, with line ends or without.
"""

from __future__ import annotations

import re
from typing import NamedTuple

TAIL = 8_192
"""Bytes that are kept."""

# ESC ] 9 ; 4 ; state ; percent, ended by BEL or ESC \: ConEmu's, by now spoken by systemd and others
_TOLD = re.compile(rb"\x1b\]9;4;([0-4])(?:;(\d{1,3}))?[^\x07\x1b]{0,8}(?:\x07|\x1b\\)")
_STRINGS = re.compile(r"\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)")
_CODES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]?|[ -/]*[0-~]?)")
_ENDS = re.compile(r"[\r\n\v\f]+")
_SHARE = re.compile(r"(?<![\w.,])(\d{1,3}(?:[.,]\d+)?) ?%")
_READABLE = 0.7
"""What share of a line must be printable for it to be shown."""


class Heard(NamedTuple):
    """What was made out.

    Attributes:
        line: The last line that says something.
        percent: How far it is, 0 to 100.
    """

    line: str | None = None
    percent: float | None = None


class Output:
    """One stream of a command's output."""

    def __init__(self) -> None:
        self._tail = b""
        self._told: float | None = None
        self.changes = 0

    def feed(self, chunk: bytes) -> None:
        """Take in what was written."""
        self._tail = chunk[-TAIL:] if len(chunk) >= TAIL else (self._tail + chunk)[-TAIL:]
        self.changes += 1

    def heard(self) -> Heard:
        """What it says now."""
        tail = self._tail
        for state, percent in _TOLD.findall(tail):
            if state in b"124" and percent:
                self._told = min(100.0, float(percent))
        line = last_line(tail)
        return Heard(line, self._told if self._told is not None else share_in(line))


def last_line(tail: bytes) -> str | None:
    """The last line with something to read on it, without escape sequences."""
    text = _CODES.sub("", _STRINGS.sub("", tail.decode("utf-8", "ignore")))
    for line in reversed(_ENDS.split(text)):
        said = line.strip()
        if said and sum(map(str.isprintable, said)) >= _READABLE * len(said):
            return said
    return None


def share_in(line: str | None) -> float | None:
    """The last percentage on a line."""
    found = [float(share.replace(",", ".")) for share in _SHARE.findall(line or "")]
    return next((share for share in reversed(found) if share <= 100), None)

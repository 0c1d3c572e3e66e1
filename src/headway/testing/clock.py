"""A clock that moves only when it is told to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2030, 1, 1, tzinfo=UTC)


class Clock:
    """The time of a store in a test: ``MemoryStore(clock=Clock())``.

    Attributes:
        now: The time that it shows; may be set.
    """

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """The time that it shows."""
        return self.now

    def advance(self, seconds: float) -> datetime:
        """Let so many seconds pass; the time then."""
        self.now += timedelta(seconds=seconds)
        return self.now

"""What runs in this context: our own variable, which follows asyncio's tasks and nested jobs."""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from headway.worker.bar import Bar

Before = Token["Bar | None"]
"""What ran before."""

_running: ContextVar[Bar | None] = ContextVar("headway_running", default=None)


class Holder(Protocol):
    """Who holds a bar, a job or a part of one elsewhere: what a child job needs to know of its parent."""

    id: str

    @property
    def attempt(self) -> int | None:
        """The parent's attempt."""

    @property
    def started(self) -> bool:
        """Whether it has begun."""

    @property
    def ended(self) -> bool:
        """Whether it has come to its end."""


def current() -> Bar | None:
    """The innermost job, stage or part that runs in this context."""
    bar = _running.get()
    return None if bar is None or bar.holder.ended else bar


def holder() -> Holder | None:
    """The job that runs in this context, or the part of one."""
    bar = current()
    return None if bar is None else bar.holder


def enter(bar: Bar) -> Before:
    """From now on this runs here."""
    return _running.set(bar)


def leave(before: Before | None) -> None:
    """What ran before runs again, if this is the context in which it did."""
    if before is not None:
        with suppress(ValueError):
            _running.reset(before)

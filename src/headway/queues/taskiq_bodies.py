"""The bodies of Taskiq's tasks: how they stop when their job is cancelled."""

from __future__ import annotations

import functools
import inspect
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from headway.queues.clerk import Clerk

refused: ContextVar[bool] = ContextVar("headway_refused", default=False)
"""Whether the task that is about to run here was cancelled before."""


def stopping(
    clerk: Clerk, function: Callable[..., Any], left: Callable[[str], Exception]
) -> Callable[..., Any]:
    """The function, plain or asynchronous as it is."""
    made: Any
    if inspect.iscoroutinefunction(function):

        async def made(*args: Any, **kwargs: Any) -> Any:
            with clerk.stopping(left, refused=refused.get()):
                return await function(*args, **kwargs)

    else:

        def made(*args: Any, **kwargs: Any) -> Any:
            with clerk.stopping(left, refused=refused.get()):
                return function(*args, **kwargs)

    functools.update_wrapper(made, function)
    made.__headway_stops__ = True
    stops: Callable[..., Any] = made
    return stops

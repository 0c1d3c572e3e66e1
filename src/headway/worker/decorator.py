"""Functions of all kinds, each call of which is a job."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from headway.worker.job import Job

P = ParamSpec("P")
R = TypeVar("R")


def decorated(make: Callable[[], Job], function: Callable[P, R]) -> Callable[P, R]:
    """The function, each call of which is a job."""
    import inspect

    wrapped: Any
    if inspect.iscoroutinefunction(function):

        async def wrapped(*args: P.args, **kwargs: P.kwargs) -> Any:
            async with make():
                return await function(*args, **kwargs)

    elif inspect.isasyncgenfunction(function):

        async def wrapped(*args: P.args, **kwargs: P.kwargs) -> Any:
            async with make():
                async for item in function(*args, **kwargs):
                    yield item

    elif inspect.isgeneratorfunction(function):

        def wrapped(*args: P.args, **kwargs: P.kwargs) -> Any:
            with make():
                return (yield from function(*args, **kwargs))

    else:

        def wrapped(*args: P.args, **kwargs: P.kwargs) -> Any:
            with make():
                return function(*args, **kwargs)

    result: Callable[P, R] = functools.wraps(function)(wrapped)
    return result

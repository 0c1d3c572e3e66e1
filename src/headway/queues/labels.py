"""What is said of a task: where it is defined, and where it is sent."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

import msgspec

from headway.queues.lifecycle import Label, merged, resolved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from headway.queues.lifecycle import Options

F = TypeVar("F", bound="Callable[..., Any]")

_enqueueing: ContextVar[Label | None] = ContextVar("headway_enqueueing", default=None)
_OPTIONS = "__headway__"


def reported(report: bool = True, /, **options: Unpack[Options]) -> Callable[[F], F]:  # noqa: FBT001, FBT002 - said as `reported(False)`
    """A decorator that says how a task is reported, or that it is not.

    It goes below the queue's own:

        @app.task
        @headway.queues.reported(name="Import of customers", total=lambda rows: len(rows))
        def import_customers(rows): ...

    Raises:
        TypeError: There is no such option.
    """
    said = merged(report, options)

    def noted(function: F) -> F:
        setattr(function, _OPTIONS, said)
        return function

    return noted


@contextmanager
def enqueueing(**options: Unpack[Options]) -> Iterator[None]:
    """What is enqueued in this block goes with these options, as ``scope="user/3421"``.

    Raises:
        TypeError: There is no such option.
    """
    label = _enqueueing.get() or Label()
    with labelled(msgspec.structs.replace(label, options=merged(label.options, options))):
        yield


@contextmanager
def labelled(label: Label) -> Iterator[None]:
    """What is enqueued in this block goes with this label."""
    before = _enqueueing.set(label)
    try:
        yield
    finally:
        _enqueueing.reset(before)


def label_of(call: Any = None, args: Any = (), kwargs: Any = None, brought: Any = None) -> Label:
    """The label of a task that is enqueued here, its functions answered.

    Args:
        call: The task's function, or the options where its queue keeps them.
        args: Its arguments,
        kwargs: and those that have names.
        brought: The label that a message has already, as plain data.
    """
    label = (unpacked(brought) if brought else _enqueueing.get()) or Label()
    options = resolved(merged(options_of(call), label.options), args, kwargs or {})
    return msgspec.structs.replace(label, options=options)


def options_of(call: Any) -> Any:
    """What was said of a task where it was defined."""
    return call if call is None or isinstance(call, (dict, bool)) else getattr(call, _OPTIONS, None)


def packed(label: Label) -> Any:
    """A label as plain data, for the message of any queue."""
    return msgspec.to_builtins(label)


def unpacked(data: Any) -> Label:
    """The label that a message brought; an empty one where it brought none, or nothing of ours."""
    try:
        return msgspec.convert(data, Label) if data else Label()
    except msgspec.ValidationError:
        return Label()

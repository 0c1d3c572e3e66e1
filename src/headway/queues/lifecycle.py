"""What the events of a task queue mean for a job, given its record.  Every queue's file only translates.

Two sorts of witnesses tell.  The process in which a task runs holds the job's handle, so its words belong to
one attempt and are fenced by the store: what comes late, twice or from a worker that was replaced changes
nothing.  `ending` says which end they mean.  Everybody else (a parent process, a producer, a monitor) knows
an id only, so `told` looks at the record first: whether the job still is what the event speaks of.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any, Literal, TypedDict

from msgspec import Struct

from headway.core.snapshot import Error, Number, Snapshot

Given = Callable[..., Any]
Event = Literal["failed", "lost", "timed out", "expired", "revoked", "terminated", "requeued", "left"]


class Options(TypedDict, total=False):
    """What is reported of a task.

    A value may be a function of the task's own arguments, as ``total=lambda rows: len(rows)``.

    Attributes:
        report: Whether it is reported at all.
        name: What people call it; by default the function's name in words.
        scope: Whose job it is.
        kind: What its repetitions have in common; by default the task's full name.
        total, unit: How many steps it has, of what.
        stages: Weights of its stages by name.
        cancellable_until: The share past which it can no longer be cancelled.
        meta: Data for readers.
        result: Whether what it returns is kept for readers; not by default.
        lease, retention: As for every job.
    """

    report: bool
    name: str | Given
    scope: str | Given | None
    kind: str | None
    total: Number | Given | None
    unit: str | None
    stages: Mapping[str, float] | Given | None
    cancellable_until: float | None
    meta: Any
    result: bool
    lease: float
    retention: float


class Label(Struct, frozen=True, omit_defaults=True):
    """What travels with a task beside its arguments.

    Attributes:
        options: What was said of it when it was sent.
        parent: The job that it is a share of, and that job's attempt.
        bound: Whether its failure is the whole's, because others will not run then.
    """

    options: dict[str, Any] = {}
    parent: tuple[str, int] | None = None
    bound: bool = False


class Deed(Struct, frozen=True):
    """What is to be done: ``end`` an attempt with a status; ``cancel`` a job, so that it never starts."""

    act: Literal["nothing", "end", "cancel"]
    attempt: int = 0
    status: str = ""
    error: Error | None = None


_FOREIGN = re.compile(r"[^A-Za-z0-9._:@-]")
_LONGEST = 200
NOTHING = Deed("nothing")
_STATUS = {
    "failed": "failed",
    "lost": "failed",
    "timed out": "failed",
    "expired": "failed",
    "revoked": "cancelled",
    "terminated": "cancelled",
    "requeued": "retrying",
    "left": "stopped",
}
_TEXT = {
    "lost": "Its worker died.",
    "timed out": "It ran longer than its time limit.",
    "expired": "It was not started in time.",
}
_BEFORE_START = frozenset({"revoked", "expired"})
_OF_A_PROCESS = frozenset({"lost", "requeued"})


def told(event: Event, record: Snapshot | None, node: str | None = None, *, gone: bool | None = None) -> Deed:
    """What an event means that comes from outside the process that runs the task.

    Args:
        event: What is told.  ``revoked`` and ``expired`` concern a task that has not started, ``lost`` and
            ``requeued`` one whose process is gone, all others the task as it is.
        record: The job's record as it is now.
        node: The worker that tells, as in the record's ``worker``; None where that cannot be known.
        gone: Whether the process that holds the job has ended; None where that cannot be known.
    """
    if record is None or record.ended:
        return NOTHING
    if record.phase == 1:
        if event in _BEFORE_START or (event in _OF_A_PROCESS and gone is False):
            return NOTHING  # another attempt runs by now
        if node is not None and not (record.worker or "").endswith(f":{node}"):
            return NOTHING  # it was delivered to another worker since
    if event == "revoked":
        return Deed("cancel", record.attempt)
    text = _TEXT.get(event)
    return Deed("end", record.attempt, _STATUS[event], Error(text=text) if text else None)


def ending(
    error: BaseException | None,
    *,
    cancelled: bool = False,
    again: bool = False,
    asked: bool = False,
) -> str:
    """Which end an attempt has come to, as its own process knows.

    Args:
        error: What the task raised; None when it returned.
        cancelled: Whether the job noticed a request to stop and raised `Cancelled`.
        again: Whether the queue will run the task again.
        asked: Whether somebody asked the queue itself to abort the task.
    """
    if cancelled or (asked and error is not None):
        return "cancelled"
    if error is None:
        return "completed"
    if again:
        return "retrying"
    return "failed" if isinstance(error, Exception) else "stopped"


def whole(record: Snapshot | None, status: str, *, bound: bool = False) -> str | None:
    """How a job that is made of others ends, once one of them has ended; None while it goes on.

    Args:
        record: The whole, with what its members add up to.
        status: The end of the member.
        bound: Whether others will not run when this one did not complete.
    """
    if record is None or record.ended:
        return None
    totals = record.totals
    everybody = totals.children == totals.ended and totals.weight >= (record.total_weight or 0)
    if record.cancel_requested and (everybody or status == "cancelled"):
        return "cancelled"
    if bound and status in {"failed", "cancelled", "stopped"}:
        return status
    if not everybody:
        return None
    return "failed" if totals.failed else "completed"


def merged(*several: Mapping[str, Any] | bool | None) -> dict[str, Any]:
    """Options, the later ones stronger; True and False stand for ``report``.

    Raises:
        TypeError: There is no such option.
    """
    options: dict[str, Any] = {}
    for some in several:
        options |= {"report": some} if isinstance(some, bool) else dict(some or {})
    unknown = options.keys() - Options.__annotations__.keys()
    if unknown:
        known = ", ".join(Options.__annotations__)
        raise TypeError(f"no option {', '.join(sorted(unknown))}; there are {known}")
    return options


def resolved(options: Mapping[str, Any], args: Any, kwargs: Any) -> dict[str, Any]:
    """The options of one call: functions are asked with the task's own arguments."""
    return {name: value(*args, **kwargs) if callable(value) else value for name, value in options.items()}


def in_words(function: str) -> str:
    """A function's dotted name as people read it: ``shop.tasks.import_rows`` is “Import rows”."""
    last = function.rpartition(".")[2].strip("_").replace("_", " ")
    return last[:1].upper() + last[1:]


def identifier(id: object, namespace: str = "") -> str:
    """The job's id for a queue's: its own where it can be one, after a namespace where it can be guessed."""
    return _identifier(str(id), namespace)


@lru_cache(1_024)
def _identifier(id: str, namespace: str) -> str:
    spelled = _FOREIGN.sub(lambda found: "".join(f"~{byte:02x}" for byte in _bytes(found[0])), id)
    spelled = f"{namespace}{spelled}"
    if not spelled[:1].isalnum():
        spelled = f"id{spelled}"
    if len(spelled) <= _LONGEST:
        return spelled
    return f"{spelled[: _LONGEST - 33]}~{sha256(spelled.encode()).hexdigest()[:32]}"


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")

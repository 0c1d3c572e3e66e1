"""Who may see what, and who may cancel: said outright by whoever mounts a door.

There are three ways to say it, and a list of them asks one after another:

1. a function ``access(request, action, job)`` of yours;
2. links that you sign (`headway.web.links.Links`);
3. `whoever_knows_the_id`, for ids that nobody can guess.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from msgspec import Struct

from headway.core.errors import HeadwayError
from headway.core.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from headway.web.exchange import Request

Action = Literal["view", "list", "cancel"]


class AccessMissing(HeadwayError):
    """A door was to be mounted without saying who may see what."""

    def __init__(self) -> None:
        super().__init__(
            "say who may see what, by access=…\n"
            "  1. access=may_see: a function of yours, may_see(request, action, job) -> bool or Grant\n"
            "  2. access=Links(secret): links that you sign, to view or also to cancel (headway.web.links)\n"
            "  3. access=whoever_knows_the_id: an unguessable id is enough to view (headway.web.access)\n"
            "A list of these asks one after another."
        )


class Grant(Struct, frozen=True):
    """What somebody may see and do.

    Attributes:
        owner: May see all fields: scope, worker, meta, result, every detail of an error.
        also: Fields that a viewer may see besides: ``messages``, ``result``, ``meta``.
        cancel: May ask the job to stop.  Where your function is asked for ``"cancel"`` itself, any answer
            that is true will do.
        who: The name under which streams and cancels are counted; by default the address of the client.
        seconds: How long it holds; None: until it is asked for again, at least every few minutes.
    """

    owner: bool = False
    also: frozenset[str] = frozenset()
    cancel: bool = False
    who: str | None = None
    seconds: float | None = None


VIEWER = Grant()
"""May view what everybody may."""
OWNER = Grant(owner=True, cancel=True)
"""May see all, and cancel."""


class Target(Struct, frozen=True):
    """Which job somebody asks for, or with ``"list"`` which scope.

    Attributes:
        id: The job's id; None with ``"list"``.
        scope: The job's scope, or the one to be listed; None: the job has none or is not known, or all jobs
            are to be listed.
        snapshot: The job; None where nothing is known of it.  Who is admitted then sees it *waiting*, and so
            does everybody who is admitted then, but not to the job that is there: what somebody may not see
            looks like what does not exist.
    """

    id: str | None = None
    scope: str | None = None
    snapshot: Snapshot | None = None


Verdict: TypeAlias = "bool | Grant | None"
Asked: TypeAlias = "Callable[[Any, Action, Target], Verdict | Awaitable[Verdict]]"


class Policy(Protocol):
    """What decides about requests as the protocol sees them."""

    def grant(self, request: Request, action: Action, job: Target) -> Verdict:
        """What whoever asks may see and do; False or None: nothing."""


Access: TypeAlias = "Asked | Policy | Sequence[Asked | Policy]"


class _Knowing:
    """Whoever knows an id that nobody can guess may view the job."""

    def __repr__(self) -> str:
        """As it is imported."""
        return "whoever_knows_the_id"

    def grant(self, request: Request, action: Action, job: Target) -> Verdict:  # noqa: ARG002 - a policy's
        """To view; listing and cancelling need another grant."""
        return action == "view" and job.id is not None and unguessable(job.id)


whoever_knows_the_id: Policy = _Knowing()
"""Whoever knows an unguessable id may view the job; ids that could be guessed are refused."""

_RANDOM = re.compile(r"[A-Za-z0-9_-]{20,}")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


def unguessable(id: str) -> bool:
    """Whether an id looks as if it were drawn at random: at least 20 characters, no counter, no clock.

    UUIDs count in their random version 4 only.  What is before a colon or a dot is a namespace.
    """
    drawn = re.split(r"[:.]", id)[-1]
    if uuid := _UUID.fullmatch(drawn):
        return uuid[1] == "4"
    return bool(_RANDOM.fullmatch(drawn)) and len(set(drawn)) >= 10


def policies(access: Access | None) -> tuple[Asked | Policy, ...]:
    """The policies that were given.

    Raises:
        AccessMissing: None was.
    """
    found = tuple(access) if isinstance(access, (list, tuple)) else (access,)
    if not found or not all(callable(one) or hasattr(one, "grant") for one in found):
        raise AccessMissing
    return found


def as_grant(verdict: Verdict) -> Grant | None:
    """A verdict as a grant: plain truth is a viewer's."""
    if isinstance(verdict, Grant):
        return verdict
    return VIEWER if verdict is True else None

"""What somebody may see of a job: the rule that stands in `headway.web.protocol` under 1."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from headway.core import wire
from headway.core.snapshot import ENDED, Snapshot
from headway.web.access import Grant, Target
from headway.web.exchange import Ask, Read, Request, Want
from headway.web.frames import encode, etag_of

T = TypeVar("T")
Part: TypeAlias = Generator[Want, Any, T]
"""A part of a conversation that comes to something."""

FINISHED = ENDED | {"gone"}
"""What a client need not wait for any longer."""


class View(Struct, gc=False):
    """What somebody may see of an id: the job; that it is waited for (no snapshot); or nothing (no grant)."""

    id: str
    grant: Grant | None
    snapshot: Snapshot | None

    @property
    def refused(self) -> bool:
        """Whether not even the id is theirs."""
        return self.grant is None

    @property
    def etag(self) -> str:
        """Of what is shown."""
        return etag_of(self.snapshot)

    @property
    def status(self) -> str:
        """As it is shown."""
        if self.refused:
            return "gone"
        return "waiting" if self.snapshot is None else self.snapshot.status

    def who(self, request: Request) -> str:
        """Under which name it is counted."""
        return (self.grant.who if self.grant else None) or request.client

    def frame(self) -> bytes:
        """The job as JSON."""
        if self.snapshot is None or self.grant is None:
            return msgspec.json.encode(wire.waiting_frame(self.id))
        return encode(self.snapshot, self.grant)


def seen(id: str, snapshot: Snapshot | None) -> Part[View]:
    """What may be seen of an id.

    Where it is not the job, two questions were asked, whether there is one or not.
    """
    scope = None if snapshot is None else snapshot.scope
    grant: Grant | None = yield Ask("view", Target(id, scope, snapshot))
    if grant is not None and snapshot is not None:
        return View(id, grant, snapshot)
    return View(id, (yield Ask("view", Target(id))), None)


def looked_at(id: str) -> Part[View]:
    """What may be seen of an id now."""
    found: dict[str, Snapshot] = yield Read((id,), details=True)
    return (yield from seen(id, found.get(id)))


def with_errors(jobs: Iterable[Snapshot]) -> Part[list[Snapshot]]:
    """The same jobs; those that failed with the reason."""
    jobs = list(jobs)
    failed = tuple(job.id for job in jobs if job.status in {"failed", "retrying"})
    found: dict[str, Snapshot] = (yield Read(failed, details=True)) if failed else {}
    return [found.get(job.id, job) for job in jobs]

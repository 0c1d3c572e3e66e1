"""Jobs as bytes: JSON, events of a stream, and what tells two states apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from headway.core import wire
from headway.web import page

if TYPE_CHECKING:
    from headway.core.snapshot import Snapshot
    from headway.web.access import Grant

UNKNOWN = 'W/"0"'
"""The ETag of a job that is not known."""
END = "end"
"""The id of the event after which there is nothing to come back for."""


class News:
    """A state of a job, encoded once for all who may see the same.

    Attributes:
        snapshot: The job; None when it is gone.
        at: When it was heard of, by the process's clock.
    """

    __slots__ = ("_encoded", "at", "id", "look", "snapshot")

    def __init__(self, id: str, snapshot: Snapshot | None, at: float = 0.0) -> None:
        self.id = id
        self.snapshot = snapshot
        self.at = at
        self.look = None if snapshot is None else (snapshot.version, snapshot.status)
        self._encoded: dict[tuple[Any, ...], bytes] = {}

    def is_older_than(self, other: News) -> bool:
        """Whether it was read before the other was, and told after it."""
        if self.snapshot is None or other.snapshot is None:
            return False
        return self.snapshot.version < other.snapshot.version

    def event(self, grant: Grant, form: str) -> bytes:
        """What a stream is sent."""
        key = (grant.owner, grant.also, form)
        if key not in self._encoded:
            self._encoded[key] = self._event(grant, form)
        return self._encoded[key]

    def _event(self, grant: Grant, form: str) -> bytes:
        if self.snapshot is None:
            return html_event(page.fragment(self.id, None)) if form == "html" else gone(self.id)
        if form == "html":
            return html_event(page.fragment(self.id, self.snapshot))
        data = encode(self.snapshot, grant)
        return b"event: job\nid: %d\ndata: %b\n\n" % (self.snapshot.version, data)


def encode(snapshot: Snapshot, grant: Grant) -> bytes:
    """A job as JSON, as far as a grant goes."""
    return wire.encode_frame(snapshot, owner=grant.owner, also=grant.also)


def etag_of(snapshot: Snapshot | None) -> str:
    """What tells two states of a job apart: its version, and whether it has stalled."""
    if snapshot is None:
        return UNKNOWN
    return f'W/"{snapshot.version}.stalled"' if snapshot.status == "stalled" else f'W/"{snapshot.version}"'


def gone(id: str) -> bytes:
    """The record of a job is gone, or it is not theirs."""
    return b"event: gone\ndata: %b\n\n" % msgspec.json.encode({"id": id})


def bye(reason: str, retry: int) -> bytes:
    """The stream ends, and why; milliseconds until the client should come back."""
    last = b"id: %b\n" % END.encode() if reason == "ended" else b""
    return b"event: bye\n%bdata: %b\n\n" % (last, msgspec.json.encode({"reason": reason, "retry": retry}))


def html_event(fragment: str) -> bytes:
    """HTML as a message without a name."""
    lines = "".join(f"data: {line}\n" for line in fragment.splitlines())
    return f"{lines}\n".encode()

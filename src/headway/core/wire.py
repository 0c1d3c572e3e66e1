"""Records as JSON: what stores keep, and what readers elsewhere are shown.

In one format fields are only added; type, meaning and default of a field never change.  Defaults are not
stored, unknown fields are ignored, and nobody but the worker writes a record back, so none get lost.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec.structs import asdict, replace

from headway.core import text
from headway.core.arguments import plain
from headway.core.errors import InvalidValue
from headway.core.snapshot import Details, Error, Head, Snapshot

if TYPE_CHECKING:
    from collections.abc import Collection

    from headway.core.estimate import Profile

FORMAT = 1

_BESIDE = {*Head.__struct_fields__, "details", "totals", "read_at"}
_FACTS = [
    (field.name, field.type, msgspec.field(default=field.default))
    for field in msgspec.structs.fields(Snapshot)
    if field.name not in _BESIDE
]
_Facts = msgspec.defstruct("_Facts", _FACTS, frozen=True, omit_defaults=True)
_values = attrgetter(*_Facts.__struct_fields__)
_encoder = msgspec.json.Encoder(enc_hook=plain)
_facts_decoder = msgspec.json.Decoder(_Facts)
_details_decoder = msgspec.json.Decoder(Details)
_error_decoder = msgspec.json.Decoder(Error)
_Aware = Annotated[datetime, msgspec.Meta(tz=True)]


def encode_facts(record: Snapshot) -> bytes:
    """What the worker reports, as compact JSON without defaults."""
    return _encoded(_Facts(*_values(record)))


def decode_record(head: Head, facts: bytes | str, details: Details | None = None) -> Snapshot:
    """The record that was kept as a head and facts; a head alone where the facts are damaged."""
    try:
        decoded = _facts_decoder.decode(facts)
    except msgspec.DecodeError:  # its worker's next word replaces them
        decoded = _Facts()
    return Snapshot(**asdict(head), **asdict(decoded), details=details)


def encode_details(details: Details) -> bytes:
    """Messages, error, result and meta as JSON."""
    return _encoded(details)


def decode_details(details: bytes | str | None) -> Details:
    """The details that were kept; empty ones where none were, or where they are damaged."""
    try:
        return _details_decoder.decode(details) if details else Details()
    except msgspec.DecodeError:
        return Details()


def details_of_next_attempt(
    kept: bytes | str | None, new: Details | None, *, begun: bool = True
) -> bytes | None:
    """What a new attempt starts from: messages and meta stay, its own meta counts.

    Error and result go when it has begun.  While it is pending nobody is shown them, and whoever begins it
    will want to say why the one before failed.
    """
    if kept is None:
        return None if new is None else encode_details(new)
    known = decode_details(kept)
    meta = known.meta if new is None or new.meta is None else new.meta
    known = replace(known, meta=meta)
    return encode_details(replace(known, error=None, result=None) if begun else known)


def encode_error(error: Error) -> bytes:
    """An error as JSON."""
    return _encoded(error)


def decode_error(error: bytes | str) -> Error:
    """The error that was kept."""
    try:
        return _error_decoder.decode(error)
    except msgspec.DecodeError:
        return Error()


def _encoded(value: Any) -> bytes:
    """As JSON; a lone surrogate that slipped in must not stop all reports of a process."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        return _encoder.encode(_cleaned(msgspec.to_builtins(value, enc_hook=plain)))


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return text.block(value, len(value) + 1)
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(one) for key, one in value.items()}
    return [_cleaned(one) for one in value] if isinstance(value, (list, tuple)) else value


def encode_frame(snapshot: Snapshot, *, owner: bool = False, also: Collection[str] | None = None) -> bytes:
    """One line of JSON for readers elsewhere; viewers get an allow-list of fields, owners more.

    All keys are always there, null when unknown.  Seconds are rounded to milliseconds.

    Args:
        snapshot: The job.
        owner: For its owner.
        also: For viewers: which of ``messages``, ``result`` and ``meta`` they are shown; by default messages.
    """
    return _encoded(frame(snapshot, owner=owner, also=also))


def frame(snapshot: Snapshot, *, owner: bool = False, also: Collection[str] | None = None) -> dict[str, Any]:
    """What `encode_frame` encodes, as plain data."""
    also = {"messages"} if also is None else also
    shown: dict[str, Any] = {"headway": FORMAT}
    shown |= {name: _plain(getattr(snapshot, name)) for name in _PUBLIC}
    shown["stages"] = [_stage(stage) for stage in snapshot.stages]
    shown["children"] = None if snapshot.children is None else asdict(snapshot.children)
    error = snapshot.error
    shown["error"] = None if error is None else {"text": error.text}
    shown["messages"] = [
        asdict(message)
        for message in snapshot.messages
        if owner or (message.level != "debug" and "messages" in also)
    ]
    if owner:
        shown |= {name: getattr(snapshot, name) for name in _OWNED}
        shown["error"] = None if error is None else asdict(error)
    else:
        shown |= {name: getattr(snapshot, name) for name in ("result", "meta") if name in also}
    return shown


def waiting_frame(id: str) -> dict[str, Any]:
    """The frame of a job that is not known yet: all is null but its id, and the status is ``waiting``."""
    shown = frame(Snapshot(id=id))
    plain = {name: None for name, value in shown.items() if value is not None and not isinstance(value, list)}
    known = {"headway": FORMAT, "id": id, "version": 0, "status": "waiting", "failed_count": 0, "initial": 0}
    return shown | plain | known | {"attempt": 0, "cancellable": False, "message_count": 0}


_PUBLIC = (
    "id", "version", "name", "status", "attempt", "fraction", "percent", "count", "total", "unit",
    "rate", "activity", "stages", "children", "failed_count", "initial", "elapsed", "remaining",
    "remaining_low", "remaining_high", "estimate_basis", "usual", "patience", "idle_for", "silent_for",
    "retry_in", "cancel", "cancellable", "error", "messages", "message_count", "created_at", "started_at",
    "ended_at", "read_at",
)  # fmt: skip
_OWNED = (
    "scope",
    "parent",
    "kind",
    "worker",
    "meta",
    "result",
    "lease",
    "retention",
    "seen_at",
    "expires_at",
)


def _stage(stage: Any) -> dict[str, Any]:
    names = ("name", "weight", "fraction", "count", "total", "unit", "elapsed", "ended")
    return {name: _plain(getattr(stage, name)) for name in names}


def _plain(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def encode_profile(profile: Profile) -> bytes:
    """What a run left, as JSON in which nothing is left out."""
    return _encoded(asdict(profile))


def encode_cursor(created_at: datetime, id: str) -> str:
    """Where a page ended, as opaque text."""
    return urlsafe_b64encode(_encoder.encode((created_at, id))).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[datetime, str]:
    """Where the next page begins.

    Raises:
        InvalidValue: No page of ours ended there.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return msgspec.json.decode(urlsafe_b64decode(padded), type=tuple[_Aware, str])
    except (ValueError, TypeError, Base64Error, msgspec.DecodeError) as error:
        raise InvalidValue("cursor", cursor, "this is not the cursor of a page") from error

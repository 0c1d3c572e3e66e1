"""What all doors share: the store, the policies, the files, and who has sent how many cancels."""

from __future__ import annotations

import gzip
import hashlib
import logging
import mimetypes
import os
import signal
from importlib import resources
from typing import TYPE_CHECKING, Any

import headway.client
from headway.core.errors import InvalidValue
from headway.stores.connections import without_secrets
from headway.stores.contract import Page, Store
from headway.web import openapi
from headway.web.access import as_grant, policies
from headway.web.buckets import Buckets
from headway.web.exchange import Settings, Static
from headway.web.protocol import Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

    from headway.client import Headway
    from headway.core.snapshot import Snapshot
    from headway.web.access import Access, Action, Asked, Policy, Target, Verdict
    from headway.web.exchange import Find, Read, Request

log = logging.getLogger("headway")

PATIENCE = 30.0
"""Seconds after which a client that does not take what it is sent is given up."""


class Door:
    """What every door does, whichever way it is asked.

    Attributes:
        hw: The verbs over the store.
        protocol: What decides.
    """

    def __init__(
        self,
        access: Access | None,
        store: str | Store | Headway | None,
        settings: Mapping[str, Any],
    ) -> None:
        self.policies = policies(access)
        self.hw = _opened(store)
        self.protocol = Protocol(_settings(settings))
        self._buckets = Buckets(self.protocol.settings.cancels)
        self._files: dict[str, Static] | None = None

    @property
    def settings(self) -> Settings:
        """How it is set up."""
        return self.protocol.settings

    def ask(self, policy: Asked | Policy, request: Request, action: Action, job: Target) -> Any:
        """What one policy says: a verdict, or for a coroutine function an awaitable of one."""
        if hasattr(policy, "grant"):
            return policy.grant(request, action, job)
        verdict: Any = policy(request.native, action, job)
        return verdict

    def ask_all(self, request: Request, action: Action, job: Target) -> Any:
        """The first grant that blocking policies give."""
        for policy in self.policies:
            grant = as_verdict(self.ask(policy, request, action, job), action)
            if grant is not None:
                return grant
        return None

    def read(self, want: Read) -> dict[str, Snapshot]:
        """Read from the store."""
        if want.details:
            return self.hw.store.read(want.ids, details=True)
        found: dict[str, Snapshot] = self.hub.read(want.ids)
        return found

    def find(self, want: Find) -> Page:
        """Find in the store."""
        return self.hw.find(scope=want.scope, status=want.status, limit=want.limit, cursor=want.cursor)

    def spend(self, who: str) -> float:
        """Count a cancel; the seconds until the client may send one."""
        return self._buckets.spend(who)

    def file(self, name: str) -> Static | None:
        """A file that we bring."""
        if self._files is None:
            self._files = dict(_static_files())
        return self._files.get(name)

    @property
    def hub(self) -> Any:
        """The hub of this process."""
        return self.hw._listening()  # noqa: SLF001 - one hub a process, whoever watches


def as_verdict(verdict: Verdict, action: Action) -> Any:
    """A verdict as a grant, where it holds for this action."""
    grant = as_grant(verdict)
    if grant is None or (action == "cancel" and verdict is not True and not grant.cancel):
        return None
    return grant


def stopping() -> bool:
    """Whether the server of this process was told to stop: uvicorn's and gunicorn's say so themselves.

    They do so in the object whose method handles SIGTERM.
    """
    owner = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return bool(getattr(owner, "should_exit", False)) or getattr(owner, "alive", True) is False


class Told:
    """Notes SIGTERM where a server tells nobody that it is to stop, and passes it on; `stopping` finds it.

    Raises:
        ValueError: This is not the process's main thread.
    """

    def __init__(self) -> None:
        self.should_exit = False
        self._before: Any = signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, self._note)
        signal.siginterrupt(signal.SIGTERM, False)  # noqa: FBT003 - it is CPython's; as event loops have it

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.should_exit = True
        self._before(number, frame)


def _settings(given: Mapping[str, Any]) -> Settings:
    unknown = given.keys() - set(Settings.__struct_fields__)
    if unknown:
        known = ", ".join(Settings.__struct_fields__)
        raise InvalidValue(min(unknown), given[min(unknown)], f"there is no such setting; known are {known}")
    return Settings(**given)


def _opened(store: str | Store | Headway | None) -> Headway:
    """The verbs over the store that was named; where none was, one warning says which it is."""
    if isinstance(store, headway.client.Headway):
        return store
    if isinstance(store, Store):
        return headway.client.Headway(store)
    if store is None and not os.environ.get("HEADWAY_STORE"):
        log.warning(
            "no store was named: jobs are read from %s, which workers under another user do not write; "
            "set HEADWAY_STORE, or pass store=…",
            without_secrets(headway.client.default.store.url),
        )
    return headway.client.default if store is None else headway.client.connect(store)


def _static_files() -> Any:
    folder = resources.files("headway.web") / "static" / "headway"
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.is_file() and not entry.name.startswith((".", "_")):
            yield entry.name, _static(entry.name, entry.read_bytes())
    yield "openapi.json", _static("openapi.json", openapi.document())


def _static(name: str, body: bytes) -> Static:
    types = {".js": "text/javascript; charset=utf-8", ".ts": "text/plain; charset=utf-8"}
    suffix = name[name.rfind(".") :]
    type_ = types.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    if type_ in {"text/css", "text/html"}:
        type_ += "; charset=utf-8"
    return Static(body, gzip.compress(body, 9, mtime=0), type_, hashlib.sha256(body).hexdigest()[:20])

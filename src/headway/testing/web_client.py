"""What the web contract's tests ask with: requests, streams, and who sends them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from msgspec import Struct, field

from headway.web.access import OWNER, Grant
from headway.web.links import Links

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headway.web.access import Action, Target, Verdict
    from headway.web.exchange import Request

SECRET = "for the web contract's tests only"  # noqa: S105 - it says so
LINKS = Links(SECRET)
PATIENCE = 20.0


class ByName:
    """Whoever says a name in ``X-User`` is believed, may see what is theirs, and cancel it.

    ``user/ann`` is Ann's.  Who says one may ask for ids that are not known.  Bob may view what is Ann's.
    """

    def grant(self, request: Request, action: Action, job: Target) -> Verdict:
        """See `headway.web.access.Policy`."""
        name = request.header("x-user")
        if not name:
            return None
        if job.scope == f"user/{name}":
            return Grant(owner=True, cancel=True, who=name)
        if name == "bob" and job.scope == "user/ann" and action == "view":
            return Grant(who=name)
        if job.snapshot is None and action == "view":
            return Grant(who=name)
        return OWNER if name == "root" else None


ACCESS = (ByName(), LINKS)
"""How a door is mounted for the contract: `ByName`, then signed links."""


class Reply(Struct):
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


class Event(Struct):
    """An event of a stream."""

    name: str = "message"
    id: str | None = None
    data: str = ""
    lines: list[str] = field(default_factory=list)

    @property
    def json(self) -> Any:
        """Its data."""
        return json.loads(self.data)


class Client:
    """Somebody who asks a door.

    Args:
        url: Where it is mounted.
        user: The name that is sent; none for somebody unknown.
    """

    def __init__(self, url: str, user: str | None = None) -> None:
        parts = urlsplit(url)
        self.host, self.base = parts.netloc, parts.path.rstrip("/")
        self.user = user

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Reply:
        """Ask, and read the whole answer; ``if_none_match=…`` is the header of that name."""
        connection = self._sent(path, method, body, headers)
        try:
            answer = connection.getresponse()
            return Reply(answer.status, _lower(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def cancel(self, id: str, **headers: str) -> Reply:
        """Ask a job to stop, as a program does."""
        headers = {"content_type": "application/json", **headers}
        return self.ask(f"jobs/{quote(id)}/cancel", "POST", b"{}", **headers)

    @contextmanager
    def stream(self, query: str, **headers: str) -> Iterator[Stream]:
        """Open a stream, and leave it at the end."""
        connection = self._sent(f"events?{query}", "GET", None, headers)
        try:
            with connection.getresponse() as answer:
                yield Stream(answer)
        finally:
            connection.close()

    def _sent(self, path: str, method: str, body: bytes | None, headers: Mapping[str, str]) -> HTTPConnection:
        connection = HTTPConnection(self.host, timeout=PATIENCE)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.user:
            named["X-User"] = self.user
        connection.request(method, f"{self.base}/{path}", body, named)
        return connection


class Stream:
    """A stream that is being read.

    Attributes:
        status, headers: Its head.
        retry: Milliseconds until a client comes back, once that was said.
        comments: How many lines were comments.
    """

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self.status: int = answer.status
        self.headers = _lower(answer.getheaders())
        self.retry: int | None = None
        self.comments = 0

    def __iter__(self) -> Iterator[Event]:
        """Its events, until it ends."""
        event = Event()
        while line := self._answer.readline().decode():
            text = line.rstrip("\n")
            name, _, value = text.partition(": ")
            if text.startswith(":"):
                self.comments += 1
            elif not text and event.lines:
                yield event
                event = Event()
            elif name == "retry":
                self.retry = int(value)
            elif text:
                self._take(event, name, value)

    @staticmethod
    def _take(event: Event, name: str, value: str) -> None:
        event.lines.append(value)
        if name == "event":
            event.name = value
        elif name == "id":
            event.id = value
        elif name == "data":
            event.data += f"\n{value}" if event.data else value

    def until(self, **wanted: Any) -> Event:
        """The first event whose job reads so; fails when the stream ends before."""
        seen = []
        for event in self:
            seen.append((event.name, event.data[:200]))
            if event.name == "job" and all(event.json[name] == value for name, value in wanted.items()):
                return event
        raise AssertionError(f"the stream ended without {wanted}: {seen}")

    def named(self, name: str) -> Event:
        """The first event of this name; fails when the stream ends before."""
        for event in self:
            if event.name == name:
                return event
        raise AssertionError(f"the stream ended without {name}")


def _lower(headers: list[tuple[str, str]]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers}

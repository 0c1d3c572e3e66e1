"""The dashboard: all jobs of a store in a browser, for whoever runs them.

An ASGI application: a guard, the page and its files, an overview, and behind them the door that any
application can mount (`headway.web.asgi`), opened to its owner.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING, Any

import msgspec

from headway.core import arguments
from headway.core.errors import InvalidValue, StoreUnavailable
from headway.core.snapshot import ENDED, UNENDED
from headway.stores.connections import without_secrets
from headway.web import asgi, overview, problems
from headway.web.access import OWNER
from headway.web.buckets import Buckets
from headway.web.door import Door
from headway.web.exchange import HTML, JSON, PRIVATE, SNIFFING, Request, Response
from headway.web.guard import STRICT, Guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from headway.client import Headway
    from headway.web.access import Action, Grant, Target
    from headway.web.asgi import Receive, Scope, SendMessage

TYPES = {
    ".html": HTML,
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
GUESSES = 10
"""How many wrong tokens an address may bring at once; one more each second."""
OPEN = {"dashboard.css", "dashboard.svg"}
"""What the question for the token needs itself."""
SNIPPET = """import headway, time
{connect}
for row in {track}(range(300), "My first job"):
    time.sleep(0.1)
"""


class _Everything:
    """Who got past the guard owns all jobs."""

    def grant(self, request: Request, action: Action, job: Target) -> Grant:  # noqa: ARG002 - a policy's
        return OWNER


class Dashboard:
    """An ASGI application that shows all jobs of a store, and cancels them.

    Args:
        hw: What reads the store.
        guard: Who is let in; by default this machine's own users.
        named: The URL by which others reach the store, where it is not their default one.
    """

    def __init__(self, hw: Headway, guard: Guard | None = None, named: str | None = None) -> None:
        self.hw = hw
        self.guard = guard or Guard()
        self.named = named
        self._door = asgi.App(Door(_Everything(), hw, {}))
        self._files = dict(_files())
        self._guesses = Buckets(GUESSES)

    async def __call__(self, scope: Scope, receive: Receive, send: SendMessage) -> None:
        """Answer, as ASGI has it."""
        if scope["type"] != "http":
            await self._door(scope, receive, send)
            return
        request = asgi.request_of(scope)
        answer = None if request.path in OPEN else self._guarded(request)
        answer = answer or await self._own(request)
        if answer is None:
            await self._door.carry(request, receive, send)
        else:
            await _send(answer, request, send)

    def _guarded(self, request: Request) -> Response | None:
        """What the guard says; where too many tokens were wrong, the next are not even looked at."""
        if not self.guard.brings_token(request):
            return self.guard.answer(request)
        seconds = self._guesses.wait(request.client)
        if seconds:
            return problems.too_often(seconds)
        answer = self.guard.answer(request)
        if answer is not None and answer.status == 401:
            self._guesses.spend(request.client)
        return answer

    async def _own(self, request: Request) -> Response | None:
        """What the dashboard answers itself; None: the rest is the door's."""
        if request.method not in {"GET", "HEAD"}:
            return None
        if request.path in self._files:
            return self._files[request.path]
        if request.path == "about":
            return _json(msgspec.json.encode(self.about()))
        if request.path == "overview":
            return await self._overview(request)
        return None

    def about(self) -> dict[str, Any]:
        """Which store is shown, and how to begin."""
        connect = track = ""
        if self.named is not None:
            connect = f"\nhw = headway.connect({json.dumps(without_secrets(self.named))})"
            track = "hw.track"
        snippet = SNIPPET.format(connect=connect, track=track or "headway.track")
        return {"store": without_secrets(self.hw.store.url), "snippet": snippet}

    async def _overview(self, request: Request) -> Response:
        try:
            question = asked(request)
            return _json(await self._hop(lambda: overview.answer(self.hw, question)))
        except StoreUnavailable:
            return problems.unavailable()
        except InvalidValue as error:
            return problems.invalid(error)

    async def _hop(self, call: Callable[[], bytes]) -> bytes:
        return await self._door.hops.run(call)


def _files() -> Iterator[tuple[str, Response]]:
    """What the page is made of, by path."""
    for entry in (resources.files("headway.web") / "pages").iterdir():
        kind = TYPES[entry.name[entry.name.rfind(".") :]]
        headers = [("Content-Type", kind), ("Cache-Control", "no-cache"), SNIFFING, *STRICT]
        page = entry.name == "index.html"
        yield "" if page else entry.name, Response(200, headers, entry.read_bytes())


def asked(request: Request) -> overview.Question:
    """Which jobs a request asks for.

    Raises:
        InvalidValue: A name or a status that means nothing.
    """
    known = {*UNENDED, *ENDED}
    for status in request.given("status"):
        if status not in known:
            raise InvalidValue("status", status, f"a status is one of {', '.join(sorted(known))}")
    parent = request.one("parent")
    return overview.Question(
        scope=arguments.scope(request.one("scope")),
        parent=parent and arguments.identifier(parent, "parent"),
        status=tuple(request.given("status")),
        text=(request.one("text") or "")[:200],
        cursor=request.one("cursor"),
        children=request.one("children") != "0",
    )


def _json(body: bytes) -> Response:
    return Response(200, [("Content-Type", JSON), *PRIVATE], body)


async def _send(answer: Response, request: Request, send: SendMessage) -> None:
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else answer.body})

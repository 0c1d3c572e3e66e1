"""The two views: in a thread under WSGI, in the event loop under ASGI.

1. **CSRF is checked here, not by the middleware,** besides what the protocol demands of everybody, so that
   it is checked in projects without it as well, and that a signed link in ``Authorization: Bearer``, which no
   page of another site can send, needs no cookie.
2. **No transaction is held, and no connection:** a stream lives for minutes, and does not read your database.
3. **No login is demanded,** where `LoginRequiredMiddleware` demands one of every view: your policy decides.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import connections, transaction
from django.http import HttpResponse, StreamingHttpResponse
from django.middleware.csrf import CsrfViewMiddleware

from headway.chance import chance
from headway.web import asgi, problems
from headway.web.django.apps import config
from headway.web.django.connections import close_all, give_back, lasts
from headway.web.exchange import Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from django.core.handlers.asgi import ASGIRequest
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

V = TypeVar("V", bound="Callable[..., Any]")


def _ours(view: V) -> V:
    """What is said above under 1 to 3."""
    for alias in connections.settings:
        view = transaction.non_atomic_requests(using=alias)(view)
    view.csrf_exempt = True  # type: ignore[attr-defined]  # CsrfViewMiddleware looks at it
    view.login_required = False  # type: ignore[attr-defined]  # LoginRequiredMiddleware looks at it
    return view


@_ours
def carry(request: HttpRequest, inside: str, **_: Any) -> HttpResponseBase:
    """Answer, in this thread."""
    carrier = config().blocking
    asked = _asked(request, inside)
    reason = _unproven(request, asked)
    if reason is not None:
        return _refusal(reason)
    answer = carrier.answer(asked, request.META)
    if not isinstance(answer.body, list):
        close_all()
    return _dressed(answer.status, answer.headers, answer.body)


@_ours
async def carry_in_loop(request: ASGIRequest, inside: str, **_: Any) -> HttpResponseBase:
    """Answer, in this event loop."""
    asked = _asked(request, inside)
    reason = _unproven(request, asked)
    if reason is not None:
        return _refusal(reason)
    if lasts(asked):
        await give_back()
    line = _Line(config().looping, asked)
    try:
        status, headers, first, more = await line.head()
    except BaseException:
        line.close()
        raise
    if not more:
        return _dressed(status, headers, [first])
    return _dressed(status, headers, _Body(line, first))


def _asked(request: HttpRequest, inside: str) -> Request:
    return Request(
        method=request.method or "GET",
        path=inside.strip("/"),
        query=request.META.get("QUERY_STRING", ""),
        headers={name.lower(): value for name, value in request.headers.items()},
        client=request.META.get("REMOTE_ADDR", ""),
        base=request.path.removesuffix(inside).rstrip("/"),
        scheme=request.scheme or "http",
        native=request,
        chance=chance.random(),
        hangs_up=getattr(request, "scope", {}).get("http_version", "").startswith("1"),
    )


def _dressed(
    status: int, headers: list[tuple[str, str]], body: Iterable[bytes] | AsyncIterator[bytes]
) -> HttpResponseBase:
    if isinstance(body, list):
        response: HttpResponseBase = HttpResponse(b"".join(body), status=status)
    else:
        response = _Stream(body, status=status)
    del response.headers["Content-Type"]
    for name, value in headers:
        response.headers[name] = value
    return response


class _Stream(StreamingHttpResponse):
    """A stream that is not compressed: its pieces would wait for more, or each be an end to browsers."""

    def has_header(self, header: str) -> bool:
        """As far as middleware that compresses is concerned, somebody has done so already."""
        return header.lower() == "content-encoding" or super().has_header(header)

    __contains__ = has_header


# CSRF


class _Check(CsrfViewMiddleware):
    """Django's own check; gives the reason instead of a page."""

    def _reject(self, request: HttpRequest, reason: str) -> Any:  # noqa: ARG002 - Django's
        return reason


def _unproven(request: HttpRequest, asked: Request) -> str | None:
    """Why a request that changes something is not taken for one of this site; None where it is."""
    if asked.method != "POST":
        return None
    if asked.header("authorization").lower().startswith("bearer "):
        return None
    if asked.header("origin") in config().door.settings.origins:
        return None
    check = _Check(_nothing)
    check.process_request(request)
    reason: Any = check.process_view(request, _nothing, (), {})
    return None if reason is None else str(reason)


def _nothing(_: HttpRequest) -> HttpResponseBase:
    return HttpResponse()


def _refusal(reason: str) -> HttpResponseBase:
    refused = problems.unproven(reason)
    return _dressed(refused.status, refused.headers, [refused.body])


# Between the ASGI door, which sends, and Django, which takes


class _Line:
    """What the ASGI door takes for a server; one message waits at a time, so nothing grows."""

    def __init__(self, carrier: asgi.App, request: Request) -> None:
        self._said: asyncio.Queue[Any] = asyncio.Queue(1)
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._run(carrier, request))

    async def _run(self, carrier: asgi.App, request: Request) -> None:
        try:
            await carrier.carry(request, self._receive, self._said.put)
        except Exception as error:  # noqa: BLE001 - it is raised again where it is waited for
            await self._said.put(error)

    async def _receive(self) -> Any:
        """Django tells by closing that the client has gone."""
        await asyncio.Event().wait()

    async def take(self) -> Any:
        """The next message."""
        message = await self._said.get()
        if isinstance(message, Exception):
            raise message
        return message

    async def head(self) -> tuple[int, list[tuple[str, str]], bytes, bool]:
        """The status, the headers, the first piece of the body, and whether there is more."""
        start = await self.take()
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
        body = await self.take()
        return start["status"], headers, body["body"], body.get("more_body", False)

    def close(self) -> None:
        """Nobody takes any more; called in any thread."""
        with suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(self._task.cancel)


class _Body:
    """The pieces of a body, until the client leaves."""

    def __init__(self, line: _Line, first: bytes) -> None:
        self._line = line
        self._next: bytes | None = first

    def __aiter__(self) -> _Body:
        return self

    async def __anext__(self) -> bytes:
        piece, self._next = self._next, None
        if piece is not None:  # all middleware has seen the response now
            await give_back()
            return piece
        try:
            message = await self._line.take()
        except BaseException:
            self.close()
            raise
        if not message.get("more_body"):
            raise StopAsyncIteration
        body: bytes = message["body"]
        return body

    def close(self) -> None:
        """Nobody takes any more."""
        self._line.close()

    def __del__(self) -> None:
        """A client that left before the first piece was asked for."""
        self.close()

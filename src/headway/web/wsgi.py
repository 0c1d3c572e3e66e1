"""The door for WSGI: an application of its own, or mounted in any other.

    from headway.web.wsgi import app
    progress = app(access=may_see)        # mount it, as at /progress

A stream holds a thread.  A server with one thread answers 204, and the page polls; where threads can be
counted a quarter of them may stream, under gevent 1,000 greenlets; ``streams=`` says otherwise.
"""

from __future__ import annotations

import inspect
import os
import threading
import time
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from headway import threads
from headway.chance import chance
from headway.core.errors import HeadwayError, InvalidValue
from headway.web import exchange
from headway.web.broadcast import Broadcast, Stream
from headway.web.connection import Connection, connection_of
from headway.web.door import Door, stopping
from headway.web.exchange import Heard, Request, Response, Start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from headway.client import Headway
    from headway.core.snapshot import Snapshot
    from headway.stores.contract import Store
    from headway.web.access import Access
    from headway.web.exchange import Join, Listen, Read

TICK = 0.5
"""Seconds between two looks whether the server is about to stop."""
RELAY = 0.02
"""Seconds between two looks of greenlets at what a thread told them."""
GREENLETS, DEVELOPMENT = 1_000, 100
"""Streams under gevent, and under servers for development, which start a thread for each request."""


def app(access: Access | None = None, store: str | Store | Headway | None = None, **settings: Any) -> App:
    """A WSGI application that shows jobs, to be mounted anywhere.

    Args:
        access: Who may see what; see `headway.web.access`.
        store: Which store: its URL, or what `headway.connect` gave; by default ``HEADWAY_STORE``.
        **settings: See `headway.web.exchange.Settings`.

    Raises:
        AccessMissing: It was not said who may see what.
        InvalidValue: There is no such setting, or the policy is a coroutine function.
    """
    return App(Door(access, store, settings))


class App:
    """Carries questions and answers between a WSGI server and the protocol."""

    def __init__(self, door: Door) -> None:
        for policy in door.policies:
            if inspect.iscoroutinefunction(policy):
                raise InvalidValue("access", policy, "a coroutine function is asked by ASGI doors only")
        self.door = door
        self._lock = threads.lock()
        self._shared: _Process | None = None

    def __call__(self, environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer, as WSGI has it."""
        answer = self.answer(request_of(environ), environ)
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", answer.headers)
        return answer.body

    def streams(self, environ: Mapping[str, Any]) -> int:
        """How many streams the server of this process can bear."""
        given = self.door.settings.streams
        if not environ.get("wsgi.multithread"):
            return 0
        return streams_of() if given is None else given

    def answer(self, request: Request, environ: Mapping[str, Any]) -> Answer:
        """Answer one request; the body is closed by whoever takes it."""
        streams = self.streams(environ)
        request.streams = streams > 0
        carrier = _Carrier(self.door, self._process(), request, streams, connection_of(environ))
        head = carrier.begin()
        if isinstance(head, Start):
            return Answer(head.status, head.headers, carrier)
        carrier.close()
        measured = [("Content-Length", str(len(head.body)))] if head.measured(request) else []
        return Answer(head.status, head.headers + measured, [head.body] if head.body else [])

    def _process(self) -> _Process:
        with self._lock:
            if self._shared is None or self._shared.pid != os.getpid():  # a child after a fork has no threads
                self._shared = _Process(self.door)
            return self._shared


class Answer:
    """The status, the headers, and the body, which may go on."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: Iterable[bytes]) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class _Process:
    """What the requests of one process share."""

    def __init__(self, door: Door) -> None:
        self.pid = os.getpid()
        self.lock = threads.reentrant_lock()
        self.broadcast = Broadcast(door.hub, self._carry)
        self._woken: deque[threading.Event] = deque()
        self._relaying = False

    def _carry(self, call: Callable[[], None]) -> None:
        with self.lock:
            call()

    def waker(self, event: threading.Event) -> Callable[[], object]:
        """What wakes a waiting thread, called in another; greenlets are woken by one of their own."""
        if not threads.patched():
            return event.set
        if not self._relaying:
            self._relaying = True
            threading.Thread(target=self._relay, daemon=True).start()
        return lambda: self._woken.append(event)

    def _relay(self) -> None:
        while self.broadcast.streams:
            time.sleep(RELAY)
            while self._woken:
                self._woken.popleft().set()
        self._relaying = False


class _Carrier:
    """One request: first its head, then, where it goes on, an iterator over its body."""

    def __init__(
        self, door: Door, shared: _Process, request: Request, streams: int, connection: Connection | None
    ) -> None:
        self._door = door
        self._shared = shared
        self._request = request
        self._streams = streams
        self._connection = connection
        self._talk = door.protocol.answer(request)
        self._stream: Stream | None = None
        self._event = threading.Event()
        self._do: dict[type, Callable[[Any], Any]] = {
            exchange.Ask: lambda want: door.ask_all(request, want.action, want.job),
            exchange.Read: self._read,
            exchange.Find: door.find,
            exchange.Cancel: lambda want: door.hw.cancel(want.id),
            exchange.Spend: lambda want: door.spend(want.who),
            exchange.Join: self._join,
            exchange.Recheck: lambda want: door.hub.look(want.ids),
            exchange.Listen: self._listen,
            exchange.File: lambda want: door.file(want.name),
        }

    def begin(self) -> Start | Response:
        """The whole answer, or the head of one that goes on."""
        try:
            said = self._go_on(None)
        except BaseException:
            self.close()
            raise
        head: Start | Response = said
        return head

    def __iter__(self) -> Iterator[bytes]:
        """The body."""
        return self

    def __next__(self) -> bytes:
        """Its next piece."""
        said = self._go_on(None)
        if isinstance(said, exchange.Send):
            return said.body
        self.close()
        raise StopIteration

    def close(self) -> None:
        """The client has gone, or all was said."""
        self._talk.close()
        stream, self._stream = self._stream, None
        if stream is None:
            return
        with self._shared.lock:
            self._shared.broadcast.leave(stream)
        if self._connection is not None:
            self._connection.release()
            if stream.closing:
                self._connection.read_no_more()

    def _go_on(self, outcome: Any) -> Any:
        error: HeadwayError | None = None
        while True:
            try:
                want = self._talk.send(outcome) if error is None else self._talk.throw(error)
            except StopIteration as ended:
                return ended.value
            if isinstance(want, (Start, exchange.Send)):
                return want
            error = None
            try:
                outcome = self._do[type(want)](want)
            except HeadwayError as refused:
                error = refused

    def _read(self, want: Read) -> dict[str, Snapshot]:
        found: dict[str, Snapshot] = {}
        if not want.details:
            with self._shared.lock:
                known = {id: self._shared.broadcast.known(id) for id in want.ids}
            found = {id: snapshot for id, snapshot in known.items() if snapshot is not None}
        missing = tuple(id for id in want.ids if id not in found)
        if missing:
            read = self._door.read(exchange.Read(missing, want.details))
            if not want.details:
                with self._shared.lock:
                    self._shared.broadcast.learn(read)
            found |= read
        return found

    def _join(self, want: Join) -> Any:
        stream = Stream(want.ids, want.scopes, want.who)
        most_per_client = self._door.settings.streams_per_client
        with self._shared.lock:
            known = self._shared.broadcast.join(stream, self._streams, most_per_client)
            if known is not None:
                self._stream = stream
                stream.wake = self._shared.waker(self._event)
        if known is not None and self._connection is not None:
            self._connection.hold()
        return known

    def _listen(self, want: Listen) -> Heard:
        stream, connection = self._stream, self._connection
        assert stream is not None, "who listens has joined"  # noqa: S101 - the protocol's own order
        deadline = time.monotonic() + want.seconds
        while True:
            stream.closing |= stopping()
            stream.left |= connection is not None and connection.gone
            left = deadline - time.monotonic()
            if stream.ready or left <= 0:
                break
            self._event.wait(min(TICK, left))
        self._event.clear()
        with self._shared.lock:
            return self._shared.broadcast.take(stream)


def request_of(environ: Mapping[str, Any], native: Any = None) -> Request:
    """What a WSGI environment asks."""
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    headers["content-type"] = environ.get("CONTENT_TYPE", "")
    path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")
    return Request(
        method=environ["REQUEST_METHOD"],
        path=path.strip("/"),
        query=environ.get("QUERY_STRING", ""),
        headers=headers,
        client=environ.get("REMOTE_ADDR", ""),
        base=environ.get("SCRIPT_NAME", "").rstrip("/"),
        scheme=environ.get("wsgi.url_scheme", "http"),
        native=environ if native is None else native,
        chance=chance.random(),
    )


def streams_of() -> int:
    """How many streams a server with threads can bear.

    A quarter of the threads that bear the same name but for the number at its end, as pools name theirs.
    """
    if threads.patched():
        return GREENLETS
    name = threading.current_thread().name
    if name.endswith("(process_request_thread)"):  # Werkzeug and Django build on it
        return DEVELOPMENT
    kin = name.rstrip("0123456789")
    return sum(thread.name.rstrip("0123456789") == kin for thread in threading.enumerate()) // 4

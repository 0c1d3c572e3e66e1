"""The door for ASGI: an application of its own, or mounted in any other.

from headway.web.asgi import app
progress = app(access=may_see)        # mount it, as at /progress
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import time
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

from headway import threads
from headway.chance import chance
from headway.core.errors import HeadwayError
from headway.web import exchange
from headway.web.broadcast import INFINITY, Broadcast, Stream
from headway.web.door import PATIENCE, Door, Told, as_verdict, log, stopping
from headway.web.exchange import Request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from headway.client import Headway
    from headway.core.snapshot import Snapshot
    from headway.stores.contract import Store
    from headway.web.access import Access
    from headway.web.exchange import Ask, Heard, Join, Listen, Read, Response, Talk

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    SendMessage = Callable[[MutableMapping[str, Any]], Awaitable[None]]

STREAMS = 20_000
"""How many streams a process serves where nothing else is said."""
GRANIAN = 900
"""Under granian, whose default is to take in 1,024 connections and then none, health checks included."""
UNTOLD_LONGEST = 20.0
"""Seconds after which streams end where a server waits for them before it stops, and does not tell."""
GRANIAN_WARNING = (
    f"granian takes in no more than 1,024 connections by default, so at most {GRANIAN} streams are served; "
    "with a larger --backpressure pass streams=…"
)
AT_ONCE = 25
"""How many streams are woken between two looks at other requests, which wait for a millisecond then."""
BREATH = 0.002
"""Seconds for which streams wait while a request reads: its thread needs the interpreter, which we hold."""
TICK = 0.25
"""Seconds between two looks at the clock, and whether the server is about to stop."""


def app(access: Access | None = None, store: str | Store | Headway | None = None, **settings: Any) -> App:
    """An ASGI application that shows jobs, to be mounted anywhere.

    Args:
        access: Who may see what; see `headway.web.access`.
        store: Which store: its URL, or what `headway.connect` gave; by default ``HEADWAY_STORE``.
        **settings: See `headway.web.exchange.Settings`.

    Raises:
        AccessMissing: It was not said who may see what.
        InvalidValue: There is no such setting.
    """
    return App(Door(access, store, settings))


class App:
    """Carries questions and answers between an ASGI server and the protocol."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.hops = threads.Hops()
        self.most = STREAMS
        self.told_to_stop: Callable[[], bool] = stopping
        self._longest = float("inf")
        self._looked = False
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Loop] = WeakKeyDictionary()

    async def __call__(self, scope: Scope, receive: Receive, send: SendMessage) -> None:
        """Answer, as ASGI has it."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            await self.carry(request_of(scope), receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def carry(self, request: Request, receive: Receive, send: SendMessage) -> None:
        """Answer one request."""
        loop = self._loop()
        self._look_at_the_server(receive)
        request.longest = self._longest
        await _Carrier(self, loop, request, receive, send).run()

    def _look_at_the_server(self, receive: Receive) -> None:
        if self._looked:
            return
        self._looked = True
        if is_granian(receive):
            try:
                Told()
            except ValueError:  # its workers are threads
                self._longest = UNTOLD_LONGEST
            if self.door.settings.streams is None:
                self.most = GRANIAN
                log.warning(GRANIAN_WARNING)
        elif "hypercorn.run" in sys.modules:
            end = _hypercorns_end()
            if end is None:
                self._longest = UNTOLD_LONGEST
            else:
                self.told_to_stop = end.is_set

    def _loop(self) -> _Loop:
        loop = asyncio.get_running_loop()
        known = self._loops.get(loop)
        if known is None:
            known = self._loops[loop] = _Loop(self, loop)
        return known


class _Loop:
    """What the requests of one event loop share."""

    def __init__(self, app: App, loop: asyncio.AbstractEventLoop) -> None:
        self._app = app
        self._loop = loop
        self._hub = app.door.hub
        self._ticking = False
        self.broadcast = Broadcast(self._hub, self._carry, self._wake)
        self.lanes = (_Lane(app, details=False), _Lane(app, details=True))

    def _carry(self, call: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:  # the loop has been closed
            self._hub.leave(self.broadcast)

    def _wake(self, streams: list[Stream]) -> None:
        """Wake some, and the others after all that else waits for this loop."""
        for stream in streams[:AT_ONCE]:
            stream.wake()
        others = streams[AT_ONCE:]
        if others and any(lane.reads for lane in self.lanes):
            self._loop.call_later(BREATH, self._wake, others)
        elif others:
            self._loop.call_soon(self._wake, others)

    def tick(self) -> None:
        """Look at the clock from now on, for as long as there are streams."""
        if not self._ticking:
            self._ticking = True
            self._loop.call_later(TICK, self._tick)

    def _tick(self) -> None:
        self._ticking = False
        if self._app.told_to_stop():
            self.broadcast.end()
        self.broadcast.wake_the_late()
        if self.broadcast.streams:
            self.tick()


class _Lane:
    """Reads jobs for many: one read at a time, and all who come meanwhile share the next."""

    def __init__(self, app: App, *, details: bool) -> None:
        self._app = app
        self._details = details
        self._wanted: dict[str, None] = {}
        self._next: asyncio.Future[dict[str, Snapshot]] | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def reads(self) -> bool:
        """Whether somebody waits for a read."""
        return self._task is not None

    async def read(self, ids: tuple[str, ...]) -> dict[str, Snapshot]:
        """These jobs, as they are now."""
        self._wanted |= dict.fromkeys(ids)
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        mine = self._next
        if self._task is None:
            self._task = asyncio.create_task(self._go())
        found = await asyncio.shield(mine)
        return {id: found[id] for id in ids if id in found}

    async def _go(self) -> None:
        try:
            while self._next is not None:
                future, self._next = self._next, None
                ids, self._wanted = tuple(self._wanted), {}
                await self._fill(future, exchange.Read(ids, self._details))
        finally:
            self._task = None

    async def _fill(self, future: asyncio.Future[dict[str, Snapshot]], want: Read) -> None:
        try:
            found = await self._app.hops.run(lambda: self._app.door.read(want))
        except BaseException as error:
            future.set_exception(error)
            future.exception()  # nobody may be left who asks
            if not isinstance(error, Exception):
                raise
        else:
            future.set_result(found)


class _Carrier:
    """One request."""

    def __init__(self, app: App, loop: _Loop, request: Request, receive: Receive, send: SendMessage) -> None:
        self._app = app
        self._shared = loop
        self._request = request
        self._receive = receive
        self._send = send
        self._stream: Stream | None = None
        self._gone: asyncio.Task[None] | None = None
        self._event: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """The whole conversation."""
        try:
            answer = await self._converse(self._app.door.protocol.answer(self._request))
            if answer is not None:
                await self._start(answer)
                await self._send({"type": "http.response.body", "body": answer.body})
            elif self._stream is None or not self._stream.left:
                await self._send({"type": "http.response.body", "body": b""})
        except asyncio.CancelledError:
            if self._stream is None or self._stream.stuck_at > time.monotonic():
                raise  # not by us
        finally:
            if self._gone is not None:
                self._gone.cancel()
            if self._stream is not None:
                self._shared.broadcast.leave(self._stream)

    async def _converse(self, talk: Talk) -> Response | None:
        outcome: Any = None
        error: HeadwayError | None = None
        while True:
            try:
                want = talk.send(outcome) if error is None else talk.throw(error)
            except StopIteration as ended:
                answer: Response | None = ended.value
                return answer
            error = None
            try:
                outcome = await self._do[type(want)](self, want)
            except HeadwayError as refused:
                error = refused

    async def _ask(self, want: Ask) -> Any:
        for policy in self._app.door.policies:
            verdict = await self._verdict(policy, want)
            grant = as_verdict(verdict, want.action)
            if grant is not None:
                return grant
        return None

    async def _verdict(self, policy: Any, want: Ask) -> Any:
        """A plain function of a user's may block, so it is asked in a thread."""
        ask = self._app.door.ask
        if hasattr(policy, "grant") or inspect.iscoroutinefunction(policy) or not inspect.isroutine(policy):
            verdict = ask(policy, self._request, want.action, want.job)
        else:
            verdict = await self._app.hops.run(lambda: ask(policy, self._request, want.action, want.job))
        return await verdict if inspect.isawaitable(verdict) else verdict

    async def _read(self, want: Read) -> dict[str, Snapshot]:
        broadcast, found = self._shared.broadcast, {}
        if not want.details:
            known = {id: broadcast.known(id) for id in want.ids}
            found = {id: snapshot for id, snapshot in known.items() if snapshot is not None}
        missing = tuple(id for id in want.ids if id not in found)
        if missing:
            read = await self._shared.lanes[want.details].read(missing)
            if not want.details:
                broadcast.learn(read)
            found |= read
        return found

    async def _spend(self, want: exchange.Spend) -> float:
        return self._app.door.spend(want.who)

    async def _join(self, want: Join) -> Any:
        settings = self._app.door.settings
        stream = Stream(want.ids, want.scopes, want.who)
        stream.wake = self._wake
        most = self._app.most if settings.streams is None else settings.streams
        known = self._shared.broadcast.join(stream, most, settings.streams_per_client)
        if known is not None:
            self._stream = stream
            task = asyncio.current_task()
            stream.give_up = _nothing if task is None else task.cancel
            self._gone = asyncio.create_task(self._notice_leaving(stream))
            self._shared.tick()
        return known

    async def _recheck(self, want: exchange.Recheck) -> None:
        self._app.door.hub.look(want.ids)

    async def _listen(self, want: Listen) -> Heard:
        stream = self._stream
        assert stream is not None, "who listens has joined"  # noqa: S101 - the protocol's own order
        if not stream.ready and want.seconds > 0:
            self._event = asyncio.get_running_loop().create_future()
            stream.deadline = time.monotonic() + want.seconds
            await self._event
        return self._shared.broadcast.take(stream)

    def _wake(self) -> None:
        if self._event is not None and not self._event.done():
            self._event.set_result(None)

    async def _notice_leaving(self, stream: Stream) -> None:
        """Servers swallow what is sent to clients that have gone: only receiving tells."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        stream.left = True
        self._wake()

    async def _start(self, want: exchange.Start | Response) -> None:
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in want.headers]
        if isinstance(want, exchange.Response) and want.measured(self._request):
            headers.append((b"content-length", str(len(want.body)).encode()))
        await self._send({"type": "http.response.start", "status": want.status, "headers": headers})

    async def _send_some(self, want: exchange.Send) -> None:
        stream = self._stream
        if stream is not None:
            stream.stuck_at = time.monotonic() + PATIENCE
        await self._send({"type": "http.response.body", "body": want.body, "more_body": True})
        if stream is not None:
            stream.stuck_at = INFINITY

    async def _find(self, want: exchange.Find) -> Any:
        return await self._app.hops.run(lambda: self._app.door.find(want))

    async def _cancel(self, want: exchange.Cancel) -> Any:
        return await self._app.hops.run(lambda: self._app.door.hw.cancel(want.id))

    async def _file(self, want: exchange.File) -> Any:
        return self._app.door.file(want.name)

    _do: ClassVar[dict[type, Callable[[_Carrier, Any], Awaitable[Any]]]] = {
        exchange.Ask: _ask,
        exchange.Read: _read,
        exchange.Find: _find,
        exchange.Cancel: _cancel,
        exchange.Spend: _spend,
        exchange.Join: _join,
        exchange.Recheck: _recheck,
        exchange.Listen: _listen,
        exchange.Start: _start,
        exchange.Send: _send_some,
        exchange.File: _file,
    }


def request_of(scope: Scope, native: Any = None) -> Request:
    """What an ASGI scope asks.

    Some put the mount into ``root_path`` and leave it in the path, others take it off.
    """
    path, root = scope["path"], scope.get("root_path", "").rstrip("/")
    inside = path[len(root) :] if root and path.startswith(f"{root}/") else path
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    client = scope.get("client")
    return Request(
        method=scope["method"],
        path=inside.strip("/"),
        query=scope.get("query_string", b"").decode("latin-1"),
        headers=headers,
        client=client[0] if client else "",
        base=root,
        scheme=scope.get("scheme", "http"),
        native=scope if native is None else native,
        chance=chance.random(),
        hangs_up=scope.get("http_version", "").startswith("1"),
    )


def is_granian(receive: Any) -> bool:
    """Whether granian serves: it takes in 1,024 connections, and says to nobody that it is about to stop."""
    owner = type(getattr(receive, "__self__", receive)).__module__
    if owner.startswith(("granian", "_granian")):
        return True
    return "granian._granian" in sys.modules  # its worker's own; something, as Django, is in between


def _hypercorns_end() -> Any:
    """What hypercorn sets when it is to stop; None where that is not found.

    Only the object that sends has it, which any middleware hides.  From Python 3.12 on hypercorn waits for
    each stream before it stops.
    """
    kind = getattr(sys.modules.get("hypercorn.asyncio.worker_context"), "WorkerContext", None)
    known = [] if kind is None else [one for one in gc.get_referrers(kind) if type(one) is kind]
    ends = (getattr(one, "terminated", None) for one in known)
    return next((end for end in ends if end is not None and not end.is_set()), None)


def _nothing() -> None:
    return None


async def _live(receive: Receive, send: SendMessage) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return

"""A network between a program and its server that fails on command.

`FaultProxy` listens on a port of its own and passes every byte on to the server behind it, until it is told
to refuse, hang, cut, reset, delay or slow down.  It counts what passes, so that a test may say "this batch
took one round trip".

1. All of it happens in one thread.  A method that changes something returns when the change holds.
2. The port stays bound while connections are refused: a client that tries again and again would sooner or
   later be given that port for its own end and be connected with itself.
3. A connection that is cut is first emptied: closing one with unread bytes would reset it instead.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import struct
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

Direction = Literal["asked", "answered"]

HOST = "127.0.0.1"
UNIX: int = getattr(socket, "AF_UNIX", -1)
"""Windows has none."""
CHUNK = 64 * 1024
HELD = 1024 * 1024
"""Bytes of one direction that are held before no more are read."""
BURST = 0.02
"""Seconds' worth of bytes that pass at once when the speed is limited."""
TRY_AGAIN = 0.01
"""Seconds until a server that had no room for a connection is asked again."""


@dataclass(frozen=True)
class _Mode:
    """What is done to connections; each setting but ``kind`` belongs to one kind."""

    kind: Literal["pass", "refuse", "hang", "reset", "cut", "delay", "throttle"] = "pass"
    direction: Direction | None = None
    seconds: float = 0.0
    speed: float = 0.0
    after: int = 0


class FaultProxy:
    """A proxy in front of a server, with faults that you switch on and off; one at a time.

    Use it as a context manager, or call `start` and `close`.

    Args:
        host: The server's host; or the path of its Unix socket, when no port is given.
        port: The server's port.

    Attributes:
        port: Where it listens, on ``127.0.0.1``; 0 before `start`.
        connections: How many connections it has taken in all.
        asked_bytes: How many bytes clients have sent.
        answered_bytes: How many bytes servers have sent.
        round_trips: How often a client that had spoken was answered.  A request in several pieces whose
            first is answered before the last was sent counts several times; with `delay` it cannot.
    """

    def __init__(self, host: str, port: int | None = None) -> None:
        self._server: str | tuple[str, int] = host if port is None else (host, port)
        self.port = 0
        self.connections = 0
        self.asked_bytes = 0
        self.answered_bytes = 0
        self.round_trips = 0
        self._mode = _Mode()
        self._cuts_left: int | None = None
        self._pipes: list[_Pipe] = []
        self._calls: SimpleQueue[tuple[Callable[[], None], Event]] = SimpleQueue()
        self._thread: Thread | None = None

    def start(self) -> Self:
        """Listen, and pass on; itself."""
        self._place = _bound(0)
        self.port = self._place.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._ear, self._bell = socket.socketpair()
        self._ear.settimeout(0)
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._listener: socket.socket | None = None
        self._listen()
        self._running = True
        self._thread = Thread(target=self._run, name=f"fault proxy {self.port}", daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        """Cut all connections and listen no more; may be called twice."""
        if self._thread is None:
            return
        self._do(self._stop)
        self._thread.join()
        self._thread = None
        for one in (self._place, self._ear, self._bell):
            one.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return len(self._pipes)

    def pass_on(self) -> None:
        """No fault any more: what was held back goes on its way."""
        self._set(_Mode())

    def refuse(self) -> None:
        """As if the server were not running: connections are refused, and open ones are reset."""
        self._set(_Mode("refuse"))

    def hang(self) -> None:
        """As if the server were stopped: connections are taken, and nothing passes either way."""
        self._set(_Mode("hang"))

    def reset(self) -> None:
        """Reset every connection: the open ones now, new ones as soon as they are made."""
        self._set(_Mode("reset"))

    def cut(self, after_bytes: int, direction: Direction = "answered", *, times: int | None = 1) -> None:
        """Close a connection when so many more bytes have passed in one direction.

        After 0 bytes the first answer is lost as a whole, though its request was carried out.

        Args:
            after_bytes: How many bytes of each connection still pass, counted from now or from its start.
            direction: ``asked``: what the client sends; ``answered``: what the server sends.
            times: How many connections are cut before all pass again; None: every one.
        """
        self._set(_Mode("cut", direction, after=after_bytes), times)

    def delay(self, seconds: float, direction: Direction = "answered") -> None:
        """Let every byte of one direction arrive so many seconds later, in order."""
        self._set(_Mode("delay", direction, seconds=seconds))

    def throttle(self, bytes_per_second: float) -> None:
        """Let so many bytes a second pass, for each connection and direction."""
        self._set(_Mode("throttle", speed=bytes_per_second))

    def drop(self) -> None:
        """Close all connections that are open now; the fault that is set stays."""
        self._do(self._cut_all)

    def _set(self, mode: _Mode, cuts: int | None = None) -> None:
        self._do(lambda: self._enter_mode(mode, cuts))

    def _do(self, call: Callable[[], None]) -> None:
        """Let the proxy's thread do something, and wait until it has."""
        if self._thread is None:
            raise RuntimeError("the proxy does not run: use it in a with block, or start it")
        done = Event()
        self._calls.put((call, done))
        self._bell.send(b"!")
        done.wait()

    # From here on: in the proxy's own thread

    def _run(self) -> None:
        while self._running:
            for key, _ in self._selector.select(self._next_turn()):
                if key.fileobj is self._ear:
                    self._hear()
                elif key.fileobj is self._listener:
                    self._accept()
            self._turn()
        self._selector.close()

    def _hear(self) -> None:
        self._ear.recv(CHUNK)
        while not self._calls.empty():
            call, done = self._calls.get()
            call()
            done.set()

    def _turn(self) -> None:
        for pipe in list(self._pipes):
            try:
                pipe.turn(self._mode)
            except OSError:
                pipe.reset()
            if pipe.cut:
                self._count_cut()
            if pipe.closed:
                self._pipes.remove(pipe)
            else:
                pipe.register(self._selector, self._mode)

    def _count_cut(self) -> None:
        if self._cuts_left is None:
            return
        self._cuts_left -= 1
        if not self._cuts_left:
            self._enter_mode(_Mode(), None)

    def _next_turn(self) -> float | None:
        """Seconds until something is to be done that no socket tells of; None: nothing is."""
        turns = [turn for pipe in self._pipes if (turn := pipe.next_turn(self._mode)) is not None]
        return max(0.0, min(turns) - time.monotonic()) if turns else None

    def _enter_mode(self, mode: _Mode, cuts: int | None) -> None:
        self._mode, self._cuts_left = mode, cuts
        for pipe in self._pipes:
            pipe.begin(mode)
        if mode.kind in {"refuse", "reset"}:
            self._reset_all()
        if mode.kind == "refuse":
            self._listen_no_more()
        elif self._listener is None:
            self._listen()

    def _listen(self) -> None:
        self._listener = _bound(self.port)
        self._listener.settimeout(0)
        self._listener.listen(1024)
        self._selector.register(self._listener, selectors.EVENT_READ)

    def _listen_no_more(self) -> None:
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None

    def _accept(self) -> None:
        while self._listener is not None:
            try:
                client, _ = self._listener.accept()
            except BlockingIOError:
                return
            self.connections += 1
            pipe = _Pipe(self, client, self._server)
            pipe.begin(self._mode)
            if self._mode.kind == "reset":
                pipe.reset()
            else:
                self._pipes.append(pipe)

    def _reset_all(self) -> None:
        while self._pipes:
            self._pipes.pop().reset()

    def _cut_all(self) -> None:
        while self._pipes:
            self._pipes.pop().close()

    def _stop(self) -> None:
        self._running = False
        self._listen_no_more()
        self._cut_all()


class _Pipe:
    """One connection: a client, a server, and what is on its way between them."""

    def __init__(self, proxy: FaultProxy, client: socket.socket, server: str | tuple[str, int]) -> None:
        self._proxy = proxy
        self._address = server
        self._client = client
        self._server: socket.socket | None = None
        self._is_connected = False
        self._try_at: float | None = None
        self._asked = _Flow("asked")
        self._answered = _Flow("answered")
        self._spoke = False
        self._interests: dict[socket.socket, int] = {}
        self._selector: selectors.BaseSelector | None = None
        self.cut = False
        self.closed = False
        _prepare(client)

    def begin(self, mode: _Mode) -> None:
        """Another mode begins to hold."""
        for flow in (self._asked, self._answered):
            flow.begin(mode)

    def turn(self, mode: _Mode) -> None:
        """Do all that can be done at this moment."""
        server = None if mode.kind == "hang" else self._connected()
        if server is None:
            return
        now = time.monotonic()
        proxy = self._proxy
        read = self._asked.read(self._client, mode, now)  # first: who still speaks has not been answered yet
        proxy.asked_bytes += read
        self._spoke |= read > 0
        proxy.answered_bytes += self._answered.read(server, mode, now)
        if self._spoke and self._answered.has_due(now):
            self._spoke = False
            proxy.round_trips += 1
        self._asked.write(server, mode, now)
        self._answered.write(self._client, mode, now)
        self.cut = self._asked.cut or self._answered.cut
        if self.cut or (self._asked.done and self._answered.done):
            self.close()

    def _connected(self) -> socket.socket | None:
        """The server's side; None while it is still being connected."""
        if not self._is_connected:
            self._connect(time.monotonic())
        return self._server if self._is_connected else None

    def _connect(self, now: float) -> None:
        if self._try_at is not None and now < self._try_at:
            return
        self._try_at = None
        if self._server is None:
            family = UNIX if isinstance(self._address, str) else socket.AF_INET
            self._server = socket.socket(family, socket.SOCK_STREAM)
            _prepare(self._server)
        code = self._server.connect_ex(self._address)
        if code in {0, errno.EISCONN}:
            self._is_connected = True
        elif code == errno.EAGAIN:  # a Unix socket whose server has too many waiting
            self._try_at = now + TRY_AGAIN
        elif code not in {errno.EINPROGRESS, errno.EALREADY}:
            raise OSError(code, os.strerror(code))

    def next_turn(self, mode: _Mode) -> float | None:
        """When something is to be done that no socket tells of, by the monotonic clock."""
        if mode.kind == "hang":
            return None
        if not self._is_connected:
            # The first turn makes the connection; after that its socket tells.
            return time.monotonic() if self._server is None else self._try_at
        turns = [self._asked.next_turn(), self._answered.next_turn()]
        return min((turn for turn in turns if turn is not None), default=None)

    def register(self, selector: selectors.BaseSelector, mode: _Mode) -> None:
        """Say which of its sockets are worth a turn."""
        self._selector = selector
        for one, events in self._wanted(mode).items():
            known = self._interests.get(one, 0)
            if events == known:
                continue
            if not known:
                selector.register(one, events)
            elif events:
                selector.modify(one, events)
            else:
                selector.unregister(one)
            self._interests[one] = events

    def _wanted(self, mode: _Mode) -> dict[socket.socket, int]:
        wanted = dict.fromkeys(self._interests, 0) | {self._client: 0}
        if mode.kind == "hang":
            return wanted
        if self._server is not None and not self._is_connected:
            return wanted | {self._server: 0 if self._try_at else selectors.EVENT_WRITE}
        if self._server is not None:
            wanted[self._client] = self._asked.reads() | self._answered.writes()
            wanted[self._server] = self._answered.reads() | self._asked.writes()
        return wanted

    def close(self) -> None:
        """Take leave of both sides."""
        self._forget()
        for one in (self._client, self._server):
            if one is not None:
                _close(one)

    def reset(self) -> None:
        """Break off on both sides, without a leave."""
        self._forget()
        for one in (self._client, self._server):
            if one is not None:
                _reset(one)

    def _forget(self) -> None:
        self.closed = True
        if self._selector is not None:
            for one, events in self._interests.items():
                if events:
                    self._selector.unregister(one)
        self._interests.clear()


class _Flow:
    """One direction of a connection."""

    def __init__(self, direction: Direction) -> None:
        self._direction = direction
        self._held: deque[tuple[float, bytes]] = deque()
        self._size = 0
        self._over = False
        self._left: int | None = None
        self._allowed = 0.0
        self._filled_at = 0.0
        self._try_at: float | None = None
        self._blocked = False
        self.done = False
        self.cut = False

    def begin(self, mode: _Mode) -> None:
        """Another mode begins to hold; what was held back by the last one is free."""
        self._left = mode.after if mode.kind == "cut" and mode.direction == self._direction else None
        self._allowed, self._filled_at = 0.0, time.monotonic()
        self._try_at = None
        if mode.kind != "delay":
            self._held = deque((0.0, data) for _, data in self._held)

    def reads(self) -> int:
        """Whether its source is worth a look."""
        return selectors.EVENT_READ if not self._over and self._size < HELD else 0

    def writes(self) -> int:
        """Whether it waits for its sink to take more."""
        return selectors.EVENT_WRITE if self._blocked else 0

    def has_due(self, now: float) -> bool:
        """Whether something is to be delivered by now."""
        return bool(self._held) and self._held[0][0] <= now

    def next_turn(self) -> float | None:
        """When something is due, by the monotonic clock; None where its sink's readiness decides."""
        if not self._held or self._blocked:
            return None
        return max(self._held[0][0], self._try_at or 0.0)

    def read(self, source: socket.socket, mode: _Mode, now: float) -> int:
        """Take in what is there; how many bytes that was."""
        read = 0
        delayed = mode.kind == "delay" and mode.direction == self._direction
        due = now + mode.seconds if delayed else 0.0
        while self.reads():
            try:
                data = source.recv(CHUNK)
            except BlockingIOError:
                break
            if not data:
                self._over = True
                break
            self._held.append((due, data))
            self._size += len(data)
            read += len(data)
        return read

    def write(self, sink: socket.socket, mode: _Mode, now: float) -> None:
        """Deliver what is due and allowed."""
        self._blocked, self._try_at = False, None
        if mode.kind == "throttle":
            self._fill(mode.speed, now)
        while self.has_due(now) and not self.cut:
            room = self._room(mode, now)
            if room == 0 and self._left != 0:
                return
            sent = self._send(sink, room)
            if sent is None:
                self._blocked = True
                return
            self._account(sent, mode)
        if self._over and not self._held and not self.done:
            self.done = True
            sink.shutdown(socket.SHUT_WR)

    def _fill(self, speed: float, now: float) -> None:
        self._allowed = min(self._allowed + (now - self._filled_at) * speed, max(1.0, speed * BURST))
        self._filled_at = now

    def _room(self, mode: _Mode, now: float) -> int:
        """How many bytes may pass now."""
        room = len(self._held[0][1])
        if self._left is not None:
            room = min(room, self._left)
        if mode.kind == "throttle":
            room = min(room, int(self._allowed))
            if not room:
                wanted = min(float(len(self._held[0][1])), max(1.0, mode.speed * BURST))
                self._try_at = now + (wanted - self._allowed) / mode.speed
        return room

    def _send(self, sink: socket.socket, room: int) -> int | None:
        """Deliver at most so many bytes; how many it took, None if it takes none now."""
        due, data = self._held.popleft()
        try:
            sent = sink.send(data[:room]) if room else 0
        except BlockingIOError:
            self._held.appendleft((due, data))
            return None
        if sent < len(data):
            self._held.appendleft((due, data[sent:]))
        self._size -= sent
        return sent

    def _account(self, sent: int, mode: _Mode) -> None:
        if self._left is not None:
            self._left -= sent
            self.cut = self._left == 0
        if mode.kind == "throttle":
            self._allowed -= sent


def _bound(port: int) -> socket.socket:
    """A socket that holds a port, which another of ours may hold, too."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sys.platform not in {"linux", "win32"}:  # where the option above is enough if nobody listens
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind((HOST, port))
    return made


def _prepare(made: socket.socket) -> None:
    made.settimeout(0)
    if made.family != UNIX:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _close(open_socket: socket.socket) -> None:
    with suppress(OSError):
        while open_socket.recv(CHUNK):
            pass
    with suppress(OSError):
        open_socket.shutdown(socket.SHUT_RDWR)
    open_socket.close()


def _reset(open_socket: socket.socket) -> None:
    open_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    open_socket.close()

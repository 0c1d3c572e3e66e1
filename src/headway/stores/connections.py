"""What a process has open to a server: each borrowed for one call, a few at once, none across a fork.

1. A connection that an exception passed through is closed: what it would read next may be the answer to
   something else.
2. One that the server has closed meanwhile is noticed before it is used, and replaced.
3. A child after a fork closes its copies of the sockets without a word, so that the parent's go on.
4. Under gevent a socket belongs to the thread of the operating system that made it.  There each such thread
   has connections of its own.
5. Whoever waits stands in a line, and a place goes from hand to hand.  Were all woken for each place, a
   thousand that wait would wake each other instead of working.
"""

from __future__ import annotations

import os
import select
from collections import deque
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit
from weakref import WeakSet

from headway import threads
from headway.core.errors import InvalidValue, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

TIMEOUT = 0.5
"""Seconds within which a server must connect, and answer."""
LIMIT = 8
"""How many connections are in use at once; a ninth call waits."""
PATIENCE = 2.0
"""Seconds for which a call waits for a connection."""


class Connection(Protocol):
    """One connection to a server, or to the servers of a cluster."""

    def close(self) -> None:
        """Take leave of the server."""

    def sockets(self) -> Collection[int]:
        """The file descriptors of what is open."""


C = TypeVar("C", bound=Connection)


class Connections(Generic[C]):
    """A few connections to one server, made when they are needed.

    Args:
        connect: Makes one; what it raises is the caller's to translate.
        url: The store's URL without secrets, for errors.
        limit: How many may be in use at once.
    """

    def __init__(self, connect: Callable[[], C], url: str, limit: int = LIMIT) -> None:
        self._connect = connect
        self._url = url
        self._limit = limit
        self._begin_anew()
        _known.add(self)
        _watch_forks()

    @contextmanager
    def borrow(self) -> Iterator[C]:
        """A connection for the caller alone.

        Raises:
            StoreUnavailable: All are in use, and stayed so.
        """
        idle = self._wait_for_a_place()
        connection = None
        try:
            connection = self._usable(idle) or self._made()
            yield connection
        except BaseException:
            if connection is not None:
                self._drop(connection)
            raise
        else:
            idle.append(connection)
        finally:
            self._leave_the_place()

    def has_idle(self) -> bool:
        """Whether one is open that nobody uses."""
        return bool(self._idle_here())

    def close(self) -> None:
        """Close what nobody uses; under gevent, what this thread made."""
        idle = self._idle_here()
        while idle:
            self._drop(idle.pop())

    def abandon(self) -> None:
        """In a child after a fork: close our copies without a word."""
        opened = list(self._opened)
        self._begin_anew()
        for connection in opened:
            with suppress(Exception):
                for socket in connection.sockets():
                    os.close(socket)
        _abandoned.extend(opened)  # what a destructor would say is the parent's to say

    def _begin_anew(self) -> None:
        self._pid = os.getpid()
        self._lock = threads.lock()
        self._opened: list[C] = []
        self._idle: dict[int, list[C]] = {}
        self._used = 0
        self._line: deque[threads.Bell] = deque()

    def _wait_for_a_place(self) -> list[C]:
        """Wait until one more may be in use, each caller in its turn; those that nobody uses."""
        bell = self._place_or_bell()
        if bell is not None:
            given = False
            try:
                given = bell.wait_in_callers_thread(PATIENCE)
            finally:
                if not given:
                    self._leave_the_line(bell)
            if not given:
                reason = f"all {self._limit} connections of this process were in use for {PATIENCE:g} s"
                raise StoreUnavailable(self._url, reason)
        return self._idle_here()

    def _place_or_bell(self) -> threads.Bell | None:
        """None: one more is in use now; else what rings when another's place has become the caller's."""
        with self._lock:
            if self._used < self._limit:
                self._used += 1
                return None
            bell = threads.Bell()
            self._line.append(bell)
            return bell

    def _leave_the_place(self) -> None:
        with self._lock:
            if self._line:
                self._line.popleft().ring()
            else:
                self._used = max(0, self._used - 1)

    def _leave_the_line(self, bell: threads.Bell) -> None:
        with self._lock, suppress(ValueError):
            self._line.remove(bell)
            return
        self._leave_the_place()  # it was given in this very moment

    def _idle_here(self) -> list[C]:
        return self._idle.setdefault(threads.ident() if threads.patched() else 0, [])

    def _usable(self, idle: list[C]) -> C | None:
        while idle:
            connection = idle.pop()
            if is_quiet(connection.sockets()):
                return connection
            self._drop(connection)
        return None

    def _made(self) -> C:
        connection = self._connect()
        self._opened.append(connection)
        return connection

    def _drop(self, connection: C) -> None:
        with suppress(ValueError):
            self._opened.remove(connection)
        with suppress(Exception):
            connection.close()


def is_quiet(sockets: Collection[int]) -> bool:
    """Whether nothing lies in these to be read: an idle connection has something to say when it is closed."""
    if not sockets:
        return True
    poll = threads.native("select", "poll")() if hasattr(select, "poll") else None
    try:
        if poll is None:
            return not select.select(list(sockets), [], [], 0)[0]
        for socket in sockets:
            poll.register(socket, select.POLLIN)
        return not poll.poll(0)
    except (OSError, ValueError):
        return False


_known: WeakSet[Connections[Any]] = WeakSet()
_abandoned: list[Connection] = []


@cache
def _watch_forks() -> None:
    """Once for the process, and not before there is something to look after."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_abandon_all)


def _abandon_all() -> None:
    for connections in list(_known):
        connections.abandon()


def without_secrets(url: str) -> str:
    """The URL as it may be shown: passwords are three stars."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.partition("://")[0] + "://…"
    users, at, hosts = parts.netloc.rpartition("@")
    user, colon, _ = users.partition(":")
    query = [
        f"{quote(name)}={'***' if 'password' in name.lower() else quote(value, safe='/:,@')}"
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    shown = f"{parts.scheme}://{user}{':***' if colon else ''}{at}{hosts}{parts.path}"
    return "?".join((shown, "&".join(query))) if query else shown


def split_options(url: str, names: Collection[str]) -> tuple[str, dict[str, str]]:
    """The URL without the options of these names in its query, and those options.

    Raises:
        InvalidValue: An option is there twice.
    """
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    found = dict(query)
    if len(found) < len(query):
        raise InvalidValue("url", without_secrets(url), "an option stands in it twice")
    rest = urlencode({name: value for name, value in found.items() if name not in names})
    return urlunsplit(parts._replace(query=rest)), {name: found[name] for name in names if name in found}

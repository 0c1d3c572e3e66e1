"""The connection of a stream, where a WSGI server shows it: gunicorn, waitress and Werkzeug do.

A stream holds a thread, so whoever leaves or stops reading must soon let go of it.

1. **Who does not read is cut off by the kernel** (``TCP_USER_TIMEOUT``, on Linux): a thread that waits in the
   server's send looks at no clock, and waitress, which sends in another, holds up ours after 16 MiB only.
2. **Who leaves is seen by asking the kernel:** servers notice at their second write, which may be 20 s later.
3. **Nothing more is read when the server is to stop:** gunicorn would wait 2 s for a next request.
"""

from __future__ import annotations

import select
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from headway import threads
from headway.web.door import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = ("gunicorn.socket", "gunicorn.sock", "werkzeug.socket")
"""What servers call it in a WSGI environment."""
USER_TIMEOUT: int | None = getattr(socket, "TCP_USER_TIMEOUT", None)
HANGS_UP: int = getattr(select, "POLLRDHUP", 0)
"""What the kernel is asked; errors it tells unasked."""


def connection_of(environ: Mapping[str, Any]) -> Connection | None:
    """What the server answers on; None where it does not show that."""
    line: Any = next((environ[name] for name in NAMES if name in environ), None)
    if line is None:  # waitress gives a method of what has it
        channel = getattr(environ.get("waitress.client_disconnected"), "__self__", None)
        line = getattr(channel, "socket", None)
    return None if line is None else Connection(line)


class Connection:
    """A connection, while a stream is sent on it.

    Args:
        line: The server's socket.
    """

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._before = 0

    def hold(self) -> None:
        """A stream begins: from now on the client must take what it is sent within `PATIENCE`."""
        if USER_TIMEOUT is not None:
            with suppress(OSError):  # no TCP, or closed
                self._before = self._line.getsockopt(socket.IPPROTO_TCP, USER_TIMEOUT)
        self._be_patient(round(1_000 * PATIENCE))

    def release(self) -> None:
        """The stream has ended, and the connection may serve for something else."""
        self._be_patient(self._before)

    def read_no_more(self) -> None:
        """Nothing more is asked here."""
        with suppress(OSError):
            number, family, kind = self._line.fileno(), self._line.family, self._line.type
            with socket.fromfd(number, family, kind) as plain:  # TLS's own would send the rest in the clear
                plain.shutdown(socket.SHUT_RD)

    @property
    def gone(self) -> bool:
        """Whether the client has left, or was cut off."""
        number = self._line.fileno()
        if number < 0 or not hasattr(select, "poll"):
            return number < 0
        poll = threads.native("select", "poll")()  # gevent's cannot ask this
        poll.register(number, HANGS_UP)
        return bool(poll.poll(0))

    def _be_patient(self, milliseconds: int) -> None:
        if USER_TIMEOUT is not None:
            with suppress(OSError):
                self._line.setsockopt(socket.IPPROTO_TCP, USER_TIMEOUT, milliseconds)

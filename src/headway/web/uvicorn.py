"""Serves an application by uvicorn: in the foreground until Ctrl-C, or beside other work."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from headway import threads
from headway.core.errors import InvalidValue, MissingPackage
from headway.web.guard import is_loopback

try:
    import uvicorn
except ImportError as error:
    raise MissingPackage("uvicorn", "cli") from error

if TYPE_CHECKING:
    from headway.web.asgi import App
    from headway.web.dashboard import Dashboard

PORT = 8430
"""Where a dashboard is served when nothing else is said; the next free one of `NEAR` when it is taken."""
NEAR = 20
GRACE = 3
"""Seconds that requests have left when the server is told to stop."""


def bound(host: str, port: int | None = None) -> socket.socket:
    """A socket that listens.

    Args:
        host: A name or an address of this machine.
        port: Exactly this one, 0 for any; by default `PORT` or one near it.

    Raises:
        InvalidValue: There is no such address here, or the port is taken.
    """
    ports = range(PORT, PORT + NEAR) if port is None else range(port, port + 1)
    for one in ports:
        try:
            return _listening(host, one)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or one == ports[-1]:
                raise InvalidValue("host", f"{host}:{one}", f"cannot listen there: {error}") from error
    raise AssertionError("there is always a port to try")


def _listening(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(512)
    except OSError:
        listening.close()
        raise
    return listening


def address_of(listening: socket.socket) -> str:
    """Where a browser finds it: ``http://127.0.0.1:8430/``."""
    host, port = listening.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - it is compared, not bound
        host = socket.gethostname()
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def is_private(listening: socket.socket) -> bool:
    """Whether only this machine can reach it."""
    return is_loopback(listening.getsockname()[0])


def _server(app: App | Dashboard) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            access_log=False,  # addresses may hold a token
            lifespan="off",
            log_level="warning",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE,
            ws="none",
        )
    )


def serve(app: App | Dashboard, listening: socket.socket) -> None:
    """Serve until Ctrl-C."""
    with suppress(KeyboardInterrupt):
        _server(app).run(sockets=[listening])


class Beside:
    """Serves in a thread of its own while this one does something else.

    Args:
        app: What is served.
        listening: Where.
    """

    def __init__(self, app: App | Dashboard, listening: socket.socket) -> None:
        self._server = _server(app)
        self._listening = listening
        self._over = threads.Bell()
        threads.start(self._run)

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._listening])
        finally:
            self._over.ring()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it has ended; whether it has."""
        return self._over.wait_in_callers_thread(seconds)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving."""
        self._server.should_exit = self._server.force_exit = True  # pages come back if there is who answers
        self._over.wait_in_callers_thread(GRACE + 2)

"""Real servers for tests, on free ports, which a test may pause and kill."""

import socket
from contextlib import suppress


def free_port():
    """A port nobody uses, and whose Cluster bus port (10,000 above) nobody uses either."""
    while True:
        with socket.socket() as found, socket.socket() as bus:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
            with suppress(OSError, OverflowError):
                bus.bind(("127.0.0.1", port + 10_000))
                return port

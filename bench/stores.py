"""The stores that are measured, each on a server or folder of its own that is started for the bench."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.servers.postgres import postgres
from tests.servers.redis import redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Place:
    """Where records go.

    Attributes:
        server: The process that keeps them; None where there is none.
    """

    name: str
    url: str
    server: Any = None


@contextmanager
def places(*, memory: bool = False) -> Iterator[list[Place]]:
    """Valkey, PostgreSQL, SQLite and a folder; servers on this machine, as durable as they usually are."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        valkey = stack.enter_context(redis_server("valkey", "appendonly yes"))
        database = stack.enter_context(postgres(fsync="on"))
        found = [
            Place("valkey", valkey.url, valkey),
            Place("postgres", database.url, database),
            Place("sqlite", f"sqlite:///{folder}/jobs.db"),
            Place("folder", f"file://{folder}/shared"),
        ]
        yield [*found, Place("memory", "memory://")] if memory else found

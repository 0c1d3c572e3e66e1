"""Where records are kept: a store is named by a URL and opened on use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from headway.core.errors import InvalidValue, UnknownStore

if TYPE_CHECKING:
    from headway.stores.contract import Store

_REDIS = "headway.stores.redis:RedisStore"
SCHEMES = {
    "file": "headway.stores.files:FileStore",
    "memory": "headway.stores.memory:MemoryStore",
    "null": "headway.stores.null:NullStore",
    "postgres": "headway.stores.postgres:PostgresStore",
    "postgresql": "headway.stores.postgres:PostgresStore",
    "sqlite": "headway.stores.sqlite:SQLiteStore",
} | {
    f"{engine}{tls}{deployment}": _REDIS
    for engine in ("redis", "valkey")
    for tls in ("", "s")
    for deployment in ("", "+cluster", "+sentinel")
}
FORMS = (
    "sqlite:///path/to/file.db",
    "file:///path/to/folder",
    "redis://host:6379/0",
    "rediss://…",
    "redis+cluster://…",
    "redis+sentinel://…",
    "valkey…://…",
    "postgresql://host/database",
    "memory://",
    "memory://name",
    "null://",
)
ENTRY_POINTS = "headway.stores"


def open_store(url: str) -> Store:
    """The store that a URL names; nothing is connected or created yet.

    Third parties add theirs by an entry point in the group ``headway.stores`` whose name is the scheme.

    Raises:
        UnknownStore: No store answers to the URL's scheme.
        InvalidValue: The URL says something that its store does not understand.
        MissingPackage: The store's driver is not installed.
    """
    if not isinstance(url, str):
        raise InvalidValue("url", url, "a store is named by a URL, as sqlite:///path/to/file.db")
    scheme, separator, _ = url.partition("://")
    if separator and scheme in SCHEMES:
        module, _, name = SCHEMES[scheme].partition(":")
        store: Store = getattr(import_module(module), name)(url)
        return store
    from importlib.metadata import entry_points  # costs half as much as the rest of headway

    found = entry_points(group=ENTRY_POINTS)
    if separator and scheme in found.names:
        third: Store = found[scheme].load()(url)
        return third
    raise UnknownStore(url, (*FORMS, *(f"{name}://" for name in sorted(found.names))))

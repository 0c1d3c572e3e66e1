"""Shows how far a long-running job has got, to anyone, anywhere.

The verbs below are those of a default `Headway`, which reports to ``HEADWAY_STORE`` or to a SQLite file in
the user's state folder; `connect` makes others.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headway.client import Headway as Headway
    from headway.client import connect as connect
    from headway.client import default as default
    from headway.core.errors import (
        AlreadyRunning as AlreadyRunning,
    )
    from headway.core.errors import (
        Cancelled as Cancelled,
    )
    from headway.core.errors import (
        HeadwayError as HeadwayError,
    )
    from headway.core.errors import (
        InvalidValue as InvalidValue,
    )
    from headway.core.errors import (
        JobNotFound as JobNotFound,
    )
    from headway.core.errors import (
        MissingPackage as MissingPackage,
    )
    from headway.core.errors import (
        StoreRefused as StoreRefused,
    )
    from headway.core.errors import (
        StoreUnavailable as StoreUnavailable,
    )
    from headway.core.errors import (
        UnknownStore as UnknownStore,
    )
    from headway.core.pace import Pace as Pace
    from headway.core.snapshot import Snapshot as Snapshot
    from headway.worker.job import Job as Job
    from headway.worker.stage import Stage as Stage

    __version__: str
    job = default.job
    track = default.track
    current = default.current
    get = default.get
    find = default.find
    watch = default.watch
    cancel = default.cancel
    reserve = default.reserve
    forget = default.forget
    aget = default.aget
    afind = default.afind
    acancel = default.acancel
    areserve = default.areserve

_HOMES = {
    "headway.client": ("Headway", "connect", "default"),
    "headway.core.errors": (
        "AlreadyRunning", "Cancelled", "HeadwayError", "InvalidValue", "JobNotFound",
        "MissingPackage", "StoreRefused", "StoreUnavailable", "UnknownStore",
    ),
    "headway.core.pace": ("Pace",),
    "headway.core.snapshot": ("Snapshot",),
    "headway.worker.job": ("Job",),
    "headway.worker.stage": ("Stage",),
}  # fmt: skip
_VERBS = (
    "job", "track", "current",
    "get", "find", "watch", "cancel", "reserve", "forget",
    "aget", "afind", "acancel", "areserve",
)  # fmt: skip
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """A name on its first use: importing headway imports nothing else."""
    if name in _VERBS:
        value: Any = getattr(import_module("headway.client").default, name)
    elif name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    elif name == "__version__":
        value = import_module("importlib.metadata").version("headway")
    else:
        raise AttributeError(f"module 'headway' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """All public names."""
    return sorted({*globals(), *_HOME, *_VERBS})

"""Everything headway raises.

Exception
├── Cancelled                the job was asked to stop (no HeadwayError: it belongs to the job)
└── HeadwayError
    ├── InvalidValue         a wrong argument or setting, also a ValueError
    ├── UnknownStore         no store answers to this URL
    ├── MissingPackage       a driver or an extra is not installed
    ├── StoreUnavailable     the store cannot be reached, read or written
    │   └── StoreRefused     it can be reached and says no: its URL or its rights must be changed
    ├── AlreadyRunning       a live job holds this id, and it was to be the only one
    └── JobNotFound          the job did not appear in time, or it is gone
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from headway.core.snapshot import Snapshot


class HeadwayError(Exception):
    """The base of all errors that headway raises."""

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by state: the message is in ``args``, the data beside it."""
        return (_restored, (type(self), self.args, self.__dict__))


def _restored(cls: type[HeadwayError], args: tuple[object, ...], data: dict[str, object]) -> object:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(data)
    return error


class InvalidValue(HeadwayError, ValueError):
    """A wrong argument or setting.  Nothing was written.

    Attributes:
        field: What was wrong, as the caller spells it.
        value: What was given.
    """

    def __init__(self, field: str, value: object, reason: str) -> None:
        super().__init__(f"{field}={_shown(value)}: {reason}")
        self.field = field
        self.value = value


class UnknownStore(HeadwayError):
    """No store answers to this URL.

    Attributes:
        url: The URL that was given.
        known: The forms of URL that are understood here.
    """

    def __init__(self, url: str, known: Iterable[str]) -> None:
        self.url = url
        self.known = tuple(known)
        super().__init__(
            f"no store answers to {_shown(url)}; known are {', '.join(self.known)}.  "
            "Set HEADWAY_STORE or call headway.connect() with one of these."
        )


class MissingPackage(HeadwayError, ImportError):
    """A package that this needs is not installed.

    Attributes:
        package: The distribution that is missing.
        extra: The extra of headway that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f'this needs {package}: pip install "headway[{extra}]"')
        self.package = package
        self.extra = extra


class StoreUnavailable(HeadwayError):
    """The store cannot be reached, read or written; the driver's error is the ``__cause__``.

    Attributes:
        url: The store's URL, without secrets.
        reason: What the driver said.
    """

    def __init__(self, url: str, reason: str, advice: str = "") -> None:
        super().__init__(f"store {url} is not available: {reason}" + (f".  {advice}" if advice else ""))
        self.url = url
        self.reason = reason


class StoreRefused(StoreUnavailable):
    """The store was reached and says no, and will say so again until its URL or its rights are changed."""


class AlreadyRunning(HeadwayError):
    """A live job holds this id, and ``exclusive=True`` asked to be the only one.

    Attributes:
        snapshot: The job that holds the id.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__(
            f"job {snapshot.id} is already {snapshot.status}; watch it, cancel it, or use another id"
        )
        self.snapshot = snapshot


class JobNotFound(HeadwayError):
    """The job did not appear in time, or its record is gone.

    Attributes:
        id: The job's id.
        waited: For how many seconds it was waited for.
    """

    def __init__(self, id: str, waited: float) -> None:
        super().__init__(
            f"no job {id} in {waited:.0f} s; it has not started, its record has expired, "
            "or it reports to another store"
        )
        self.id = id
        self.waited = waited


class Cancelled(Exception):
    """The job was asked to stop: raised in the worker at the next step after the request.

    Attributes:
        id: The job that was asked.
    """

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id

    def __str__(self) -> str:
        return f"job {self.id} was cancelled"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"

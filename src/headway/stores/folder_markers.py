"""Which jobs there are, by when they were created and when they are due: empty files whose names say it.

Facts behind what may look odd here:

1. A job has one marker among all jobs, and one each among those of its scope and of its parent.  Each of
   these places is divided by how jobs stand (live, or by their end), so that to find what runs costs nothing
   for what has ended; and by time, so that a page costs about what is on it.
2. A marker's name tells when the job was created, the number of the entry that it was made for, and the job's
   key.  So it belongs to one entry for ever: whoever removes an old one cannot meet a new one.
3. Markers are made before the entry, and removed after the one that needs them no more.  So a job without its
   markers is not met; a marker without its job is, after a crash.  Readers look at the job, and remove such
   a marker when it is an hour old.
4. When a job is due for the sweep is told by a marker, too.  It may come too early, never too late: whoever
   meets it looks at the job, and makes the next one.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from headway.core.snapshot import ENDED, Head
from headway.core.transitions import micros
from headway.stores.folder import LEFT
from headway.stores.folder_log import Entry, key_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from headway.stores.folder import Folder

INDEX = "index"
DUE = "due"
LIVING = "live"
GROUPS = (LIVING, *sorted(ENDED))
BUCKET = 10**9
"""Microseconds whose markers lie in one folder."""
MENDED = 20
"""How many markers without a job are looked at in one go."""


class Marker(NamedTuple):
    """A marker that was found.

    Attributes:
        at: When its job was created, or is due, in microseconds since 1970.
        number: The number of the entry that it was made for.
        key: The key of its job.
        path: Where it lies.
    """

    at: int
    number: int
    key: str
    path: Path

    def is_of(self, entry: Entry | None) -> bool:
        """Whether it was made for what an entry still says."""
        if entry is None or entry.dropped is not None:
            return False
        return entry.marked == self.number and group_of(entry.head) == self.path.parent.parent.name


class Markers:
    """The markers in a folder."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._index = folder.root / INDEX
        self._due = folder.root / DUE

    def of(self, entry: Entry | None) -> set[Path]:
        """Those that an entry needs."""
        if entry is None or entry.dropped is not None or entry.head.created_at is None:
            return set()
        head = entry.head
        created = micros(head.created_at) if head.created_at else 0
        name = f"{created:020}.{entry.marked:020}.{key_of(head.id)}"
        places = [self.place(), *([self.place(scope=head.scope)] if head.scope is not None else [])]
        places += [self.place(parent=head.parent)] if head.parent is not None else []
        return {place.joinpath(group_of(head), _bucket(created), name) for place in places}

    def place(self, scope: str | None = None, parent: str | None = None) -> Path:
        """Where the markers of all jobs lie, or those of a scope or a parent."""
        for kind, value in (("parent", parent), ("scope", scope)):
            if value is not None:
                key = key_of(value)
                return self._index.joinpath(kind, key[:2], key[2:])
        return self._index / "all"

    def make(self, paths: Collection[Path]) -> None:
        """Make markers that are not there."""
        for path in paths:
            self._folder.touch(path)

    def remove(self, paths: Collection[Path]) -> None:
        """Remove markers, and the folders that are empty then."""
        for path in paths:
            self._folder.remove_with_folders(path, 3)

    def newest(self, place: Path, groups: Collection[str], until: int | None = None) -> Iterator[Marker]:
        """The markers of some groups, newest first; none that are newer than ``until``.

        What lives is listed first: a job that ends meanwhile is met there, or where the ended ones are.
        """
        where: dict[str, list[str]] = {}
        for group in groups:
            for bucket in self._folder.names(place / group):
                where.setdefault(bucket, []).append(group)
        last = None if until is None else _bucket(until)
        for bucket in sorted(where, reverse=True):
            if last is None or bucket <= last:
                folders = [place / group / bucket for group in where[bucket]]
                found = self._sorted(folders, reverse=True)
                yield from (marker for marker in found if until is None or marker.at <= until)

    def _sorted(self, folders: Iterable[Path], *, reverse: bool = False) -> Iterator[Marker]:
        """The markers in some folders, by time: their names begin with it."""
        found = [(name, folder) for folder in folders for name in self._folder.names(folder)]
        for name, folder in sorted(found, key=itemgetter(0), reverse=reverse):
            marker = _marker(folder / name)
            if marker is not None:
                yield marker

    def mend(self, stale: Collection[Marker]) -> None:
        """Remove markers whose job is not as they say, once that cannot be about to change."""
        for marker in list(stale)[:MENDED]:
            if self._folder.age(marker.path) > LEFT:
                self.remove([marker.path])

    def make_due(self, key: str, at: int) -> Path:
        """Let the sweep look at a job at a time, in microseconds since 1970."""
        path = self._due / _bucket(at) / f"{at:020}.{0:020}.{key}"
        self._folder.touch(path)
        return path

    def due(self, now: int) -> Iterator[Marker]:
        """The jobs that are due, the oldest first."""
        last = _bucket(now)
        for bucket in sorted(self._folder.names(self._due)):
            if bucket > last:
                return
            yield from (marker for marker in self._sorted([self._due / bucket]) if marker.at <= now)

    def done(self, marker: Marker) -> None:
        """A due job was seen to."""
        self._folder.remove_with_folders(marker.path, 1)


def group_of(head: Head) -> str:
    """Under which its markers lie."""
    if not head.ended:
        return LIVING
    return head.status if head.status in ENDED else "stopped"


def groups_of(status: Collection[str]) -> list[str]:
    """In which groups jobs may be that read so; no status stands for any."""
    if not status:
        return list(GROUPS)
    living = {"pending", "running", "retrying", "stalled"} & set(status)
    return [*([LIVING] if living else []), *(group for group in GROUPS if group in status)]


def due_at(head: Head) -> int | None:
    """When the sweep may have something to do with a job, in microseconds since 1970."""
    times = [head.expires_at]
    if head.cancel is not None and head.cancellable:
        times.append(head.stalls_at())
    return min((micros(one) for one in times if one is not None), default=None)


def _bucket(at: int) -> str:
    return f"{max(at, 0) // BUCKET:010}"


def _marker(path: Path) -> Marker | None:
    parts = path.name.split(".")
    if len(parts) != 3 or not (parts[0].isdigit() and parts[1].isdigit()):
        return None
    return Marker(int(parts[0]), int(parts[1]), parts[2], path)

"""A folder that many machines share: files that appear whole, names that are taken once, and its clock.

Facts behind what may look odd here:

1. A rename replaces a file in one step, so a reader meets the old one or the new one, never half of one.
2. A hard link to a name that exists fails, so of all who want a name one gets it, with its content whole.
   Where links are not to be had, a folder with the content in it is renamed to that name: that fails, too,
   where a folder lies there that is not empty, and where a file does.
3. The answer to a link or a rename may get lost on the network, and the client's second try fails although
   the first succeeded.  So whoever fails looks whether what lies there is its own.
4. What is being written lies in a folder of its writer's own, so nobody lists half a file, the leftovers
   of the dead lie in one place, and writers do not wait for each other.
5. A file server stamps what is written with its own clock.  Each process writes to a file of its own now and
   then, and counts on from there by its own monotonic clock.  A stamp may be rounded down, by 10 ms or by
   2 s, so it is a lower bound of the time at which it was made, and the closest bound counts.
6. A file that was stamped just now may be replaced by another with the same stamp, size and number.  What was
   read of it is kept only when its stamp has been the past for a while.
7. A client of a file server may answer from memory what a file's stamp is, and that a file is not there, for
   up to a minute.  To open a file or a folder asks the server.  So what must be fresh is opened, and where
   a folder is not there, those that it should lie in are opened first, which shows that they have changed.
8. Folders that are empty are removed, by others and at any moment.  So whoever makes one to put something in
   may find that it is there and then that it is not, and tries again.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import time
from contextlib import suppress
from secrets import token_hex
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import msgspec

from headway.chance import chance

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

MARK = "headway.json"
LAYOUT = 1
CONTENT = "content"
"""The file in a folder that stands for a file."""
WRITERS = "writers"
CLOCK = "clock"
"""The file by which a writer learns the time, in its own folder."""
SAMPLE = 60_000_000_000
"""Nanoseconds between two looks at the file server's clock."""
FINE, COARSE = 20_000_000, 2_000_000_000
"""By how many nanoseconds a stamp may be rounded down."""
LEFT = 3_600
"""Seconds after which what nobody has touched is taken for left behind."""
REMEMBERED = 2_000
"""Of how many files is remembered what was read."""
SOME = 20
"""How many leftovers are looked at in one go."""
TRIES = 5

_TAKEN = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR}
_NO_LINKS = {
    errno.EPERM,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.ENOSYS,
    errno.EMLINK,
    errno.EXDEV,
    errno.EINVAL,
}
_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_ABSENT = (FileNotFoundError, NotADirectoryError)

Stamp = tuple[int, int, int]
"""When a file was written, how large it is, and its number."""


class NotOurs(OSError):
    """The folder holds something else than headway's records."""


class Found(NamedTuple, Generic[T]):
    """A file that was read.

    Attributes:
        said: What it says; None where it is damaged.
        links: Under how many names it lies.
        stamp: What changes when it is replaced.
    """

    said: T | None
    links: int
    stamp: Stamp


class Folder:
    """The folder, as one process uses it.

    Attributes:
        root: Where it lies.
        links: Whether hard links could be made so far.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.links = True
        self._mark = root / MARK
        self._ours: Stamp | None = None
        self._clock = ServerClock(self._stamp)
        self._read: dict[Path, tuple[Stamp, object]] = {}
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._pid = os.getpid()
        self._token = token_hex(8)
        self._drawn = 0

    @property
    def token(self) -> str:
        """What tells this writer from all others; a child after a fork has one of its own."""
        if self._pid != os.getpid():
            self._begin_anew()
        return self._token

    @property
    def coarse(self) -> bool:
        """Whether the server stamps files with whole seconds."""
        return self._clock.coarse

    @property
    def told_by_server(self) -> bool:
        """Whether the time is the file server's; else nothing may be written, and it is this machine's."""
        return self._clock.sampled

    def now(self) -> int:
        """The file server's time, in nanoseconds since 1970."""
        return self._clock()

    def prepare(self) -> None:
        """Make sure that the folder is there, and ours.

        Raises:
            NotOurs: It holds something else.
        """
        try:
            found = _stamp_of(os.stat(self._mark))  # noqa: PTH116 - before each use, and half the price
        except FileNotFoundError:
            found = None
        if found is None or found != self._ours:
            self._take_over()
            self._ours = found

    def names(self, path: Path) -> list[str]:
        """What lies in a folder; nothing where there is none."""
        try:
            return _listed(path)
        except _ABSENT:
            self._ask_anew(path)
        try:
            return _listed(path)
        except _ABSENT:
            return []

    def _ask_anew(self, path: Path) -> None:
        """Let the client of a file server forget what was not there a moment ago, see fact 7."""
        inside = path.relative_to(self.root).parents
        for folder in reversed(inside):
            with suppress(OSError):
                os.scandir(self.root / folder).close()

    def read(self, path: Path, decode: Callable[[bytes], T]) -> Found[T] | None:
        """A file as it is now; None where there is none."""
        try:
            found, data = self._data(path)
        except (*_ABSENT, IsADirectoryError):
            self._read.pop(path, None)
            return None
        stamp = _stamp_of(found)
        if not isinstance(data, bytes):
            return Found(data[0], found.st_nlink, stamp)  # type: ignore[arg-type]  # decoded before
        try:
            said = decode(data)
        except (msgspec.DecodeError, ValueError, TypeError):
            return Found(None, found.st_nlink, stamp)
        if self.now() - stamp[0] > self._rounding(stamp):
            if len(self._read) >= REMEMBERED:
                self._read.clear()
            self._read[path] = (stamp, said)
        return Found(said, found.st_nlink, stamp)

    def look(self, path: Path) -> Stamp | None:
        """What changes when a file is replaced, asked of the server; None where there is none."""
        try:
            file = os.open(path, _READ)
        except (*_ABSENT, PermissionError):
            return None
        try:
            return _stamp_of(os.fstat(file))
        finally:
            os.close(file)

    def _data(self, path: Path) -> tuple[os.stat_result, bytes | tuple[object]]:
        """What lies in a file: as bytes, or decoded where that was done.  See fact 7."""
        for turn in range(TRIES):
            try:
                return self._content(path)
            except OSError as error:  # replaced while it was read
                if error.errno != errno.ESTALE or turn == TRIES - 1:
                    raise
        raise FileNotFoundError(errno.ENOENT, "it is replaced again and again", str(path))

    def _content(self, path: Path) -> tuple[os.stat_result, bytes | tuple[object]]:
        try:
            file = os.open(path, _READ)
        except PermissionError:
            if sys.platform != "win32" or not path.is_dir():
                raise
            return self._content(path / CONTENT)
        try:
            found = os.fstat(file)
            known = self._read.get(path)
            if known is not None and known[0] == _stamp_of(found):
                return found, (known[1],)
            chunks = []
            while chunk := os.read(file, max(found.st_size + 1, 4096)):
                chunks.append(chunk)
            return found, b"".join(chunks)
        except IsADirectoryError:
            return self._content(path / CONTENT)
        finally:
            os.close(file)

    def _rounding(self, stamp: Stamp) -> int:
        return 2 * (FINE if stamp[0] % 1_000_000_000 else COARSE)

    def put(self, path: Path, data: bytes) -> bool:
        """Replace a file, or make one; False where its folder is gone."""
        return self.promote(self.draft(data, durable=False), path)

    def draft(self, data: bytes, *, durable: bool) -> Path:
        """Write a file in the writer's own folder, to be linked or promoted."""
        new = self._fresh()
        try:
            self._with_own_folder(lambda: _write(new, data, durable=durable))
        except OSError:
            self.discard(new)
            raise
        return new

    def link(self, draft: Path, path: Path, data: bytes, *, durable: bool) -> bool:
        """Give a draft a name that nothing has; whether it was free.

        Raises:
            FileNotFoundError: The folder of the name is not there.
        """
        made = self._linked(draft, path, data) if self.links else self._made(path, data)
        made = made or self._is_own(path, data)
        if made and durable:
            _make_durable(path.parent)
        return made

    def _linked(self, draft: Path, path: Path, data: bytes) -> bool:
        try:
            os.link(draft, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            self.links = False
            return self._made(path, data)
        return True

    def _made(self, path: Path, data: bytes) -> bool:
        """The same by a folder, see fact 2."""
        if not path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "the folder is gone", str(path.parent))
        new = self._fresh()
        self._with_own_folder(new.mkdir)
        try:
            _write(new / CONTENT, data, durable=True)
            new.rename(path)
        except OSError as error:
            shutil.rmtree(new, ignore_errors=True)
            if not _is_taken(error, path):
                raise
            return False
        return True

    def appear(self, path: Path, name: str, data: bytes, *, durable: bool) -> bool:
        """Make a folder with one file in it, whole, where nothing is but an empty folder; whether it did."""
        new = self._fresh()
        self._with_own_folder(new.mkdir)
        try:
            _write(new / name, data, durable=durable)
            self._move(new, path)
        except OSError as error:
            shutil.rmtree(new, ignore_errors=True)
            if not _is_taken(error, path):
                raise
            return self._is_own(path / name, data)
        if durable:
            _make_durable(path.parent)
        return True

    def put_away(self, path: Path) -> Path | None:
        """Move a folder to where nobody looks, at once; where it lies now, None where there was none."""
        away = self._fresh()
        try:
            self._move(path, away)
        except _ABSENT:
            return None
        return away

    def put_back(self, away: Path, path: Path) -> bool:
        """Undo `put_away`; whether nothing lay there meanwhile."""
        try:
            self._move(away, path)
        except OSError as error:
            if not _is_taken(error, path):
                raise
            return False
        return True

    def _move(self, new: Path, path: Path) -> None:
        """Rename a folder, and make the folder that it is to lie in where there is none."""
        for _ in range(TRIES):
            try:
                new.rename(path)
            except FileNotFoundError:
                if not new.exists():
                    raise
                make_folder(path.parent)
            else:
                return
        raise FileNotFoundError(errno.ENOENT, "the folder is removed again and again", str(path))

    def destroy(self, path: Path) -> None:
        """Remove a folder and all that lies in it: for readers all of it at once."""
        away = self.put_away(path)
        if away is not None:
            shutil.rmtree(away, ignore_errors=True)

    def try_links(self) -> bool:
        """Whether hard links can be made here, found out by making one."""
        draft = self.draft(b".", durable=False)
        other = self._fresh()
        try:
            return self.link(draft, other, b".", durable=False) and self.links
        finally:
            self.discard(draft)
            self.remove(other)

    def _is_own(self, path: Path, data: bytes) -> bool:
        """Whether this very draft has the name already, see fact 3."""
        found = self.read(path, lambda known: known == data)
        self._read.pop(path, None)
        return found is not None and found.said is True

    def promote(self, draft: Path, path: Path) -> bool:
        """Move a draft to a name, in place of what has it; False where the folder is gone."""
        try:
            _in_place_of(draft, path)
        except OSError as error:
            self.discard(draft)
            if isinstance(error, FileNotFoundError):
                return False
            raise
        return True

    def discard(self, draft: Path) -> None:
        """Remove a draft."""
        with suppress(OSError):
            draft.unlink()

    def touch(self, path: Path) -> None:
        """Make an empty file and the folders that it lies in, where they are not there."""
        for _ in range(TRIES):
            try:
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666))
            except FileNotFoundError:
                make_folder(path.parent)
            else:
                return
        raise FileNotFoundError(errno.ENOENT, "the folder is removed again and again", str(path))

    def remove(self, path: Path) -> None:
        """Remove a file, or a folder that stands for one."""
        try:
            path.unlink()
        except _ABSENT:
            return
        except (IsADirectoryError, PermissionError):
            if not path.is_dir():
                raise
            shutil.rmtree(path, ignore_errors=True)

    def remove_with_folders(self, path: Path, folders: int = 1) -> None:
        """Remove a file, and of the folders that it lies in, innermost first, those that are empty then."""
        self.remove(path)
        with suppress(OSError):
            for folder in list(path.parents)[:folders]:
                folder.rmdir()

    def clean(self) -> None:
        """Remove some of what dead writers have left."""
        names = self.names(self.root / WRITERS)
        for one in chance.sample(names, min(SOME, len(names))):
            path = self.root / WRITERS / one
            if one != self.token and self.age(path) > LEFT:
                shutil.rmtree(path, ignore_errors=True)

    def age(self, path: Path) -> float:
        """For how many seconds nobody has changed it; 0.0 where it is gone."""
        try:
            return max(0.0, (self.now() - path.stat().st_mtime_ns) / 1e9)
        except _ABSENT:
            return 0.0

    def close(self) -> None:
        """Leave nothing behind but what other threads are writing now."""
        self._read.clear()
        with suppress(OSError):
            self.remove(self._own / CLOCK)
            self._own.rmdir()

    @property
    def _own(self) -> Path:
        return self.root / WRITERS / self.token

    def _fresh(self) -> Path:
        own = self._own  # after a fork it counts anew
        self._drawn += 1
        return own / f"{self._drawn}-{token_hex(4)}"

    def _with_own_folder(self, act: Callable[[], T]) -> T:
        for _ in range(TRIES):
            try:
                return act()
            except FileNotFoundError:
                self.prepare()
                make_folder(self._own)
        return act()

    def _take_over(self) -> None:
        """Make sure that the folder is ours, or empty."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            layout = msgspec.json.decode(self._mark.read_bytes(), type=dict[str, int])["layout"]
        except FileNotFoundError:
            if any(name[:1] != "." and name != "lost+found" for name in self.names(self.root)):
                if self._mark.exists():  # made this very moment
                    return
                raise NotOurs(
                    errno.EEXIST, "the folder holds something else than headway's records"
                ) from None
            _write(self._mark, msgspec.json.encode({"layout": LAYOUT}), durable=False)
        except (msgspec.DecodeError, KeyError, IsADirectoryError):
            return  # damaged or being written: it is ours by its name
        else:
            if layout > LAYOUT:
                raise NotOurs(errno.EEXIST, f"a newer version of headway has written it (layout {layout})")

    def _stamp(self) -> int:
        """The time by the server's clock, as it stamps a file that is written now."""
        path = self._own / CLOCK

        def stamped() -> int:
            _write(path, b".", durable=False)
            return path.stat().st_mtime_ns

        return self._with_own_folder(stamped)


class ServerClock:
    """The file server's clock, see fact 5.  It never goes back, unless the server's does by far."""

    def __init__(self, stamp: Callable[[], int]) -> None:
        self._stamp = stamp
        self._ahead: int | None = None
        self._sampled_at = 0
        self._last = 0
        self.sampled = False
        self.coarse = False

    def __call__(self) -> int:
        """Nanoseconds since 1970."""
        now = time.monotonic_ns()
        if self._ahead is None or now - self._sampled_at > SAMPLE:
            self._sample()
            now = time.monotonic_ns()
        told = now + (self._ahead or 0)
        if not self._last - COARSE < told < self._last:
            self._last = told
        return self._last

    def _sample(self) -> None:
        self._sampled_at = before = time.monotonic_ns()
        try:
            stamp = self._stamp()
        except NotOurs:
            raise
        except OSError:  # nothing may be written here
            self._ahead = time.time_ns() - before if self._ahead is None else self._ahead
            return
        low = stamp - time.monotonic_ns()
        self.coarse = stamp % 1_000_000_000 == 0
        high = stamp + (COARSE if self.coarse else FINE) - before
        self._ahead = low if self._ahead is None or not self.sampled else min(max(self._ahead, low), high)
        self.sampled = True


def make_folder(path: Path) -> None:
    """Make a folder and those that it lies in; whoever needs it tries again, see fact 8."""
    with suppress(FileExistsError, FileNotFoundError):
        path.mkdir(parents=True, exist_ok=True)


def _listed(path: Path) -> list[str]:
    for _ in range(TRIES):
        try:
            with os.scandir(path) as found:
                return [one.name for one in found]
        except OSError as error:  # replaced while it was read
            if error.errno != errno.ESTALE:
                raise
    raise FileNotFoundError(errno.ENOENT, "it is replaced again and again", str(path))


def _is_taken(error: OSError, path: Path) -> bool:
    """Whether a rename failed because something lies there."""
    if error.errno in _TAKEN or isinstance(error, FileExistsError):
        return True
    return sys.platform == "win32" and isinstance(error, PermissionError) and path.exists()


def _stamp_of(found: os.stat_result) -> Stamp:
    return found.st_mtime_ns, found.st_size, found.st_ino


def _write(path: Path, data: bytes, *, durable: bool) -> None:
    file = os.open(path, _WRITE, 0o666)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(file, left) :]
        if durable:
            os.fsync(file)
    finally:
        os.close(file)


def _make_durable(folder: Path) -> None:
    """Make the names in a folder outlive a power cut, where the system can do that."""
    with suppress(OSError):
        file = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def _in_place_of(new: Path, path: Path) -> None:
    """Replace a file; on Windows that fails while somebody reads it."""
    for pause in (0.001, 0.01, 0.1):
        try:
            new.replace(path)
        except PermissionError:
            if sys.platform != "win32" or path.is_dir():
                raise
            time.sleep(pause)
        else:
            return
    new.replace(path)

"""``sqlite:///path``: one machine, no server.  The default.

Facts behind what may look odd here:

1. ``BEGIN IMMEDIATE`` for whatever may write: a deferred transaction that reads first fails with "database
   is locked" in spite of the busy timeout (943 of 1,200 measured, 0 of 1,200 this way).
2. WAL with ``synchronous=NORMAL``: a killed process loses nothing that was acknowledged.
3. A file that was deleted or replaced under an open connection goes on taking writes that nobody will ever
   read.  So the file is compared with the connection's before each use.
4. No connection may cross a fork, not even unused: SQLite remembers per process which locks it holds, and a
   child that inherits that memory meets "database is locked" for ever, or writes without a lock and damages
   the file.  So connections are closed just before a fork, when no transaction is open, none is opened
   meanwhile, and they open again when they are next used.  Where that failed (a hung disk, a fork made in C),
   the child must leave the file alone.
5. Own files that are damaged beyond reading are put aside, never deleted, and a new one is begun: records
   are rebuilt by their workers.  A file that is not known to be headway's is never touched.
6. Closing a file drops all locks that this process holds on it, SQLite's included, and another process may
   then delete a WAL that is in use.  So a file that can be a database is opened by SQLite alone; a header is
   looked at by an ``immutable`` connection, which takes no lock and reads no WAL.
7. A new file is made beside its place and moved there when it is whole, so nobody ever meets half of one.
   Whoever makes one or puts one aside holds ``….lock``, a database of no content whose lock dies with its
   holder.
8. Each change of a record draws a number (``seq``), so that whoever listens asks for what is new, and the
   cost grows with the changes, not with the store.
9. SQLite's own wait for a lock sleeps up to 0.1 s between two tries, so that of 50 writers at once some never
   get their turn in half a second.  Ours tries every few milliseconds, and sleeps for real under gevent:
   another greenlet must not run while this one holds the connection.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote
from weakref import WeakSet

import msgspec

from headway import threads
from headway.chance import chance
from headway.core import arguments
from headway.core.errors import InvalidValue, StoreUnavailable
from headway.core.snapshot import ENDED, PHASE, TIMES, Head, Part, Totals
from headway.core.transitions import micros, moment
from headway.core.wire import decode_cursor, encode_cursor
from headway.stores.contract import KINDS, PAGE, RUNS, Finding, Page, Profile, Subscription, short_of_room
from headway.stores.transactional import Kept, Transaction, TransactionalStore, wall_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

APPLICATION = 0x68647779
"""``hdwy``: written into the header of our files, so that they can be told from others'."""
LAYOUT = 1
"""The version of the tables, in the header as well, for those who will change them."""
BUSY = 0.5
"""Seconds to wait for another writer."""
SHORT = 5
"""Milliseconds that SQLite itself waits in each of our tries at the lock for writing."""
LOOK = 0.025
"""Seconds between two looks for changes by other processes: 0.5 % of a core, 12 ms of delay."""
TRIES = 3
FORK = 5.0
"""Seconds for which a fork waits for an open transaction, at most; see fact 4."""
GONE = 10_000
"""For how many changes it is remembered which jobs were dropped."""
WAL = 4 * 1024 * 1024
"""To how many bytes a WAL is cut back after it has grown."""

Identity = tuple[int, int]

_ODD = f"status NOT IN ({', '.join(repr(name) for name in PHASE)})"  # written by a newer version
_SCHEMA = f"""
CREATE TABLE job (
    id TEXT PRIMARY KEY, version INTEGER NOT NULL, attempt INTEGER NOT NULL, step INTEGER NOT NULL,
    run TEXT, status TEXT NOT NULL, cancel TEXT, cancellable INTEGER NOT NULL, lease REAL NOT NULL,
    retention REAL NOT NULL, scope TEXT, parent TEXT, parent_attempt INTEGER, created_at INTEGER,
    started_at INTEGER, ended_at INTEGER, seen_at INTEGER, expires_at INTEGER,
    facts TEXT NOT NULL, details TEXT, error TEXT, details_version INTEGER NOT NULL, seq INTEGER NOT NULL
);
CREATE INDEX job_created ON job (created_at, id);
CREATE INDEX job_status ON job (status, created_at, id);
CREATE INDEX job_odd ON job (created_at, id) WHERE {_ODD};
CREATE INDEX job_scope ON job (scope, created_at, id, status) WHERE scope IS NOT NULL;
CREATE INDEX job_parent ON job (parent, created_at, id, status) WHERE parent IS NOT NULL;
CREATE INDEX job_expires ON job (expires_at);
CREATE INDEX job_asked ON job (id) WHERE cancel IS NOT NULL AND ended_at IS NULL;
CREATE INDEX job_seq ON job (seq);
CREATE TABLE gone (seq INTEGER PRIMARY KEY, id TEXT NOT NULL, scope TEXT);
CREATE TABLE part (
    job TEXT NOT NULL, attempt INTEGER NOT NULL, key TEXT NOT NULL, run INTEGER NOT NULL,
    step INTEGER NOT NULL, count NUMERIC NOT NULL, weight REAL, share INTEGER NOT NULL,
    status TEXT NOT NULL, stage TEXT, PRIMARY KEY (job, key)
) WITHOUT ROWID;
CREATE TABLE profile (kind TEXT NOT NULL, at INTEGER NOT NULL, data TEXT NOT NULL);
CREATE INDEX profile_kind ON profile (kind, at);
"""
_LAST = "SELECT max((SELECT coalesce(max(seq), 0) FROM job), (SELECT coalesce(max(seq), 0) FROM gone))"
_HEAD = Head.__struct_fields__
_head_of = attrgetter(*_HEAD)
_FIELDS = Kept._fields[1:]
_COLUMNS = ", ".join((*_HEAD, *_FIELDS))
_VALUES = ", ".join("?" * (len(_HEAD) + len(_FIELDS)))
_PUT = (
    f"INSERT INTO job ({_COLUMNS}, seq) VALUES ({_VALUES}, ({_LAST}) + 1) "
    "ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in (*_HEAD[1:], *_FIELDS))
    + ", seq = iif(excluded.version = job.version, job.seq, excluded.seq)"
)
_PART = Part.__struct_fields__
_TIMES = [_HEAD.index(name) for name in TIMES]
_CANCELLABLE = _HEAD.index("cancellable")
_SILENT = "seen_at + lease * 1000000 < ?"
_READS = {
    "running": (f"%s = 'running' AND NOT ({_SILENT})", f"{_ODD} AND ended_at IS NULL AND NOT ({_SILENT})"),
    "stalled": (f"%s = 'running' AND {_SILENT}", f"{_ODD} AND ended_at IS NULL AND {_SILENT}"),
    "stopped": ("%s = 'stopped'", f"{_ODD} AND ended_at IS NOT NULL"),
}
"""What the record of a job that reads so looks like; the others are kept as they read."""
_UNTIL = 500
"""How many ids one statement names at most."""


class SQLiteStore(TransactionalStore):
    """Records in a SQLite file that many processes of one machine share."""

    def __init__(self, url: str, clock: Callable[[], datetime] = wall_clock) -> None:
        self.path = path_of(url)
        super().__init__(url_of(self.path), clock)
        self._writer = _Connection(self.path, self.url)
        self._reader = _Connection(self.path, self.url)

    @contextmanager
    def _transaction(self) -> Iterator[Transaction]:
        with self._writer.transaction("IMMEDIATE") as connection:
            yield _SQLiteTransaction(connection)

    def _load(self, ids: Collection[str]) -> list[tuple[Kept, Totals]]:
        with self._reader.transaction("DEFERRED") as connection:
            return _load(connection, list(dict.fromkeys(ids)))

    def find(
        self,
        *,
        scope: str | None = None,
        parent: str | None = None,
        status: Collection[str] = (),
        limit: int = PAGE,
        cursor: str | None = None,
    ) -> Page:
        """See `Store.find`."""
        limit, now = arguments.page(limit), self.clock()
        search, values = _search(scope, parent, status, cursor, limit=limit + 1, now=micros(now))
        with self._reader.transaction("DEFERRED") as connection:
            rows = connection.execute(search, values).fetchall()
            kept = _load(connection, [id for _, id in rows[:limit]])
        jobs = tuple(self._snapshot(*one, now, details=False) for one in kept)
        last = rows[limit - 1] if len(rows) > limit else None
        return Page(jobs, encode_cursor(moment(last[0]), last[1]) if last else None)

    def listen(self) -> Subscription:
        """See `Store.listen`; looks at the file's change counter every 25 ms."""
        return _Watch(_Connection(self.path, self.url))

    def history(self, kind: str) -> list[Profile]:
        """See `Store.history`."""
        with self._reader.use() as connection:
            rows = connection.execute(
                "SELECT data FROM profile WHERE kind = ? ORDER BY at DESC LIMIT ?", (kind, RUNS)
            ).fetchall()
        return [msgspec.json.decode(data, type=Profile) for (data,) in reversed(rows)]

    def learn(self, kind: str, profile: Profile | None) -> None:
        """See `Store.learn`."""
        with self._writer.transaction("IMMEDIATE") as connection:
            if profile is None:
                connection.execute("DELETE FROM profile WHERE kind = ?", (kind,))
                return
            data = msgspec.json.encode(profile).decode()
            (last,) = connection.execute("SELECT coalesce(max(at), 0) FROM profile").fetchone()
            at = max(micros(self.clock()), last + 1)
            connection.execute("INSERT INTO profile VALUES (?, ?, ?)", (kind, at, data))
            connection.execute(_KEEP_RUNS, (kind, kind, RUNS))
            connection.execute(_KEEP_KINDS, (KINDS,))

    def diagnose(self) -> list[Finding]:
        """See `Store.diagnose`."""
        with self._reader.use() as connection:
            (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
            (jobs,) = connection.execute("SELECT count(*) FROM job").fetchone()
        found = [
            Finding("ok", f"SQLite {sqlite3.sqlite_version}, {jobs:,} jobs, for the processes of one machine")
        ]
        if mode != "wal":
            advice = "move it to a local disk; for shared folders there is file:///folder"
            found.append(
                Finding("warning", f"its journal is {mode!r}, not a WAL: readers and writers wait", advice)
            )
        return [*found, *short_of_room(self.path.parent)]

    def close(self) -> None:
        """See `Store.close`."""
        self._writer.close()
        self._reader.close()


_KEEP_RUNS = """DELETE FROM profile WHERE kind = ? AND at NOT IN
    (SELECT at FROM profile WHERE kind = ? ORDER BY at DESC LIMIT ?)"""
_KEEP_KINDS = """DELETE FROM profile WHERE kind NOT IN
    (SELECT kind FROM profile GROUP BY kind ORDER BY max(at) DESC LIMIT ?)"""


def path_of(url: str) -> Path:
    """The file that a URL names: ``sqlite:///relative/path``, ``sqlite:////absolute/path`` or ``C:/…``."""
    rest = url.partition("://")[2]
    path = unquote(rest[1:])
    form = "a SQLite store is sqlite:///relative/path.db or sqlite:////absolute/path.db"
    if not rest.startswith("/") or not path or path.endswith("/") or "\0" in path:
        raise InvalidValue("url", url, form)
    if path == ":memory:":
        raise InvalidValue("url", url, "for records in memory there is memory://")
    if "?" in rest or "#" in rest:
        raise InvalidValue("url", url, f"{form}, without options; ? and # in a name are %3F and %23")
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:
        raise InvalidValue("url", url, str(error)) from error


def url_of(path: Path) -> str:
    """The URL that names a file."""
    return "sqlite:///" + quote(path.absolute().as_posix(), safe="/:~ @")


class _SQLiteTransaction:
    """What a transaction reads and writes, as SQL."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute

    def get(self, id: str) -> Kept | None:
        if not id.isascii():  # no id is; a lone surrogate would raise
            return None
        row = self._execute(f"SELECT {_COLUMNS} FROM job WHERE id = ?", (id,)).fetchone()
        return None if row is None else _kept(row)

    def put(self, kept: Kept) -> None:
        self._execute(_PUT, _row(kept))

    def drop(self, id: str) -> None:
        self._execute(f"INSERT INTO gone SELECT ({_LAST}) + 1, id, scope FROM job WHERE id = ?", (id,))
        self._execute(f"DELETE FROM gone WHERE seq < ({_LAST}) - {GONE}")
        self._execute("DELETE FROM job WHERE id = ?", (id,))
        self.drop_parts(id)

    def get_part(self, job: str, key: str) -> Part | None:
        row = self._execute(
            f"SELECT {', '.join(_PART)} FROM part WHERE job = ? AND key = ?", (job, key)
        ).fetchone()
        return None if row is None else Part(*row)

    def put_part(self, part: Part) -> None:
        self._execute(
            f"INSERT OR REPLACE INTO part ({', '.join(_PART)}) VALUES ({_marks(_PART)})",
            msgspec.structs.astuple(part),
        )

    def count_parts(self, job: str) -> int:
        found: int = self._execute("SELECT count(*) FROM part WHERE job = ?", (job,)).fetchone()[0]
        return found

    def drop_parts(self, job: str) -> None:
        self._execute("DELETE FROM part WHERE job = ?", (job,))

    def expired(self, now: datetime, limit: int) -> list[Head]:
        at = micros(now)
        rows = self._execute(
            f"SELECT {_COLUMNS} FROM job WHERE expires_at < ? UNION ALL SELECT {_COLUMNS} FROM job "
            f"WHERE cancel IS NOT NULL AND ended_at IS NULL AND cancellable AND {_SILENT} LIMIT ?",
            (at, at, limit),
        ).fetchall()
        return list({kept.head.id: kept.head for kept in map(_kept, rows)}.values())


def _search(
    scope: str | None,
    parent: str | None,
    status: Collection[str],
    cursor: str | None,
    *,
    limit: int,
    now: int,
) -> tuple[str, list[Any]]:
    """The query for a page, newest first, and its values.

    Each status is a search of its own, so that an index finds it and the cost grows with the answer.
    """
    common, given = ["created_at IS NOT NULL"], list[Any]()
    for column, value in (("scope", arguments.scope(scope)), ("parent", parent)):
        if value is not None:
            common.append(f"{column} = ?")
            given.append(value)
    if cursor:
        created_at, id = decode_cursor(cursor)
        common.append("(created_at, id) < (?, ?)")
        given += [micros(created_at), id]
    column = "status" if scope is None and parent is None else "+status"  # else by its scope or parent
    searches, values = list[str](), list[Any]()
    for term, more in _status_terms(status, column, now):
        where = " AND ".join((*common, term))
        searches.append(f"SELECT created_at, id FROM job WHERE {where} {_NEWEST}")
        values += [*given, *more, limit]
    union = " UNION ALL ".join(f"SELECT * FROM ({search})" for search in searches)
    return f"{union} {_NEWEST}" if len(searches) > 1 else union, [*values, *[limit] * (len(searches) > 1)]


_NEWEST = "ORDER BY created_at DESC, id DESC LIMIT ?"


def _status_terms(status: Collection[str], column: str, now: int) -> Iterator[tuple[str, list[Any]]]:
    if not status:
        yield "TRUE", []
    for name in dict.fromkeys(status):
        if name not in _READS:
            yield f"{column} = ?", [name]
            continue
        for term in _READS[name]:
            yield term.replace("%s", column), [now] * term.count("?")


def _load(connection: sqlite3.Connection, ids: Sequence[str]) -> list[tuple[Kept, Totals]]:
    """What is kept of these jobs, in this order."""
    found: dict[str, tuple[Kept, Totals]] = {}
    known = [id for id in ids if id.isascii()]
    for start in range(0, len(known), _UNTIL):
        some = known[start : start + _UNTIL]
        rows = connection.execute(f"SELECT {_COLUMNS} FROM job WHERE id IN ({_marks(some)})", some)
        kept = [_kept(row) for row in rows.fetchall()]
        totals = _totals(connection, some)
        found |= {one.head.id: (one, totals.get(one.head.id, Totals())) for one in kept}
    return [found[id] for id in known if id in found]


def _totals(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, Totals]:
    """What the parts of each job add up to, for jobs that have any."""
    ended = ", ".join(f"'{status}'" for status in sorted(ENDED))
    rows = connection.execute(
        "SELECT job, stage, weight IS NULL, sum(count), sum(weight), sum(weight * share), count(*), "
        f"sum(status IN ({ended})), sum(status = 'failed') FROM part WHERE job IN ({_marks(ids)}) "
        "GROUP BY job, stage, weight IS NULL",
        ids,
    ).fetchall()
    totals: dict[str, Totals] = {}
    for job, stage, by_hand, count, weight, done, children, over, failed in rows:
        known = totals.get(job, Totals())
        if by_hand:
            known = msgspec.structs.replace(known, counts=known.counts | {stage: count})
        else:
            known = Totals(
                known.counts,
                known.weight + weight,
                known.done + done,
                known.children + children,
                known.ended + over,
                known.failed + failed,
            )
        totals[job] = known
    return totals


def _marks(values: Collection[Any]) -> str:
    return ", ".join("?" * len(values))


def _kept(row: Sequence[Any]) -> Kept:
    values = list(row[: len(_HEAD)])
    for place in _TIMES:
        if values[place] is not None:
            values[place] = moment(values[place])
    values[_CANCELLABLE] = bool(values[_CANCELLABLE])
    return Kept(Head(**dict(zip(_HEAD, values, strict=True))), *row[len(_HEAD) :])


def _row(kept: Kept) -> list[Any]:
    values = list(_head_of(kept.head))
    for place in _TIMES:
        if values[place] is not None:
            values[place] = micros(values[place])
    return [*values, *(part.decode() if isinstance(part, bytes) else part for part in kept[1:])]


class _Connection:
    """A connection of this process to a file that others may delete, replace or damage.

    Attributes:
        opened: How many times it was opened: what was true of the file before may not be any more.
    """

    def __init__(self, path: Path, url: str) -> None:
        self._path = path
        self._url = url
        self._forking = False
        self._state = _Open()
        self.opened = 0
        _close_before_forks(self)

    @contextmanager
    def use(self) -> Iterator[sqlite3.Connection]:
        """The connection, alone.

        Raises:
            StoreUnavailable: The file cannot be read or written; what can be mended is mended for next time.
        """
        state = self._own()
        with state.lock:
            try:
                yield self._connected(state)
            except (sqlite3.Error, OSError) as error:
                self._mend(state, error)
                raise StoreUnavailable(self._url, str(error), self._advice(error)) from error

    @contextmanager
    def transaction(self, kind: str) -> Iterator[sqlite3.Connection]:
        """The connection, alone and in a transaction that is committed at the end."""
        with self.use() as connection:
            try:
                _begin(connection, kind)
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close it; it opens again when it is used again."""
        state = self._own()
        with state.lock:
            state.close()

    def _own(self) -> _Open:
        """What this process has open; also in a child whose hooks have not run yet, or never will."""
        if self._state.pid != os.getpid():
            self._inherit()
        return self._state

    def _inherit(self) -> None:
        if self._state.file is not None:
            _spoilt[self._state.file] = self._state
        self._state = _Open()

    @property
    def is_open(self) -> bool:
        """Whether there is a connection now."""
        return self._state.connection is not None

    def has_open(self, file: Identity) -> bool:
        """Whether its connection is to this file."""
        return self._state.file == file

    def before_fork(self) -> None:
        """Wait for the transaction that is open, and leave nothing for a child to inherit."""
        self._forking = self._state.lock.acquire(timeout=FORK)
        if self._forking:
            self._state.close()

    def after_fork(self, *, in_child: bool) -> None:
        """Open for use again; a child gets a lock of its own."""
        forking, self._forking = self._forking, False
        if in_child:
            self._own()
        elif forking:
            self._state.lock.release()

    def _connected(self, state: _Open) -> sqlite3.Connection:
        if state.connection is not None and state.file == _identity(self._path):
            return state.connection
        state.close()
        with _opening[-1]:
            for _ in range(TRIES):
                file = self._existing()
                connection = _connect(self._path)
                if file is not None and file == _identity(self._path):
                    state.connection, state.file = connection, file
                    self.opened += 1
                    return connection
                connection.close()
        raise FileNotFoundError("the file is moved away again and again")

    def _existing(self) -> Identity | None:
        """The file that is to be opened, made where there is none."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if _is_empty(self._path):
            _create(self._path)
        file = _identity(self._path)
        if file in _spoilt:
            reason = "this process was forked while the file was in use"
            raise StoreUnavailable(self._url, reason, "Open the store after the fork")
        if file is None or not _is_open(file):
            self._refuse_foreign()
        return file

    def _refuse_foreign(self) -> None:
        """A file that holds something else is not for us to write into."""
        if self._path.is_dir():
            raise IsADirectoryError("this is a folder; name a file in it")
        try:
            ours = _application(self._path) == APPLICATION
        except sqlite3.DatabaseError as error:
            if _code(error) not in _DAMAGED:
                raise
            ours = _is_ours(self._path)  # the look may have met a checkpoint: only a real one tells of damage
        if not ours:
            reason = "the file holds something else than headway's records"
            raise StoreUnavailable(self._url, reason, "Name another file, or move this one away")

    def _mend(self, state: _Open, error: Exception) -> None:
        code = _code(error)
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return
        with suppress(OSError):
            file = state.file or _identity(self._path)
            known = code in _DAMAGED and file is not None and (_is_open(file) or _is_ours(self._path))
            state.close()
            if known and file is not None:
                _put_aside(self._path, file)

    def _advice(self, error: Exception) -> str:
        code = _code(error)
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return "Another program holds it"
        if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN} or isinstance(error, OSError):
            return f"Make {self._path.parent} writable, or set HEADWAY_STORE to another place"
        return "Make room on the disk" if code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR} else ""


_connections: WeakSet[_Connection] = WeakSet()
_watching: list[bool] = []
_opening = [threads.lock()]
"""Held while a connection is opened, and during a fork; the last one counts."""
_spoilt: dict[Identity, _Open] = {}
"""Files whose connections this process has inherited, see fact 4."""


def _is_open(file: Identity) -> bool:
    """Whether it is known to be ours: nobody can reuse the number of a file that is open here."""
    return any(connection.has_open(file) for connection in list(_connections))


def _close_before_forks(connection: _Connection) -> None:
    _connections.add(connection)
    if _watching or not hasattr(os, "register_at_fork"):
        return
    _watching.append(True)
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=partial(_after_fork, in_child=False),
        after_in_child=partial(_after_fork, in_child=True),
    )


def _before_fork() -> None:
    known = list(_connections)
    for connection in known:
        connection.before_fork()
    _held.append(_opening[-1].acquire(timeout=FORK))
    for connection in list(_connections):
        if connection.is_open and connection not in known:  # opened by another thread meanwhile
            connection.before_fork()


_held: list[bool] = []


def _after_fork(*, in_child: bool) -> None:
    held = _held.pop()
    if in_child:
        _opening[:] = [threads.lock()]
    elif held:
        _opening[-1].release()
    for connection in list(_connections):
        connection.after_fork(in_child=in_child)


class _Open:
    """What is open in one process."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threads.lock()
        self.connection: sqlite3.Connection | None = None
        self.file: Identity | None = None

    def __del__(self, pid: Callable[[], int] = os.getpid, ignored: type[Exception] = sqlite3.Error) -> None:
        """A store that nobody closed; what a fork brought along is left alone.

        At the interpreter's exit the names of this module may be gone.
        """
        if self.connection is not None and self.pid == pid():
            try:
                self.connection.close()
            except ignored:
                return

    def close(self) -> None:
        connection, self.connection, self.file = self.connection, None, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def _code(error: Exception) -> int:
    """SQLite's own code for what went wrong."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
    try:
        connection.text_factory = _readable
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute(f"PRAGMA journal_size_limit = {WAL}")
        connection.execute("PRAGMA data_version")  # opens the file, now
    except BaseException:
        connection.close()
        raise
    return connection


def _begin(connection: sqlite3.Connection, kind: str) -> None:
    """Begin a transaction, see fact 9."""
    deadline = time.monotonic() + BUSY
    if kind == "IMMEDIATE":
        connection.execute(f"PRAGMA busy_timeout = {SHORT}")
    while True:
        try:
            connection.execute(f"BEGIN {kind}")
        except sqlite3.OperationalError as error:
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            threads.native("time", "sleep")(chance.uniform(0.001, 0.004))
        else:
            connection.execute(f"PRAGMA busy_timeout = {BUSY * 1000:.0f}")
            return


def _readable(text: bytes) -> str:
    return text.decode(errors="replace")


def _application(path: Path) -> int:
    """Whose file it is, see fact 6."""
    uri = f"file:{quote(path.as_posix())}?immutable=1"  # `Path.as_uri` imports ssl from Python 3.14 on
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        found: int = connection.execute("PRAGMA application_id").fetchone()[0]
        return found


def _is_ours(path: Path) -> bool:
    """The same of a file that SQLite cannot read; https://sqlite.org/fileformat.html, section 1.3."""
    with path.open("rb") as file:
        header = file.read(100)
    return header.startswith(b"SQLite format 3\0") and header[68:72] == APPLICATION.to_bytes(4, "big")


def _identity(path: Path) -> Identity | None:
    """Which file lies at a path now."""
    try:
        found = os.stat(path)  # noqa: PTH116 - before each use, and half the price
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _is_empty(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except FileNotFoundError:
        return True


def _create(path: Path) -> None:
    """Make an empty store where there is none, see fact 7."""
    path = path.resolve()
    new = Path(f"{path}.new")
    with _alone(path):
        if not _is_empty(path):
            return
        for ending in (*_BESIDE, ".new", *(f".new{ending}" for ending in _BESIDE)):
            Path(f"{path}{ending}").unlink(missing_ok=True)
        with closing(sqlite3.connect(new, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {LAYOUT}")
            connection.execute("COMMIT")
            connection.execute("PRAGMA journal_mode = WAL")
        new.replace(path)


def _put_aside(path: Path, damaged: Identity) -> None:
    """Rename a damaged file and what belongs to it; others that have it open find out by themselves."""
    path = path.resolve()
    with suppress(sqlite3.Error, OSError), _alone(path):
        if _identity(path) != damaged:  # somebody else was quicker
            return
        aside = f"{path}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
        for ending in ("", *_BESIDE):
            with suppress(FileNotFoundError):
                Path(f"{path}{ending}").replace(f"{aside}{ending}")


_BESIDE = ("-wal", "-shm", "-journal")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """While nobody else makes this file or puts it aside, see fact 7."""
    with closing(sqlite3.connect(f"{path}.lock", timeout=BUSY, isolation_level=None)) as guard:
        guard.execute("BEGIN EXCLUSIVE")
        yield


class _Watch(Subscription):
    """Looks at the change counter of the file, and at what has changed when it has moved."""

    polls = True

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._ids: set[str] = set()
        self._scopes: set[str | None] = set()
        self._counter: object = None
        self._opened = 0
        self._last: int | None = None
        self._closed = False

    def add(self, ids: Collection[str] = (), scopes: Collection[str | None] = ()) -> None:
        """See `Subscription.add`."""
        self._ids.update(ids)
        self._scopes.update(scopes)
        if self._last is None:
            with suppress(StoreUnavailable), self._connection.use() as connection:
                self._last = _last(connection)
                self._opened = self._connection.opened

    def remove(self, ids: Collection[str] = (), scopes: Collection[str | None] = ()) -> None:
        """See `Subscription.remove`."""
        self._ids.difference_update(ids)
        self._scopes.difference_update(scopes)

    def wait(self, timeout: float) -> set[str]:
        """See `Subscription.wait`."""
        deadline = time.monotonic() + timeout
        while not self._closed:
            changed = self._look()
            left = deadline - time.monotonic()
            if changed or left <= 0:
                return changed
            time.sleep(min(LOOK, left))
        return set()

    def close(self) -> None:
        """See `Subscription.close`."""
        self._closed = True
        self._connection.close()

    def _look(self) -> set[str]:
        with self._connection.use() as connection:
            if self._opened != self._connection.opened or self._last is None:
                return self._look_at_everything(connection)
            counter = connection.execute("PRAGMA data_version").fetchone()
            if counter == self._counter:
                return set()
            changes = connection.execute(_CHANGES, (self._last, self._last)).fetchall()
        self._counter = counter
        self._last = max((seq for seq, _, _ in changes), default=self._last)
        return {id for _, id, scope in changes if self._watches(id, scope)}

    def _look_at_everything(self, connection: sqlite3.Connection) -> set[str]:
        """It may be another file than before."""
        last = _last(connection)
        rows = connection.execute("SELECT id, scope FROM job").fetchall() if self._scopes else []
        self._last, self._counter, self._opened = last, None, self._connection.opened
        return self._ids | {id for id, scope in rows if self._watches(id, scope)}

    def _watches(self, id: str, scope: str | None) -> bool:
        return id in self._ids or scope in self._scopes or None in self._scopes


_CHANGES = (
    "SELECT seq, id, scope FROM job WHERE seq > ? UNION ALL SELECT seq, id, scope FROM gone WHERE seq > ?"
)


def _last(connection: sqlite3.Connection) -> int:
    """The number of the last change."""
    found: int = connection.execute(_LAST).fetchone()[0]
    return found

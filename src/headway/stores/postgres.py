"""``postgresql://user@host/database``: for those who run PostgreSQL already.

The rules are functions in a schema of ours (``sql/*.sql``), so that deciding and writing is one statement and
one round trip.

Facts behind what may look odd here:

1. Connections are our own and commit by themselves: what a program has open and not yet committed never hides
   its progress, and its rollback takes none of it back.
2. A statement's time limit is kept by this side.  The server's own (``statement_timeout``) says nothing when
   the server hangs or the network swallows packets, and libpq's for connecting is at least two seconds.
3. Nothing rests on the session but LISTEN: no prepared statements, no settings.  So a PgBouncer that gives
   each transaction another server connection changes nothing but that; there a subscription looks again and
   again, because notices would go to whoever has the connection then.
4. Whether notices arrive is tried out, by sending one from another connection: nothing that a server or a
   pooler says of itself tells it for sure.  It is tried again every few seconds, which also finds a
   connection that died without a word.
5. PostgreSQL's text holds no NUL.  JSON escapes it, so facts and details are kept as text, not as jsonb, and
   travel as text within JSON.
6. The times that decide are the server's clock's, in whole microseconds.
"""

from __future__ import annotations

import os
import re
import select
import time
from contextlib import suppress
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec
from msgspec.structs import replace

from headway import threads
from headway.core import arguments, transitions, wire
from headway.core.errors import InvalidValue, MissingPackage, StoreRefused, StoreUnavailable
from headway.core.snapshot import TIMES, Details, Head, Snapshot, Totals, as_read, head_of
from headway.core.transitions import micros, moment
from headway.stores.connections import TIMEOUT, Connections, without_secrets
from headway.stores.contract import (
    KINDS,
    PAGE,
    RUNS,
    Answer,
    Finding,
    Heard,
    Page,
    Polling,
    Profile,
    Store,
    Subscription,
    shown_of,
)

try:
    import psycopg
    from psycopg import conninfo, errors, pq
    from psycopg.waiting import Ready, Wait
except ImportError as error:
    raise MissingPackage("psycopg", "postgres") from error

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime

    from headway.core.snapshot import Error, Part
    from headway.core.transitions import Over

LAYOUT = 1
"""The version of the tables and functions; the database tells its own."""
SCHEMA = "headway"
"""The schema in which records are kept where the URL names no other."""
MAKING = 10.0
"""Seconds for which the first use may make the tables, or wait for somebody else who makes them."""
EACH = 0.0005
"""Seconds that a call may take longer for each record and part of a batch."""
TRIES = 3
"""How often a statement is tried that met another transaction in a knot."""
AGAIN = 10.0
"""Seconds between two looks whether notices still arrive."""
ARRIVAL = 1.0
"""Seconds within which a notice must arrive."""
SLICE = 0.1
"""Seconds after which a wait looks whether it was closed."""
FEW = 10
"""So few free connections are worth a word."""

_FILES = ("tables.sql", "rules.sql", "verbs.sql")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,47}")
_HEAD = Head.__struct_fields__
_TIME_PLACES = [_HEAD.index(name) for name in TIMES]
_TOTALS = (
    "counts::text",
    "children_weight::float8",
    "children_done::float8",
    "children",
    "children_ended",
    "children_failed",
)
_COLUMNS = (*_HEAD, "facts", *_TOTALS)
_DETAILS = ("messages", "error", "result", "meta")
_NEWEST = "ORDER BY created_at DESC, id DESC LIMIT %s"
_decode_counts = msgspec.json.Decoder(dict[str, tuple[int | float, int]]).decode
_decode_raw = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_profile = msgspec.json.Decoder(Profile).decode


class PostgresStore(Store):
    """Records in a PostgreSQL database that many machines share."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._shown = without_secrets(url)
        self._parameters, self.schema = _settings(url)
        self._connections = Connections(self._connect, self._shown)
        self._warned = False

    def open(self, record: Snapshot, over: Over = "anything", *, exclusive: bool = False) -> Answer:
        """See `Store.open`."""
        if over == "anything":
            transitions.check_run(record.run)
        columns = ", ".join(f"(sight.job).{name}" for name in _COLUMNS)
        details = ", ".join(f"sight.{name}" for name in (*_DETAILS, "told"))
        rows = self._call(
            f"SELECT outcome, now, (sight.job).details_version, {columns}, {details} "
            f"FROM {self.schema}.open(%s::jsonb, %s, %s) AS sight",
            [_encoded(_told(record)), over, exclusive],
        )
        (outcome, now, _, *before), (_, _, details_version, *after) = rows[0], rows[-1]
        snapshot = None if before[0] is None else _snapshot(before, moment(now))
        if after[0] is None:
            return Answer(outcome)
        job, _ = _record(after)
        if outcome == "opened":
            self._ring([job.id], [job.scope])
        return Answer(
            outcome,
            version=job.version,
            attempt=job.attempt,
            run=job.run,
            status=job.status,
            cancel=job.cancel,
            details_version=details_version or 0,
            snapshot=snapshot,
            opened=replace(job, details=None) if len(rows) > 1 else None,
        )

    def write(
        self, records: Sequence[Snapshot], parts: Sequence[Part] = (), listening: Collection[str] = ()
    ) -> dict[str, Answer]:
        """See `Store.write`."""
        batch: dict[str, dict[str, Any]] = {}
        for record in records:
            batch.setdefault(record.id, {"id": record.id}).setdefault("records", []).append(_told(record))
        for part in parts:
            batch.setdefault(part.job, {"id": part.job}).setdefault("parts", []).append(part)
        heard = [id for id in dict.fromkeys(listening) if id not in batch and _can_be_kept(id)]
        rows = self._call(
            f"SELECT {_ANSWER} FROM {self.schema}.write(%s::jsonb, %s::text[])",
            [_encoded([batch[id] for id in sorted(batch)]), heard],
            EACH * (len(records) + len(parts)),
        )
        self._ring_for(rows)
        answers = dict.fromkeys(listening, Answer("missing"))
        return answers | {row[0]: Answer(*row[1:8]) for row in rows}

    def end(self, id: str, attempt: int, status: str, error: Error | None = None) -> Answer:
        """See `Store.end`."""
        transitions.check_end(status)
        told = None if error is None else wire.encode_error(error).decode()
        return self._decide("end(%s, %s, %s, %s)", id, attempt, status, told)

    def request_cancel(self, id: str) -> Answer:
        """See `Store.request_cancel`."""
        return self._decide("cancel(%s)", id)

    def read(self, ids: Collection[str], *, details: bool = False) -> dict[str, Snapshot]:
        """See `Store.read`."""
        known = [id for id in dict.fromkeys(ids) if _can_be_kept(id)]
        if not known:
            return {}
        columns, joined = ", ".join(_COLUMNS), ""
        if details:
            columns = ", ".join((*(f"job.{name}" for name in _COLUMNS), *_DETAILS, "told"))
            joined = f"LEFT JOIN {self.schema}.detail ON detail.id = job.id"
        rows = self._call(
            f"SELECT (SELECT {self.schema}.clock()), {columns} FROM {self.schema}.job {joined} "
            "WHERE job.id = ANY(%s::text[])",
            [known],
            EACH * len(known),
        )
        found = {row[1]: _snapshot(row[1:], moment(row[0])) for row in rows}
        return {id: found[id] for id in known if id in found}

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
        limit = arguments.page(limit)
        search, values = _search(self.schema, scope, parent, status, cursor, limit=limit + 1)
        rows = self._call(search, values) if _can_be_kept(parent or "") else []
        jobs = tuple(_snapshot(row[1:], moment(row[0])) for row in rows[:limit])
        last = jobs[-1] if len(rows) > limit else None
        return Page(jobs, wire.encode_cursor(last.created_at, last.id) if last and last.created_at else None)

    def listen(self) -> Subscription:
        """See `Store.listen`; by notice, or by looking where notices do not arrive."""
        notices = _Notices(self)
        try:
            notices.connect()
        except _NoNotices:
            self.warn_of_polling()
            return Polling(self)
        except StoreUnavailable:  # it connects when it is waited for
            pass
        return notices

    def forget(self, id: str) -> bool:
        """See `Store.forget`."""
        return self._decide("forget(%s)", id).outcome == "forgotten"

    def sweep(self, limit: int = 100) -> int:
        """See `Store.sweep`."""
        rows = self._call(f"SELECT {_ANSWER} FROM {self.schema}.sweep(%s)", [limit], EACH * limit)
        self._ring_for(rows)
        return sum(row[1] == "dropped" for row in rows)

    def history(self, kind: str) -> list[Profile]:
        """See `Store.history`."""
        rows = self._call(
            f"SELECT data FROM {self.schema}.profile WHERE kind = %s ORDER BY at DESC LIMIT %s",
            [_clean(kind), RUNS],
        )
        return [_decode_profile(data) for (data,) in reversed(rows)]

    def learn(self, kind: str, profile: Profile | None) -> None:
        """See `Store.learn`."""
        data = None if profile is None else msgspec.json.encode(profile).decode()
        self._call(f"SELECT {self.schema}.learn(%s, %s, %s, %s)", [_clean(kind), data, RUNS, KINDS])

    def check(self) -> None:
        """See `Store.check`."""
        self.request_cancel("headway-check")

    def diagnose(self) -> list[Finding]:
        """See `Store.diagnose`."""
        (row,) = self._call(_HEALTH.replace("headway.", f"{self.schema}."), [])
        return [*_findings(*row), self._notices_found(standby=row[2])]

    def migrate(self) -> bool:
        """See `Store.migrate`."""
        try:
            link = _connect(self._parameters)
            try:
                return self._make(link)
            finally:
                link.close()
        except psycopg.Error as error:
            raise self.unavailable(error) from error

    def close(self) -> None:
        """See `Store.close`."""
        self._connections.close()

    def notify(self, channel: str) -> None:
        """Send a notice, from a connection like any other."""
        self._call("SELECT pg_notify(%s, '')", [channel])

    def connect_listener(self) -> Link:
        """A connection for a subscription alone.

        Raises:
            StoreUnavailable: There is none to be had.
        """
        try:
            return self._connect()
        except psycopg.Error as error:
            raise self.unavailable(error) from error

    def channel(self, sort: str, name: str = "") -> str:
        """The channel on which changes of one job, of a scope, or of every job are told."""
        told = f"{_name_of(self.schema)}/{sort}/{name}".encode(errors="replace")
        return f"headway_{sha256(told).hexdigest()[:40]}"

    def warn_of_polling(self) -> None:
        """Say once that changes come late."""
        if not self._warned:
            self._warned = True
            import logging  # rarely needed

            logging.getLogger("headway").warning(
                "PostgreSQL's notices do not arrive through %s (PgBouncer in transaction mode?), so "
                "changes are looked for every 0.1 s",
                self._shown,
            )

    def _decide(self, call: str, id: str, *values: object) -> Answer:
        if not _can_be_kept(id):
            return Answer("missing")
        rows = self._call(f"SELECT {_ANSWER} FROM {self.schema}.{call}", [id, *values])
        self._ring_for(rows)
        return Answer(*rows[0][1:8])

    def _ring_for(self, rows: Sequence[Sequence[Any]]) -> None:
        rung = [(row[0], row[8]) for row in rows if row[9]]
        if rung:
            self._ring([id for id, _ in rung], [scope for _, scope in rung])

    def _ring(self, ids: list[str], scopes: list[str | None]) -> None:
        """Tell of changes that are committed; that they happened does not hang on it."""
        with suppress(StoreUnavailable):
            self._call(f"SELECT {self.schema}.ring(%s::text[], %s::text[])", [ids, scopes])

    def _call(self, statement: str, values: Sequence[object], more: float = 0.0) -> list[Any]:
        """What a statement gives; it is committed then.  It may take so many seconds more than others."""
        for turn in range(1, TRIES + 1):
            try:
                with self._connections.borrow() as link:
                    link.deadline = time.monotonic() + TIMEOUT + more
                    return link.execute(statement, values).fetchall()
            except (errors.DeadlockDetected, errors.SerializationFailure) as error:
                if turn == TRIES:
                    raise self.unavailable(error) from error
            except (psycopg.Error, OSError) as error:
                raise self.unavailable(error) from error
        raise AssertionError

    def _connect(self) -> Link:
        link = _connect(self._parameters)
        try:
            layout = self._layout(link)
            if layout is None:
                self._make(link)
            elif layout != LAYOUT:
                self._refuse(layout)
        except BaseException:
            link.close()
            raise
        return link

    def _layout(self, link: Link) -> int | None:
        """The version of what the database has of ours; None: nothing."""
        link.deadline = time.monotonic() + TIMEOUT
        try:
            (row,) = link.execute(f"SELECT {self.schema}.layout()").fetchall()
        except (errors.InvalidSchemaName, errors.UndefinedFunction):
            return None
        return int(row[0])

    def _refuse(self, layout: int) -> None:
        if layout > LAYOUT:
            advice = "Upgrade headway here, or name another schema (?schema=…)"
        else:
            advice = "Run `headway migrate` with this URL"
        reason = f"its tables have layout {layout}, this version of headway knows {LAYOUT}"
        raise StoreRefused(self._shown, reason, advice)

    def _make(self, link: Link) -> bool:
        """Make schema, tables and functions where nobody has; whether this call did."""
        lock = int.from_bytes(sha256(f"headway/{self.schema}".encode()).digest()[:8], "big", signed=True)
        link.deadline = time.monotonic() + MAKING
        with link.transaction():
            link.execute("SELECT pg_advisory_xact_lock(%s)", [lock])
            (found,) = link.execute(_THERE, [f"{self.schema}.layout()", self.schema]).fetchall()
            if found[0]:
                return False
            if not found[1]:
                link.execute(f"CREATE SCHEMA {self.schema}".encode())
            for name in _FILES:
                link.execute(_statements(name, self.schema))
        return True

    def unavailable(self, error: BaseException) -> StoreUnavailable:
        """What a driver's error means for whoever uses the store."""
        reason = " ".join(str(error).split()) or type(error).__name__
        refusal = self._refusal(error, reason)
        if refusal is not None:
            return StoreRefused(self._shown, reason, refusal)
        passing = next((advice for kinds, advice in _PASSING if isinstance(error, kinds)), "")
        return StoreUnavailable(self._shown, reason, passing)

    def _refusal(self, error: BaseException, reason: str) -> str | None:
        """What to change where the server will say the same the next time."""
        if isinstance(error, errors.InsufficientPrivilege):
            return (
                f"Let the owner run `headway migrate` with this URL, and then: GRANT USAGE ON SCHEMA "
                f"{self.schema} TO …; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "
                f"{self.schema} TO …"
            )
        if isinstance(error, psycopg.OperationalError):
            refusal = next((advice for words, advice in _LOGIN if words in reason), None)
            if refusal is not None:
                return refusal
        return next((advice for kinds, advice in _REFUSALS if isinstance(error, kinds)), None)

    def _notices_found(self, *, standby: bool) -> Finding:
        notices = _Notices(self)
        try:
            notices.connect()
        except _NoNotices:
            advice = (
                "name the primary"
                if standby
                else "name the server itself in the URL of whoever watches, or a PgBouncer in session mode"
            )
            return Finding("warning", "its notices do not arrive, so changes are looked for instead", advice)
        finally:
            notices.close()
        return Finding("ok", "its notices arrive")


_ANSWER = "id, outcome, version, attempt, run, status, cancel, details_version, scope, rings"
_THERE = "SELECT to_regprocedure(%s) IS NOT NULL, to_regnamespace(%s) IS NOT NULL"
_PASSING: tuple[tuple[Any, str], ...] = (
    (errors.LockNotAvailable, "Another transaction holds the record"),
    (errors.TooManyConnections, "Raise max_connections, or put PgBouncer before it"),
    ((errors.DiskFull, errors.OutOfMemory), "Make room"),
)
"""What to do about what may pass."""
_LOGIN = (
    ("password authentication failed", "Correct the user or the password in the URL"),
    ("no password supplied", "Put the password into the URL: postgresql://user:password@host/database"),
    ("no pg_hba.conf entry", "Let the server's pg_hba.conf admit this user from here"),
    ("does not support SSL", "The server speaks no TLS: take sslmode=require out of the URL"),
    ("certificate verify failed", "Name the authority that signed its certificate: ?sslrootcert=/path"),
    ("is not permitted to log in", "Name a role that may log in"),
    ("does not exist", "Correct user and database in the URL"),
)
"""What to do about what a server says before anybody is let in; the driver gives its words only."""
_REFUSALS: tuple[tuple[Any, str], ...] = (
    (errors.ReadOnlySqlTransaction, "It takes no writes: name the primary (target_session_attrs=read-write)"),
    (
        (errors.UntranslatableCharacter, errors.CharacterNotInRepertoire),
        "The database's encoding must be UTF8",
    ),
    (
        (errors.DuplicateTable, errors.DuplicateFunction, errors.DuplicateObject),
        "The schema holds something else; name another (?schema=…)",
    ),
)
"""What to do about what a server says again and again."""
_HEALTH = """SELECT current_setting('server_version'), current_setting('synchronous_commit'),
    pg_is_in_recovery(), current_setting('transaction_read_only') = 'on', current_setting('server_encoding'),
    current_setting('fsync') = 'on', current_setting('max_connections')::int
        - current_setting('superuser_reserved_connections')::int
        - (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend'),
    (SELECT count(*) FROM headway.job)"""


def _findings(  # noqa: PLR0917 - as the row has it
    version: str,
    synchronous: str,
    standby: bool,  # noqa: FBT001 - as the row has it
    read_only: bool,  # noqa: FBT001
    encoding: str,
    fsync: bool,  # noqa: FBT001
    free: int,
    jobs: int,
) -> Iterator[Finding]:
    yield Finding("ok", f"PostgreSQL {version.split(maxsplit=1)[0]}, {jobs:,} jobs")
    if encoding != "UTF8":
        yield Finding("error", f"its encoding is {encoding}", "use a database whose encoding is UTF8")
    if standby or read_only:
        what = "it is a standby and takes no writes" if standby else "it takes no writes (read only)"
        yield Finding("error", what, "name the primary (target_session_attrs=read-write)")
    if synchronous == "off":
        advice = "let headway's role have it on: ALTER ROLE … SET synchronous_commit = on"
        yield Finding("warning", "a crash of the server may lose ends (synchronous_commit is off)", advice)
    if not fsync:
        yield Finding("warning", "a power cut may destroy the database (fsync is off)", "turn fsync on")
    if free < FEW:
        advice = "raise max_connections, or put PgBouncer before it"
        yield Finding("warning", f"it has {max(free, 0)} connections left", advice)


def _settings(url: str) -> tuple[dict[str, Any], str]:
    """What libpq is to know, and the schema, quoted.

    Raises:
        InvalidValue: The URL says something that nobody understands.
    """
    scheme, _, rest = url.partition("://")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if authority.count("@") > 1 or ("@" in rest and "@" not in authority):  # so its password cannot be told
        reason = "in a user's name or a password, @ / ? # and % are written %40 %2F %3F %23 and %25"
        raise InvalidValue("url", f"{scheme}://…", reason)
    base, _, query = url.partition("?")
    options = [option for option in query.split("&") if option]
    ours = [option for option in options if option.partition("=")[0] == "schema"]
    others = [option for option in options if option not in ours]
    schema = unquote(ours[0].partition("=")[2]) if ours else SCHEMA
    if len(ours) > 1 or not _NAME.fullmatch(schema):
        reason = "a schema is named once, by a letter and then letters, digits and _, at most 48 in all"
        raise InvalidValue("url", without_secrets(url), reason)
    try:
        found = conninfo.conninfo_to_dict("?".join([base, "&".join(others)]) if others else base)
    except psycopg.Error:
        form = "a PostgreSQL store is postgresql://user:password@host:5432/database?schema=headway"
        raise InvalidValue("url", without_secrets(url), form) from None  # the cause may show the password
    ours_too = {"client_encoding": "UTF8"}
    if not found.get("application_name"):
        ours_too["fallback_application_name"] = "headway"
    return {**found, **ours_too}, f'"{schema}"'


def _name_of(schema: str) -> str:
    """A schema's name without its quotation marks."""
    return schema.strip('"')


def _statements(name: str, schema: str) -> bytes:
    """One of our SQL files, for a schema."""
    text = files("headway.stores").joinpath("sql", name).read_text("utf-8")
    return text.replace("headway_schema", _name_of(schema)).replace("headway.", f"{schema}.").encode()


class Link(psycopg.Connection[tuple[Any, ...]]):
    """A connection that does not wait longer than it may.

    Attributes:
        deadline: When what is asked must be answered, by the monotonic clock.
    """

    deadline = 0.0

    def __del__(self, *_: object) -> None:
        """Nobody closed its store: libpq does, and not in a child after a fork."""

    def wait(self, gen: Any, *_: object, **__: object) -> Any:
        """See psycopg: let a generator of its run, waiting for the socket where it asks for it."""
        try:
            wanted = next(gen)
            while True:
                ready = _ready(self.pgconn.socket, wanted, self.deadline)
                if not ready:
                    raise errors.ConnectionTimeout("the server did not answer in time")
                wanted = gen.send(ready)
        except StopIteration as done:
            return done.value

    def sockets(self) -> list[int]:
        """Its file descriptor, while it is open."""
        return [] if self.closed else [self.pgconn.socket]


def _ready(socket: int, wanted: int, deadline: float) -> int:
    """For what a socket is ready, in psycopg's words; nothing: it is too late."""
    left = max(0.0, deadline - time.monotonic())
    reads, writes = bool(wanted & Wait.R), bool(wanted & Wait.W)
    if not hasattr(select, "poll"):  # Windows
        readable, writable, broken = select.select([socket] * reads, [socket] * writes, [socket], left)
        return Ready.R * bool(readable) | Ready.W * bool(writable) or int(wanted) * bool(broken)
    poll = select.poll()
    poll.register(socket, select.POLLIN * reads | select.POLLOUT * writes)
    said = sum(events for _, events in poll.poll(left * 1000))
    ready = Ready.R * bool(said & select.POLLIN) | Ready.W * bool(said & select.POLLOUT)
    return ready or int(wanted) * bool(said)  # closed or broken: libpq finds out what it is


def _connect(parameters: dict[str, Any]) -> Link:
    """A connection to the first of the hosts that lets us in, see fact 2."""
    *others, last = _addresses(parameters)
    for address in others:
        with suppress(psycopg.OperationalError):
            return _connect_to(address)
    return _connect_to(last)


def _addresses(parameters: dict[str, Any]) -> list[dict[str, Any]]:
    names = [name for name in ("host", "hostaddr") if "," in str(parameters.get(name, ""))]
    if not names:
        return [parameters]
    columns = {name: str(parameters[name]).split(",") for name in names}
    count = max(map(len, columns.values()))
    ports = str(parameters.get("port") or "").split(",")
    columns["port"] = ports if len(ports) == count else ports[:1] * count
    return [parameters | {name: column[place] for name, column in columns.items()} for place in range(count)]


def _connect_to(parameters: dict[str, Any]) -> Link:
    deadline = time.monotonic() + TIMEOUT
    server = pq.PGconn.connect_start(conninfo.make_conninfo(**parameters).encode())
    while server.status != pq.ConnStatus.BAD:
        step = server.connect_poll()
        if step == pq.PollingStatus.OK:
            server.nonblocking = 1
            link = Link(server)
            link.deadline = deadline
            link.autocommit = True
            link.prepare_threshold = None
            return link
        if step == pq.PollingStatus.FAILED:
            break
        wanted = Wait.R if step == pq.PollingStatus.READING else Wait.W
        if not _ready(server.socket, wanted, deadline):
            server.finish()
            raise errors.ConnectionTimeout(f"it could not be reached within {TIMEOUT:g} s")
    reason = server.error_message.decode(errors="replace")
    server.finish()
    raise psycopg.OperationalError(reason or "the connection failed")


def _search(
    schema: str,
    scope: str | None,
    parent: str | None,
    status: Collection[str],
    cursor: str | None,
    *,
    limit: int,
) -> tuple[str, list[Any]]:
    """The query for a page, newest first, and its values.

    Each status is a search of its own, so that an index finds it and the cost grows with the answer.
    """
    scope = arguments.scope(scope)
    before = wire.decode_cursor(cursor) if cursor else None
    place = [micros(before[0]), _clean(before[1])] if before else []
    statuses = [name for name in dict.fromkeys(status) if _can_be_kept(name)] if status else [None]
    searches, values = list[str](), list[Any]()
    for name in statuses:
        reads = "running" if name == "stalled" else name
        led: dict[str, str | None] = {"scope": scope, "reads": reads}
        beside: dict[str, str | None] = {}
        if parent is not None:
            led, beside = {"parent": parent}, led
        silent = {"running": False, "stalled": True}.get(name or "")
        found, given = _range(_given(led), _given(beside), place, silent=silent)
        searches.append(f"(SELECT * FROM {schema}.job {found})")
        values += [*given, limit]
    columns = ", ".join(_COLUMNS)
    union = " UNION ALL ".join(searches) or f"(SELECT * FROM {schema}.job LIMIT 0)"
    text = (
        f"WITH clock AS (SELECT {schema}.clock() AS now) "
        f"SELECT (SELECT now FROM clock), {columns} FROM ({union}) AS found {_NEWEST}"
    )
    return text, [*values, limit]


def _range(
    led: dict[str, str], beside: dict[str, str], place: Sequence[Any], *, silent: bool | None
) -> tuple[str, list[Any]]:
    """The part of an index that begins with these columns, newest first from a place on, and its values.

    It is a range, not an equation, because the planner ignores a column of an equation when it orders.  It
    would then take the index by time, and look at all jobs for a user's few.
    """
    names, values = list(led), list(led.values())
    terms = [f"{name} IS NOT NULL" for name in led if name != "reads"]  # as the index says
    if led:
        terms.append(f"({', '.join(names)}) >= ({_marks(values)})")
    upper = [*names, "created_at", "id"] if place else names
    if upper:
        terms.append(f"({', '.join(upper)}) {'<' if place else '<='} ({_marks(upper)})")
    terms += [f"{name} = %s" for name in beside]
    if silent is not None:
        terms.append(f"seen_at + lease * 1000000 {'<' if silent else '>='} (SELECT now FROM clock)")
    where = f"WHERE {' AND '.join(terms)}" if terms else ""
    order = ", ".join(f"{name} DESC" for name in (*names, "created_at", "id"))
    return f"{where} ORDER BY {order} LIMIT %s", [*values, *values, *place, *beside.values()]


def _given(conditions: dict[str, str | None]) -> dict[str, str]:
    return {column: value for column, value in conditions.items() if value is not None}


def _marks(values: Collection[object]) -> str:
    return ", ".join(["%s"] * len(values))


def _told(record: Snapshot) -> dict[str, Any]:
    """A record as the functions take it."""
    told = head_of(record)
    for name in TIMES:
        if told[name] is not None:
            told[name] = micros(told[name])
    told["facts"] = wire.encode_facts(record).decode()
    if record.details is not None:
        pieces = _decode_raw(wire.encode_details(record.details))
        told["details"] = {name: bytes(piece).decode() for name, piece in pieces.items()}
    return told


def _encoded(value: Any) -> str:
    """As JSON that PostgreSQL takes, see fact 5."""
    try:
        encoded = msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        encoded = "\\u0000"
    if "\\u0000" in encoded:
        encoded = msgspec.json.encode(_cleaned(msgspec.to_builtins(value))).decode()
    return encoded


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, dict):
        return {name: _cleaned(one) for name, one in value.items()}
    return [_cleaned(one) for one in value] if isinstance(value, list) else value


def _clean(text: str) -> str:
    """Text without what PostgreSQL cannot keep."""
    return text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _can_be_kept(text: str) -> bool:
    return _clean(text) == text


def _snapshot(row: Sequence[Any], now: datetime) -> Snapshot:
    """The record in a row as a reader sees it at ``now``."""
    return as_read(*_record(row), now)


def _record(row: Sequence[Any]) -> tuple[Snapshot, Totals]:
    """The record in a row, with details where the row has them, and what its parts add up to."""
    values = list(row[: len(_HEAD)])
    for place in _TIME_PLACES:
        if values[place] is not None:
            values[place] = moment(values[place])
    facts, counts, weight, done, children, ended, failed, *beside = row[len(_HEAD) :]
    details = _details(*beside) if beside else None
    by_stage = {
        stage[1:] if stage else None: count
        for stage, (count, hands) in _decode_counts(counts).items()
        if hands
    }
    totals = Totals(by_stage, weight, done, children, ended, failed)
    head = Head(**dict(zip(_HEAD, values, strict=True)))
    return wire.decode_record(head, facts, details), totals


def _details(
    messages: str | None, error: str | None, result: str | None, meta: str | None, told: str | None
) -> Details:
    pieces = dict(zip(_DETAILS, (messages, error, result, meta), strict=True))
    known = {name: msgspec.Raw(piece.encode()) for name, piece in pieces.items() if piece is not None}
    found = wire.decode_details(msgspec.json.encode(known))
    return Details(found.messages, wire.decode_error(told), found.result, found.meta) if told else found


class _NoNotices(Exception):
    """Notices do not arrive here."""


class _Notices(Subscription):
    """Hears of changes by LISTEN, on a connection of its own, and looks after it."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self._ids: set[str] = set()
        self._scopes: set[str | None] = set()
        self._polling: Polling | None = None
        self._link: Link | None = None
        self._pid = os.getpid()
        self._private = ""
        self._watched: set[str] = set()
        self._changed: set[str] = set()
        self._heard = Heard()
        self._missed = False
        self._asked = 0.0
        self._answered = True
        self._closed = False
        self._lock = threads.lock()

    def add(self, ids: Collection[str] = (), scopes: Collection[str | None] = ()) -> None:
        """See `Subscription.add`."""
        self._ids.update(ids)
        self._scopes.update(scopes)
        if self._polling is not None:
            self._polling.add(ids, scopes)
            return
        with self._lock:
            self._tune()

    def remove(self, ids: Collection[str] = (), scopes: Collection[str | None] = ()) -> None:
        """See `Subscription.remove`."""
        self._ids.difference_update(ids)
        self._scopes.difference_update(scopes)
        if self._polling is not None:
            self._polling.remove(ids, scopes)
            return
        with self._lock:
            self._tune()

    def wait(self, timeout: float) -> set[str]:
        """See `Subscription.wait`."""
        deadline = time.monotonic() + timeout
        while not self._closed:
            if self._polling is not None:
                return self._polling.wait(max(0.0, deadline - time.monotonic()))
            with self._lock:
                changed = self._look(min(deadline, time.monotonic() + SLICE))
            if changed or time.monotonic() >= deadline:
                return changed
        self._let_go()
        return set()

    def close(self) -> None:
        """See `Subscription.close`."""
        self._closed = True
        if self._polling is not None:
            self._polling.close()
        self._let_go()

    def connect(self) -> None:
        """Listen, and try out whether anything is heard.

        Raises:
            StoreUnavailable: The server cannot be reached.
            _NoNotices: It can, and its notices do not arrive.
        """
        self._drop()
        self._link = self._store.connect_listener()
        self._link.add_notify_handler(lambda notice: self._hear(notice.channel, notice.payload))
        self._private = f"headway_{os.urandom(16).hex()}"
        try:
            self._listen([f'LISTEN "{self._private}"'])
            self._tune()
            self._ask()
            while not (self._answered or self._is_late()):
                _ready(self._link.pgconn.socket, Wait.R, self._asked + ARRIVAL)
                self._take_notices()
        except (errors.ReadOnlySqlTransaction, errors.FeatureNotSupported) as error:  # a standby
            self._drop()
            raise _NoNotices from error
        except psycopg.Error as error:
            self._drop()
            raise self._store.unavailable(error) from error
        if not self._answered:
            self._leave_to_the_pooler()
            raise _NoNotices

    def _let_go(self) -> None:
        """Close the connection, unless it is in use: then whoever waits there does."""
        if self._lock.acquire(blocking=False):
            try:
                self._drop()
            finally:
                self._lock.release()

    def _look(self, deadline: float) -> set[str]:
        """What has changed, at last after a wait."""
        if self._link is None or self._pid != os.getpid():
            self._reconnect()
        if self._link is None:
            return set()
        try:
            self._take_notices()
            if not (self._changed or self._missed):
                _ready(self._link.pgconn.socket, Wait.R, deadline)
                self._take_notices()
            self._look_after_it()
        except psycopg.Error:  # the next look connects again
            self._drop()
            return set()
        if self._missed:
            self._look_at_everything()
        changed, self._changed = self._changed, set()
        return changed

    def _reconnect(self) -> None:
        self._missed = True
        try:
            self.connect()
        except _NoNotices:
            self._store.warn_of_polling()
            self._polling, self.polls = Polling(self._store), True
            self._polling.add(self._ids, self._scopes)

    def _leave_to_the_pooler(self) -> None:
        """It will give this session to somebody else."""
        with suppress(psycopg.Error):
            self._listen(["UNLISTEN *"])
        self._drop()

    def _drop(self) -> None:
        link, self._link, self._watched = self._link, None, set()
        if link is None:
            return
        self._missed = True
        if self._pid == os.getpid():
            link.close()
            return
        self._pid = os.getpid()
        with suppress(OSError, psycopg.Error):  # the parent's goes on, so nothing is said on it
            os.close(link.pgconn.socket)

    def _tune(self) -> None:
        """Listen on the channels of what is watched, and on no others."""
        wanted = {self._store.channel("id", id) for id in self._ids}
        wanted |= {self._store.channel("scope", scope) for scope in self._scopes if scope is not None}
        wanted |= {self._store.channel("every")} if None in self._scopes else set()
        if self._link is None or self._pid != os.getpid():
            return
        statements = [f'UNLISTEN "{name}"' for name in self._watched - wanted]
        statements += [f'LISTEN "{name}"' for name in wanted - self._watched]
        try:
            self._listen(statements)
        except psycopg.Error:  # the next look connects again
            self._drop()
        else:
            self._watched = wanted

    def _listen(self, statements: Sequence[str]) -> None:
        if self._link is not None and statements:
            self._link.deadline = time.monotonic() + TIMEOUT + EACH * len(statements)
            self._link.execute("; ".join(statements).encode())

    def _take_notices(self) -> None:
        """Take in what has arrived.

        Raises:
            psycopg.OperationalError: The connection is gone.
        """
        if self._link is None:
            return
        self._link.pgconn.consume_input()
        while (notice := self._link.pgconn.notifies()) is not None:
            self._hear(notice.relname.decode(), notice.extra.decode())

    def _hear(self, channel: str, id: str) -> None:
        if channel == self._private:
            self._answered = True
        elif channel in self._watched:
            self._changed.add(id)
            if self._scopes:
                self._heard.add([id])

    def _ask(self) -> None:
        """Send a notice to itself."""
        self._asked, self._answered = time.monotonic(), False
        self._store.notify(self._private)

    def _is_late(self) -> bool:
        return not self._answered and time.monotonic() > self._asked + ARRIVAL

    def _look_after_it(self) -> None:
        """Ask now and then whether notices still arrive.

        Raises:
            psycopg.OperationalError: They do not.
        """
        if self._is_late():
            raise psycopg.OperationalError("notices no longer arrive")
        if self._answered and time.monotonic() > self._asked + AGAIN:
            self._ask()

    def _look_at_everything(self) -> None:
        """After a time in which anything may have happened."""
        self._changed |= self._ids
        self._changed.update(self._heard)
        for scope in self._scopes:
            self._changed.update(job.id for job in shown_of(self._store, scope))
        self._missed = False

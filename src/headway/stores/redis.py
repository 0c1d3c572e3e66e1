"""``redis://host`` and its kin: many machines, by a server that most have already.

The rules are scripts on the server (``lua/*.lua``), so that deciding and writing is one step, and a batch of
reports one round trip.

Facts behind what may look odd here:

1. All keys of a job carry its id in braces, so that a Cluster keeps them on one server.  Where jobs are found
   is in one slot of its own; see ``index.lua`` for what that means in a Cluster.
2. Heads travel as MessagePack: the server's JSON cuts numbers after 14 digits, and times in microseconds have
   16.  Its MessagePack knows text, but no bytes.
3. A published change may be lost with its connection.  So whatever a subscription watches counts as changed
   when it has connected again, and a server that does not answer a ping counts as gone.
"""

from __future__ import annotations

import selectors
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec.structs import asdict, replace

from headway import threads
from headway.core import arguments, transitions, wire
from headway.core.errors import StoreRefused, StoreUnavailable
from headway.core.snapshot import TIMES, Details, Head, Snapshot, Totals, as_read, head_of
from headway.core.transitions import micros, moment
from headway.stores.contract import (
    PAGE,
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
from headway.stores.redis_servers import Call, Line, Refused, Script, Servers, Unheard

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from headway.core.snapshot import Error, Part
    from headway.core.transitions import Over

T = TypeVar("T")

BATCH = 500
"""How many jobs are asked for in one round trip."""
TOGETHER = 50
"""Of how many one run of a script takes care: everybody else waits until it is over."""
WITHIN = 10
"""Seconds after which a Cluster is asked whether a job that was to be opened is found."""
SLICE = 0.1
"""Seconds after which a subscription that waits looks whether it was closed."""
PING = 5.0
"""Seconds of silence after which a server is asked whether it is still there."""
ANSWERED = 2.0
"""Seconds within which it must answer."""

_JOB = Script("index", "rules", "job")
_FIND = Script("index", "find")
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode
_decode_profile = msgspec.json.Decoder(Profile).decode
_DURATIONS = ("lease", "retention")
_MISSING = msgspec.Raw(b"\xc2")
_HEAD = {field.name: field.default for field in msgspec.structs.fields(Head) if field.name != "id"}
"""What a head has where a server keeps nothing."""


class RedisStore(Store):
    """Records on a Redis or Valkey server, behind Sentinels, or in a Cluster."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._servers = Servers(url)
        self._prefix = self._servers.prefix
        self._warned = False

    def open(self, record: Snapshot, over: Over = "anything", *, exclusive: bool = False) -> Answer:
        """See `Store.open`."""
        asked = _opening(record, over, exclusive=exclusive)
        if self._servers.clustered:
            self._find("expect", {"id": record.id, "within": WITHIN})
        return self._ask([asked])[0].answer_to_open(record)

    def write(
        self, records: Sequence[Snapshot], parts: Sequence[Part] = (), listening: Collection[str] = ()
    ) -> dict[str, Answer]:
        """See `Store.write`."""
        asked = _writing(records, parts, listening)
        final = any(record.ended for record in records)
        return _answers(asked, self._ask([one for one in asked if _can_be_kept(one[0])], final=final))

    def exchange(
        self,
        claims: Sequence[tuple[Snapshot, bool]],
        records: Sequence[Snapshot] = (),
        parts: Sequence[Part] = (),
        listening: Collection[str] = (),
    ) -> tuple[list[Answer], dict[str, Answer]]:
        """See `Store.exchange`; one round trip, where no Cluster must be told before."""
        if self._servers.clustered:
            return super().exchange(claims, records, parts, listening)
        asked = _writing(records, parts, listening)
        writing = [one for one in asked if _can_be_kept(one[0])]
        opening = [_opening(record, "anything", exclusive=exclusive) for record, exclusive in claims]
        said = self._ask([*writing, *opening], final=any(record.ended for record in records))
        opened = said[len(writing) :]
        answers = [one.answer_to_open(record) for one, (record, _) in zip(opened, claims, strict=True)]
        return answers, _answers(asked, said[: len(writing)])

    def is_at_hand(self) -> bool:
        """See `Store.is_at_hand`."""
        return self._servers.are_at_hand()

    def end(self, id: str, attempt: int, status: str, error: Error | None = None) -> Answer:
        """See `Store.end`."""
        transitions.check_end(status)
        told = None if error is None else wire.encode_error(error).decode()
        return self._decide(id, "end", {"attempt": attempt, "status": status, "told": told})

    def request_cancel(self, id: str) -> Answer:
        """See `Store.request_cancel`."""
        return self._decide(id, "request_cancel")

    def read(self, ids: Collection[str], *, details: bool = False) -> dict[str, Snapshot]:
        """See `Store.read`."""
        known = [id for id in dict.fromkeys(ids) if _can_be_kept(id)]
        found = {}
        for some in _batches(known, BATCH):
            asked: list[_Asked] = [(id, "read", {"brief": not details}) for id in some]
            for id, said in zip(some, self._run(asked), strict=True):
                _, at, (head, totals, *texts) = said
                record = _snapshot(
                    (head and _unpack(head), totals and _unpack(totals)), texts, at, details=details
                )
                if record is not None:
                    found[id] = record
        return found

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
        wanted: dict[str, Any] = {"scope": arguments.scope(scope), "parent": parent}
        given = {name: value for name, value in wanted.items() if value is not None}
        jobs: list[Snapshot] = []
        for job in self._newest(given, status, cursor, limit + 1):
            if all(getattr(job, name) == value for name, value in given.items()):
                jobs.append(job)
            if len(jobs) > limit:
                return Page(tuple(jobs[:limit]), _cursor(jobs[limit - 1]))
        return Page(tuple(jobs))

    def listen(self) -> Subscription:
        """See `Store.listen`; polls where the server lets nobody subscribe, and says so once."""
        watch = _Watch(self, self._servers)
        try:
            watch.add([f"{self._prefix}-listens"])
            watch.remove([f"{self._prefix}-listens"])
        except Refused as error:
            watch.close()
            self._warn_of_polling(error)
            return Polling(self)
        return watch

    def forget(self, id: str) -> bool:
        """See `Store.forget`."""
        return _can_be_kept(id) and self._ask([(id, "forget", {})])[0].outcome == "dropped"

    def sweep(self, limit: int = 100) -> int:
        """See `Store.sweep`."""
        ids = [id.decode() for id in self._find("overdue", {"limit": limit})]
        swept = self._look_after(ids)
        return sum(one.outcome == "dropped" for one in swept)

    def history(self, kind: str) -> list[Profile]:
        """See `Store.history`."""
        return [_decode_profile(profile) for profile in self._find("history", {"kind": kind})]

    def learn(self, kind: str, profile: Profile | None) -> None:
        """See `Store.learn`."""
        told = None if profile is None else msgspec.json.encode(profile).decode()
        self._find("learn", {"kind": kind, "profile": told})

    def check(self) -> None:
        """See `Store.check`: a sweep of what is not there must be allowed to write."""
        try:
            self._ask([("headway-check", "sweep", {})])
        except StoreRefused:
            raise
        except StoreUnavailable:
            self._servers.look_for_plain_text()
            raise

    def diagnose(self) -> list[Finding]:
        """See `Store.diagnose`."""
        found = [one for name, facts in self._servers.facts().items() for one in _findings(name, facts)]
        watch = _Watch(self, self._servers)
        try:
            watch.add(["headway-doctor"])
        except Refused as error:
            advice = f"Let its user subscribe: &{self._prefix}:*"
            found.append(
                Finding("warning", f"it lets nobody subscribe, so changes come late: {error}", advice)
            )
        finally:
            watch.close()
        return found

    def close(self) -> None:
        """See `Store.close`."""
        self._servers.close()

    def channel_of(self, *, id: str | None = None, scope: str | None = None) -> str:
        """Where changes of a job, of a scope's jobs, or of all jobs are rung."""
        if id is not None:
            return self._key(id)
        return f"{self._prefix}:all" if scope is None else f"{self._prefix}:scope:{scope}"

    def _key(self, id: str) -> str:
        return f"{self._prefix}:job:{{{id}}}"

    def _run(self, asked: Sequence[_Asked], *, final: bool = False) -> list[Any]:
        """What the script answers to each."""
        calls = [self._jobs(some) for some in _batches(asked, 1 if self._servers.clustered else TOGETHER)]
        return [answer for answers in self._servers.run(calls, final=final) for answer in answers]

    def _jobs(self, asked: Sequence[_Asked]) -> Call:
        keys = [key for id, *_ in asked for key in (self._key(id), f"{self._prefix}:parts:{{{id}}}")]
        return self._call(_JOB, keys, [(verb, what, id) for id, verb, what in asked])

    def _finding(self, verb: str, asked: dict[str, Any], key: str | None = None) -> Call:
        return self._call(_FIND, [key or f"{self._prefix}:{{find}}:due"], [(verb, asked)])

    def _call(self, script: Script, keys: Sequence[str], calls: Sequence[tuple[Any, ...]]) -> Call:
        return Call(script, keys, _pack((self._prefix, self._servers.deployment, calls)))

    def _find(self, verb: str, asked: dict[str, Any]) -> Any:
        return self._servers.run([self._finding(verb, asked)])[0]

    def _ask(self, asked: Sequence[_Asked], *, final: bool = False) -> list[_Said]:
        """Ask for one verb of each of some jobs."""
        if not asked:
            return []
        said = [_decode_said(answer) for answer in self._run(asked, final=final)]
        if self._servers.clustered:
            self._tell_others(asked, said)
        return said

    def _tell_others(self, asked: Iterable[_Asked], said: Iterable[_Said]) -> None:
        """In a Cluster: what a job's change means for keys and channels on other servers."""
        calls = []
        for (id, *_), one in zip(asked, said, strict=True):
            if one.place or one.outcome in {"dropped", "missing"}:
                calls.append(self._finding("put", {"id": id, "place": one.place or None}))
            if one.rang:
                scope = None if isinstance(one.scope, bool) else one.scope
                channels = {self.channel_of(), self.channel_of(scope=scope)}
                calls += [self._finding("ring", {"id": id}, channel) for channel in channels]
        if calls:
            with suppress(StoreUnavailable):  # the record is safe; what is missing here is made up for
                self._servers.run(calls)

    def _decide(self, id: str, verb: str, asked: dict[str, Any] | None = None) -> Answer:
        if not _can_be_kept(id):
            return Answer("missing")
        return self._ask([(id, verb, asked or {})], final=True)[0].answer

    def _newest(
        self, given: dict[str, str], status: Collection[str], cursor: str | None, limit: int
    ) -> Iterator[Snapshot]:
        """Jobs that are found by a parent, a scope or a status, newest first."""
        family = next((name for name in ("parent", "scope") if name in given), "all")
        sets = dict.fromkeys("running" if name == "stalled" else name for name in status) or {"": None}
        asked = {"family": family, "value": given.get(family, ""), "status": list(sets), "limit": limit}
        if cursor:
            moment_of_last, last = wire.decode_cursor(cursor)
            asked |= {"created_at": micros(moment_of_last), "id": last}
        while True:
            rows = self._find("page", asked)
            ids = [id.decode() for id in rows[::2]]
            found = self.read(ids)
            stray = []
            for id, created_at in zip(ids, map(int, rows[1::2]), strict=True):
                job = found.get(id)
                if (
                    job is None
                    or job.created_at != moment(created_at)
                    or not _lies_in(job, family, given, sets)
                ):
                    stray.append(id)
                elif not status or job.status in status:
                    yield job
            self._look_after(stray)
            if len(ids) < limit:
                return
            asked |= {"created_at": int(rows[-1]), "id": ids[-1]}

    def _look_after(self, ids: Sequence[str]) -> list[_Said]:
        """Drop what is past its time, end what was asked to and died, and correct where it is found."""
        return [one for some in _batches(ids, BATCH) for one in self._ask([(id, "sweep", {}) for id in some])]

    def _warn_of_polling(self, error: BaseException) -> None:
        if not self._warned:
            self._warned = True
            import logging  # rarely needed

            logging.getLogger("headway").warning(
                "%s lets nobody subscribe (%s); who watches looks again every 0.1 s",
                self._servers.shown,
                error,
            )


class _Kept(msgspec.Struct, array_like=True, frozen=True):
    """A record as it was kept; what is not there is False, and what is damaged need not be text."""

    head: dict[str, Any] | bool
    totals: dict[str, Any] | bool
    facts: msgspec.Raw
    details: msgspec.Raw
    fresh: msgspec.Raw
    meta: msgspec.Raw
    told: msgspec.Raw

    def read(self, at: str) -> Snapshot | None:
        """As it reads at this time of the server's; None where none was kept."""
        texts = (self.facts, self.details, self.fresh, self.meta, self.told)
        return _snapshot((self.head, self.totals), [_text(one) for one in texts], at, details=True)


class _Said(msgspec.Struct, array_like=True, frozen=True):
    """What a script answered about one job; what is not there is False.

    Attributes:
        record: Where a job was to be opened: the record before, as it was kept, and
        facts: the facts now, where they are not those that were told.
    """

    outcome: str
    at: str
    head: dict[str, Any] | bool
    details_version: str
    rang: bool
    place: dict[str, Any] | bool
    scope: str | bool
    record: _Kept | bool
    facts: msgspec.Raw

    @property
    def answer(self) -> Answer:
        """For whoever reported."""
        head = self.head
        if isinstance(head, bool):
            return Answer(self.outcome)
        known = (head["version"], head["attempt"], head.get("run"), head["status"], head.get("cancel"))
        return Answer(self.outcome, *known, details_version=int(self.details_version))

    def answer_to_open(self, told: Snapshot) -> Answer:
        """For whoever opened it with this record."""
        answer = self.answer
        before = None if isinstance(self.record, bool) else self.record.read(self.at)
        opened = self._opened(told) if answer.accepted else None
        return replace(answer, snapshot=before, opened=opened)

    def _opened(self, told: Snapshot) -> Snapshot | None:
        if isinstance(self.head, bool):
            return None
        head, facts = _head(self.head), _text(self.facts)
        if facts is None:
            return replace(told, details=None, **(_HEAD | head))
        return wire.decode_record(Head(id=told.id, **head), facts)


_decode_said = msgspec.msgpack.Decoder(_Said).decode
_decode_text = msgspec.msgpack.Decoder(str).decode


def _text(packed: msgspec.Raw) -> str | None:
    """Text that a script answered; None where it is not there, and nothing where it is no text."""
    if packed == _MISSING:
        return None
    try:
        return _decode_text(packed)
    except msgspec.DecodeError:
        return ""


class _Watch(Subscription):
    """Hears what servers publish; see facts 3 here and in `headway.stores.redis_servers`."""

    def __init__(self, store: RedisStore, servers: Servers) -> None:
        self._store = store
        self._servers = servers
        self._client: Any = None
        self._lines: dict[str, Line] = {}
        self._ids: set[str] = set()
        self._scopes: set[str | None] = set()
        self._rung: set[str] = set()
        self._heard = Heard()
        self._cut_off = False
        self._closed = False
        self._busy = threads.lock()

    def add(self, ids: Collection[str] = (), scopes: Collection[str | None] = ()) -> None:
        """See `Subscription.add`."""
        ids = {id for id in ids if _can_be_kept(id)} - self._ids
        scopes = set(scopes) - self._scopes
        self._ids |= ids
        self._scopes |= scopes
        if self._cut_off:
            return
        try:
            self._subscribe([*self._channels(ids, scopes)])
        except Refused:
            self._hang_up()
            raise
        except Unheard:
            self._hang_up()

    def remove(self, ids: Collection[str] = (), scopes: Collection[str | None] = ()) -> None:
        """See `Subscription.remove`."""
        gone = [*self._channels(self._ids & set(ids), self._scopes & set(scopes))]
        self._ids.difference_update(ids)
        self._scopes.difference_update(scopes)
        try:
            for name, channels in self._by_server(gone).items():
                if name in self._lines:
                    self._lines[name].unsubscribe(channels)
        except Unheard:
            self._hang_up()

    def wait(self, timeout: float) -> set[str]:
        """See `Subscription.wait`."""
        deadline = time.monotonic() + timeout
        with self._busy:
            try:
                while not self._closed:
                    changed = self._look(min(SLICE, max(0.0, deadline - time.monotonic())))
                    if changed or time.monotonic() >= deadline:
                        return changed
            except Unheard as error:
                self._hang_up()
                raise self._servers.unavailable(error) from error
            self._let_go()
        return set()

    def close(self) -> None:
        """See `Subscription.close`."""
        self._closed = True
        if self._busy.acquire(blocking=False):
            try:
                self._let_go()
            finally:
                self._busy.release()

    def _look(self, timeout: float) -> set[str]:
        if self._cut_off:
            return self._connect_again()
        self._ask_the_silent()
        if not self._rung:
            self._wait_for_a_ring(timeout)
        for line in self._lines.values():
            self._rung.update(line.rung())
        rung, self._rung = self._rung, set()
        self._remember(rung)
        return rung

    def _wait_for_a_ring(self, timeout: float) -> None:
        if not self._lines:
            time.sleep(timeout)
            return
        with selectors.DefaultSelector() as selector:
            for line in self._lines.values():
                selector.register(line, selectors.EVENT_READ)
            selector.select(timeout)

    def _ask_the_silent(self) -> None:
        now = time.monotonic()
        for line in self._lines.values():
            if line.asked_at is not None and now - line.asked_at > ANSWERED:
                raise TimeoutError("the server no longer answers whoever watches")
            if line.asked_at is None and now - line.heard_at > PING:
                line.ping()

    def _connect_again(self) -> set[str]:
        """Everything that is watched may have changed meanwhile."""
        self._subscribe([*self._channels(self._ids, self._scopes)])
        self._cut_off = False
        changed = {*self._ids, *self._heard}
        for scope in self._scopes:
            changed |= {job.id for job in shown_of(self._store, scope)}
        self._remember(changed)
        return changed

    def _remember(self, ids: Collection[str]) -> None:
        if self._scopes:
            self._heard.add(ids)

    def _channels(self, ids: Collection[str], scopes: Collection[str | None]) -> Iterator[str]:
        yield from (self._store.channel_of(id=id) for id in ids)
        yield from (self._store.channel_of(scope=scope) for scope in scopes)

    def _subscribe(self, channels: Sequence[str]) -> None:
        sorted_out = self._by_server(channels)
        for name, some in sorted_out.items():
            if name not in self._lines:
                _, pool = self._client.line_to(some[0])
                self._lines[name] = Line(pool, sharded=self._servers.clustered)
            self._lines[name].subscribe(some)
        for name in sorted_out:
            self._rung.update(self._lines[name].settle())

    def _by_server(self, channels: Sequence[str]) -> dict[str, list[str]]:
        if self._client is None and channels:
            self._client = self._servers.connect()
        sorted_out: dict[str, list[str]] = {}
        for channel in channels:
            sorted_out.setdefault(self._client.line_to(channel)[0], []).append(channel)
        return sorted_out

    def _hang_up(self) -> None:
        self._cut_off = True
        self._let_go()

    def _let_go(self) -> None:
        lines, self._lines = self._lines, {}
        client, self._client = self._client, None
        for one in (*lines.values(), client):
            if one is not None:
                with suppress(Exception):
                    one.close()


_Asked = tuple[str, str, dict[str, Any]]
"""An id, a verb, and what it is asked."""


def _opening(record: Snapshot, over: Over, *, exclusive: bool) -> _Asked:
    if over == "anything":
        transitions.check_run(record.run)
    return (record.id, "open", _told(record) | {"over": over, "exclusive": exclusive})


def _writing(records: Sequence[Snapshot], parts: Sequence[Part], listening: Collection[str]) -> list[_Asked]:
    asked: dict[str, dict[str, list[Any]]] = {}
    for record in records:
        _of(asked, record.id)["records"].append(_told(record))
    for part in parts:
        _of(asked, part.job)["parts"].append(asdict(part))
    for id in listening:
        _of(asked, id)
    return [(id, "write", what) for id, what in asked.items()]


def _of(asked: dict[str, dict[str, list[Any]]], id: str) -> dict[str, list[Any]]:
    return asked.setdefault(id, {"records": [], "parts": []})


def _answers(asked: Sequence[_Asked], said: Sequence[_Said]) -> dict[str, Answer]:
    """By id; what cannot be kept is missing."""
    heard = iter(said)
    return {id: next(heard).answer if _can_be_kept(id) else Answer("missing") for id, *_ in asked}


def _can_be_kept(id: str) -> bool:
    """Whether it can be an id: what cannot is known to nobody, and must not reach into a key's name."""
    return id != "" and id.isascii() and not set(id) & {"{", "}"}


def _batches(all_of_them: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(all_of_them), size):
        yield all_of_them[start : start + size]


def _told(record: Snapshot) -> dict[str, Any]:
    """A record as its script takes it in."""
    head = {name: value for name, value in head_of(record).items() if value is not None}
    for name in TIMES:
        if name in head:
            head[name] = micros(head[name])
    details = record.details
    return {
        "head": head,
        "facts": wire.encode_facts(record).decode(),
        "details": None if details is None else wire.encode_details(details).decode(),
        "meta": None
        if details is None or details.meta is None
        else wire.encode_details(Details(meta=details.meta)).decode(),
    }


def _head(kept: dict[str, Any]) -> dict[str, Any]:
    """The fields of a head that a script answered; a newer version's may have more than we know."""
    head = {name: value for name, value in kept.items() if name in _HEAD}
    for name in TIMES:
        if name in head:
            head[name] = moment(head[name])
    for name in _DURATIONS:
        head[name] = float(head[name])
    return head


def _cursor(last: Snapshot) -> str | None:
    return None if last.created_at is None else wire.encode_cursor(last.created_at, last.id)


def _snapshot(
    known: tuple[Any, Any], texts: Sequence[Any], at: bytes | str, *, details: bool
) -> Snapshot | None:
    """A record of this head, these totals and texts as it reads at this time of the server's."""
    head, totals = known
    if not head:
        return None
    facts, *beside = texts
    found = _details(*beside) if details else None
    record = wire.decode_record(Head(id=head["id"], **_head(head)), facts or b"{}", found)
    return as_read(record, _totals(totals), moment(int(at)))


def _details(details: Any, fresh: Any, meta: Any, told: Any) -> Details:
    """Messages, error, result and meta: as last told, without what an earlier attempt left."""
    found = wire.decode_details(details)
    if fresh:
        found = replace(found, error=None, result=None)
    if meta:
        found = replace(found, meta=wire.decode_details(meta).meta)
    return replace(found, error=wire.decode_error(told)) if told else found


def _totals(kept: Any) -> Totals:
    if not kept:
        return Totals()
    counts = {name[1:] or None: count for name, count in (kept["counts"] or {}).items()}
    return Totals(
        counts, float(kept["weight"]), float(kept["done"]), kept["children"], kept["ended"], kept["failed"]
    )


def _lies_in(job: Snapshot, family: str, given: dict[str, str], sets: Collection[str]) -> bool:
    """Whether a job belongs where it was found."""
    if family in given and getattr(job, family) != given[family]:
        return False
    kept = "running" if job.status == "stalled" else job.status
    return "" in sets or kept in sets


def _findings(name: str, facts: dict[str, Any]) -> Iterator[Finding]:
    """What a server says of itself."""
    place = f" at {name}" if name else ""
    engine = "Valkey" if facts.get("server_name") == "valkey" else "Redis"
    version = facts.get("valkey_version") or facts.get("redis_version", "?")
    role = facts.get("role", "")
    yield Finding("ok", f"{engine} {version}{place}")
    if not name and role == "slave":
        yield Finding(
            "error", "it is a replica, which takes no writes", "name the primary, or use redis+sentinel://"
        )
    if name and int(str(version).partition(".")[0]) < 7:
        yield Finding("error", f"the Cluster's server{place} has no sharded notices", "use Redis 7 or Valkey")
    policy = str(facts.get("maxmemory-policy") or facts.get("maxmemory_policy") or "")
    if facts.get("maxmemory") and policy not in {"", "noeviction"}:
        yield Finding(
            "warning",
            f"when its memory is full it drops records{place} (maxmemory-policy {policy})",
            "set it to noeviction; until then workers write lost records again, but ended ones are gone",
        )
    if not facts.get("aof_enabled") and not facts.get("save", "unknown"):
        yield Finding(
            "warning",
            f"it keeps nothing on disk{place}: a restart loses all records",
            "set appendonly yes, or at least save 60 1",
        )
    elif not facts.get("aof_enabled"):
        yield Finding(
            "warning",
            f"it saves a snapshot now and then{place}: a crash loses what came since",
            "set appendonly yes to lose a second at most",
        )

"""``file:///folder``: a folder that many machines share, also on network file systems.

There are no locks: what is kept of a job, and how it is decided who was first, is in
`headway.stores.folder_log`; how jobs are found is in `headway.stores.folder_markers`; what a file system must
be able to do, and what it tells of the time, is in `headway.stores.folder`.

1. A decision is taken on what was read, and written as the next entry of the job's log.  Where somebody else
   has written that entry meanwhile, all is read and decided again.  So each job of a batch is a step of its
   own.
2. What a process reports of others' jobs (parts) is kept in files of its own.  Its threads take turns.
3. A subscription looks at the markers of its scopes, and at the logs of what lives, again and again; the more
   that is, the more seldom.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count, islice
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from urllib.parse import quote, unquote

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from headway import threads
from headway.chance import chance
from headway.core import arguments, transitions
from headway.core.errors import InvalidValue, StoreUnavailable
from headway.core.snapshot import Head, Snapshot, Totals
from headway.core.transitions import add_up, micros, moment
from headway.core.wire import decode_cursor, encode_cursor
from headway.stores.contract import (
    KINDS,
    LARGEST_PAGE,
    PAGE,
    POLL,
    RUNS,
    Finding,
    Page,
    Profile,
    Subscription,
    short_of_room,
)
from headway.stores.folder import LEFT, Folder, NotOurs, make_folder
from headway.stores.folder_log import (
    INLINE,
    LINEAGE,
    NOTHING,
    PAST,
    Entry,
    Late,
    Log,
    Lost,
    Past,
    State,
    Written,
    key_of,
    new_token,
)
from headway.stores.folder_markers import GROUPS, LIVING, Marker, Markers, due_at, group_of, groups_of
from headway.stores.transactional import Kept, Transaction, TransactionalStore

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from datetime import datetime

    from headway.core.snapshot import Error, Part
    from headway.core.transitions import Over
    from headway.stores.contract import Answer

T = TypeVar("T")

PATIENCE = 2.0
"""Seconds for which a change is tried again while others are quicker."""
TRIES = 3
"""How often it is tried in any case: one write may last longer than that where the disk is busy."""
KINDS_IN = "kinds"
EXAMINED = 10
"""How many jobs a sweep looks at for each that it may drop."""
WALKED = 5
"""How many jobs a sweep looks at, due or not, so that a lost marker is made again."""
SHARE = 10
"""A subscription rests so many times as long as it took to look."""
FORM = "a folder is file:///absolute/path, or file:///C:/path on Windows"


class FileStore(TransactionalStore):
    """Records in a folder that many machines may share."""

    def __init__(self, url: str, clock: Callable[[], datetime] | None = None) -> None:
        self.path = path_of(url)
        self._folder = Folder(self.path)
        self._log = Log(self._folder)
        self._markers = Markers(self._folder)
        self._lock = (os.getpid(), threads.lock())
        self._learnt = count()
        super().__init__(url_of(self.path), clock or self._server_clock)

    def _server_clock(self) -> datetime:
        return moment(self._folder.now() // 1000)

    @contextmanager
    def _transaction(self) -> Iterator[Transaction]:
        change = _Change(self._log, self._markers)
        yield change
        change.commit(micros(self.clock()))

    def _load(self, ids: Collection[str]) -> list[tuple[Kept, Totals]]:
        states = (self._log.load(key_of(id)) for id in dict.fromkeys(ids))
        return [(state.kept, add_up(state.parts.values())) for state in states if state.kept is not None]

    def open(self, record: Snapshot, over: Over = "anything", *, exclusive: bool = False) -> Answer:
        """See `Store.open`."""
        return self._persist(partial(super().open, record, over, exclusive=exclusive))

    def write(
        self, records: Sequence[Snapshot], parts: Sequence[Part] = (), listening: Collection[str] = ()
    ) -> dict[str, Answer]:
        """See `Store.write`."""
        answers: dict[str, Answer] = {}
        for told, shares in _by_job(records, parts).values():
            if shares:
                with self._turn():
                    answers |= self._write_parts(told, shares)
            else:
                answers |= self._persist(partial(super().write, told))
        beside = [id for id in listening if id not in answers]
        return answers | self._persist(partial(super().write, (), (), beside)) if beside else answers

    def _write_parts(self, records: Sequence[Snapshot], parts: Sequence[Part]) -> dict[str, Answer]:
        """Parts of one job, and what its worker says beside them."""
        late = []

        def write() -> dict[str, Answer]:
            try:
                return super(FileStore, self).write(records, parts)
            except Late:
                late.append(True)
                raise

        answers = self._persist(write)
        if not late or records:
            return answers
        # They were written while their attempt ran, and may have been seen; by now another one runs.
        return {
            id: replace(answer, outcome="applied") if answer.outcome == "superseded" else answer
            for id, answer in answers.items()
        }

    def end(self, id: str, attempt: int, status: str, error: Error | None = None) -> Answer:
        """See `Store.end`."""
        return self._persist(partial(super().end, id, attempt, status, error))

    def request_cancel(self, id: str) -> Answer:
        """See `Store.request_cancel`."""
        return self._persist(partial(super().request_cancel, id))

    def read(self, ids: Collection[str], *, details: bool = False) -> dict[str, Snapshot]:
        """See `Store.read`."""
        return self._persist(partial(super().read, ids, details=details))

    def forget(self, id: str) -> bool:
        """See `Store.forget`."""
        return self._persist(partial(super().forget, id))

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
        search = _Search(
            arguments.scope(scope),
            parent,
            status,
            arguments.page(limit),
            decode_cursor(cursor) if cursor else None,
        )
        return self._persist(partial(self._find, search))

    def _find(self, search: _Search) -> Page:
        now = self.clock()
        found: list[Snapshot] = []
        at = None
        seen: dict[str, Snapshot] = {}
        place = self._markers.place(search.scope, search.parent)
        until = micros(search.before[0]) if search.before else None
        stale = []
        for marker in self._markers.newest(place, groups_of(search.status), until):
            if marker.at != at and len(found) + len(seen) > search.limit:
                break
            if marker.at != at:
                found += _by_id(seen)
                at, seen = marker.at, {}
            state = self._log.load(marker.key)
            if not marker.is_of(state.entry):
                stale.append(marker)
            if state.kept is not None and search.wants(state.kept.head, marker.at, now):
                job = self._snapshot(state.kept, add_up(state.parts.values()), now, details=False)
                seen[job.id] = job
        self._markers.mend(stale)
        found += _by_id(seen)
        page = found[: search.limit]
        more = found[search.limit :]
        last = page[-1] if more else None
        cursor = encode_cursor(last.created_at, last.id) if last and last.created_at else None
        return Page(tuple(page), cursor)

    def listen(self) -> Subscription:
        """See `Store.listen`; looks about ten times a second."""
        return _Watch(self._log, self._markers, self._persist)

    def sweep(self, limit: int = 100) -> int:
        """See `Store.sweep`."""
        return self._persist(partial(self._sweep, limit))

    def _sweep(self, limit: int) -> int:
        dropped = 0
        due = self._markers.due(micros(self.clock()))
        for _, marker in zip(range(EXAMINED * limit), due, strict=False):
            dropped += self._persist(partial(self._see_to, marker.key))
            self._next_due(marker)
            if dropped >= limit:
                return dropped
        self._folder.clean()
        self._walk()
        return dropped

    def _see_to(self, key: str) -> bool:
        """Let time have its effect on a job; whether it was dropped."""
        state = self._log.load(key)
        if not state.known or state.entry is None:
            return False
        with self._transaction() as kept:
            old = kept.get(state.entry.head.id)
            if old is None:
                return False
            decision = transitions.sweep(old.head, self.clock())
            if decision.outcome == "dropped":
                kept.drop(old.head.id)
            else:
                self._apply(kept, decision, old)
        return decision.outcome == "dropped"

    def _next_due(self, marker: Marker) -> None:
        """When a job is to be looked at next; a folder without a job goes."""
        state = self._log.load(marker.key)
        now = micros(self.clock())
        if state.entry is None:
            at = None if self._folder.age(marker.path) > LEFT else marker.at
        elif state.entry.dropped is not None:
            at = state.entry.dropped + LEFT * 1_000_000
            if at <= now:
                at = None if self._log.bury(marker.key) else now
        else:
            at = due_at(state.head) if state.head else None
        if at is not None and self._markers.make_due(marker.key, at) == marker.path:
            return
        self._markers.done(marker)

    def _walk(self) -> None:
        """Look at some jobs, wherever they stand, and make the markers that they lack."""
        for key in self._log.some(WALKED):
            state = self._log.load(key)
            if not state.known or state.head is None:
                continue
            self._markers.make(self._markers.of(state.entry))
            due = due_at(state.head)
            if due is not None and due < micros(self.clock()) - LEFT * 1_000_000:
                self._markers.make_due(key, due)

    def history(self, kind: str) -> list[Profile]:
        """See `Store.history`."""
        return self._persist(lambda: self._known_runs(kind))

    def learn(self, kind: str, profile: Profile | None) -> None:
        """See `Store.learn`; each run is a file of its own, so that those who learn at once lose none."""
        self._persist(partial(self._learn, kind, profile))

    def _learn(self, kind: str, profile: Profile | None) -> None:
        folder = self._kind(kind)
        if profile is None:
            self._folder.destroy(folder)
            return
        data = msgspec.json.encode(_Run(kind, profile))
        name = f"{micros(self.clock()):016d}-{next(self._learnt):06d}-{self._folder.token}"
        while not self._folder.put(folder / name, data):  # the kind is new, or was just forgotten
            make_folder(folder)
            self._forget_kinds(folder.parent)
        for old in sorted(self._folder.names(folder))[:-RUNS]:
            self._folder.remove(folder / old)

    def _kind(self, kind: str) -> Path:
        return self.path / KINDS_IN / key_of(kind)

    def _known_runs(self, kind: str) -> list[Profile]:
        folder = self._kind(kind)
        names = sorted(self._folder.names(folder))[-RUNS:]
        found = [self._folder.read(folder / name, _runs.decode) for name in names]
        return [run.said.profile for run in found if run is not None and run.said is not None]

    def _forget_kinds(self, folder: Path) -> None:
        """Keep those that were learnt last."""
        names = self._folder.names(folder)
        if len(names) > KINDS:
            by_age = sorted(names, key=lambda name: self._folder.age(folder / name))
            for name in by_age[KINDS:]:
                self._folder.destroy(folder / name)

    def diagnose(self) -> list[Finding]:
        """See `Store.diagnose`."""
        return self._persist(self._diagnose)

    def _diagnose(self) -> list[Finding]:
        ahead = self._folder.now() / 1e9 - time.time()
        system = _file_system(self.path)
        found = [Finding("ok", f"a folder on {system}, for all machines that share it")]
        if not self._folder.told_by_server:
            advice = "make it writable for this user, where jobs are to run here"
            found.append(Finding("warning", "nothing can be written here: for readers only", advice))
            return found
        if not self._folder.try_links():
            found.append(Finding("ok", "it has no hard links; folders that are renamed do instead"))
        if self._folder.coarse:
            advice = "nothing, unless changes are to be heard of within two seconds"
            found.append(Finding("ok", "it stamps files with whole seconds", advice))
        if abs(ahead) > 1:
            what = f"its clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
            found.append(Finding("ok", f"{what}; only its own counts"))
        return [*found, *short_of_room(self.path)]

    def migrate(self) -> bool:
        """Make the folder; whether there was none."""
        there = self.path.is_dir()
        self._persist(self._folder.prepare)
        return not there

    def close(self) -> None:
        """See `Store.close`."""
        self._folder.close()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """While no other thread of this process reports parts; a child after a fork has a lock of its own."""
        pid, lock = self._lock
        if pid != os.getpid():
            self._lock = (os.getpid(), lock := threads.lock())
        with lock:
            yield

    def _persist(self, act: Callable[[], T]) -> T:
        """Do it, again and again where others were quicker.

        Raises:
            StoreUnavailable: The folder cannot be read or written.
        """
        deadline = time.monotonic() + PATIENCE
        pause, tried = 0.0, 0
        try:
            self._folder.prepare()
            while True:
                tried += 1
                try:
                    return act()
                except (Lost, FileNotFoundError) as lost:  # the latter: see fact 8 of the folder
                    if tried >= TRIES and time.monotonic() > deadline:
                        raise StoreUnavailable(self.url, f"others were quicker for {PATIENCE:g} s") from lost
                    threads.native("time", "sleep")(chance.uniform(0, pause))
                    pause = min(0.02, 2 * pause + 0.0005)
        except OSError as error:
            raise StoreUnavailable(self.url, str(error), self._advice(error)) from error

    def _advice(self, error: OSError) -> str:
        if isinstance(error, NotOurs):
            return "Name another folder, or an empty one"
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            return "Make room on the disk"
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            return f"Make {self.path} and all in it writable for whoever runs jobs"
        if error.errno in {errno.ENOTDIR, errno.EISDIR}:
            return "Name a folder, not a file"
        return ""


class _Search(NamedTuple):
    """What is looked for."""

    scope: str | None
    parent: str | None
    status: Collection[str]
    limit: int
    before: tuple[datetime, str] | None

    def wants(self, head: Head, at: int, now: datetime) -> bool:
        """Whether a job is to be found at this place."""
        return (
            head.created_at is not None
            and micros(head.created_at) == at
            and self.scope in {None, head.scope}
            and self.parent in {None, head.parent}
            and (not self.status or head.reads(now) in self.status)
            and (self.before is None or (head.created_at, head.id) < self.before)
        )


def _by_id(jobs: dict[str, Snapshot]) -> list[Snapshot]:
    """Jobs that were created at the same moment, in the order of pages."""
    return [jobs[id] for id in sorted(jobs, reverse=True)]


def _by_job(
    records: Sequence[Snapshot], parts: Sequence[Part]
) -> dict[str, tuple[list[Snapshot], list[Part]]]:
    found: dict[str, tuple[list[Snapshot], list[Part]]] = {}
    for record in records:
        found.setdefault(record.id, ([], []))[0].append(record)
    for part in parts:
        found.setdefault(part.job, ([], []))[1].append(part)
    return found


class _Run(Struct, frozen=True):
    """What a run of a kind left."""

    kind: str
    profile: Profile


_runs = msgspec.json.Decoder(_Run)


class _Change:
    """What is to become of the jobs of one step; nothing is written before `commit`."""

    def __init__(self, log: Log, markers: Markers) -> None:
        self._log = log
        self._markers = markers
        self._read: dict[str, State] = {}
        self._kept: dict[str, Kept | None] = {}
        self._parts: dict[str, dict[str, Part]] = {}
        self._restarted: set[str] = set()

    def get(self, id: str) -> Kept | None:
        return self._kept[id] if id in self._kept else self._state(id).kept

    def put(self, kept: Kept) -> None:
        self._kept[kept.head.id] = kept

    def drop(self, id: str) -> None:
        self._kept[id] = None
        self.drop_parts(id)

    def get_part(self, job: str, key: str) -> Part | None:
        new = self._parts.get(job, {}).get(key)
        return new or self._known_parts(job).get(key)

    def put_part(self, part: Part) -> None:
        self._parts.setdefault(part.job, {})[part.key] = part

    def count_parts(self, job: str) -> int:
        return len(self._known_parts(job).keys() | self._parts.get(job, {}).keys())

    def drop_parts(self, job: str) -> None:
        self._parts.pop(job, None)
        self._restarted.add(job)

    def expired(self, now: datetime, limit: int) -> list[Head]:
        """Not asked for: this store sweeps by its markers."""
        raise NotImplementedError

    def commit(self, now: int) -> None:
        """Write it, at a time in microseconds since 1970.

        Raises:
            Lost: Somebody else has changed a job meanwhile.
        """
        for id, kept in self._kept.items():
            state = self._state(id)
            if kept is None:
                if state.known:
                    self._append(id, state, _tombstone(self._log, state, now))
            elif state.kept is not None and _only_heard_of(state.kept, kept):
                self._put_parts(state, kept, leads=True)
                if not self._log.still_counts(key_of(id), state):
                    raise Late
            else:
                self._append(id, state, self._entry(state, kept, now))

    def _state(self, id: str) -> State:
        if id not in self._read:
            self._read[id] = self._log.load(key_of(id))
        return self._read[id]

    def _known_parts(self, job: str) -> dict[str, Part]:
        return {} if job in self._restarted else self._state(job).parts

    def _put_parts(self, state: State, kept: Kept, *, leads: bool) -> int:
        head = kept.head
        news = state.head is not None and head.version != state.head.version
        parts = self._parts.get(head.id, {}).values()
        return self._log.put_parts(state, parts, head, news=news, leads=leads)

    def _entry(self, state: State, kept: Kept, now: int) -> Written:
        """The entry that keeps this."""
        head, old = kept.head, state.entry if state.known else None
        number = self._log.next_number(state, now)
        restarted = old is None or head.id in self._restarted
        beside = 0 if restarted or old is None else state.changes - old.changes
        if not restarted and self._parts.get(head.id):
            beside += self._put_parts(state, kept, leads=False)
        own, lead = state.changes if restarted or old is None else old.changes, state.lead
        if state.head is None or head.version != state.head.version:
            own += 1
            lead = head.version - own - beside
        moved = old is None or not _stand_alike(old.head, head)
        entry = Entry(
            head,
            _raw(kept.facts),
            NOTHING if kept.error is None else _raw(kept.error),
            details_version=kept.details_version,
            changes=own,
            lead=lead,
            begun=number if restarted or old is None else old.begun,
            marked=number if moved or old is None else old.marked,
            past=_past(state, number, own, restarted=restarted),
            token=new_token(),
            lineage=_lineage(state),
        )
        return _with_details(state, entry, kept, number)

    def _append(self, id: str, state: State, written: Written) -> None:
        key = key_of(id)
        before, after = self._moves(state.entry, written.entry)
        self._markers.make(after - before)
        self._make_due(key, state, written.entry)
        durable = _must_last(state.head, written.entry)
        if self._log.append(key, state, written, durable=durable):
            with suppress(OSError):  # readers look at the job, too
                self._markers.remove(before - after)
            return
        left = self._log.load(key)
        if left.number >= written.number:
            self._markers.remove(after - before - self._markers.of(left.entry))
        raise Lost

    def _moves(self, old: Entry | None, new: Entry) -> tuple[set[Path], set[Path]]:
        """The markers before and after."""
        if old is not None and old.marked == new.marked and old.dropped is new.dropped:
            return set(), set()
        return self._markers.of(old), self._markers.of(new)

    def _make_due(self, key: str, state: State, entry: Entry) -> None:
        """Let the sweep look at it in time, see `headway.stores.folder_markers`."""
        at = due_at(entry.head) if entry.dropped is None else entry.dropped + LEFT * 1_000_000
        before = due_at(state.head) if state.head is not None else None
        if at is not None and (before is None or at < before or entry.dropped is not None):
            self._markers.make_due(key, at)


def _past(state: State, number: int, own: int, *, restarted: bool) -> Past | None:
    """Where the parts of the attempt before lie, for an entry that comes soon after it."""
    old = state.entry
    if old is None or not state.known:
        return None
    if restarted:
        return Past(old.begun, old.changes, state.own_lead, own)
    return old.past if number - old.begun < PAST else None


def _lineage(state: State) -> tuple[str, ...]:
    return () if state.entry is None else (state.entry.token, *state.entry.lineage)[:LINEAGE]


def _tombstone(log: Log, state: State, now: int) -> Written:
    """The entry that says that a job was dropped."""
    number = log.next_number(state, now)
    head = Head(id=state.entry.head.id) if state.entry else Head(id="")
    entry = Entry(
        head, changes=state.changes + 1, begun=number, token=new_token(), lineage=_lineage(state), dropped=now
    )
    return Written(number, entry, None)


def _with_details(state: State, entry: Entry, kept: Kept, number: int) -> Written:
    """The details where they were, if they are the same; else to be written."""
    old = state.entry
    if kept.details is None or old is None or state.kept is None or kept.details is not state.kept.details:
        return Written(number, entry, None if kept.details is None else _bytes(kept.details))
    if old.details_in is None and len(kept.details) > INLINE:
        return Written(number, entry, _bytes(kept.details))
    return Written(number, replace(entry, details=old.details, details_in=old.details_in), None)


def _must_last(old: Head | None, new: Entry) -> bool:
    """Whether an entry must outlive a power cut once it is acknowledged: an end, a retry, a request."""
    return new.head.phase > 1 or new.head.cancel != (old.cancel if old else None)


def _only_heard_of(old: Kept, new: Kept) -> bool:
    """Whether a part was reported, and nothing else: that changes when the job was heard of."""
    head = replace(
        new.head, version=old.head.version, seen_at=old.head.seen_at, expires_at=old.head.expires_at
    )
    return (
        head == old.head and new.facts is old.facts and new.details is old.details and new.error is old.error
    )


def _stand_alike(old: Head, new: Head) -> bool:
    """Whether the same markers serve both."""
    return (group_of(old), old.created_at, old.scope, old.parent) == (
        group_of(new),
        new.created_at,
        new.scope,
        new.parent,
    )


def _bytes(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _raw(value: bytes | str) -> Raw:
    return Raw(_bytes(value))


class _Watch(Subscription):
    """Looks at the markers of scopes and at the logs of what lives, see fact 3 of this module."""

    polls = True

    def __init__(
        self, log: Log, markers: Markers, persist: Callable[[Callable[[], set[str]]], set[str]]
    ) -> None:
        self._log = log
        self._markers = markers
        self._persist = persist
        self._ids: dict[str, str] = {}
        self._seen: dict[str, object] = {}
        self._scopes: dict[str | None, dict[str, object]] = {}
        self._closed = False

    def add(self, ids: Collection[str] = (), scopes: Collection[str | None] = ()) -> None:
        """See `Subscription.add`."""
        self._ids |= {key_of(id): id for id in ids}
        for scope in scopes:
            self._scopes.setdefault(scope, {})

    def remove(self, ids: Collection[str] = (), scopes: Collection[str | None] = ()) -> None:
        """See `Subscription.remove`."""
        for key in map(key_of, ids):
            self._ids.pop(key, None)
            self._seen.pop(key, None)
        for scope in scopes:
            self._scopes.pop(scope, None)

    def wait(self, timeout: float) -> set[str]:
        """See `Subscription.wait`."""
        deadline = time.monotonic() + timeout
        while not self._closed:
            began = time.monotonic()
            changed = self._persist(self._look)
            now = time.monotonic()
            if changed or now >= deadline:
                return changed
            time.sleep(min(max(POLL, SHARE * (now - began)), deadline - now))
        return set()

    def close(self) -> None:
        """See `Subscription.close`."""
        self._closed = True

    def _look(self) -> set[str]:
        marks: dict[str, object] = {key: self._log.glance(key) for key in self._ids}
        changed = {self._ids[key] for key in marks if marks[key] != self._seen.get(key)}
        self._seen = marks
        for scope in self._scopes:
            shown = self._shown(scope)
            seen, self._scopes[scope] = self._scopes[scope], shown
            others = {key for key in shown.keys() | seen.keys() if shown.get(key) != seen.get(key)}
            changed |= {id for id in map(self._log.id_of, others) if id is not None}
        return changed

    def _shown(self, scope: str | None) -> dict[str, object]:
        """Of a scope all that live and the newest of the others, and what changes when they do."""
        place = self._markers.place(scope)
        ended = islice(
            self._markers.newest(place, [group for group in GROUPS if group != LIVING]), LARGEST_PAGE
        )
        shown: dict[str, object] = {marker.key: marker.path for marker in ended}
        living = self._markers.newest(place, [LIVING])
        return shown | {marker.key: self._log.glance(marker.key) for marker in living}


def path_of(url: str) -> Path:
    """The folder that a URL names: ``file:///absolute/path``, ``file:///~/path`` or ``file:///C:/path``."""
    rest = url.partition("://")[2]
    host, _, path = rest.partition("/")
    path = unquote(path)
    if host not in {"", "localhost"}:
        raise InvalidValue("url", url, f"{FORM}; {host!r} would be another machine")
    if not path.strip("/") or "\0" in path:
        raise InvalidValue("url", url, FORM)
    if "?" in rest or "#" in rest:
        raise InvalidValue("url", url, f"{FORM}, without options; ? and # in a name are %3F and %23")
    if path.startswith("~"):
        try:
            return Path(path).expanduser().absolute()
        except RuntimeError as error:
            raise InvalidValue("url", url, str(error)) from error
    drive = len(path) > 1 and path[1] == ":" and path[0].isalpha()
    return Path(path if drive and sys.platform == "win32" else f"/{path}")


def url_of(path: Path) -> str:
    """The URL that names a folder."""
    return _url(path.absolute())


def _url(path: PurePath) -> str:
    return "file:///" + quote(path.as_posix().removeprefix("/"), safe="/:~ @")


def _file_system(path: Path) -> str:
    """What kind of file system a folder lies on, as far as this machine tells."""
    with suppress(OSError, ValueError):
        here = path.resolve().as_posix() + "/"
        mounts = [line.split(" - ") for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        places = [(left.split()[4].rstrip("/") + "/", right.split()[0]) for left, right in mounts]
        return max((place for place in places if here.startswith(place[0])), key=lambda one: len(one[0]))[1]
    return "a file system of a kind not known"

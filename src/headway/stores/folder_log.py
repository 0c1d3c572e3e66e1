"""What the folder store keeps of one job: a log of entries, and what others' parts say beside it.

Facts behind what may look odd here:

1. An entry is the whole record.  Entry n + 1 is made by whoever first gives a file that name, decided from
   entry n: the name is the compare-and-swap, so there is no lock that a dead process could hold.
2. A job's folder appears whole, with its first entry in it, by one rename.  The first entry's number is the
   clock in microseconds, so that numbers of a folder that was removed do not come again.
3. Old entries are removed, oldest first, never the newest.  A writer that slept may then find the number free
   that it decided on long ago.  So whoever has made entry n + 1 looks whether n is still there; if not, the
   newest entry tells by its lineage whether the own one is among its forebears, else it does not count.
4. Dropping a job is an entry, too.  Its folder goes an hour later, when nobody can be about to write there.
5. Parts would make all workers of a pool wait for each other's entries.  So each process keeps those that it
   reports in files of its own, replaced by rename, at most so many parts in each.  Merged they are the
   same in any order.  Where very many processes have left a file each, whoever reports takes over those that
   have been quiet for a while, and how many changes each stands for; should its process go on after all, it
   begins a file anew.
6. A version must rise by each change as readers see it, though a part and an entry may be written at the same
   time, neither knowing of the other.  Each file counts the changes made by it, and says by how much
   versions are ahead of the sum of those counts.  The version is the sum plus the largest such lead: each
   change raises the sum by one, and the lead never falls.
7. A part may be written while a new attempt begins, which then knows nothing of it.  So the parts of the
   attempt before stay for the first few entries: readers let the new attempt's version begin after theirs.
   And whoever has written a part looks whether it was not too late even for that.
"""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import blake2b
from operator import itemgetter
from secrets import token_hex
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import astuple, replace

from headway.chance import chance
from headway.core.snapshot import Head, Part
from headway.core.transitions import merge_part, micros, moment
from headway.stores.transactional import Kept
from headway.threads import cached_property

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from headway.stores.folder import Folder, Found

JOBS = "jobs"
KEPT = 2
"""How many entries stay beside the newest, for whoever is about to read them, and after a power cut."""
LINEAGE = 16
"""Of how many forebears an entry tells."""
INLINE = 2_048
"""Bytes of details that lie in the entry itself; more have a file of their own."""
TOGETHER = 200
"""How many parts lie in one file."""
PAST = 4
"""For how many entries the parts of the attempt before stay."""
MANY = 50
"""How many files of parts a job may have before those of others are taken over, so many at a time."""
QUIET = 60
"""For how many seconds they must have been left alone."""
TRIES, LENIENT = 100, 50


NOTHING = Raw(b"null")


class Lost(Exception):
    """Somebody else was quicker: read again, and decide anew."""


class Late(Lost):
    """Parts were written, but the log has gone on so far since that versions no longer go by them."""


class Past(Struct, frozen=True, array_like=True):
    """How versions stood when an attempt began, see fact 7.

    Attributes:
        begun, changes, lead: As the entry before had them.
        at: How many changes there were then, this one included.
    """

    begun: int
    changes: int
    lead: int
    at: int


class Entry(Struct, frozen=True, omit_defaults=True):
    """One entry of a job's log.

    Attributes:
        head, facts, error: What is kept of the job.
        details: The same, where they are small; else ``details_in`` names their file.
        details_version: The version that came with them.
        changes: Changes of the job that are not counted by its parts.
        lead: By how much the version is ahead of the sum of all changes.
        begun: The number of the entry with which its attempt began; its parts lie under this number.
        marked: The number of the entry under which its markers were made.
        past: With the first few entries of an attempt: where the parts of the one before lie.
        token: What tells it from all others; ``lineage``: the tokens of those before it, newest first.
        dropped: When it was dropped, in microseconds since 1970; None while the job is known.
    """

    head: Head
    facts: Raw = Raw(b"{}")
    error: Raw = NOTHING
    details: Raw = NOTHING
    details_in: str | None = None
    details_version: int = 0
    changes: int = 0
    lead: int = 0
    begun: int = 0
    marked: int = 0
    past: Past | None = None
    token: str = ""
    lineage: tuple[str, ...] = ()
    dropped: int | None = None


class Shard(Struct, frozen=True, omit_defaults=True):
    """Some of the parts that one process reports of an attempt.

    Attributes:
        parts: Each without its job and attempt, and how often the job had changed then: of two reports that
            are equally new the later one counts.
        changes, lead: As in `Entry`.
        seen_at, expires_at: As the head has them since, in microseconds since 1970.
        folded: The files that it has taken over, and how many changes each stands for.
    """

    parts: tuple[tuple[Any, ...], ...] = ()
    changes: int = 0
    lead: int = 0
    seen_at: int = 0
    expires_at: int = 0
    folded: dict[str, int] = {}


_encoder = msgspec.json.Encoder()
_entries = msgspec.json.Decoder(Entry)
_shards = msgspec.json.Decoder(Shard)


def key_of(id: str) -> str:
    """The name that stands for an id, or a scope, in the folder: the same length and alphabet for any."""
    return blake2b(id.encode(errors="surrogatepass"), digest_size=16).hexdigest()


class State:
    """What is known of a job, as it was read.

    Attributes:
        folder: Where it lies.
        number: That of the newest entry; 0 where there is none.
        names: What lies in its folder.
        entry: The newest that can be read; None where there is none.
        shards: Its parts, by file, and when each file was written.
        least: What its lead is at least, by the parts of the attempt before.
    """

    def __init__(
        self,
        folder: Path,
        number: int = 0,
        names: Iterable[str] = (),
        entry: Entry | None = None,
        details: bytes | None = None,
        *,
        shards: dict[str, tuple[Shard, int]] | None = None,
        least: int = 0,
    ) -> None:
        self.folder = folder
        self.number = number
        self.names = names
        self.entry = entry
        self.shards = {name: shard for name, (shard, _) in (shards or {}).items()}
        self.written = {name: at for name, (_, at) in (shards or {}).items()}
        self.least = least
        self._details = details

    @property
    def known(self) -> bool:
        """Whether there is a record."""
        return self.entry is not None and self.entry.dropped is None

    @cached_property
    def changes(self) -> int:
        """How often the job has changed."""
        own = self.entry.changes if self.entry else 0
        return own + sum(self.counts.values())

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many changes each file of parts stands for, those included that were taken over."""
        return _counts(self.shards)

    @cached_property
    def lead(self) -> int:
        """By how much the version is ahead of that."""
        return max([self.own_lead, *(shard.lead for shard in self.shards.values())])

    @property
    def own_lead(self) -> int:
        """The same, by the log alone."""
        return max(self.entry.lead, self.least) if self.entry else 0

    @cached_property
    def head(self) -> Head | None:
        """What to decide by, the word of its parts included."""
        if self.entry is None or self.entry.dropped is not None:
            return None
        head = self.entry.head
        if not self.shards and self.least <= self.entry.lead:
            return head
        seen_at, expires_at = head.seen_at, head.expires_at
        heard = max((shard.seen_at for shard in self.shards.values()), default=0)
        until = max((shard.expires_at for shard in self.shards.values()), default=0)
        if heard and not head.ended:
            seen_at = max(filter(None, (seen_at, moment(heard))))
        if until:
            expires_at = max(filter(None, (expires_at, moment(until))))
        return replace(head, version=self.changes + self.lead, seen_at=seen_at, expires_at=expires_at)

    @cached_property
    def kept(self) -> Kept | None:
        """What is kept of it; None where nothing is known."""
        if self.head is None or self.entry is None:
            return None
        entry, error = self.entry, _bytes(self.entry.error)
        return Kept(self.head, bytes(entry.facts), self._details, error, entry.details_version)

    @cached_property
    def parts(self) -> dict[str, Part]:
        """Its parts by key, as all who reported them say."""
        merged: dict[str, Part] = {}
        if self.entry is None:
            return merged
        job, attempt = self.entry.head.id, self.entry.head.attempt
        rows = [row for shard in self.shards.values() for row in shard.parts]
        if len(self.shards) > 1:
            rows.sort(key=_written_at)
        for row in rows:
            part = Part(job, attempt, *row[:-1])
            known = merged.get(part.key)
            merged[part.key] = part if known is None else merge_part(known, part)
        return merged


class Written(NamedTuple):
    """What is to be the next entry."""

    number: int
    entry: Entry
    details: bytes | None


class Log:
    """The logs of all jobs in a folder."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._floors: dict[str, int] = {}

    def place(self, key: str) -> Path:
        """Where a job lies."""
        return self._folder.root.joinpath(JOBS, key[:2], key[2:])

    def load(self, key: str) -> State:
        """What is known of a job.

        Raises:
            Lost: It is written faster than it can be read.
        """
        path = self.place(key)
        for turn in range(TRIES):
            state = self._look(path, self._floors.get(key, 0), lenient=turn > LENIENT)
            if state is not None:
                self._forget_floor(key, state)
                return state
        raise Lost

    def _look(self, path: Path, floor: int = 0, *, lenient: bool = False) -> State | None:
        """The same; None where what was found has gone meanwhile, unless one is lenient."""
        names = self._folder.names(path)
        numbers = sorted((int(name) for name in names if name.isdigit()), reverse=True)
        newest = numbers[0] if numbers else 0
        if newest < floor and self._folder.look(path / _name(floor)):  # what lies there is told from memory
            numbers.insert(0, newest := floor)
        for number in numbers:
            found = self._folder.read(path / _name(number), _entries.decode)
            if found is None:
                return None
            if found.said is not None:
                return self._whole(path, newest, names, found, lenient=lenient)
        return State(path, newest, names)

    def _forget_floor(self, key: str, state: State) -> None:
        """A number that is known to be taken is remembered only while the folder's listing lags behind."""
        floor = self._floors.get(key)
        if floor is not None and (state.number < floor or _name(state.number) in state.names):
            self._floors.pop(key, None)

    def _whole(
        self, path: Path, number: int, names: list[str], found: Found[Entry], *, lenient: bool
    ) -> State | None:
        entry = found.said
        if entry is None:
            return None
        details = _bytes(entry.details)
        if entry.details_in:
            told = self._folder.read(path / entry.details_in, bytes)
            if told is None and self._folder.look(path / _name(number + 1)):
                return None
            details = told and told.said
        shards = self._parts(path, _place_of_parts(entry), names)
        old = self._parts(path, f"parts-{entry.past.begun}", names) if entry.past else {}
        if (shards is None or old is None) and not lenient:
            return None
        least = _least(entry.past, old or {})
        return State(path, number, names, entry, details, shards=shards, least=least)

    def _parts(self, path: Path, place: str, names: list[str]) -> dict[str, tuple[Shard, int]] | None:
        """Fact 5; None where a file has gone meanwhile, whose parts may now lie in another."""
        if place not in names:
            return {}
        shards = {}
        there = self._folder.names(path / place)
        for name in there:
            found = self._folder.read(path / place / name, _shards.decode)
            if found is None:
                return None
            if found.said is not None:
                shards[name] = (found.said, found.stamp[0])
        return shards if there or (path / place).is_dir() else None

    def glance(self, key: str) -> tuple[int, int]:
        """What changes whenever the job does."""
        state = self.load(key)
        return state.number, state.changes

    def id_of(self, key: str) -> str | None:
        """Whose log it is, or was a moment ago."""
        entry = self.load(key).entry
        return None if entry is None else entry.head.id

    def some(self, count: int) -> list[str]:
        """The keys of some jobs, by chance."""
        jobs = self._folder.root / JOBS
        firsts = self._folder.names(jobs)
        if not firsts:
            return []
        first = chance.choice(firsts)
        rest = self._folder.names(jobs / first)
        return [first + one for one in chance.sample(rest, min(count, len(rest)))]

    def next_number(self, state: State, now: int) -> int:
        """The number of the entry that comes after what was read; ``now`` in microseconds, see fact 2."""
        if state.number:
            return state.number + 1
        return 1 if state.names else now

    def append(self, key: str, state: State, written: Written, *, durable: bool) -> bool:
        """Make an entry; whether it is the one that comes after what was read."""
        path, number, entry = state.folder, written.number, written.entry
        if written.details is not None:
            entry = self._with_details(path, entry, written.details)
        data = _encoder.encode(entry)
        made = (
            self._appear(path, number, data, durable=durable)
            if not (state.number or state.names)
            else (self._link(path, number, data, durable=durable) and self._counts(key, state, number, entry))
        )
        if made:
            with suppress(OSError):  # what stays is removed another time
                self._prune(state, number, entry)
        else:
            self._floors[key] = number
            if entry.details_in and (state.entry is None or entry.details_in != state.entry.details_in):
                self._folder.remove(path / entry.details_in)
        return made

    def _appear(self, path: Path, number: int, data: bytes, *, durable: bool) -> bool:
        return self._folder.appear(path, _name(number), data, durable=durable)

    def _link(self, path: Path, number: int, data: bytes, *, durable: bool) -> bool:
        draft = self._folder.draft(data, durable=durable)
        try:
            return self._folder.link(draft, path / _name(number), data, durable=durable)
        except FileNotFoundError:  # its folder is gone
            return False
        finally:
            self._folder.discard(draft)

    def _counts(self, key: str, state: State, number: int, entry: Entry) -> bool:
        """Whether the entry that was made is one of the log, see fact 3."""
        if state.number and self._folder.look(state.folder / _name(state.number)):
            return True
        newest = self.load(key)
        if newest.entry is not None and entry.token in {newest.entry.token, *newest.entry.lineage}:
            return True
        self._folder.remove(state.folder / _name(number))
        return False

    def _with_details(self, path: Path, entry: Entry, details: bytes) -> Entry:
        if len(details) <= INLINE or not path.is_dir():
            return replace(entry, details=Raw(details), details_in=None)
        name = f"details-{entry.token}"
        return (
            replace(entry, details=NOTHING, details_in=name)
            if self._folder.put(path / name, details)
            else entry
        )

    def _prune(self, state: State, number: int, entry: Entry) -> None:
        """Remove what nobody needs after this entry; oldest first, see fact 3."""
        path = state.folder
        for old in sorted(int(name) for name in state.names if name.isdigit()):
            if old < number - KEPT:
                self._folder.remove(path / _name(old))
        for name in state.names:
            if name.startswith("details-") and name != entry.details_in:
                self._prune_details(path, name, state)
            elif name.startswith("parts-") and name not in _places_of_parts(entry):
                self._folder.destroy(path / name)

    def _prune_details(self, path: Path, name: str, state: State) -> None:
        """Those of the entry before stay for whoever reads it; others were left by the dead."""
        if state.entry is None or name != state.entry.details_in or state.entry.dropped is not None:
            self._folder.remove(path / name)

    def put_parts(self, state: State, parts: Iterable[Part], head: Head, *, news: bool, leads: bool) -> int:
        """Keep parts in files of this process; how many changes that counts as.

        Args:
            state: What was read.
            parts: Those that are new, merged with what was known.
            head: What was decided.
            news: Whether they are a change; else only a sign of life.
            leads: Whether they are the whole change, so that they bring the version.

        Raises:
            Lost: The job's folder is gone.
        """
        if state.entry is None:
            raise Lost
        quiet = self._quiet(state)
        left = [state.parts[row[0]] for name in quiet for row in state.shards[name].parts]
        shares = self._shares(state, [*left, *parts])
        after = state.changes + len(shares) * news
        lead = head.version - after if news and leads else state.lead
        place = state.folder / _place_of_parts(state.entry)
        folded = _folded(state, quiet)
        for name, rows in shares.items():
            old = state.shards.get(name, Shard())
            shard = Shard(
                tuple(rows.values()),
                state.counts.get(name, 0) + news,
                lead,
                micros(head.seen_at) if head.seen_at else 0,
                micros(head.expires_at) if head.expires_at else 0,
                old.folded | folded,
            )
            self._put_shard(place / name, _encoder.encode(shard))
            folded = {}
        for name in quiet:
            self._absorb(place / name, state.shards[name])
        return len(shares) * news

    def still_counts(self, key: str, state: State) -> bool:
        """Whether parts that were written to an attempt count: it runs, or versions still go by them."""
        newest = max((int(name) for name in self._folder.names(state.folder) if name.isdigit()), default=0)
        if newest == state.number:
            return True
        now, old = self.load(key).entry, state.entry
        if now is None or old is None or now.dropped is not None:
            return False
        if now.past is not None and now.past.begun == old.begun:
            return newest - now.begun < PAST - 1
        return now.begun == old.begun

    def _quiet(self, state: State) -> list[str]:
        """Files of other processes that are to be taken over, see fact 5."""
        if len(state.shards) <= MANY:
            return []
        before = self._folder.now() - QUIET * 1_000_000_000
        own = f"{self._folder.token}-"
        quiet = [name for name, at in state.written.items() if at < before and not name.startswith(own)]
        return quiet[:MANY]

    def _absorb(self, path: Path, known: Shard) -> None:
        """Remove a file that was taken over; what its process has written meanwhile stays, beside."""
        away = self._folder.put_away(path)
        if away is None:
            return
        found = self._folder.read(away, _shards.decode)
        if found is not None and found.said is not None and found.said != known:
            self._folder.promote(away, path.with_name(f"late-{token_hex(8)}"))
        else:
            self._folder.discard(away)

    def _put_shard(self, path: Path, data: bytes) -> None:
        if self._folder.put(path, data):
            return
        try:
            os.mkdir(path.parent)  # noqa: PTH102 - its own parent must not be made
        except FileExistsError:
            pass
        except FileNotFoundError as error:
            raise Lost from error
        if not self._folder.put(path, data):
            raise Lost

    def _shares(self, state: State, parts: Iterable[Part]) -> dict[str, dict[str, tuple[Any, ...]]]:
        """The files of this process that change, and what will be in them, by key."""
        prefix = f"{self._folder.token}-"
        own = {
            name: {row[0]: row for row in shard.parts}
            for name, shard in state.shards.items()
            if name.startswith(prefix)
        }
        where = {key: name for name, rows in own.items() for key in rows}
        changed: dict[str, dict[str, tuple[Any, ...]]] = {}
        last = max(own, key=lambda name: int(name[len(prefix) :]), default=f"{prefix}0")
        for part in parts:
            name = where.get(part.key)
            if name is None:
                if len(own.setdefault(last, {})) >= TOGETHER:
                    last = f"{prefix}{len(own)}"
                name = where[part.key] = last
            rows = own.setdefault(name, {})
            rows[part.key] = (*astuple(part)[2:], state.changes + 1)
            changed[name] = rows
        return changed or {last: own.get(last, {})}

    def bury(self, key: str) -> bool:
        """Remove the folder of a job that was dropped long ago; whether that is done."""
        away = self._folder.put_away(self.place(key))
        if away is None:
            return True
        left = self._look(away, lenient=True)
        if left is not None and left.known and self._folder.put_back(away, self.place(key)):
            return False  # it was opened anew this very moment
        self._folder.destroy(away)
        return True


_written_at = itemgetter(-1)


def new_token() -> str:
    """What tells one entry from all others."""
    return token_hex(4)


def _places_of_parts(entry: Entry) -> list[str]:
    """Also those of the attempt before, see fact 7."""
    if entry.dropped is not None:
        return []
    past = [f"parts-{entry.past.begun}"] if entry.past else []
    return [_place_of_parts(entry), *past]


def _counts(shards: dict[str, Shard]) -> dict[str, int]:
    counts = {name: shard.changes for name, shard in shards.items()}
    for shard in shards.values():
        for name, changes in shard.folded.items():
            counts[name] = max(changes, counts.get(name, 0))
    return counts


def _least(past: Past | None, old: dict[str, tuple[Shard, int]]) -> int:
    """By how much the version of an attempt is ahead, so that it begins after that of the one before."""
    if past is None or not old:
        return 0
    shards = {name: shard for name, (shard, _) in old.items()}
    lead = max([past.lead, *(shard.lead for shard in shards.values())])
    return past.changes + sum(_counts(shards).values()) + lead + 1 - past.at


def _folded(state: State, quiet: Iterable[str]) -> dict[str, int]:
    """How many changes these files stand for, and those that they have taken over themselves."""
    folded: dict[str, int] = {}
    for name in quiet:
        for one in (name, *state.shards[name].folded):
            folded[one] = state.counts[one]
    return folded


def _bytes(raw: Raw) -> bytes | None:
    """What an entry tells of something; None where it tells nothing."""
    told = bytes(raw)
    return None if told == b"null" else told


def _name(number: int) -> str:
    return f"{number:020}"


def _place_of_parts(entry: Entry) -> str:
    return f"parts-{entry.begun}"

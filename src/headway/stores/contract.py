"""What a store is: few verbs that speak records and ids, and what each of them promises.

A store must decide by the rules of `headway.core.transitions` (or by the same rules in its own language)
and must decide and write in one atomic step.  Its clock is the only one that is ever compared.  All verbs
block; they may be called from any thread, and in a child after a fork.  A store that cannot be reached must
raise `StoreUnavailable` within about half a second, with the driver's error as the cause.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from headway.core import arguments
from headway.core.estimate.profile import KEPT
from headway.core.estimate.profile import Profile as Profile  # noqa: PLC0414 - a store speaks it
from headway.core.snapshot import UNENDED, Error, Part, Snapshot

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from headway.core.transitions import Over

PAGE = 50
"""How many jobs a page has where nothing else is asked for."""
LARGEST_PAGE = arguments.LARGEST_PAGE
RUNS = KEPT
"""How many runs of a kind are kept for estimates of later ones."""
KINDS = 1_000
"""Of how many kinds, those that were used last."""
ROOM = 100 * 1024 * 1024
"""Bytes that should be left on the disk of a store that keeps files."""
HEARD = 10_000
"""How many ids of watched scopes a subscription remembers, to look after them when it was cut off."""
POLL = 0.1
"""Seconds between two looks of a subscription that has no better way to hear of changes."""


class Answer(Struct, frozen=True):
    """What a store says to whoever reports.

    Attributes:
        outcome: As in `headway.core.transitions.Decision`; ``heard`` for a job that was only listened to,
            ``missing`` where nothing is known, ``full`` for a part too many.
        version: The record's version now.
        attempt, run, status, cancel: As the record has them now: enough to learn that one was superseded,
            ended by somebody else, or asked to stop.
        details_version: The version that came with the details which the store keeps, 0 where it keeps none.
            Whoever told others knows that the store has lost them, and tells them again.
        snapshot: With `Store.open`: the record as it was before, details included, or after where this
            call changed nothing; None where nothing was known.  With an opened job: its times are in
            ``created_at`` and ``started_at`` of ``opened``.
        opened: With `Store.open`: the record as it is now, where it was opened.
    """

    outcome: str
    version: int = 0
    attempt: int = 0
    run: str | None = None
    status: str = ""
    cancel: str | None = None
    details_version: int = 0
    snapshot: Snapshot | None = None
    opened: Snapshot | None = None

    @property
    def accepted(self) -> bool:
        """Whether the event took effect, now or when it came before."""
        return self.outcome in {"applied", "opened", "rebuilt", "heartbeat", "same"}


class Page(Struct, frozen=True):
    """Some jobs, newest first; ``cursor`` leads to the next page, None after the last."""

    jobs: tuple[Snapshot, ...]
    cursor: str | None = None

    def __iter__(self) -> Iterator[Snapshot]:
        """Its jobs, newest first."""
        return iter(self.jobs)

    def __len__(self) -> int:
        """How many jobs are on this page."""
        return len(self.jobs)

    def __getitem__(self, index: int) -> Snapshot:
        """One of its jobs."""
        return self.jobs[index]


class Finding(Struct, frozen=True):
    """One thing that a store says of its own health.

    Attributes:
        level: ``ok``; ``warning``: records may get lost, or changes come late; ``error``: it does not work.
        what: What was found, a short sentence.
        advice: What to change, where something should be.
    """

    level: Literal["ok", "warning", "error"]
    what: str
    advice: str = ""


class Subscription(ABC):
    """A standing question: which of these jobs have changed?  Used by one thread at a time, but `close`.

    Attributes:
        polls: Whether it finds changes by looking again and again, instead of being told.
    """

    polls: bool = False

    @abstractmethod
    def add(self, ids: Collection[str] = (), scopes: Collection[str | None] = ()) -> None:
        """Also hear of these ids, and of all jobs of these scopes; None stands for every job."""

    @abstractmethod
    def remove(self, ids: Collection[str] = (), scopes: Collection[str | None] = ()) -> None:
        """Hear no more of these."""

    @abstractmethod
    def wait(self, timeout: float) -> set[str]:
        """The ids that changed since the last call; at most after ``timeout`` seconds, then empty.

        A change may be reported more than once and must not be missed for good while the store is up,
        appearing and vanishing included.  What was there already when it was added may be reported, too.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of what it holds; a `wait` in another thread must return soon."""


class Store(ABC):
    """Where records are kept.

    Attributes:
        url: The URL under which other processes find the same records, secrets included.
    """

    url: str

    @abstractmethod
    def open(self, record: Snapshot, over: Over = "anything", *, exclusive: bool = False) -> Answer:
        """Create, reserve or claim an id.

        ``over="nothing"`` must create where nothing is known, ``"ended"`` reserve where nothing live is,
        and ``"anything"`` claim the next attempt for the record's run; the same run again must get its
        attempt again.  ``exclusive`` must refuse (``held``) when a live, unstalled job holds the id.
        A new attempt must start without the parts, the error and the result of the earlier one.  Its
        messages and meta stay; the record's own meta, where it brings one, replaces what was kept.  The
        answer's ``snapshot`` brings all that was.

        Raises:
            InvalidValue: A claim brings no run.
        """

    @abstractmethod
    def write(
        self, records: Sequence[Snapshot], parts: Sequence[Part] = (), listening: Collection[str] = ()
    ) -> dict[str, Answer]:
        """Take in a batch of reports, in order, in one round trip.

        Reports are absolute facts, so a resend must be harmless.  Order must be kept, lease and retention
        renewed, the store's clock stamped, watchers rung.  Details replace those kept where the record
        carries them.  Answers for each id in it, the jobs of its parts, and each id in ``listening``.
        A job takes in 10,000 parts; the answer to more is ``full``.
        """

    def exchange(
        self,
        claims: Sequence[tuple[Snapshot, bool]],
        records: Sequence[Snapshot] = (),
        parts: Sequence[Part] = (),
        listening: Collection[str] = (),
    ) -> tuple[list[Answer], dict[str, Answer]]:
        """`write`, and then claim ids, each exclusively or not: what both answer.

        A store that can should do so in one round trip.
        """
        answers = self.write(records, parts, listening) if records or parts or listening else {}
        return [self.open(record, exclusive=exclusive) for record, exclusive in claims], answers

    def is_at_hand(self) -> bool:
        """Whether a call made now is answered or refused within half a second, with nothing to be opened.

        Who waits for an answer anyhow may then ask in its own thread, which spares it two changes of threads.
        """
        return False

    @abstractmethod
    def end(self, id: str, attempt: int, status: str, error: Error | None = None) -> Answer:
        """An end (or ``retrying``) told by someone who is not the worker.  Counts are kept, the first wins.

        Raises:
            InvalidValue: The status is no end.
        """

    @abstractmethod
    def request_cancel(self, id: str) -> Answer:
        """Record a request if the job is live and cancellable; one that nobody holds must end."""

    @abstractmethod
    def read(self, ids: Collection[str], *, details: bool = False) -> dict[str, Snapshot]:
        """The records of those ids that are known, as of the store's clock now."""

    @abstractmethod
    def find(
        self,
        *,
        scope: str | None = None,
        parent: str | None = None,
        status: Collection[str] = (),
        limit: int = PAGE,
        cursor: str | None = None,
    ) -> Page:
        """Jobs by (created, id), newest first.  The cost must grow with the answer, not with the store.

        ``stalled`` and ``running`` in ``status`` are told apart as a reader sees them.

        Raises:
            InvalidValue: The limit is not 1 to 200, or the cursor is not that of a page.
        """

    def listen(self) -> Subscription:
        """A subscription.  This one looks again and again: correct for any store, quick for none."""
        return Polling(self)

    @abstractmethod
    def forget(self, id: str) -> bool:
        """Delete a job that is not live, with its parts; whether there was one.  A live one is refused."""

    @abstractmethod
    def sweep(self, limit: int = 100) -> int:
        """Drop at most so many records past their retention, and end stalled ones that were asked to stop."""

    @abstractmethod
    def history(self, kind: str) -> list[Profile]:
        """What the last completed runs of a kind left, oldest first, at most 8."""

    @abstractmethod
    def learn(self, kind: str, profile: Profile | None) -> None:
        """Keep what a completed run left; None forgets the kind.  The last 1,000 kinds used are kept."""

    def check(self) -> None:  # noqa: B027 - files say no to nobody
        """Look whether jobs can be reported to it; nothing is left behind.

        For stores on a server, which may say no.

        Raises:
            StoreRefused: It says no: a wrong password, a missing database or right, a replica.
            StoreUnavailable: It cannot be reached now.
        """

    def diagnose(self) -> list[Finding]:
        """What whoever runs it should know: engine, version, and what endangers records or delays changes.

        Raises:
            StoreUnavailable: It cannot be asked.
        """
        return []

    def migrate(self) -> bool:
        """Make what must be there before the first use; whether there was something to make.

        For stores whose users may not make it themselves.
        """
        return False

    @abstractmethod
    def close(self) -> None:
        """Let go of connections and files.  The store may be used again afterwards."""


class Polling(Subscription):
    """Finds changes by reading what is watched again and again."""

    polls = True

    def __init__(self, store: Store, every: float = POLL) -> None:
        self._store = store
        self._every = every
        self._ids: set[str] = set()
        self._scopes: set[str | None] = set()
        self._fresh: set[str] = set()
        self._seen: dict[str, int] = {}
        self._closed = False

    def add(self, ids: Collection[str] = (), scopes: Collection[str | None] = ()) -> None:
        """See `Subscription.add`."""
        self._fresh.update(set(ids) - self._ids)
        self._ids.update(ids)
        self._scopes.update(scopes)

    def remove(self, ids: Collection[str] = (), scopes: Collection[str | None] = ()) -> None:
        """See `Subscription.remove`."""
        self._ids.difference_update(ids)
        self._fresh.difference_update(ids)
        self._scopes.difference_update(scopes)
        self._seen = {id: version for id, version in self._seen.items() if id not in ids}

    def wait(self, timeout: float) -> set[str]:
        """See `Subscription.wait`."""
        deadline = time.monotonic() + timeout
        while not self._closed:
            changed = self._look()
            left = deadline - time.monotonic()
            if changed or left <= 0:
                return changed
            time.sleep(min(self._every, left))
        return set()

    def close(self) -> None:
        """See `Subscription.close`."""
        self._closed = True

    def _look(self) -> set[str]:
        shown = self._shown()
        beside = self._seen.keys() - shown.keys()  # vanished, or ended and pushed off the page
        now = {id: one.version for id, one in (shown | self._store.read(list(beside))).items()}
        changed = {id for id in now.keys() | self._seen.keys() if now.get(id) != self._seen.get(id)}
        self._seen = {id: one.version for id, one in shown.items()}
        fresh, self._fresh = self._fresh, set()
        return changed | fresh

    def _shown(self) -> dict[str, Snapshot]:
        """The watched ids, and of each scope all that live and the newest of the others."""
        shown = self._store.read(list(self._ids))
        for scope in self._scopes:
            shown |= {one.id: one for one in shown_of(self._store, scope)}
        return shown


class Heard:
    """The ids of watched scopes that were heard of last, for when a subscription was cut off."""

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}

    def __iter__(self) -> Iterator[str]:
        """The ids."""
        return iter(self._ids)

    def add(self, ids: Iterable[str]) -> None:
        """Remember these too, and in the end forget the oldest."""
        self._ids |= dict.fromkeys(ids)
        while len(self._ids) > HEARD:
            del self._ids[next(iter(self._ids))]


def shown_of(store: Store, scope: str | None) -> Iterator[Snapshot]:
    """Of a scope (None: of all jobs) the newest, and all that live."""
    yield from store.find(scope=scope, limit=LARGEST_PAGE)
    cursor = None
    while True:
        page = store.find(scope=scope, status=UNENDED, limit=LARGEST_PAGE, cursor=cursor)
        yield from page
        cursor = page.cursor
        if cursor is None:
            return


def short_of_room(folder: Path) -> Iterator[Finding]:
    """A warning where the disk of a folder is nearly full."""
    import shutil  # only who asks pays for it

    free = shutil.disk_usage(folder).free
    if free < ROOM:
        yield Finding("warning", f"its disk has {free // 2**20:,} MiB left", "make room")

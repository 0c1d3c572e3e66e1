"""Jobs followed by somebody at a terminal: shown between changes, too, until their fate is known."""

from __future__ import annotations

import queue
import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from headway.board import Board
from headway.core.errors import JobNotFound, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from headway.client import Headway
    from headway.core.snapshot import Snapshot
    from headway.live import Watch
    from headway.terminal import Output

PAUSE = 0.12
"""Seconds between two pictures."""
QUIET = 6.0
"""Seconds of silence after which a job is read again, before anything is said about its silence."""
AGAIN = 2.0
"""Seconds between two such looks."""

COMPLETED, FAILED, CANCELLED, STALLED = range(4)
FATES = {"completed": COMPLETED, "failed": FAILED, "cancelled": CANCELLED, "stopped": CANCELLED}
WORST_LAST = (COMPLETED, CANCELLED, STALLED, FAILED)


class Feed:
    """What a watch yields, taken in by a thread of its own, so that clocks run between two changes."""

    def __init__(self, open_watch: Callable[[Sequence[str]], Watch], ids: Sequence[str]) -> None:
        self._open = open_watch
        self._ids = list(ids)
        self._news: queue.SimpleQueue[Snapshot | BaseException] = queue.SimpleQueue()
        self._watch = self._open(self._ids)
        threading.Thread(target=self._run, daemon=True).start()

    def take(self, timeout: float) -> Iterator[Snapshot | JobNotFound]:
        """What is new, after at most so many seconds; a job whose record is gone comes as an error."""
        with suppress(queue.Empty):
            news = self._news.get(timeout=timeout)
            while True:
                if isinstance(news, BaseException) and not isinstance(news, JobNotFound):
                    raise news
                yield news
                news = self._news.get_nowait()

    def close(self) -> None:
        """Watch no longer."""
        self._watch.close()

    def _run(self) -> None:
        try:
            while not self._follow():
                self._watch = self._open(self._ids)
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
            self._news.put(error)

    def _follow(self) -> bool:
        """Whether the watch came to its end; False when a job was lost and others remain."""
        try:
            for snapshot in self._watch:
                self._news.put(snapshot)
        except JobNotFound as gone:
            self._ids.remove(gone.id)
            self._news.put(gone)
            return not self._ids
        return True


class Following:
    """Jobs that are watched and shown.

    Attributes:
        board: What is known of them.
        gone: The ids whose records are gone.
        awaited: Ids to say of, for as long as nothing is known of them, that they are waited for.
        notices: What else there is to say.
        interrupts: How often Ctrl-C was pressed.  It is seen to between two pictures, so that none is torn:
            `step` raises KeyboardInterrupt when it was pressed more often than is forgiven.
    """

    def __init__(
        self,
        hw: Headway,
        output: Output,
        ids: Sequence[str] = (),
        scope: str | None = None,
        *,
        everything: bool = False,
        forgiving: int = 0,
    ) -> None:
        self.interrupts = 0
        self._forgiving = forgiving
        self._handler: Any = None
        self.board = Board()
        self.gone: set[str] = set()
        self.awaited: list[str] = []
        self.notices: list[str] = []
        self._hw = hw
        self._output = output
        self._feed = Feed(lambda ids: hw.watch(*ids, scope=scope, everything=everything), ids)
        self._looked = 0.0
        self._away: str | None = None

    def __enter__(self) -> Self:
        """From now on Ctrl-C is counted."""
        with suppress(ValueError):  # not in the main thread
            self._handler = signal.signal(signal.SIGINT, self._interrupted)
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last picture where it is."""
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
        self._feed.close()
        self._output.show(self.board.at(time.monotonic()))
        self._output.close()

    def _interrupted(self, *_: object) -> None:
        self.interrupts += 1
        if self.interrupts > self._forgiving + 1:  # nobody saw to it in time
            raise KeyboardInterrupt

    def step(self) -> dict[str, Snapshot]:
        """Take in what is new, for a little while, and show how everything reads now.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed more often than is forgiven.
            HeadwayError: The watch has failed.
        """
        for news in self._feed.take(PAUSE):
            self._hear(news)
        self._look_again(time.monotonic())
        shown = self.board.at(time.monotonic())
        known = {job.snapshot.id: job.snapshot for job in shown}
        waiting = [f"waiting for {id}, nothing is known of it yet" for id in self.awaited if id not in known]
        self._output.show(shown, [*waiting, *self.notices, *([self._away] if self._away else [])])
        if self.interrupts > self._forgiving:
            raise KeyboardInterrupt
        return known

    def _hear(self, news: Snapshot | JobNotFound) -> None:
        if isinstance(news, JobNotFound):
            self.gone.add(news.id)
            return
        self.board.hear(news, time.monotonic())
        self._output.hear(news)

    def _look_again(self, now: float) -> None:
        """A heartbeat is no change, so nobody told of it: read the silent again before they are accused."""
        quiet = [job.snapshot.id for job in self.board.at(now) if _is_quiet(job.snapshot)]
        if not quiet or now - self._looked < AGAIN:
            return
        self._looked = now
        try:
            found = self._hw.store.read(quiet)
        except StoreUnavailable as error:
            self._away = f"the store does not answer; this was heard last.  {error.reason}"
            return
        self._away = None
        for snapshot in found.values():
            if not snapshot.ended:  # an end comes by the watch, with its details
                self.board.hear(snapshot, time.monotonic())


def _is_quiet(job: Snapshot) -> bool:
    return not job.ended and (job.silent_for or 0.0) > QUIET


def follow(
    following: Following, ids: Sequence[str], patience: float, *, for_ever: bool = False
) -> dict[str, int]:
    """Show jobs until the fate of each id is known; gives them by id."""
    began = time.monotonic()
    while True:
        known = following.step()
        late = time.monotonic() - began >= patience
        following.awaited = [id for id in ids if id not in known]
        lost = following.gone.union(following.awaited if late else ())
        fates = {id: fate(known.get(id), patience, lost=id in lost) for id in ids}
        decided = {id: status for id, status in fates.items() if status is not None}
        if len(decided) == len(fates) and not for_ever:
            return decided


def fate(job: Snapshot | None, patience: float, *, lost: bool = False) -> int | None:
    """What became of a job; None as long as that is open."""
    if job is not None and job.ended:
        return FATES.get(job.status, CANCELLED)
    if lost:
        return STALLED
    if job is None or job.status != "stalled":
        return None
    return STALLED if (job.silent_for or 0.0) >= job.lease + patience else None

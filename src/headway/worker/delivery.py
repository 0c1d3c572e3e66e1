"""A job that a task queue delivered: the queue tells how it begins and ends, and waits only a little."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

from msgspec.structs import replace

from headway.core import arguments, text
from headway.core import snapshot as limits
from headway.core.errors import InvalidValue
from headway.worker.job import Job, JobOptions, error_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headway.core.snapshot import Snapshot
    from headway.worker.entry import JobEntry
    from headway.worker.publisher import Publisher


@dataclass
class Above:
    """The job that another one is a share of; its worker is elsewhere, or there is none."""

    id: str
    attempt: int | None
    started: bool = True
    ended: bool = False


class Delivery(Job):
    """One attempt at a job that a queue delivered to this process.

    Nothing here waits or raises; `entry` says how long to wait for what.
    """

    __slots__ = ("_node",)

    def __init__(
        self,
        publisher: Publisher | None,
        name: str | None,
        above: Above | None = None,
        node: str | None = None,
        **options: Unpack[JobOptions],
    ) -> None:
        """A delivery.

        Args:
            publisher: Who tells the store.
            name: What people call the job.
            above: The job that it is a share of.
            node: What the queue calls the worker that runs it.
            **options: As for every job.
        """
        super().__init__(publisher, name, **options)
        self._parent = above
        self._node = node

    def __del__(self) -> None:
        """Who lets go of it has not ended it: the queue will say what became of it."""
        self.release()

    def pending(self) -> Snapshot:
        """The record of the job while it waits for a worker."""
        above = self._parent
        return replace(self._pending(), parent=above and above.id, parent_attempt=above and above.attempt)

    def begin(self) -> None:
        """Claim the job's next attempt; whoever waits for the answer sees to it that it is asked for."""
        self._start(waits=True)

    @property
    def entry(self) -> JobEntry | None:
        """What the publisher knows of it."""
        return self._entry

    @property
    def refused(self) -> bool:
        """Whether it was cancelled before it began, so that its body must not run."""
        return self._asked and self.cancellable

    @property
    def stops(self) -> bool:
        """Whether its body was told to stop."""
        return self._told

    def ask_to_stop(self) -> None:
        """Let its body stop at its next step, because the queue says so."""
        self._ask_to_stop()

    def conclude(
        self,
        status: str,
        error: BaseException | None = None,
        result: Any = None,
        *,
        later: bool = False,
        after: float | None = None,
    ) -> None:
        """End this attempt, once.

        Args:
            status: How.
            error: Why it failed, or is to be tried again.
            result: What it leaves for readers; what JSON cannot carry is not kept, and a message says so.
            later: Whether the caller sees to it that this is told.
            after: In how many seconds the next attempt is due; None when nobody knows.
        """
        if self.ended:
            return
        if status == "retrying":
            self._wait_for_retry(None if after is None else max(0.0, after))
        if error is not None and status in {"failed", "retrying"}:
            self._error = error_of(error)
        try:
            self._result = arguments.data(result, "result")
        except InvalidValue as refused:
            self.message(f"The result is not kept: {refused}", level="warning")
        self._finish(status, wait=False, later=later)

    def take(self, facts: Mapping[str, Any]) -> None:
        """Progress that a task reports in its queue's own words: ``current``, ``total``, ``description``."""
        if facts.get("total") is not None:
            self.total = facts["total"]
        if facts.get("current") is not None:
            self.count = facts["current"]
        self.activity = arguments.words(facts.get("description") or None, "description") or self.activity

    def release(self) -> None:
        """Say nothing more of it from here."""
        entry = getattr(self, "_entry", None)
        if entry is not None and entry.final is None and entry.owned:
            entry.give_up()

    def _worker(self) -> str:
        worker = super()._worker()
        return worker if self._node is None else text.line(f"{worker}:{self._node}", limits.NAME)

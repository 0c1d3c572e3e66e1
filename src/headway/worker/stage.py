"""A weighted share of a job's bar."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from headway.core import text
from headway.core.snapshot import UNIT
from headway.core.snapshot import Stage as StageFacts
from headway.worker.bar import Bar, shown
from headway.worker.current import enter, leave

if TYPE_CHECKING:
    from types import TracebackType

    from headway.worker.current import Before
    from headway.worker.job import Job

P = ParamSpec("P")
R = TypeVar("R")


class Stage(Bar):
    """A weighted share of a job's bar.

    Attributes:
        name: What is going on there.
        weight: Its share of the job's declared weights; None when it was not declared.
        over: Whether it has ended.
    """

    __slots__ = ("_began", "_job", "_token", "_took", "name", "over", "weight")

    def __init__(self, job: Job, name: str, weight: float | None) -> None:
        super().__init__()
        self._job = job
        self.name = name
        self.weight = weight
        self.over = False
        self._began: float | None = None
        self._took: float | None = None
        self._token: Before | None = None

    def __repr__(self) -> str:
        """Its name and its job's id."""
        return f"<Stage {self.name!r} of {self._job.id}>"

    @property
    def job(self) -> Job:
        """The job that it is a stage of."""
        return self._job

    holder = job

    @property
    def activity(self) -> str | None:
        """What is happening right now, in the whole job.  May be set."""
        return self._job.activity

    @activity.setter
    def activity(self, activity: str | None) -> None:
        self._job.activity = activity

    def __enter__(self) -> Self:
        """The stage begins."""
        self.begin()
        self.checkpoint()
        self._token = enter(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """The stage has ended, unless an exception left it."""
        token, self._token = self._token, None
        leave(token)
        if kind is None:
            self.end()

    async def __aenter__(self) -> Self:
        """The stage begins."""
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """The stage has ended, unless an exception left it."""
        self.__exit__(kind, error, trace)

    def __reduce__(self) -> tuple[Any, ...]:
        """A stage pickles as a name by which other processes report a part of it."""
        from headway.worker import hand

        return hand.pickled(self)

    def begin(self) -> None:
        """Begin, or begin again from nothing."""
        if self.over:
            self._restart()
        self.over, self._took = False, None
        self._began = time.monotonic()

    def end(self) -> None:
        """Its share is done."""
        if self._began is not None:
            self._took = time.monotonic() - self._began
        self.over = True

    def facts(self, now: float) -> StageFacts:
        """What the record says of it."""
        count, work = self.count, self.work or (None, None)
        took = self._took
        if took is None and self._began is not None:
            took = now - self._began
        return StageFacts(
            name=self.name,
            weight=self.weight,
            count=shown(count) if self._counts or count else None,
            total=self._total,
            unit=text.label(self._unit, UNIT),
            elapsed=took,
            ended=self.over,
            work=work[0],
            total_work=work[1],
        )

    def _begin(self, *arguments: Any) -> None:
        if self._began is None or self.over:
            self.begin()
        super()._begin(*arguments)

    def _note(self, activity: str | None, failed: int) -> None:
        self._job._note(activity, failed)

    def _is_asked(self) -> bool:
        return self._job._asked

    def _stop_if_possible(self) -> None:
        self._job._stop_if_possible()

    def _ask_to_stop(self) -> None:
        self._job._ask_to_stop()

    def _job_id(self) -> str:
        return self._job.id

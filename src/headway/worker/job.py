"""The handle that a worker holds on its job."""

from __future__ import annotations

import os
import platform
import time
from base64 import urlsafe_b64encode
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypedDict, TypeVar, Unpack

from msgspec.structs import replace

from headway.core import arguments, text
from headway.core import snapshot as limits
from headway.core.errors import AlreadyRunning, Cancelled, InvalidValue
from headway.core.snapshot import Details, Error, Level, Message, Number, Snapshot
from headway.worker.bar import Bar, in_event_loop, shown
from headway.worker.current import enter, holder, leave
from headway.worker.decorator import decorated
from headway.worker.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from headway.worker.current import Before, Holder
    from headway.worker.entry import JobEntry
    from headway.worker.publisher import Publisher

P = ParamSpec("P")
R = TypeVar("R")

LEVELS = ("debug", "info", "success", "warning", "error")


class JobOptions(TypedDict, total=False):
    """What a job can be told beforehand.

    Attributes:
        id: Its id; by default 128 random bits.
        scope: Whose or which job it is, as ``user/3421``: all jobs of a scope are one cheap question.
        total, initial, unit: How many steps, done in an earlier run, of what.
        stages: Weights of its stages by name, declared up front, so that the whole is known.
        children: What its child jobs will weigh together, 1 each by default, so that the whole is known.
        meta: Data for readers, at most 64 KiB as JSON.
        kind: What repetitions have in common; by default the name.
        exclusive: Refuse to start while a live job holds the id.
        on_cancel: Called in the raising thread before `Cancelled` is raised.
        cancellable_until: The share, 0.0 to 1.0, past which it can no longer be cancelled.
        lease: Seconds for which it is believed when silent.
        retention: Seconds for which its record stays after its last write.
    """

    id: str | None
    scope: str | None
    total: Number | None
    initial: Number
    unit: str | None
    stages: Mapping[str, float] | None
    children: float | None
    meta: Any
    kind: str | None
    exclusive: bool
    on_cancel: Callable[[], object] | None
    cancellable_until: float | None
    lease: float
    retention: float


def new_id() -> str:
    """128 random bits, URL-safe, beginning with a letter or digit."""
    while True:
        token = urlsafe_b64encode(os.urandom(16)).decode().rstrip("=")
        if token[0].isalnum():
            return token


class Job(Bar):
    """One piece of long work, known by its id.

    It has no effect until ``with``, ``async with``, `start` or, as a decorator, a call.

    Attributes:
        id: Its id.
        name: What people call it.
        activity: What is happening right now.
    """

    __slots__ = (
        "_asked", "_began", "_cancellable", "_cancellable_until", "_entry", "_error", "_failed", "_lease",
        "_message_count", "_messages", "_meta", "_options", "_parent", "_publisher", "_result",
        "_retention", "_retry_at", "_scope", "_stages", "_token", "_told", "_total_weight", "_weight",
        "activity", "details_changed", "id", "kind", "name",
    )  # fmt: skip
    do_not_call_in_templates = True
    """Django's templates call what can be called; a job there is shown."""

    def __init__(
        self, publisher: Publisher | None, name: str | None = None, **options: Unpack[JobOptions]
    ) -> None:
        unknown = options.keys() - JobOptions.__annotations__.keys()
        if unknown:
            raise TypeError(f"job() has no option {', '.join(sorted(unknown))}")
        super().__init__(options.get("total"), options.get("initial", 0), options.get("unit"))
        self._publisher = publisher
        self._options = options
        id = options.get("id")
        self.id = new_id() if id is None else arguments.identifier(id)
        self.name = arguments.words(name, "name")
        self.kind = arguments.words(options.get("kind"), "kind")
        self.activity = None
        self._cancellable = True
        self._scope = arguments.scope(options.get("scope"))
        self._meta = arguments.data(options.get("meta"), "meta")
        self._lease = arguments.seconds(options.get("lease", limits.LEASE), "lease")
        self._retention = arguments.seconds(options.get("retention", limits.RETENTION), "retention")
        until = options.get("cancellable_until")
        self._cancellable_until = until if until is None else arguments.share(until, "cancellable_until")
        planned = arguments.weights(options.get("stages") or {})
        children = arguments.amount(options.get("children") or 0, "children")
        self._total_weight = float(sum(planned.values(), children)) or None
        self._stages = {stage: Stage(self, stage, weight) for stage, weight in planned.items()}
        self._weight = 1.0
        self._parent: Holder | None = None
        self._failed = 0
        self._messages: deque[Message] = deque(maxlen=limits.MESSAGES)
        self._message_count = 0
        self._error: Error | None = None
        self._result: Any = None
        self._retry_at: float | None = None
        self.details_changed = 1
        self._entry: JobEntry | None = None
        self._asked = self._told = False
        self._token: Before | None = None
        self._began = 0.0

    def __repr__(self) -> str:
        """Its name and id."""
        return f"<{type(self).__name__} {self.name!r} {self.id}>"

    # What is known while it runs

    @property
    def started(self) -> bool:
        """Whether it has begun here."""
        return self._entry is not None

    @property
    def inherited(self) -> bool:
        """Whether it is another process's, of which this one is a fork."""
        return self._entry is not None and not self._entry.owned and not self._entry.over

    @property
    def ended(self) -> bool:
        """Whether it has come to its end here."""
        return self._entry is not None and self._entry.final is not None

    @property
    def cancel_requested(self) -> bool:
        """Whether somebody asked it to stop."""
        return self._asked

    @property
    def holder(self) -> Job:
        """Itself."""
        return self

    @property
    def attempt(self) -> int | None:
        """Which attempt of its id it is; None while the store has not said."""
        opened = self._entry and self._entry.opened
        return opened.attempt if opened else None

    @property
    def cancellable(self) -> bool:
        """Whether it can still be cancelled; set it to False before a point of no return.

        Raises:
            Cancelled: It is set to False, and the job was asked to stop before.
        """
        return self._cancellable

    @cancellable.setter
    def cancellable(self, cancellable: bool) -> None:
        with self._lock:
            late = self._asked and not self._told and not cancellable and self._may_cancel()
            if not late:
                self._cancellable = bool(cancellable)
        if late:
            self._stop_if_possible()
        if self._asked:
            self._look_up()
        if self._entry is not None:
            self._entry.change()

    @property
    def meta(self) -> Any:
        """Data for readers, at most 64 KiB as JSON.  May be set; a change inside it is not noticed."""
        return self._meta

    @meta.setter
    def meta(self, meta: Any) -> None:
        self._meta = arguments.data(meta, "meta")
        self.details_changed += 1

    def message(self, text_: str, level: Level = "info") -> None:
        """Keep a line worth keeping; the last 50 are."""
        if level not in LEVELS:
            raise InvalidValue("level", level, f"a level is one of {', '.join(LEVELS)}")
        kept = text.block(str(arguments.words(text_, "text") or ""), limits.MESSAGE)
        self._messages.append(Message(datetime.now(UTC), kept, level))
        self._message_count += 1
        self.details_changed += 1

    def stage(
        self,
        name: str,
        weight: float | None = None,
        total: Number | None = None,
        unit: str | None = None,
    ) -> Stage:
        """A share of the job's bar; the same name is the same stage.

        Args:
            name: What is going on there.
            weight: Its share of the declared weights.  A stage that was declared has one already.
            total: How many steps it has.
            unit: What is counted.
        """
        name = text.line(str(arguments.words(name, "name") or ""), limits.STAGE_NAME)
        stage = self._stages.get(name)
        if stage is None:
            if len(self._stages) >= limits.STAGES:
                raise InvalidValue("name", name, f"a job has at most {limits.STAGES} stages")
            stage = self._stages[name] = Stage(self, name, None)
        if weight is not None:
            stage.weight = float(arguments.amount(weight, "weight"))
        if total is not None:
            stage.total = total
        if unit is not None:
            stage.unit = unit
        if self._attention:
            stage._interrupt()
        return stage

    def child(self, name: str | None = None, *, weight: float = 1.0, **options: Unpack[JobOptions]) -> Job:
        """A job of its own that is a weighted share of this one; it may run in another process."""
        child = Job(self._publisher, name, **options)
        child._parent = self
        child._weight = float(arguments.amount(weight, "weight"))
        child._scope = child._scope or self._scope
        return child

    def snapshot(self) -> Snapshot:
        """The job as it is now, here."""
        if self._entry is not None:
            return self._entry.snapshot()
        return self._facts(time.monotonic())

    # Beginning and end

    def start(self) -> Self:
        """Begin; whoever starts a job must end it by `complete` or `fail`.

        Raises:
            AlreadyRunning: A live job holds the id, and this one is exclusive.
            Cancelled: The job was cancelled before it started.
        """
        waits = not in_event_loop()
        entry = self._start(waits=waits)
        if entry is not None and waits:
            entry.wait_opened()
            self._look_before_starting()
        return self

    def complete(self, result: Any = None) -> None:
        """The job has reached its end.

        Args:
            result: What it leaves for readers, at most 64 KiB as JSON.

        Raises:
            InvalidValue: JSON cannot carry the result; the job has not ended then.
        """
        result = arguments.data(result, "result")
        self._result = result
        self._finish("completed")

    def fail(self, error: BaseException | str) -> None:
        """The job has failed.

        Args:
            error: Text is shown to every viewer; an exception's text, which may hold secrets, only to owners.
        """
        self._error = error_of(error)
        self._finish("failed")

    def retry(self, error: BaseException | str | None = None, *, after: float | None = None) -> None:
        """This attempt has failed, and another one is to follow.

        Args:
            error: Why, as for `fail`.
            after: In how many seconds; None when nobody knows.

        Raises:
            InvalidValue: ``after`` is no number of seconds; nothing has happened then.
        """
        self._wait_for_retry(after)
        self._error = None if error is None else error_of(error)
        self._finish("retrying")

    def stop(self) -> None:
        """The job was left before its end, and nothing tells why."""
        self._finish("stopped")

    def __enter__(self) -> Self:
        """Start, and be `headway.current()` meanwhile."""
        self.start()
        self._token = enter(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End as what can be known; what was raised goes on."""
        self._leave()
        self._finish_with(error)

    async def __aenter__(self) -> Self:
        """Start, and be `headway.current()` meanwhile; the event loop is not blocked."""
        self._start()
        await self._opened()
        self._token = enter(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End as what can be known, and wait until that has arrived."""
        self._leave()
        self._finish_with(error)
        if self._entry is not None:
            await self._entry.delivered_async()

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """As a decorator: each call is a job, begun and ended around the function's body."""
        return decorated(self._again, function)

    def __del__(self) -> None:
        """Whoever lets go of a running job has left it."""
        if getattr(self, "_entry", None) is not None:
            self._finish("stopped", wait=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """A started job pickles as a name by which others report a part of it; another goes as itself."""
        from headway.worker import hand

        return hand.pickled(self) if self.started else hand.packed(self)

    def _again(self) -> Job:
        job = Job(self._publisher, self.name, **self._options)
        job._parent, job._weight = self._parent, self._weight
        return job

    def _start(self, *, waits: bool = False) -> JobEntry | None:
        if self._entry is not None:
            raise InvalidValue("job", self.id, "this job was started already; make another one")
        if self._publisher is None:
            return None
        self._began = time.monotonic()
        parent = self._parent or holder()
        self._parent = parent if parent is not None and parent.started and not parent.ended else None
        if isinstance(self._parent, Job) and self._parent._entry is not None:
            self._parent._entry.expect_parts()
        self._entry = self._publisher.begin(
            self, exclusive=self._options.get("exclusive", False), waits=waits
        )
        return self._entry

    async def _opened(self) -> None:
        """Wait until the store has answered, at most a little while; then as `start`."""
        if self._entry is None:
            return
        try:
            await self._entry.opened_async()
        except BaseException as error:
            self._finish_with(error)
            raise
        self._look_before_starting()

    def _look_before_starting(self) -> None:
        entry = self._entry
        if entry is None:
            return
        if entry.held is not None:
            self._entry = None
            raise AlreadyRunning(entry.held)
        if self._asked and self.cancellable:
            self._finish("cancelled")
            raise Cancelled(self.id)

    def _leave(self) -> None:
        token, self._token = self._token, None
        leave(token)

    def _wait_for_retry(self, after: float | None) -> None:
        self._retry_at = None if after is None else time.monotonic() + arguments.amount(after, "after")

    def _finish_with(self, error: BaseException | None) -> None:
        """End as what the end of a block tells."""
        if self.ended:
            return
        if error is None:
            self._finish("cancelled" if self._told else "completed")
        elif isinstance(error, Cancelled) and (error.id == self.id or self._asked):
            self._finish("cancelled")
        elif isinstance(error, Exception):
            self.fail(error)
        else:  # Ctrl-C, an exit, a generator's close, a cancelled task or greenlet
            self._finish("stopped")

    def _finish(self, status: str, *, wait: bool = True, later: bool = False) -> None:
        entry = self._entry
        if entry is None or not entry.owned or entry.final is not None:
            return
        for stage in list(self._stages.values()):
            stage.over = stage.over or status == "completed"
        wait = wait and not in_event_loop()
        entry.finish(status, self, waits=wait or later)
        if wait:
            entry.wait_delivered()

    # What the publisher asks and tells

    def _pending(self) -> Snapshot:
        """The record of a job that waits for its worker."""
        facts = self._facts(0.0)
        return replace(facts, status="pending", worker=None, elapsed=None, details=Details(meta=self.meta))

    def _facts(self, now: float) -> Snapshot:
        """The worker's side of the record: what it reports, without what the store adds."""
        count, work = self.count, self.work or (None, None)
        return Snapshot(
            id=self.id,
            scope=self._scope,
            lease=self._lease,
            retention=self._retention,
            cancellable=self.cancellable,
            name=text.label(self.name, limits.NAME),
            kind=text.label(self.kind or self.name, limits.NAME),
            count=shown(count) if self._counts or count else None,
            total=self._total,
            work=work[0],
            total_work=work[1],
            unit=text.label(self._unit, limits.UNIT),
            activity=text.label(self.activity, limits.ACTIVITY),
            stages=tuple(stage.facts(now) for stage in list(self._stages.values())),
            total_weight=self._total_weight,
            weight=self._weight,
            failed_count=self._failed,
            initial=self._initial,
            elapsed=now - self._began if self._began else None,
            worker=self._worker(),
            message_count=self._message_count,
            retry_in=None if self._retry_at is None else max(0.0, self._retry_at - now),
        )

    def _worker(self) -> str:
        """Who runs it, as ``host:pid``."""
        return WORKER.format(os.getpid())

    def _details(self) -> Details:
        """What is kept beside the record."""
        return Details(tuple(self._messages), self._error, self._result, self._meta)

    def _inherit(self, before: Snapshot, attempt: int) -> None:
        """Take over what an earlier attempt left: its messages, why it failed, its meta."""
        details = before.details or Details()
        messages = list(details.messages)
        self._message_count += before.message_count
        if details.error is not None:
            why = details.error.text or details.error.type or "failed"
            messages.append(Message(datetime.now(UTC), f"attempt {attempt}: {why}", "warning"))
            self._message_count += 1
        room = limits.MESSAGES - len(self._messages)
        self._messages.extendleft(reversed(messages[-room:] if room else []))
        if self._meta is None:
            self._meta = details.meta
        self.details_changed += 1

    def _ask_to_stop(self) -> None:
        with self._lock:
            self._asked = True
            self._look_up()

    def _look_up(self) -> None:
        """Make the next step of the job and of each of its stages look up, where it may be stopped."""
        with self._lock:
            if self._may_cancel():
                for bar in (self, *list(self._stages.values())):
                    bar._interrupt()

    def _is_asked(self) -> bool:
        return self._asked

    def _stop_if_possible(self) -> None:
        if not self._may_cancel():
            return
        first, self._told = not self._told, True
        on_cancel = self._options.get("on_cancel")
        if first and on_cancel is not None:
            on_cancel()
        raise Cancelled(self.id)

    def _pass_point_of_no_return(self) -> None:
        until = self._cancellable_until
        if until is not None and self._cancellable and (self.snapshot().fraction or 0.0) >= until:
            with self._lock:
                self._cancellable = self._asked  # who asked before is still heard
            if self._entry is not None:
                self._entry.change()

    def _may_cancel(self) -> bool:
        return self._cancellable and not self.ended

    def _job_id(self) -> str:
        return self.id

    def _note(self, activity: str | None, failed: int) -> None:
        if activity is not None:
            self.activity = activity
        self._failed += failed


WORKER = platform.node()[: limits.NAME - 12] + ":{}"


def error_of(error: BaseException | str) -> Error:
    """What the record says of an error: text for everybody, an exception's own words for owners."""
    if isinstance(error, str):
        return Error(text=text.block(error, limits.ERROR_TEXT))
    if not isinstance(error, BaseException):
        raise InvalidValue("error", error, "this must be text or an exception")
    import traceback

    lines = "".join(traceback.format_exception(error))
    return Error(
        type=text.line(type(error).__qualname__, limits.NAME),
        detail=text.block(lines[-limits.ERROR_DETAIL :], limits.ERROR_DETAIL),
    )

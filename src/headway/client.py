"""One object with all verbs: `connect` makes it, and the module's own verbs are those of a default one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, cast, overload

from headway import threads
from headway.core import arguments
from headway.core.errors import InvalidValue, StoreRefused, StoreUnavailable
from headway.core.pace import Pace
from headway.core.snapshot import UNENDED, Number, Snapshot
from headway.stores import open_store
from headway.stores.contract import LARGEST_PAGE, PAGE, Page, Store
from headway.worker.bar import Bar, Position, over
from headway.worker.current import current, enter, holder, leave
from headway.worker.job import Job, JobOptions
from headway.worker.loop import AsyncPosition
from headway.worker.stage import Stage

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterable,
        AsyncIterator,
        Awaitable,
        Callable,
        Collection,
        Iterable,
        Iterator,
    )

    from headway.live import Hub, Watch
    from headway.worker.loop import How
    from headway.worker.publisher import Publisher

T = TypeVar("T")


class Headway:
    """All verbs over one store.

    Attributes:
        pace: How often they are published.
    """

    def __init__(self, store: Store | None = None, pace: Pace | None = None) -> None:
        self._store = store
        self.pace = pace or Pace()
        self._made: Publisher | None = None
        self._hub: Hub | None = None
        self._hops = threads.Hops()
        self._lock = threads.reentrant_lock()

    def __repr__(self) -> str:
        """Which store it is."""
        return f"<Headway {self.store.url}>"

    @property
    def store(self) -> Store:
        """Where records are kept; for an object without one, the default store at its first use."""
        if self._store is None:
            self._store = open_store(default_url())
        return self._store

    # For workers

    def job(self, name: str | None = None, **options: Unpack[JobOptions]) -> Job:
        """A job; see `headway.worker.job.JobOptions` for what it can be told beforehand.

        It has no effect until ``with``, ``async with``, `Job.start` or, as a decorator, a call.
        """
        return Job(self._publisher, name, **options)

    @overload
    def track(
        self,
        iterable: Iterable[T],
        name: str | None = None,
        *,
        weight: Callable[[T], Number] | None = None,
        **options: Unpack[JobOptions],
    ) -> Iterator[T]: ...
    @overload
    def track(
        self, iterable: AsyncIterable[T], name: str | None = None, **options: Unpack[JobOptions]
    ) -> AsyncIterator[T]: ...
    def track(
        self,
        iterable: Any,
        name: str | None = None,
        *,
        weight: Callable[[Any], Number] | None = None,
        **options: Unpack[JobOptions],
    ) -> Any:
        """The same items, shown as a job of their own, or inside a job as a stage of it.

        Nothing happens before the first item.

        Args:
            iterable: Anything that ``for`` or ``async for`` takes.
            name: What people call it; inside a job the stage's name.
            weight: What an item weighs in progress and time left; the count still counts items.
            **options: As for `job`; ``total`` is found out where the iterable knows.
        """
        return _Tracking(self, iterable, name, weight, options).over()

    def current(self) -> Job:
        """The job that runs here; outside any job, one that does nothing."""
        return current_job()

    # For readers

    def get(self, id: str, *, details: bool = False) -> Snapshot | None:
        """A job as it is now; None when nothing is known of it.

        Args:
            id: Its id.
            details: Also read messages, error, result and meta.

        Raises:
            StoreUnavailable: The store cannot be read.
        """
        return self.store.read([arguments.identifier(id)], details=details).get(id)

    def find(
        self,
        *,
        scope: str | None = None,
        parent: str | None = None,
        status: str | Collection[str] = (),
        limit: int = PAGE,
        cursor: str | None = None,
    ) -> Page:
        """Jobs, newest first, a page at a time.

        Args:
            scope: Only those of this scope.
            parent: Only the children of this job.
            status: Only those that read so; several are alternatives.
            limit: At most so many, 1 to 200.
            cursor: The ``cursor`` of the page before.

        Raises:
            StoreUnavailable: The store cannot be read.
        """
        if not 1 <= limit <= 200:
            raise InvalidValue("limit", limit, "a page has 1 to 200 jobs")
        return self.store.find(
            scope=arguments.scope(scope),
            parent=parent and arguments.identifier(parent, "parent"),
            status=(status,) if isinstance(status, str) else tuple(status),
            limit=limit,
            cursor=cursor,
        )

    def watch(
        self,
        *ids: str,
        scope: str | None = None,
        everything: bool = False,
        timeout: float | None = None,
    ) -> Watch:
        """Snapshots at once and at each change, for ``for`` and ``async for``.

        With ids: until all of them have ended.  With a scope, or everything: for ever, new jobs included.

        Args:
            *ids: Which jobs.  One that is not known yet is waited for.
            scope: All jobs of this scope.
            everything: All jobs.
            timeout: Seconds to wait for a job that is not known.

        Raises:
            JobNotFound: A job did not appear in time, or its record is gone.
            StoreUnavailable: The store cannot be read when the watch begins.
        """
        from headway.live import Watch

        for id in ids:
            arguments.identifier(id)
        scopes = [arguments.scope(scope)] if scope is not None else []
        return Watch(self._listening(), ids, [*scopes, *([None] if everything else [])], timeout)

    def cancel(self, id: str) -> bool:
        """Ask a job to stop, and its children.

        Returns:
            True: recorded.  False: unknown, ended, or past its point of no return.

        Raises:
            StoreUnavailable: The store cannot be written.
        """
        recorded = self.store.request_cancel(arguments.identifier(id)).accepted
        if recorded:
            for child in self._children(id):
                self.cancel(child.id)
        return recorded

    def _children(self, id: str) -> Iterator[Snapshot]:
        """The children of a job that are still to end."""
        cursor = None
        while True:
            page = self.store.find(parent=id, status=UNENDED, limit=LARGEST_PAGE, cursor=cursor)
            yield from page
            cursor = page.cursor
            if cursor is None:
                return

    def reserve(self, name: str | None = None, **options: Unpack[JobOptions]) -> Snapshot | None:
        """A pending job, for a worker to come; None if a live, unstalled job holds the id.

        The worker opens it by ``job(id=…)``.

        Raises:
            StoreUnavailable: The store cannot be written.
        """
        job = Job(None, name, **options)
        answer = self.store.open(job._pending(), "ended")
        if answer.opened is None:
            return None
        return self.get(job.id)

    def forget(self, id: str) -> bool:
        """Delete the record of a job that is not live; whether there was one."""
        return self.store.forget(arguments.identifier(id))

    # The same for coroutines

    async def aget(self, id: str, *, details: bool = False) -> Snapshot | None:
        """`get`, awaited."""
        return await self._hops.run(lambda: self.get(id, details=details))

    async def afind(
        self,
        *,
        scope: str | None = None,
        parent: str | None = None,
        status: str | Collection[str] = (),
        limit: int = PAGE,
        cursor: str | None = None,
    ) -> Page:
        """`find`, awaited."""
        return await self._hops.run(
            lambda: self.find(scope=scope, parent=parent, status=status, limit=limit, cursor=cursor)
        )

    async def acancel(self, id: str) -> bool:
        """`cancel`, awaited."""
        return await self._hops.run(lambda: self.cancel(id))

    async def areserve(self, name: str | None = None, **options: Unpack[JobOptions]) -> Snapshot | None:
        """`reserve`, awaited."""
        return await self._hops.run(lambda: self.reserve(name, **options))

    # Housekeeping

    @property
    def dropped_writes(self) -> int:
        """How many writes of this process did not arrive."""
        return self._made.dropped if self._made else 0

    def close(self) -> None:
        """End what still runs as stopped, deliver what is outstanding, and let go of the store."""
        if self._hub is not None:
            self._hub.close()
        if self._made is not None:
            self._made.close()
        self._hops.close()
        self._made = self._hub = None
        if self._store is not None:
            self._store.close()

    @property
    def _publisher(self) -> Publisher:
        from headway.worker.publisher import Publisher

        with self._lock:
            if self._made is None:
                self._made = Publisher(self.store, self.pace)
            return self._made

    def _listening(self) -> Hub:
        from headway.live import Hub

        with self._lock:
            if self._hub is None or not self._hub.usable:
                self._hub = Hub(self.store, self._hops)
            return self._hub


class _Tracking:
    """One `Headway.track`: what happens at the first item, and at the end."""

    def __init__(
        self,
        headway: Headway,
        iterable: Any,
        name: str | None,
        weight: Callable[[Any], Number] | None,
        options: JobOptions,
    ) -> None:
        Job(None, name, **options)  # wrong arguments raise now, not at the first item
        self._headway = headway
        self._iterable = iterable
        self._name = name
        self._weight = weight
        self._options = options
        self._bar: Bar | None = None
        self._finish: Callable[[How], None] = self._end_inside
        self._token: Any = None
        self._position: Position | None = None

    def over(self) -> Any:
        """The iterator over the same items."""
        return over(self._iterable, self._begin, self._end, self._weight)

    def _begin(self, position: Any) -> Awaitable[None] | None:
        inside = current()
        self._position = position
        awaited = isinstance(position, AsyncPosition)
        bar = self._bar = self._own_job(wait=not awaited) if inside is None else self._share_of(inside)
        self._token = enter(bar)
        total, unit = self._options.get("total"), self._options.get("unit")
        try:
            bar._begin(position, self._iterable, total, unit, self._weight)
        except BaseException:
            self._end("left")
            raise
        return self._opened(bar) if awaited and inside is None and isinstance(bar, Job) else None

    async def _opened(self, job: Job) -> None:
        try:
            if self._is_known():
                await job._opened()
        except BaseException:
            self._end("left")
            raise

    def _own_job(self, *, wait: bool) -> Job:
        self._finish = self._end_job
        job = self._headway.job(self._name, **self._options)
        if wait and self._is_known():
            return job.start()
        job._start()
        return job

    def _is_known(self) -> bool:
        """Whether somebody may know the id already: only then there is something to wait for."""
        return self._options.get("id") is not None or bool(self._options.get("exclusive"))

    def _share_of(self, inside: Any) -> Bar:
        """Inside a job: a stage of it, or without a name the bar there, if it is free."""
        if self._name is None and inside._takes_loops():
            return cast("Bar", inside)
        self._finish = self._end_stage
        stage: Bar = inside.holder.stage(self._name or "Loop")
        stage._restart()
        return stage

    def _end(self, how: How) -> None:
        token, self._token = self._token, None
        leave(token)
        self._finish(how)

    def _taken(self) -> Number:
        return 0 if self._position is None else self._position.taken

    def _end_inside(self, how: How) -> None:
        if self._bar is not None:
            self._bar._loop_ended(how)

    def _end_stage(self, how: How) -> None:
        if how == "ran out" and isinstance(self._bar, Stage):
            self._bar.end()
        self._end_inside(how)

    def _end_job(self, how: How) -> None:
        job = self._bar
        if not isinstance(job, Job):
            return
        if how == "cancelled":
            try:
                job._loop_ended(how)
            finally:
                job._finish("cancelled")
        elif how == "ran out" or (job.total and job.count + self._taken() == job.total):
            job._count += self._taken()
            job.complete()
        else:
            job._finish("cancelled" if job._told else "stopped")


def current_job() -> Job:
    """The job that runs here; outside any job, one that does nothing."""
    found: Any = holder()  # in a pool's worker a part of the job, with the same verbs but its end
    return Job(None) if found is None else cast("Job", found)


def connect(url: str | None = None, *, pace: Pace | None = None, check: bool = True) -> Headway:
    """An object with all verbs over the store that a URL names.

    A store on a server is asked whether it takes reports, for half a second or so.  One that is away is no
    error: whoever reports tries again.  Of files nothing is opened or created yet.

    Args:
        url: As ``sqlite:////var/lib/app/jobs.db``; by default ``HEADWAY_STORE``, else a SQLite file in the
            user's state folder.
        pace: How often progress is published.
        check: Whether to ask; without it, nothing is connected yet, and a replica will do for readers.

    Raises:
        UnknownStore: No store answers to the URL.
        MissingPackage: The store's driver is not installed.
        StoreRefused: The server says no: a wrong password, a missing database or right, a replica.
    """
    store = open_store(default_url() if url is None else url)
    if check:
        _check(store)
    return Headway(store, pace)


def _check(store: Store) -> None:
    try:
        store.check()
    except StoreRefused:
        store.close()
        raise
    except StoreUnavailable:
        pass  # it may come back; the first use says what is wrong


def default_url() -> str:
    """The store of those who name none: ``HEADWAY_STORE``, else a SQLite file in the state folder."""
    named = os.environ.get("HEADWAY_STORE")
    if named:
        return named
    from platformdirs import user_state_path

    from headway.stores.sqlite import url_of

    return url_of(user_state_path("headway", appauthor=False) / "jobs.db")


default: Headway = Headway()
"""Whose verbs are the module's own."""

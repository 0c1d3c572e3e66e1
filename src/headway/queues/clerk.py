"""Writes down what a task queue tells: never raises where it is asked not to, and never waits long.

All that reaches the store goes by the publisher's thread.  Whoever tells something waits for the store's
answer, so that what comes next in the queue's life comes next in the record's, but at most `PATIENCE`
seconds, and not at all while the store is known to be away.  It is written when the store is back.
"""

from __future__ import annotations

import functools
import inspect
import os
import platform
import sys
import time
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.structs import replace

from headway.client import Headway, connect, default
from headway.core.errors import Cancelled
from headway.core.fraction import FULL
from headway.core.snapshot import WAITING, Part, Snapshot
from headway.queues import lifecycle
from headway.queues.labels import label_of, labelled
from headway.worker.current import enter, leave
from headway.worker.delivery import Above, Delivery
from headway.worker.errand import Errand
from headway.worker.job import Job, new_id
from headway.worker.publisher import log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from headway.core.snapshot import Error
    from headway.queues.lifecycle import Event, Label
    from headway.stores.contract import Store
    from headway.worker.current import Before
    from headway.worker.publisher import Publisher

F = TypeVar("F", bound="Callable[..., Any]")

PATIENCE = 0.8
"""Seconds for which a hook waits for the store, at most."""
MOMENT = 0.2
"""Seconds for which a start waits for the word of whoever enqueued the task, at most."""
QUIET = 60.0
"""Seconds between two complaints about a hook that fails."""


_here: ContextVar[Held | None] = ContextVar("headway_delivery", default=None)


class Held:
    """A delivery that runs here, what ran before it, and how it is reported.

    Attributes:
        spent: Whether it has left; in its own context its id then means nothing, though the next attempt may
            run beside it.
    """

    def __init__(self, delivery: Delivery, label: Label, before: Before | None) -> None:
        self.delivery = delivery
        self.label = label
        self.before = before
        self.spent = False

    @property
    def parent(self) -> tuple[str, int] | None:
        """The whole that it is a share of, and its attempt, as the label or the pending record says."""
        opened = self.delivery.entry and self.delivery.entry.opened
        if self.label.parent is None and opened and opened.parent and opened.parent_attempt:
            return opened.parent, opened.parent_attempt
        return self.label.parent


class Clerk:
    """What the file of one queue tells, for one app of it.

    Attributes:
        queue: The queue's name, as people know it.
    """

    def __init__(self, queue: str, store: Headway | str | None, namespace: str = "", **options: Any) -> None:
        """A clerk.

        Args:
            queue: The queue's name.
            store: Where the records are kept: an object with all verbs, a store's URL, or None for the
                default store, which is warned of unless ``HEADWAY_STORE`` names it.
            namespace: What all ids begin with, where the queue's own can be guessed.
            **options: What is reported of every task, unless something else is said of it.
        """
        self.queue = queue
        self.options = lifecycle.merged(options)
        self._headway = _headway_of(store, queue)
        self._namespace = namespace
        self._running: dict[str, Held] = {}
        self._complain_at = 0.0

    def harmless(self, hook: F) -> F:
        """The hook, which gives None instead of raising an exception; one a minute is logged."""
        made: Any
        if inspect.iscoroutinefunction(hook):

            async def made(*args: Any, **kwargs: Any) -> Any:
                try:
                    return await hook(*args, **kwargs)
                except Exception as error:  # noqa: BLE001 - not even a bug of ours may reach the task
                    self._complain(error)

        else:

            def made(*args: Any, **kwargs: Any) -> Any:
                try:
                    return hook(*args, **kwargs)
                except Exception as error:  # noqa: BLE001 - not even a bug of ours may reach the task
                    self._complain(error)

        functools.update_wrapper(made, hook)
        wrapped: F = made
        return wrapped

    # A task is sent

    def enqueue(self, id: object, name: str, label: Label, *, anew: bool = True) -> None:
        """It is about to be sent: its job is pending.

        Args:
            id: The queue's id.
            name: The function's full name.
            label: What is said of it.
            anew: Whether an id that has ended is a new job; False where the queue may only be repeating it.
        """
        errand = self._enqueue(id, name, label, anew=anew)
        if errand is not None:
            errand.wait(PATIENCE)

    async def aenqueue(self, id: object, name: str, label: Label, *, anew: bool = True) -> None:
        """`enqueue`, awaited."""
        errand = self._enqueue(id, name, label, anew=anew)
        if errand is not None:
            await errand.wait_async(PATIENCE)

    # A task runs here

    def start(
        self, id: object, name: str, label: Label, node: str | None = None, *, announced: bool = False
    ) -> bool:
        """It starts here, and from now on is `headway.current`.

        Args:
            id: The queue's id.
            name: The function's full name.
            label: What is said of it.
            node: What the queue calls the worker that runs it.
            announced: Whether a word of whoever enqueued it is on its way, for which this waits a moment.

        Returns:
            Whether its body may run: not if the job was cancelled before.
        """
        held = self._start(id, name, label, node, self._await_word if announced else None)
        if held is None:
            return True
        entry = held.delivery.entry
        if entry is not None:
            entry.wait_opened(PATIENCE)
        return self._may_run(held)

    async def astart(self, id: object, name: str, label: Label, node: str | None = None) -> bool:
        """`start`, awaited; the context is the caller's."""
        held = self._start(id, name, label, node)
        if held is None:
            return True
        entry = held.delivery.entry
        if entry is not None:
            await entry.opened_async(PATIENCE)
        return self._may_run(held)

    @contextmanager
    def stopping(self, left: Callable[[str], Exception], *, refused: bool = False) -> Iterator[None]:
        """Around a body: where its job is cancelled, raise what its queue takes for no failure.

        Args:
            left: Makes that exception.
            refused: Whether the body must not run at all.
        """
        held = _here.get()
        if refused:
            raise left("cancelled before it started")
        try:
            yield
        except Cancelled as cancelled:
            if held is None or not held.delivery.stops:
                raise
            raise left("cancelled") from cancelled

    def running(self, id: object) -> Delivery | None:
        """The delivery of that id that runs here."""
        held = self._held(id)
        return held.delivery if held else None

    def end(
        self,
        id: object,
        error: BaseException | None = None,
        result: Any = None,
        status: str | None = None,
        *,
        later: bool = False,
        after: float | datetime | None = None,
        **known: bool,
    ) -> None:
        """It has ended here; what came of it has arrived when this returns, if the store answers.

        Args:
            id: The queue's id.
            error: What it raised.
            result: What it returned.
            status: How it ended, where the queue knows better.
            later: Whether that may arrive a moment later, together with the next task's beginning: where the
                message was acknowledged before, so that nobody would run it again, and the process goes on.
            after: In how many seconds it is to be tried again, or when; None when the queue does not tell.
            **known: As `lifecycle.ending` takes it.
        """
        held = self._conclude(id, error, result, status, known, after=after)
        if held is None or (entry := held.delivery.entry) is None:
            return
        if later and held.parent is None:
            self._publisher.wake_soon()
            return
        entry.wait_delivered(PATIENCE)
        errand = self._settle_after(held)
        if errand is not None:
            errand.wait(PATIENCE / 4)

    async def aend(
        self,
        id: object,
        error: BaseException | None = None,
        result: Any = None,
        status: str | None = None,
        *,
        after: float | datetime | None = None,
        **known: bool,
    ) -> None:
        """`end`, awaited."""
        held = self._conclude(id, error, result, status, known, after=after)
        if held is None or (entry := held.delivery.entry) is None:
            return
        await entry.delivered_async(PATIENCE)
        errand = self._settle_after(held)
        if errand is not None:
            await errand.wait_async(PATIENCE / 4)

    def flush(self, **_: Any) -> None:
        """This process is about to end: what was told has arrived when this returns, if the store answers."""
        self.harmless(self._publisher.flush)(PATIENCE)

    def release(self, id: object) -> None:
        """It has left this process, and somebody else will say how."""
        held = self._drop(id)
        if held is not None:
            held.delivery.release()

    # Others tell of a task

    def tell(self, id: object, event: Event, node: str | None = None, error: Error | None = None) -> None:
        """Somebody tells of a task who does not run it; see `lifecycle.told`."""
        self._tell(id, event, node, error).wait(PATIENCE)

    async def atell(
        self, id: object, event: Event, node: str | None = None, error: Error | None = None
    ) -> None:
        """`tell`, awaited."""
        await self._tell(id, event, node, error).wait_async(PATIENCE)

    # A job that is made of others

    def open_whole(self, name: str, members: int, **options: Any) -> tuple[str, int]:
        """Begin a job that is made of others, and that ends with the last of them.

        It has no worker of its own, so it is believed for as long as its members may wait.

        Args:
            name: What people call it.
            members: How many there will be.
            **options: As for `headway.job`.

        Returns:
            Its id and attempt.
        """
        job = Job(self._publisher, name, **{"lease": WAITING, "children": members or None} | options)
        record = replace(job._pending(), run=new_id(), status="running", elapsed=0.0)
        attempts: list[int] = []

        def begin(store: Store, late: bool) -> None:  # noqa: ARG001, FBT001 - it begins, late or not
            opened = store.open(record, "anything").opened
            attempts.append(opened.attempt if opened else 1)
            if not members:
                store.end(job.id, attempts[0], "completed")

        self.harmless(Errand(self._publisher, begin).wait)(PATIENCE)
        return job.id, attempts[0] if attempts else 1

    @contextmanager
    def fan_out(self, name: str, members: int, *, bound: bool = False, **options: Any) -> Iterator[str]:
        """What is enqueued in this block is one job, of which each member is a share.

        Args:
            name: What people call it.
            members: How many there will be.
            bound: Whether the whole fails with the first of them, because others depend on it.
            **options: As for `headway.job`.

        Yields:
            The whole's id.
        """
        id, attempt = self.open_whole(name, members, **options)
        with labelled(self.share_of(id, attempt, bound=bound)):
            yield id

    def share_of(self, id: str, attempt: int, *, bound: bool) -> Label:
        """The label of a member; see `Label.bound`."""
        return replace(label_of(), parent=(id, attempt), bound=bound)

    # How

    @property
    def headway(self) -> Headway:
        """Where all this is kept."""
        return self._headway

    @property
    def _publisher(self) -> Publisher:
        return self._headway._publisher

    def id_of(self, id: object) -> str:
        """The job's id for the queue's."""
        return lifecycle.identifier(id, self._namespace)

    def _delivery(self, id: object, name: str, label: Label, node: str | None = None) -> Delivery | None:
        """The job of a task; None where it is not to be reported."""
        usual = {"kind": name, "name": lifecycle.in_words(name)}
        options = lifecycle.merged(usual, self.options, label.options)
        report = options.pop("report", True)
        options.pop("result", None)
        if not report:
            return None
        above = Above(*label.parent) if label.parent else None
        named = options.pop("name")
        return Delivery(self._publisher, named, above, node, id=self.id_of(id), **options)

    def _enqueue(self, id: object, name: str, label: Label, *, anew: bool) -> Errand | None:
        job = self._delivery(id, name, label)
        if job is None:
            return None
        record = job.pending()

        def reserve(store: Store, late: bool) -> None:  # noqa: FBT001 - as an errand is called
            # Late, its worker may have begun and ended it by now: then there is nothing to be reserved.
            store.open(record, "ended" if anew and not late else "nothing")

        return Errand(self._publisher, reserve, brief=True)

    def _start(
        self,
        id: object,
        name: str,
        label: Label,
        node: str | None,
        before: Callable[[str], object] | None = None,
    ) -> Held | None:
        delivery = self._delivery(id, name, label, node)
        if delivery is None:
            return None
        if before is not None:
            before(delivery.id)
        delivery.begin()
        held = Held(delivery, label, enter(delivery))
        self._running[delivery.id] = held
        _here.set(held)
        return held

    def _await_word(self, id: str) -> None:
        """Wait until something is known of a job, but not long, and not for a store that does not answer."""
        known: list[str] = []
        deadline = time.monotonic() + MOMENT
        while (left := deadline - time.monotonic()) > 0:
            looked = Errand(self._publisher, lambda store, _: known.extend(store.read([id])))
            if not looked.wait(left) or known:
                return
            time.sleep(MOMENT / 20)

    def _may_run(self, held: Held) -> bool:
        delivery = held.delivery
        if not delivery.refused:
            return True
        self._drop(delivery.id)
        if delivery.entry is not None and delivery.entry.owned:
            delivery.conclude("cancelled")
        if (parent := held.parent) is not None:
            id, attempt = delivery.id, delivery.attempt or 1
            Errand(self._publisher, lambda store, _: self._count_in(store, parent, id, attempt))
        return False

    def _held(self, id: object) -> Held | None:
        """What runs under an id: in this context, or else in this process."""
        known = self.id_of(id)
        here = _here.get()
        if here is not None and here.delivery.id == known:
            return None if here.spent else here
        return self._running.get(known)

    def _drop(self, id: object) -> Held | None:
        held = self._held(id)
        if held is not None:
            if self._running.get(held.delivery.id) is held:
                del self._running[held.delivery.id]
            held.spent = True
            leave(held.before)
        return held

    def _conclude(
        self,
        id: object,
        error: BaseException | None,
        result: Any,
        status: str | None,
        known: dict[str, bool],
        *,
        after: float | datetime | None,
    ) -> Held | None:
        held = self._drop(id)
        if held is None:
            return None
        keeps = lifecycle.merged(self.options, held.label.options).get("result", False)
        status = status or lifecycle.ending(error, cancelled=held.delivery.stops, **known)
        result = result if keeps and status == "completed" else None
        if isinstance(after, datetime):
            after = (after.astimezone() - datetime.now(UTC)).total_seconds()
        held.delivery.conclude(status, error, result, later=True, after=after)
        return held

    def _settle_after(self, held: Held) -> Errand | None:
        """Once the end of a member has arrived, see whether the whole has ended."""
        entry, parent, bound = held.delivery.entry, held.parent, held.label.bound
        if parent is None or entry is None or entry.final is None or entry.final.status == "retrying":
            return None
        status = entry.final.status
        return Errand(
            self._publisher, lambda store, _: _settle(store, parent[0], status, bound=bound), after=entry
        )

    def _tell(self, id: object, event: Event, node: str | None, error: Error | None) -> Errand:
        known = self.id_of(id)
        return Errand(self._publisher, lambda store, _: self._look(store, known, event, node, error))

    def _look(self, store: Store, id: str, event: Event, node: str | None, error: Error | None) -> None:
        record = store.read([id]).get(id)
        deed = lifecycle.told(event, record, node, gone=_gone(record))
        if deed.act == "cancel":
            store.request_cancel(id)
        elif deed.act == "end":
            store.end(id, deed.attempt, deed.status, error or deed.error)
        if record is not None and record.parent and record.parent_attempt and deed.act != "nothing":
            self._count_in(store, (record.parent, record.parent_attempt), id, record.attempt)

    def _count_in(self, store: Store, parent: tuple[str, int], id: str, attempt: int) -> None:
        """Tell the whole of a member's end that was not the member's own word."""
        record = store.read([id]).get(id)
        if record is None or not record.ended:
            return
        part = Part(
            job=parent[0],
            attempt=parent[1],
            key=id,
            run=attempt,
            step=record.step + 1,
            weight=record.weight,
            share=FULL,
            status=record.status,
        )
        store.write([], [part])
        _settle(store, parent[0], record.status, bound=False)

    def _complain(self, error: Exception) -> None:
        now = time.monotonic()
        if now >= self._complain_at:
            self._complain_at = now + QUIET
            log().warning(
                "a task of %s goes on, and is not reported as it should be", self.queue, exc_info=error
            )


def _settle(store: Store, id: str, status: str, *, bound: bool) -> None:
    """End a job that is made of others, if it is time."""
    record = store.read([id]).get(id)
    ends = lifecycle.whole(record, status, bound=bound)
    if record is not None and ends is not None:
        store.end(id, record.attempt, ends)


def _gone(record: Snapshot | None) -> bool | None:
    """Whether the process that holds a job has ended; None where that cannot be known from here."""
    host, _, rest = (record.worker or "").partition(":") if record else ("", "", "")
    pid = rest.partition(":")[0]
    if host != platform.node() or not pid.isdecimal() or sys.platform == "win32":  # signal 0 is Ctrl-C there
        return None
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return None
    return _is_zombie(int(pid))


def _is_zombie(pid: int) -> bool:
    """Whether it has ended, and nobody has looked how, as where a container's first process is no init."""
    try:
        known = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:  # there is no such folder but on Linux, or it has gone meanwhile
        return False
    return known.rpartition(")")[2].split()[:1] == ["Z"]  # its name stands before, in brackets


@functools.cache
def _headway_of(store: Headway | str | None, queue: str) -> Headway:
    if isinstance(store, Headway):
        return store
    if store is not None:
        return connect(store)
    if not os.environ.get("HEADWAY_STORE"):
        log().warning(
            "no store is named: tasks of %s are reported to %s, which only this user's processes on this "
            "machine read.  Name one where you install headway, or in HEADWAY_STORE.",
            queue,
            default.store.url,
        )
    return default

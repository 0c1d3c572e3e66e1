"""A position that moves: the job's own, a stage's, or a pool worker's."""

from __future__ import annotations

import operator
import sys
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Sequence,
)
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast, overload

from headway import threads
from headway.core import arguments
from headway.core.errors import Cancelled
from headway.core.snapshot import LARGEST
from headway.worker.loop import AsyncLoop, AsyncPosition, Ended, How, Loop, Weighed

if TYPE_CHECKING:
    from headway.core.snapshot import Number
    from headway.worker.current import Holder

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

Position = Loop | AsyncPosition

_ONE = 1


class Bar:
    """Something that counts.

    Attributes:
        activity: What is happening right now; None for nothing worth saying.
    """

    __slots__ = (
        "__weakref__", "_adopt", "_count", "_counts", "_initial", "_load", "_lock", "_loops",
        "_plain_step", "_total", "_total_found", "_unit",
    )  # fmt: skip

    activity: str | None

    def __init__(self, total: object = None, initial: object = 0, unit: object = None) -> None:
        self._total = arguments.total(total)
        self._unit = arguments.words(unit, "unit")
        self._initial = arguments.amount(initial, "initial")
        self._count: Number = self._initial
        self._loops: tuple[Position, ...] = ()
        self._load: Weighed | None = None
        self._counts = self._total is not None or bool(self._initial)
        self._total_found = False
        self._plain_step: Number | None = _ONE
        self._lock = threads.reentrant_lock()
        self._adopt: Callable[[Bar], None] | None = None

    @property
    def holder(self) -> Holder:
        """The job that it belongs to, here or elsewhere."""
        raise NotImplementedError

    def advance(self, n: Number = 1, activity: str | None = None, failed: int | None = None) -> None:
        """Count ``n`` more steps as done; ``failed`` of them failed.

        Raises:
            Cancelled: The job was asked to stop.
        """
        if n is self._plain_step and activity is None and failed is None:
            self._count += 1
        else:
            self._advance(n, activity, failed)

    def _advance(self, n: Number, activity: str | None, failed: int | None) -> None:
        """A step that is not like most."""
        self._count += arguments.number(n, "n")
        if activity is not None or failed:
            self._note(activity, failed or 0)
        self.checkpoint()

    @property
    def _attention(self) -> bool:
        """Whether the next step must look up: then no step is a plain one."""
        return self._plain_step is None

    @_attention.setter
    def _attention(self, attention: bool) -> None:
        self._plain_step = None if attention else _ONE

    def update(self, fraction: float) -> None:
        """Say how far it is, 0.0 to 1.0, for those who know a share and no count.

        Raises:
            Cancelled: The job was asked to stop.
        """
        share = arguments.share(fraction)
        if not self._total:
            self._total = 1
        self.count = share * self._total
        self.checkpoint()

    def counted(self, function: Callable[P, R]) -> Callable[P, R]:
        """The function, each call of which counts one step of this job, wherever it runs.

        For ``pool.map(job.counted(work), rows)`` on threads, processes or machines: there `current` is this
        job's part, and each call's progress has arrived when the call returns.  A coroutine function counts
        when what it gives was awaited to its end.
        """
        from headway.worker.hand import Counted

        return Counted(self, function)

    def checkpoint(self) -> None:
        """A place where the job may be stopped.

        Raises:
            Cancelled: The job was asked to stop.
        """
        if self._attention:
            self._attend()

    @property
    def count(self) -> Number:
        """How many steps are done, those of running loops included.  May be set."""
        return self._count + sum(loop.completed() for loop in self._loops)

    @count.setter
    def count(self, count: Number) -> None:
        self._count = arguments.amount(count, "count") - (self.count - self._count)
        self._counts = True

    @property
    def total(self) -> Number | None:
        """Of how many; None while the end is unknown.  May be set."""
        return self._total

    @total.setter
    def total(self, total: Number | None) -> None:
        self._total = arguments.total(total)
        self._total_found = False
        self._counts = self._counts or total is not None

    @property
    def work(self) -> Weighed | None:
        """What the done items weigh, and all of them; None where all weigh the same.

        Steps of which the weight is not known weigh what the others do on average.
        """
        load, total = self._load, self._total
        if load is None or total is None:
            return None
        items, weight = load
        mean = weight / items if items else 0
        weighed = [loop.weighed for loop in self._loops]
        plain = self.count - sum(items for items, _ in weighed)
        done = sum(weight for _, weight in weighed) + mean * max(plain, 0)
        all_ = weight + mean * max(total - items, 0)
        return (shown(min(done, all_)), shown(all_)) if all_ > 0 else None

    @property
    def unit(self) -> str | None:
        """What is counted; None for plain steps, "B" for bytes.  May be set."""
        return self._unit

    @unit.setter
    def unit(self, unit: str | None) -> None:
        self._unit = arguments.words(unit, "unit")

    @overload
    def track(
        self,
        iterable: Iterable[T],
        *,
        total: Number | None = None,
        unit: str | None = None,
        weight: Callable[[T], Number] | None = None,
    ) -> Iterator[T]: ...
    @overload
    def track(
        self, iterable: AsyncIterable[T], *, total: Number | None = None, unit: str | None = None
    ) -> AsyncIterator[T]: ...
    def track(
        self,
        iterable: Iterable[T] | AsyncIterable[T],
        *,
        total: Number | None = None,
        unit: str | None = None,
        weight: Callable[[T], Number] | None = None,
    ) -> Iterator[T] | AsyncIterator[T]:
        """The same items, counted as they are done.

        Args:
            iterable: Anything that ``for`` or ``async for`` takes.
            total: How much there is; found out where the iterable knows.
            unit: What is counted.
            weight: What an item weighs in progress and time left, as ``lambda file: file.size``; the count
                still counts items.  Items must be known beforehand; where they are not, all weigh the same.

        Raises:
            Cancelled: In the loop, at the next item, when the job was asked to stop.
        """
        arguments.total(total)
        unit = arguments.words(unit, "unit")
        counted: Iterator[T] | AsyncIterator[T] = over(
            iterable,
            lambda position: self._begin(position, iterable, total, unit, weight),
            self._loop_ended,
            weight,
        )
        return counted

    def _begin(
        self,
        position: Position,
        iterable: object,
        total: Number | None,
        unit: str | None,
        weight: Callable[[Any], Number] | None,
    ) -> None:
        """A loop begins: it takes its place beside those that run; those that have ended are added up."""
        self._unit = unit or self._unit
        position.extent = extent(iterable) if total is None else None
        position.load = load(iterable, weight)
        with self._lock:
            if total is not None:
                self._total, self._total_found = total, False
            elif position.extent is not None:
                self._expect(position.extent)
            if position.load is not None:
                items, weight_ = self._load or (0, 0)
                self._load = (items + len(cast("Collection[Any]", iterable)), weight_ + position.load)
            ended = [known for known in self._loops if known.ended]
            running = [known for known in self._loops if known not in ended]
            self._loops = (_summed(ended), *running, position)
        self._counts = True
        if self._attention:
            self._attend()

    def _expect(self, more: Number) -> None:
        """So much more is to come, besides what is left of the loops that run."""
        left = sum(max(0, (loop.extent or 0) - loop.completed()) for loop in self._loops if not loop.ended)
        expected = self.count + left + more
        if expected > (self._total or 0):
            self._total_found = self._total_found or self._total is None
            self._total = expected

    def _loop_ended(self, how: How) -> None:
        if how == "cancelled":
            self.checkpoint()
            raise Cancelled(self._job_id())  # items are missing: nobody may take it for the end

    def _restart(self) -> None:
        """Count from nothing again, unless another loop counts here."""
        if any(not loop.ended for loop in self._loops):
            return
        self._count, self._loops, self._load = 0, (), None
        if self._total_found:
            self._total, self._total_found = None, False

    def _takes_loops(self) -> bool:
        """Whether a nameless loop may count here."""
        return self._total is None and not self.count

    def _note(self, activity: str | None, failed: int) -> None:
        """Take down what happens besides the count."""
        raise NotImplementedError

    def _attend(self) -> None:
        """Something is to be seen to before work goes on: a fork, or a request to stop."""
        adopt, self._adopt = self._adopt, None
        if adopt is not None:
            adopt(self)
        self._attention = False  # before looking, so that what comes meanwhile is not overlooked
        if self._is_asked():
            self._attention = True
            self._stop_if_possible()

    def _is_asked(self) -> bool:
        """Whether somebody asked the job to stop."""
        raise NotImplementedError

    def _stop_if_possible(self) -> None:
        """Raise `Cancelled`, unless the job may not be stopped now."""
        raise NotImplementedError

    def _ask_to_stop(self) -> None:
        """Somebody asked the job to stop: the next step will raise."""
        raise NotImplementedError

    def _job_id(self) -> str:
        raise NotImplementedError

    def _become_part(self, adopt: Callable[[Bar], None]) -> None:
        """In a child after a fork: count from nothing, and let ``adopt`` see to it at the next step."""
        self._lock = threads.reentrant_lock()  # another thread may have held the old one
        self._count, self._loops, self._load = 0, (), None
        self._adopt = adopt
        self._attention = True

    def _interrupt(self) -> None:
        """Make the next step look up; called again as long as it has not."""
        self._attention = True
        for loop in self._loops:
            loop.cancel()


def over(
    iterable: Any,
    begin: Callable[[Any], Awaitable[None] | None],
    end: Ended,
    weight: Callable[[Any], Number] | None = None,
) -> Any:
    """An iterator over the same items, synchronous or asynchronous as they are; where both, as we run."""
    both = isinstance(iterable, AsyncIterable) and isinstance(iterable, Iterable)
    if in_event_loop() if both else isinstance(iterable, AsyncIterable):
        return AsyncLoop(iterable, begin, end)
    return Loop().over(iterable, begin, end, weight)


def in_event_loop() -> bool:
    """Whether we run inside an event loop, which must not be blocked."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None


def _summed(ended: Sequence[Position]) -> Loop:
    """One that stands for several that have ended."""
    weighed = [known.weighed for known in ended]
    items, weight = sum(items for items, _ in weighed), sum(weight for _, weight in weighed)
    return Loop(sum(known.completed() for known in ended), (items, weight))


def load(iterable: object, weight: Callable[[Any], Number] | None) -> Number | None:
    """What all items weigh; None when they weigh the same, or nobody can tell beforehand.

    Raises:
        InvalidValue: A weight is no number of 0 or more.
    """
    if weight is None or not isinstance(iterable, Collection):
        return None  # what can be gone through only once cannot be weighed before
    return sum(arguments.amount(weight(item), "weight") for item in iterable)


def extent(iterable: object) -> Number | None:
    """How much there is to iterate over; None when nobody can tell beforehand."""
    try:
        found = operator.length_hint(iterable, -1)
    except Exception:  # noqa: BLE001 - whatever a length is made of, the loop can do without
        return None
    return found if 0 <= found <= LARGEST else None


def shown(count: Number) -> Number:
    """A count as it is recorded: within the limits."""
    return min(max(count, 0), LARGEST)

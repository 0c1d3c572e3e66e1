"""Counting the steps of a loop without running Python code for each of them.

`Loop.over` hands ``for`` an `itertools.chain` whose links a generator yields.  Items come through C code
only; the generator runs before the first item, after the last one, and when the loop is left early,
because the chain then drops it.  Another thread reads the position whenever it likes:

1. A list, tuple or range is iterated as it is; its position is its length less the iterator's
   ``__length_hint__``.
2. Anything else goes through `itertools.compress`, whose selectors come in chunks of 1,024 from a
   *ticker*; the position is what the chunks before and this chunk's iterator have given away.
3. Whether the item that was handed out last is done, too, shows in the source: while a generator runs, the
   body does not.  Sources that may be slow and are no generators are made one, the one case in which a line
   of Python runs per item.

A cancel comes from another thread as well: it moves the iterator (or the chunk) to its end, and the
generator, resumed to ask for the next link, raises.  Three races are avoided:

* a cancel before the loop has begun: the iterator is published first, then the flag is looked at again;
* the reader against the next chunk: what belongs together is one tuple in one attribute, read once;
* the cancel against the next chunk: the ticker looks at the flag after it has published a chunk, and
  whoever cancels does so again as long as the loop goes on.

What left a loop nobody can tell, except at the last item of all: what has taken all items without asking for
one more (``zip``, ``islice``, in ``for`` or in a call) has come to its end, a body that is left has not.  The
instruction at which the loop began, or is dropped, tells them apart.

Measured in ``bench/``; at most a tenth of tqdm's cost for 1, a fifth for 2.  Where an interpreter lacks the
hooks, and where items weigh differently, a generator counts.
"""

from __future__ import annotations

import operator
import sys
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sized
from itertools import chain, compress
from opcode import opname
from types import AsyncGeneratorType, FrameType, GeneratorType
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from weakref import ref

if TYPE_CHECKING:
    from headway.core.snapshot import Number

T = TypeVar("T")

CHUNK = 1_024
_ONES = (True,) * CHUNK
_SEQUENCES = {list, tuple, range}
_IN_MEMORY = {
    range,
    dict,
    type({}.keys()),
    type({}.values()),
    type({}.items()),
    set,
    frozenset,
    deque,
    str,
    bytes,
}
"""Sources whose next item is never waited for."""
_HOOKS = sys.implementation.name == "cpython" and hasattr(iter(_ONES), "__setstate__")

Weighed = tuple["Number", "Number"]
How = Literal["ran out", "left", "cancelled"]
"""How a loop ended: no more items; a break, a return or an exception; or a request to stop."""
Ended = Callable[[How], None]
"""Called when a loop has ended; may raise only when it was cancelled."""


class Loop:
    """The position of one loop, for whoever wants to know.

    Attributes:
        cancelled: Whether it was asked to end at the next step.
        ended: Whether it is over.  (A loop that is made with what it has done is over from the start.)
        extent: How much there was to iterate over; None where nobody could tell.
        load: What all items weigh together; None where they weigh the same, or nobody could tell.
        weighed: How many items were weighed when they were done, and what they weighed.
        taken: How many items were left in the hands of somebody who came to an end without a next one.
    """

    __slots__ = (
        "_count", "_place", "_source", "_stopped_at", "cancelled", "ended", "extent", "load", "taken",
        "weighed",
    )  # fmt: skip

    def __init__(self, done: Number | None = None, weighed: Weighed = (0, 0)) -> None:
        self.cancelled = False
        self.ended = done is not None
        self.extent: Number | None = None
        self.load: Number | None = None
        self.weighed = weighed
        self.taken: Number = 0
        self._count: Number = done or 0
        self._stopped_at: Number = 0
        self._place: tuple[int, Sized, Iterator[Any]] | None = None
        self._source: Any = None

    def over(
        self,
        iterable: Iterable[T],
        begin: Callable[[Loop], object],
        end: Ended,
        weight: Callable[[T], Number] | None = None,
    ) -> Iterator[T]:
        """An iterator over the same items; ``begin`` is called before the first, ``end`` at the end."""
        return chain.from_iterable(self._links(iterable, begin, end, weight))

    def completed(self) -> Number:
        """How many items are done: exact, from any thread."""
        handed = self._handed()
        if self.ended or self._place is None or not handed:
            return handed
        in_body = getattr(self._source, "gi_suspended", True)
        return handed - in_body

    def cancel(self) -> None:
        """End the loop at its next step.  From any thread; to be repeated until it has ended."""
        if not self.cancelled:
            self._stopped_at = self._handed()
            self.cancelled = True
        place = self._place
        if place is not None and not self.ended:
            place[2].__setstate__(sys.maxsize)  # type: ignore[attr-defined]

    def _handed(self) -> Number:
        place = self._place
        if place is None or self.ended:
            return self._count
        if self.cancelled:
            return self._stopped_at
        before, items, rest = place
        return before + len(items) - operator.length_hint(rest)

    def _links(
        self,
        iterable: Iterable[T],
        begin: Callable[[Loop], object],
        end: Ended,
        weight: Callable[[T], Number] | None,
    ) -> Iterator[Iterable[T]]:
        has_body = _at_for(sys._getframe().f_back)
        begin(self)
        try:
            yield self._link(iterable, weight)
        except GeneratorExit:  # a break, a return, an exception in the body or in the source
            if not has_body or _at_for(sys._getframe().f_back):
                self.taken = self._handed() - self.completed()
            self._freeze(self.completed())
            end("left")
            raise
        self._freeze(self._handed())
        end("cancelled" if self.cancelled else "ran out")

    def _freeze(self, count: Number) -> None:
        self._count = count
        self.ended = True
        self._source = self._place = None

    def _link(self, iterable: Iterable[T], weight: Callable[[T], Number] | None) -> Iterable[T]:
        if self.load is not None and weight is not None:
            return self._weighing(iterable, weight)
        if not _HOOKS:
            return self._counting(iterable)
        if type(iterable) in _SEQUENCES and not _is_huge(iterable):
            items = iter(iterable)
            self._place = (0, iterable, items)  # type: ignore[assignment]
            if self.cancelled:
                self.cancel()
            return items
        ticks = chain.from_iterable(self._ticker())
        if type(iterable) in _IN_MEMORY:
            return compress(iterable, ticks)
        self._source = iterable if type(iterable) is GeneratorType else (item for item in iterable)
        return compress(self._source, ticks)

    def _ticker(self) -> Iterator[Iterator[bool]]:
        handed = 0
        while not self.cancelled:
            chunk = iter(_ONES)
            self._place = (handed, _ONES, chunk)
            if self.cancelled:
                return
            yield chunk
            handed += CHUNK

    def _counting(self, iterable: Iterable[T]) -> Iterator[T]:
        for item in iterable:
            if self.cancelled:
                return
            yield item
            self._count += 1

    def _weighing(self, iterable: Iterable[T], weight: Callable[[T], Number]) -> Iterator[T]:
        for item in self._counting(iterable):
            yield item
            items, weighed = self.weighed
            self.weighed = (items + 1, weighed + weight(item))


def _at_for(frame: FrameType | None) -> bool:
    """Whether a frame is asking for an item, or has just been told that there is none."""
    if frame is None:
        return False
    code, at = frame.f_code.co_code, frame.f_lasti
    return opname[code[at]] in {"FOR_ITER", "POP_ITER"} or (at > 1 and opname[code[at - 2]] == "END_FOR")


def _is_huge(iterable: Iterable[Any]) -> bool:
    """Whether it is a range that is longer than C can count."""
    return type(iterable) is range and max(abs(iterable.start), abs(iterable.stop)) > sys.maxsize // 2


class AsyncLoop(AsyncIterator[T]):
    """The same for ``async for``.

    Each step hands out the source's own awaitable, so the loop never sees how the source ends.  Its frame
    shows that afterwards: an asynchronous generator that ran out stopped at a return instruction.  (An
    asynchronous generator around it would see, at twice the cost.)

    Attributes:
        position: How far it is, for whoever must not keep the loop itself alive.
    """

    __slots__ = ("__weakref__", "_begin", "_end", "_frame", "_next", "_source", "asked", "position")

    def __init__(
        self,
        iterable: AsyncIterable[T],
        begin: Callable[[AsyncPosition], Awaitable[None] | None],
        end: Ended,
    ) -> None:
        self._source: Any = iterable
        if not isinstance(iterable, AsyncGeneratorType):
            self._source = (item async for item in iterable)
        self._begin: Callable[[AsyncPosition], Awaitable[None] | None] | None = begin
        self._end: Ended | None = end
        self._frame = self._source.ag_frame
        self._next = self._source.__anext__
        self.asked = 0
        self.position = AsyncPosition(self)

    def __aiter__(self) -> AsyncLoop[T]:
        """Itself: a loop runs once."""
        return self

    def __anext__(self) -> Any:
        """The source's own awaitable for its next item."""
        self.asked += 1
        if self.position.attention:
            opening = self._attend()
            if opening is not None:
                return self._first(opening)
        return self._next()

    async def _first(self, opening: Awaitable[None]) -> T:
        """The first item, after what must come before it."""
        await opening
        item: T = await self._next()
        return item

    def _attend(self) -> Awaitable[None] | None:
        position, begin, self._begin = self.position, self._begin, None
        position.attention = False
        opening = None if begin is None else begin(position)
        if position.cancelled:
            position.attention = True
            self._over("cancelled")
        return opening

    def _over(self, how: How) -> None:
        end, self._end = self._end, None
        self.position.freeze(max(0, self.asked - 1))
        if end is not None:
            end(how)

    def __del__(self) -> None:
        """The loop is over, one way or another."""
        if self._begin is None:
            ran_out = self._source.ag_frame is None and _returned(self._frame)
            self._over("ran out" if ran_out else "left")


class AsyncPosition:
    """The position of one asynchronous loop.

    Attributes:
        cancelled: Whether the loop was asked to end at its next step.
        attention: Whether its next step is not like any other.
        extent: How much there was to iterate over; None where nobody could tell.
    """

    __slots__ = ("_count", "_loop", "attention", "cancelled", "extent", "load", "taken", "weighed")

    def __init__(self, loop: AsyncLoop[Any]) -> None:
        self._loop: Callable[[], AsyncLoop[Any] | None] = ref(loop)
        self._count = 0
        self.cancelled = False
        self.attention = True
        self.extent: Number | None = None
        self.load: Number | None = None
        self.weighed: Weighed = (0, 0)
        self.taken: Number = 0

    @property
    def ended(self) -> bool:
        """Whether the loop is over."""
        return self._loop is _gone

    def completed(self) -> int:
        """How many items are done, from any thread."""
        loop = self._loop()
        return self._count if loop is None else max(0, loop.asked - 1)

    def cancel(self) -> None:
        """End the loop at its next step."""
        self.cancelled = True
        self.attention = True

    def freeze(self, count: int) -> None:
        """Nothing will be counted any more.  The collector may have cut our own way to the count."""
        self._count = count
        self._loop = _gone


def _gone() -> None:
    return None


def _returned(frame: FrameType | None) -> bool:
    return frame is not None and opname[frame.f_code.co_code[frame.f_lasti]].startswith("RETURN_")

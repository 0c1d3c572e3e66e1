"""Something to be said to the store once, by somebody who does not run the job: a queue, a producer.

The publisher's thread runs it, so that whoever has it said waits only as long as it likes.  Where the store
is away it is said when the store is back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway import threads

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from headway.core.snapshot import Part, Snapshot
    from headway.stores.contract import Answer, Store
    from headway.worker.publisher import Publisher, Reporter


class Errand:
    """A call of the store, made once it answers.

    Attributes:
        over: Whether it was made, or never will be.
    """

    urgent = True
    lease = None

    def __init__(
        self,
        publisher: Publisher,
        call: Callable[[Store, bool], object],
        after: Reporter | None = None,
        *,
        brief: bool = False,
    ) -> None:
        """Hand it over.

        Args:
            publisher: Whose thread makes the call.
            call: Takes the store, and whether it is late: whether the store was away when it was due.
            after: Whose last word must have arrived before.
            brief: Whether it is one call of the store, which whoever waits for it may make; somebody must.
        """
        self.over = False
        self._publisher = publisher
        self._call = call
        self._after = after
        self._late = not publisher.available
        self._rings: list[Callable[[], object]] = []
        self._brief = brief
        publisher.add(self, waits=brief)

    @property
    def ending(self) -> bool:
        """Whether it is still to be made: a process that exits waits for it a little."""
        return not self.over

    def wait(self, at_most: float) -> bool:
        """Wait until the call was made; whether it was in time."""
        if self._brief and self._publisher.tell_here(self) and self.over:
            return True
        bell = threads.Bell()
        self._rings.append(bell.ring)
        if not self.over:
            self._publisher.wake()
            bell.wait_in_callers_thread(self._publisher.patience(at_most))
        return self.over

    async def wait_async(self, at_most: float) -> bool:
        """The same, awaited."""
        import asyncio

        loop, done = asyncio.get_running_loop(), asyncio.Event()
        self._rings.append(lambda: _tell(loop, done))
        if not self.over:
            self._publisher.wake()
            try:
                await asyncio.wait_for(done.wait(), self._publisher.patience(at_most))
            except TimeoutError:
                return self.over
        return self.over

    def prepare(self, store: Store) -> None:
        """Make the call."""
        if not self.over and (self._after is None or self._after.over):
            self._call(store, self._late)
            self._end()

    def news(self) -> tuple[list[Snapshot], list[Part]]:
        """None: the call was all."""
        return [], []

    def listening(self) -> str | None:
        """To nothing."""
        return None

    def hear(self, answers: dict[str, Answer]) -> None:
        """Nothing was asked."""

    def unheard(self) -> None:
        """The store is away: nobody waits any longer."""
        self._late = True
        self._ring()

    def leave(self, store: Store) -> None:
        """Nothing comes after it."""

    def give_up(self) -> None:
        """It cannot be made."""
        self._end()

    def forked(self, publisher: Publisher) -> None:  # noqa: ARG002 - it says nothing here
        """In a child: it is the parent's."""
        self.over = True

    def abandon(self) -> None:
        """The interpreter exits: it is made if there is time."""

    def _end(self) -> None:
        self.over = True
        self._ring()

    def _ring(self) -> None:
        while self._rings:
            self._rings.pop()()


def _tell(loop: asyncio.AbstractEventLoop, done: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(done.set)

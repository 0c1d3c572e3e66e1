"""Huey 3: `install` it where the instance is made, in the module that producers and consumers import.

1. A message of Huey's carries nothing besides arguments.  So what is said where a task is sent (its scope,
   the whole that it is a share of) arrives with the pending record.
2. Huey says that a task is enqueued again for each retry, and when its time has come.  So an id is reserved
   only once, or a scheduled task that was cancelled would come to life.
3. To Huey, a job that headway cancelled raised `CancelExecution`, which is neither a failure nor tried again.
4. What came of a task is decided in `post_execute`: there Huey knows the exception and the retries left, and
   it has not enqueued the next attempt yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from huey import CancelExecution, RetryTask
from huey import signals as S  # noqa: N812 - as Huey itself calls it

from headway.core.errors import Cancelled
from headway.queues.clerk import Clerk
from headway.queues.labels import label_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from huey.api import Huey

    from headway.client import Headway
    from headway.queues.lifecycle import Event


def install(huey: Huey, store: Headway | str | None = None, **options: Any) -> Reports:
    """From now on the instance's tasks are reported.

    Args:
        huey: The instance.
        store: Where to; by default ``HEADWAY_STORE``, else a file of the user's, of which a warning tells.
        **options: What is reported of every task; see `headway.queues.lifecycle.Options`.
    """
    return Reports(huey, Clerk("Huey", store, **options))


class Reports:
    """What is reported of an instance's tasks."""

    def __init__(self, huey: Huey, clerk: Clerk) -> None:
        self._clerk = clerk
        huey.signal(S.SIGNAL_ENQUEUED)(clerk.harmless(self._enqueued))
        huey.signal(S.SIGNAL_EXPIRED, S.SIGNAL_REVOKED)(clerk.harmless(self._skipped))
        huey.signal(S.SIGNAL_CANCELED, S.SIGNAL_INTERRUPTED)(clerk.harmless(self._left))
        huey.pre_execute("headway")(self._begin)
        huey.post_execute("headway")(clerk.harmless(self._end))

    def fan_out(self, name: str, members: int, **options: Any) -> AbstractContextManager[str]:
        """What is enqueued in the block is one job; see `Clerk.fan_out`."""
        return self._clerk.fan_out(name, members, **options)

    def _enqueued(self, _: str, task: Any) -> None:
        if not getattr(task, "headway_began", False):
            label = label_of(_options_of(task), task.args, task.kwargs)
            self._clerk.enqueue(task.id, _name_of(task), label, anew=False)

    def _begin(self, task: Any) -> None:
        if self._clerk.harmless(self._start)(task) is False:
            raise CancelExecution(retry=False)
        task.execute = self._stopping(task, type(task).execute.__get__(task))

    def _start(self, task: Any) -> bool:
        label = label_of(_options_of(task), task.args, task.kwargs)
        return self._clerk.start(task.id, _name_of(task), label)

    def _stopping(self, task: Any, execute: Callable[[], Any]) -> Callable[[], Any]:
        def stopping() -> Any:
            task.headway_began = True
            delivery = self._clerk.running(task.id)
            try:
                return execute()
            except Cancelled as cancelled:
                if delivery is None or not delivery.stops:
                    raise
                raise CancelExecution(retry=False) from cancelled

        return stopping

    def _end(self, task: Any, value: Any, error: BaseException | None) -> None:
        given_up = isinstance(error, CancelExecution) and not task.retries
        again = error is not None and bool(task.retries)
        status, after = "cancelled" if given_up else None, _wait(task, error)
        self._clerk.end(task.id, error, value, status, again=again, after=after)

    def _skipped(self, signal: str, task: Any) -> None:
        event: Event = "expired" if signal == S.SIGNAL_EXPIRED else "revoked"
        self._clerk.tell(task.id, event)

    def _left(self, signal: str, task: Any) -> None:
        """Another hook cancelled it before its body began, or the consumer was told to leave at once."""
        interrupted = signal == S.SIGNAL_INTERRUPTED
        if interrupted or not getattr(task, "headway_began", False):
            self._clerk.end(task.id, status="stopped" if interrupted else "cancelled")


def _wait(task: Any, error: BaseException | None) -> float | None:
    """Seconds until Huey enqueues it again; None where it was told a time of day."""
    delay = getattr(error, "delay", None)
    if isinstance(error, RetryTask) and (error.eta or delay is not None):
        return None if error.eta else delay
    return task.retry_delay or delay


def _options_of(task: Any) -> Any:
    """What was said of a task where it was defined: ``@huey.task(headway={…})``."""
    return getattr(task, "headway", None)


def _name_of(task: Any) -> str:
    return f"{task.__module__}.{task.name}"

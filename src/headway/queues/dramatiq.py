"""Dramatiq 2: `install` it where the broker is made, before actors are declared or after.

1. The middleware stands before `Retries`, so that it hears of an exception after `Retries` has decided.  That
   a message is tried again it says when the message is enqueued again: later, another worker may be quicker.
2. A message is enqueued again when its delay is over, too.  So an id is reserved only once.
3. To Dramatiq, an actor that headway cancelled skipped its message, which is neither a failure nor tried
   again.  So the function of each actor is wrapped.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from dramatiq.middleware import Middleware, Retries, SkipMessage

from headway.core.errors import Cancelled
from headway.queues.clerk import Clerk
from headway.queues.labels import label_of, options_of, packed

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from dramatiq import Broker

    from headway.client import Headway

KEY = "headway"
"""Where the label is in a message's options."""


def install(broker: Broker, store: Headway | str | None = None, **options: Any) -> Reports:
    """From now on the broker's messages are reported.

    Args:
        broker: The broker.
        store: Where to; by default ``HEADWAY_STORE``, else a file of the user's, of which a warning tells.
        **options: What is reported of every message; see `headway.queues.lifecycle.Options`.
    """
    reports = Reports(Clerk("Dramatiq", store, **options))
    decides = any(isinstance(one, Retries) for one in broker.middleware)
    broker.add_middleware(reports, before=Retries if decides else None)
    for actor in broker.actors.values():
        reports.after_declare_actor(broker, actor)
    return reports


class Reports(Middleware):
    """What is reported of a broker's messages."""

    def __init__(self, clerk: Clerk) -> None:
        self._clerk = clerk
        for name in ("before_enqueue", "after_process_message", "after_skip_message"):
            setattr(self, name, clerk.harmless(getattr(self, f"_{name}")))

    @property
    def actor_options(self) -> set[str]:
        """What ``@dramatiq.actor(headway={…})`` says."""
        return {KEY}

    def fan_out(self, name: str, members: int, **options: Any) -> AbstractContextManager[str]:
        """What is sent in the block is one job; see `Clerk.fan_out`."""
        return self._clerk.fan_out(name, members, **options)

    def after_declare_actor(self, _: Any, actor: Any) -> None:
        """Let its function stop where its job is cancelled."""
        actor.fn = self._stopping(actor.fn)

    def before_process_message(self, broker: Any, message: Any) -> None:
        """It starts here.

        Raises:
            SkipMessage: Its job was cancelled before.
        """
        if self._clerk.harmless(self._start)(broker, message) is False:
            raise SkipMessage("cancelled before it started")

    def _before_enqueue(self, broker: Any, message: Any, delay: int | None) -> None:
        if self._clerk.running(message.message_id):
            error, after = sys.exc_info()[1], (delay or 0) / 1000
            self._clerk.end(message.message_id, error, status="retrying", after=after)
        elif not message.options.get("retries"):
            label = self._label(broker, message)
            message.options[KEY] = packed(label)
            self._clerk.enqueue(message.message_id, message.actor_name, label, anew=False)

    def _start(self, broker: Any, message: Any) -> bool:
        return self._clerk.start(message.message_id, message.actor_name, self._label(broker, message))

    def _after_process_message(
        self, _: Any, message: Any, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        self._clerk.end(message.message_id, exception, result, "failed" if exception is not None else None)

    def _after_skip_message(self, _: Any, message: Any) -> None:
        delivery = self._clerk.running(message.message_id)
        if delivery is None:
            self._clerk.tell(message.message_id, "expired")
        else:
            self._clerk.end(message.message_id, status="cancelled" if delivery.stops else "stopped")

    def _label(self, broker: Any, message: Any) -> Any:
        actor = broker.actors.get(message.actor_name)
        said = actor and actor.options.get(KEY, options_of(actor.fn))
        return label_of(said, message.args, message.kwargs, message.options.get(KEY))

    def _stopping(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def stopping(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except Cancelled as cancelled:
                delivery = self._clerk.running(cancelled.id)
                if delivery is None or not delivery.stops:
                    raise
                raise SkipMessage("cancelled") from cancelled

        return stopping

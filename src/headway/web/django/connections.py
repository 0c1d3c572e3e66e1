"""What a request holds, and a stream must not: connections of the ORM, and under ASGI a thread.

asgiref makes a thread for a request at the first blocking call, by middleware or by a policy, and keeps it
until the request has ended.  A stream would keep it for minutes.  So whoever waits gives the thread back, and
the next blocking call of the same request gets another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgiref.sync import SyncToAsync, sync_to_async
from django.db import connections

if TYPE_CHECKING:
    from headway.web.exchange import Request


def lasts(request: Request) -> bool:
    """Whether a request may take longer than a moment: a stream, or one that asks to be held."""
    return request.path == "events" or "wait" in request.header("prefer")


def close_all() -> None:
    """Close this thread's connections; the next query opens one."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


async def give_back() -> None:
    """Close the connections of this request's thread, and let the thread go."""
    await sync_to_async(close_all)()
    context = SyncToAsync.thread_sensitive_context.get(None)
    if context is None or getattr(context, "_executor", None) is not None:
        return  # the thread is somebody else's
    executor = SyncToAsync.context_to_thread_executor.pop(context, None)
    if executor is not None:
        executor.shutdown(wait=False)

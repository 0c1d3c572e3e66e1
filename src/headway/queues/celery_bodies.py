"""The bodies of Celery's tasks: how they stop when their job is cancelled, and are listened to."""

from __future__ import annotations

import functools
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from headway.core.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headway.queues.clerk import Clerk


def concerns(name: str, headers: Mapping[str, Any]) -> bool:
    """Whether a task is reported: Celery's own are where they are a share of something."""
    return not name.startswith("celery.") or bool(headers.get("headway"))


def wrap(task: Any, clerk: Clerk, ignored: type[Exception]) -> None:
    """Wrap a task's function and its `update_state`, once.

    Args:
        task: The task.
        clerk: Who knows which of its jobs run here.
        ignored: What a body raises that is to be neither retried nor counted as a failure.
    """
    if getattr(task, "headway_wrapped", False):
        return
    task.headway_wrapped = True
    name = "_orig_run" if hasattr(task, "_orig_run") else "run"  # within what retries automatically
    setattr(task, name, _stopping(task, getattr(task, name), clerk, ignored))
    task.update_state = _listening(task, task.update_state, clerk)


def _stopping(task: Any, run: Any, clerk: Clerk, ignored: type[Exception]) -> Any:
    @functools.wraps(run)
    def stopping(*args: Any, **kwargs: Any) -> Any:
        request = task.request
        delivery = clerk.running(request.id) if request.id else None
        if getattr(request, "headway_refused", False):
            _revoke(task)
            raise ignored("cancelled before it started")
        try:
            return run(*args, **kwargs)
        except Cancelled as cancelled:
            if delivery is None or not delivery.stops:
                raise
            _revoke(task)
            raise ignored("cancelled") from cancelled

    return stopping


def _revoke(task: Any) -> None:
    with suppress(Exception):  # a result backend that is away
        task.backend.mark_as_revoked(task.request.id, "cancelled", request=task.request)


def _listening(task: Any, update_state: Any, clerk: Clerk) -> Any:
    @functools.wraps(update_state)
    def listening(task_id: Any = None, state: Any = None, meta: Any = None, **kwargs: Any) -> Any:
        updated = update_state(task_id, state, meta, **kwargs)
        delivery = clerk.running(task_id or task.request.id)
        if delivery is not None and isinstance(meta, dict):
            clerk.harmless(delivery.take)(meta)
            delivery.checkpoint()
        return updated

    return listening

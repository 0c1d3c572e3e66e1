"""Celery 5: `install` it where the app is made, in the module that producers and workers import.

1. Signals of a worker's parent process (a child that died, a time limit, a revoke) are told from outside.
2. No signal keeps a body from running, and every exception but `Ignore` is a failure to Celery.  So the
   function of each task is wrapped: inside what retries automatically, which therefore lets `Ignore` pass.
3. `update_state` is listened to where it reports ``current`` and ``total``, as celery-progress does.
"""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

from celery import signals
from celery.exceptions import Ignore, TimeLimitExceeded, WorkerLostError

from headway.queues.celery_bodies import concerns, wrap
from headway.queues.celery_canvas import Canvas
from headway.queues.clerk import Clerk
from headway.queues.labels import label_of, packed

if TYPE_CHECKING:
    from celery import Celery

    from headway.client import Headway
    from headway.queues.lifecycle import Event, Label


def install(app: Celery, store: Headway | str | None = None, **options: Any) -> Reports:
    """From now on the app's tasks are reported.

    Args:
        app: The app.
        store: Where to; by default ``HEADWAY_STORE``, else a file of the user's, of which a warning tells.
        **options: What is reported of every task; see `headway.queues.lifecycle.Options`.
    """
    return Reports(app, Clerk("Celery", store, **options))


class Reports(Canvas):
    """What is reported of an app's tasks."""

    def __init__(self, app: Celery, clerk: Clerk) -> None:
        super().__init__(clerk)
        self._app = app
        self._node: str | None = None
        for name in ("before_task_publish", "worker_init", "task_prerun", "task_success", "task_failure",
                     "task_retry", "task_revoked", "task_postrun"):  # fmt: skip
            getattr(signals, name).connect(clerk.harmless(getattr(self, f"_{name}")), weak=False)
        signals.worker_process_shutdown.connect(clerk.flush, weak=False)
        app.on_after_finalize.connect(clerk.harmless(self._wrap_all), weak=False)
        if app.finalized:
            self._wrap_all()

    def _before_task_publish(self, sender: str, headers: dict[str, Any], body: Any, **_: Any) -> None:
        if headers.get("retries"):  # told now: once it is sent, the next attempt may be quicker than we
            if self._clerk.running(headers["id"]):
                self._app.current_task.request.headway_retries = True
                due = datetime.fromisoformat(headers["eta"]) if headers.get("eta") else 0.0
                self._clerk.end(headers["id"], sys.exc_info()[1], status="retrying", after=due)
        elif concerns(sender, headers):
            headers["headway"] = packed(label := self._label(sender, headers.get("headway"), *body[:2]))
            self._clerk.enqueue(headers["id"], sender, label)

    def _task_prerun(self, task_id: str, task: Any, args: Any, kwargs: Any, **_: Any) -> None:
        request = task.request
        if task.app is self._app and concerns(task.name, vars(request)):
            label = self._label(task.name, getattr(request, "headway", None), args, kwargs)
            request.headway_refused = not self._clerk.start(task_id, task.name, label, request.hostname)

    def _task_success(self, sender: Any, result: Any, **_: Any) -> None:
        self._clerk.end(sender.request.id, result=result, later=not sender.acks_late)

    def _task_failure(self, sender: Any, task_id: str, exception: BaseException, **_: Any) -> None:
        if self._clerk.running(task_id):
            self._clerk.end(task_id, exception)
        elif sender.app is self._app:
            lost, late = isinstance(exception, WorkerLostError), isinstance(exception, TimeLimitExceeded)
            event: Event = "lost" if lost else "timed out" if late else "failed"
            self._clerk.tell(task_id, event, self._node)

    def _task_retry(self, sender: Any, request: Any, **_: Any) -> None:
        """A retry that was not told above: of a cold shutdown, after which only a late task comes again."""
        if sender.app is self._app and not getattr(request, "headway_retries", False):
            self._clerk.tell(request.id, "requeued" if sender.acks_late else "left", self._node)

    def _task_revoked(self, sender: Any, request: Any, terminated: bool, expired: bool, **_: Any) -> None:  # noqa: FBT001 - as Celery gives them
        if sender.app is self._app:
            event: Event = "terminated" if terminated else "expired" if expired else "revoked"
            self._clerk.tell(request.id, event, self._node)

    def _task_postrun(self, task_id: str, task: Any, state: str | None, retval: Any, **_: Any) -> None:
        """What no other signal told: the body was left by `Ignore`, `Reject` or a signal to the process."""
        delivery = self._clerk.running(task_id)
        if delivery is not None and task.app is self._app:
            if state is None:
                self._clerk.release(task_id)
            elif state in {"IGNORED", "REJECTED"}:  # after any other, another signal follows
                again = state == "REJECTED" and getattr(retval, "requeue", False)
                left = "cancelled" if delivery.stops else "retrying" if again else "stopped"
                self._clerk.end(task_id, status=left)

    def _worker_init(self, sender: Any, **_: Any) -> None:
        self._node = sender.hostname
        self._wrap_all()

    def _wrap_all(self, **_: Any) -> None:
        for task in self._app.tasks.values():
            wrap(task, self._clerk, Ignore)

    def _label(self, name: str, brought: Any, args: Any, kwargs: Any) -> Label:
        """What was said of a task: where it was defined, and where it was sent."""
        task = self._app.tasks.get(name)
        said = getattr(task, "headway", None)
        return label_of(getattr(task, "run", None) if said is None else said, args, kwargs, brought)

"""Django Tasks: ``headway.queues.django_tasks.App`` in ``INSTALLED_APPS``, of web servers and workers alike.

Both sets of tasks are listened to, Django 6's own and those of the package django-tasks.

1. What a receiver raises fails a task in Django, even one that has succeeded.  So ours are harmless; where
   another app's receiver has kept a task from running, the end tells of one that never began.
2. A task is pending from the commit on: before, no worker sees it, and it may never come.
3. A task carries arguments only.  So a scope, or the whole it is a share of, comes with the pending record,
   for which a worker that was quicker than the commit's other consequences waits a moment.
4. No signal keeps a body from running, and every exception is a failure to Django.  So `Task.call` is
   wrapped, by which backends run bodies: a task that headway cancelled returns None, successfully.
"""

from __future__ import annotations

import functools
import os
import sys
from contextlib import suppress
from contextvars import ContextVar
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.db import transaction

from headway.queues.clerk import Clerk
from headway.queues.labels import label_of
from headway.worker.job import error_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

due: ContextVar[bool | None] = ContextVar("headway_due", default=None)
"""Whether the body that is called next here may run; None where it is not a task's."""


def fan_out(name: str, members: int, **options: Any) -> AbstractContextManager[str]:
    """What is enqueued in the block is one job; see `Clerk.fan_out`."""
    app: Any = apps.get_app_config(App.label)
    whole: AbstractContextManager[str] = app.clerk.fan_out(name, members, **options)
    return whole


class Stopped(Exception):
    """The task was cancelled by headway."""


class App(AppConfig):
    """Reports a project's tasks, as ``settings.HEADWAY`` says.

    ``STORE`` is where to; by default ``HEADWAY_STORE``, else a file of the user's, of which a warning tells.
    ``TASKS`` is what is reported of every task; see `headway.queues.lifecycle.Options`.
    """

    name = "headway.queues.django_tasks"
    label = "headway_tasks"
    verbose_name = "Progress of tasks"

    def ready(self) -> None:
        """From now on they are reported."""
        said = getattr(settings, "HEADWAY", {})
        store = said.get("STORE")
        if isinstance(store, str):
            os.environ.setdefault("HEADWAY_STORE", store)
            store = None
        self.clerk = Clerk("Django Tasks", store, **said.get("TASKS", {}))
        for tasks in ("django.tasks", "django_tasks"):
            with suppress(ImportError):
                self._listen(import_module(f"{tasks}.signals"), import_module(f"{tasks}.base").Task)

    def _listen(self, signals: Any, task: Any) -> None:
        for name in ("enqueued", "started", "finished"):
            heard = self.clerk.harmless(getattr(self, f"_{name}"))
            getattr(signals, f"task_{name}").connect(heard, weak=False, dispatch_uid="headway")
        task.call = self._stopping(task.call)

    def _enqueued(self, task_result: Any, **_: Any) -> None:
        task, row = task_result.task, getattr(task_result, "db_result", None)
        label = label_of(task.func, task_result.args, task_result.kwargs)
        enqueue = self.clerk.harmless(self.clerk.enqueue)
        tell = functools.partial(enqueue, task_result.id, task.module_path, label, anew=False)
        if row is None:
            tell()
        else:
            transaction.on_commit(tell, using=row._state.db)  # noqa: SLF001 - as Django documents it

    def _started(self, task_result: Any, **_: Any) -> None:
        task, announced = task_result.task, hasattr(task_result, "db_result")
        due.set(True)
        label = label_of(task.func, task_result.args, task_result.kwargs)
        due.set(self.clerk.start(task_result.id, task.module_path, label, announced=announced))

    def _finished(self, task_result: Any, **_: Any) -> None:
        error, failed = sys.exc_info()[1], task_result.status == "FAILED"
        if not failed:
            self.clerk.end(task_result.id, result=task_result.return_value)
        elif self.clerk.running(task_result.id):
            self.clerk.end(task_result.id, error, status=None if error else "failed")
        else:
            self.clerk.tell(task_result.id, "failed", error=error_of(error) if error else None)

    def _stopping(self, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def stopping(task: Any, *args: Any, **kwargs: Any) -> Any:
            may_run = due.get()
            due.set(None)
            if may_run is None:
                return call(task, *args, **kwargs)
            with suppress(Stopped), self.clerk.stopping(Stopped, refused=not may_run):
                return call(task, *args, **kwargs)
            return None

        return stopping

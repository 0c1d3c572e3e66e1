"""Taskiq: `install` it on the broker, after its other middlewares.

1. A hook of Taskiq's that raises loses the message.  So the functions are wrapped, which also keeps the body
   of a cancelled task from running.
2. A retry is told when it is sent, by `pre_send`: afterwards another worker may be quicker.
3. To Taskiq, a cancelled task ended without a result, so that nothing tries it again; the result that it then
   keeps is `headway.Cancelled`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from taskiq import TaskiqMiddleware
from taskiq.exceptions import NoResultError

from headway.core.errors import Cancelled
from headway.queues.clerk import Clerk
from headway.queues.labels import label_of, packed
from headway.queues.taskiq_bodies import refused, stopping

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from taskiq import AsyncBroker, TaskiqMessage, TaskiqResult

    from headway.client import Headway
    from headway.queues.lifecycle import Label

KEY = "headway"
"""Under which name of a message's labels ours is."""


def install(broker: AsyncBroker, store: Headway | str | None = None, **options: Any) -> Reports:
    """From now on the broker's tasks are reported.

    Args:
        broker: The broker.
        store: Where to; by default ``HEADWAY_STORE``, else a file of the user's, of which a warning tells.
        **options: What is reported of every task; see `headway.queues.lifecycle.Options`.
    """
    reports = Reports(Clerk("Taskiq", store, **options))
    broker.add_middlewares(reports)
    return reports


class Stopped(NoResultError):
    """The task was cancelled by headway."""


class Reports(TaskiqMiddleware):
    """What is reported of a broker's tasks."""

    def __init__(self, clerk: Clerk) -> None:
        super().__init__()
        self._clerk = clerk
        self._errors: dict[str, BaseException] = {}

    def fan_out(self, name: str, members: int, **options: Any) -> AbstractContextManager[str]:
        """What is sent in the block is one job; see `Clerk.fan_out`."""
        return self._clerk.fan_out(name, members, **options)

    def startup(self) -> None:
        """Let the functions stop where their jobs are cancelled."""
        for task in self.broker.get_all_tasks().values():
            if not hasattr(task.original_func, "__headway_stops__"):
                task.original_func = stopping(self._clerk, task.original_func, _stopped)

    async def pre_send(self, message: TaskiqMessage) -> TaskiqMessage:
        """A task is sent, for the first time or again."""
        await self._clerk.harmless(self._sent)(message)
        return message

    async def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
        """A task starts here."""
        await self._clerk.harmless(self._start)(message)
        return message

    async def on_error(self, message: TaskiqMessage, _: Any, exception: BaseException) -> None:
        """A task has raised; other middlewares will decide whether it is sent again."""
        if self._clerk.running(message.task_id) and not isinstance(exception, NoResultError):
            self._errors[message.task_id] = exception

    async def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
        """A task has ended here."""
        await self._clerk.harmless(self._end)(message, result)

    async def _sent(self, message: TaskiqMessage) -> None:
        if self._clerk.running(message.task_id):
            error = self._errors.pop(message.task_id, None)
            await self._clerk.aend(message.task_id, error, status="retrying")
        elif not message.labels.get("_retries"):
            label = self._label(message)
            message.labels[KEY] = json.dumps(packed(label))
            await self._clerk.aenqueue(message.task_id, message.task_name, label)

    async def _start(self, message: TaskiqMessage) -> None:
        refused.set(False)
        label = self._label(message)
        refused.set(not await self._clerk.astart(message.task_id, message.task_name, label))

    async def _end(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
        self._errors.pop(message.task_id, None)
        if isinstance(result.error, Stopped):
            result.error = Cancelled(message.task_id)
        again = isinstance(result.error, NoResultError)
        await self._clerk.aend(message.task_id, result.error, result.return_value, again=again)

    def _label(self, message: TaskiqMessage) -> Label:
        task = self.broker.find_task(message.task_name)
        brought = message.labels.get(KEY)
        said = json.loads(brought) if isinstance(brought, str) else None
        return label_of(task and task.original_func, message.args, message.kwargs, said)


def _stopped(_: str) -> Stopped:
    return Stopped()  # Taskiq's errors take no words

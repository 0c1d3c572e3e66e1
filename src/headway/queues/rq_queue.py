"""What RQ's queues do besides, to be put in front of RQ's own classes."""

# mypy: disable-error-code="misc"

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from headway.queues.clerk import Clerk
from headway.queues.labels import label_of, packed
from headway.threads import cached_property

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from headway.client import Headway

KEY = "headway"
"""Where the label is in a job's meta."""


class Reporting:
    """What reporting workers and queues have in common; subclass one to name a store.

    Attributes:
        store: Where to report to: an object with all verbs or a URL; by default ``HEADWAY_STORE``.
        options: What is reported of every job; see `headway.queues.lifecycle.Options`.
    """

    store: Headway | str | None = None
    options: Mapping[str, Any] = MappingProxyType({})

    @cached_property
    def clerk(self) -> Clerk:
        """Who writes it down."""
        return Clerk("RQ", self.store, **dict(self.options))


class ReportingQueue(Reporting):
    """A queue whose jobs are pending from the moment they are enqueued or scheduled."""

    def fan_out(self, name: str, members: int, **options: Any) -> AbstractContextManager[str]:
        """What is enqueued in the block is one job; see `Clerk.fan_out`."""
        return self.clerk.fan_out(name, members, **options)

    def enqueue_call(self, *args: Any, **kwargs: Any) -> Any:
        """See `rq.Queue`; what is said here holds for the job, though django-rq enqueues it later."""
        label = packed(label_of())
        if label:
            kwargs["meta"] = {KEY: label, **(kwargs.get("meta") or {})}
        return super().enqueue_call(*args, **kwargs)

    def enqueue_job(self, job: Any, *args: Any, **kwargs: Any) -> Any:
        """See `rq.Queue`."""
        self.clerk.harmless(self._enqueue)(job)
        return super().enqueue_job(job, *args, **kwargs)

    def schedule_job(self, job: Any, *args: Any, **kwargs: Any) -> Any:
        """See `rq.Queue`."""
        self.clerk.harmless(self._enqueue)(job)
        return super().schedule_job(job, *args, **kwargs)

    def _enqueue(self, job: Any) -> None:
        label = label_of(job.func, job.args, job.kwargs, job.meta.get(KEY))
        job.meta[KEY] = packed(label)
        self.clerk.enqueue(job.id, job.func_name, label)

"""What RQ's workers do besides, to be put in front of RQ's own classes.

1. A job is told to be tried again before RQ enqueues it: afterwards another worker may be quicker.
2. To RQ, a job that headway cancelled was stopped on request: it is neither retried nor shown to handlers.
3. A work horse ends by ``os._exit``; so each hook waits until its word has arrived.
"""

# mypy: disable-error-code="misc,attr-defined"

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headway.core.errors import Cancelled
from headway.queues.labels import label_of
from headway.queues.rq_queue import KEY, Reporting

if TYPE_CHECKING:
    from collections.abc import Callable

    from headway.queues.lifecycle import Event


class ReportingWorker(Reporting):
    """A worker that tells what becomes of its jobs."""

    _error: BaseException | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Loaded, and warned of where none is named, once: not in each work horse.
        self.clerk.harmless(lambda: self.clerk.headway.store)()

    def perform_job(self, job: Any, *args: Any, **kwargs: Any) -> Any:
        """See `rq.worker.BaseWorker`."""
        may_run = self.clerk.harmless(self._start)(job) is not False
        job.perform = self._performing(job, job.perform, may_run=may_run)
        return super().perform_job(job, *args, **kwargs)

    def handle_exception(self, job: Any, *error: Any) -> None:
        """See `rq.worker.BaseWorker`."""
        self._error = error[1] if len(error) > 1 else None
        if isinstance(self._error, Cancelled):
            delivery = self.clerk.running(job.id)
            if delivery is None or delivery.stops:
                self._stopped_job_id = job.id
                return
        super().handle_exception(job, *error)

    def handle_job_success(self, job: Any, *args: Any, **kwargs: Any) -> None:
        """See `rq.worker.BaseWorker`."""
        super().handle_job_success(job, *args, **kwargs)
        self.clerk.harmless(self.clerk.end)(job.id, result=self._returned)

    def handle_job_retry(self, job: Any, queue: Any, retry: Any, *args: Any, **kwargs: Any) -> None:
        """See `rq.worker.BaseWorker`."""
        status = "failed" if (job.number_of_retries or 0) >= retry.max else "retrying"
        after = retry.get_interval(job.number_of_retries or 0, retry.intervals)
        self.clerk.harmless(self.clerk.end)(job.id, status=status, after=after)
        super().handle_job_retry(job, queue, retry, *args, **kwargs)

    def handle_job_failure(self, job: Any, *args: Any, **kwargs: Any) -> None:
        """See `rq.worker.BaseWorker`."""
        stopped = getattr(self, "_stopped_job_id", None) == job.id
        self.clerk.harmless(self._failed)(job, stopped=stopped, again=job.should_retry and not stopped)
        super().handle_job_failure(job, *args, **kwargs)

    def clean_registries(self) -> None:
        """See `rq.worker.BaseWorker`; what it finds abandoned is told."""
        self.push_exc_handler(self.clerk.harmless(self._abandoned))  # no longer: SpawnWorker pickles handlers
        try:
            super().clean_registries()
        finally:
            self.pop_exc_handler()

    def _start(self, job: Any) -> bool:
        label = label_of(job.func, job.args, job.kwargs, job.meta.get(KEY))
        return self.clerk.start(job.id, job.func_name, label, self.name)

    def _performing(self, job: Any, perform: Callable[[], Any], *, may_run: bool) -> Callable[[], Any]:
        def performing() -> Any:
            if not may_run:
                raise Cancelled(job.id)
            self._returned = perform()
            return self._returned

        return performing

    def _failed(self, job: Any, *, stopped: bool, again: bool) -> None:
        if self.clerk.running(job.id):
            after = job.get_retry_interval() if again else None
            self.clerk.end(job.id, self._error, again=again, asked=stopped, after=after)
        else:  # the work horse has died
            event: Event = "terminated" if stopped else "requeued" if again else "lost"
            self.clerk.tell(job.id, event, self.name)

    def _abandoned(self, job: Any, kind: Any, *_: Any) -> bool:
        """Maintenance has found a job whose worker and horse have both died."""
        if getattr(kind, "__name__", "") == "AbandonedJobError":
            self.clerk.tell(job.id, "requeued" if job.should_retry else "lost")
        return True

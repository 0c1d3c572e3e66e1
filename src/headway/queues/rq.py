"""RQ 2 and 3: ``rq worker -w headway.queues.rq.Worker``, and this `Queue` where jobs are enqueued.

Subclass them to name a store: ``class Worker(headway.queues.rq.Worker): store = "redis://localhost/1"``.
"""

from __future__ import annotations

import rq
from rq.worker import SpawnWorker as _SpawnWorker

from headway.queues.rq_queue import ReportingQueue
from headway.queues.rq_worker import ReportingWorker


class Queue(ReportingQueue, rq.Queue):
    """`rq.Queue`, reporting."""


class Worker(ReportingWorker, rq.Worker):
    """`rq.Worker`, reporting."""


class SimpleWorker(ReportingWorker, rq.SimpleWorker):
    """`rq.SimpleWorker`, reporting."""


class SpawnWorker(ReportingWorker, _SpawnWorker):
    """`rq.worker.SpawnWorker`, reporting; from RQ 3 on, before which it runs jobs in a plain `rq.Worker`."""

"""django-rq: this `Queue` and a worker of `headway.queues.rq`, named in the settings.

RQ = {"QUEUE_CLASS": "headway.queues.django_rq.Queue", "WORKER_CLASS": "headway.queues.rq.Worker"}
"""

from __future__ import annotations

from django_rq.queues import DjangoRQ

from headway.queues.rq_queue import ReportingQueue


class Queue(ReportingQueue, DjangoRQ):
    """django-rq's queue, which waits for the commit, reporting."""

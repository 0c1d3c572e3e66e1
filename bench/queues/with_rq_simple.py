"""RQ's `SimpleWorker`, which runs jobs in its own process."""

from bench.queues import with_rq
from bench.queues.with_rq import WAYS as WAYS
from bench.queues.with_rq import sender as sender
from bench.queues.with_rq import worker as worker

COUNT = 300
with_rq.WORKER = "Simple"

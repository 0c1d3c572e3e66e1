"""RQ's `SimpleWorker`, which runs jobs in its own process."""

from bench.queues import with_rq
from bench.queues.with_rq import WAYS, sender, worker

__all__ = ["COUNT", "WAYS", "sender", "worker"]
COUNT = 300
with_rq.WORKER = "Simple"

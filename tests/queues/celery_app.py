"""A Celery app with the tasks of the contract; as `app` where a broker is named."""

import os

from celery import Celery

from headway.queues import celery as headway_celery
from headway.queues import reported
from headway.testing import queue_bodies as bodies
from headway.testing.queue_bodies import LEASE, store_under_test


def make(broker, store):  # noqa: C901 - a list of tasks
    app = Celery("contract", broker=broker, backend=os.environ["RESULTS"])
    quick = {"visibility_timeout": 3, "polling_interval": 0.2} if broker.startswith("redis") else {}
    app.conf.update(
        broker_connection_retry_on_startup=True,
        broker_transport_options=quick,
        task_acks_late=False,
        result_expires=600,
        worker_prefetch_multiplier=1,
    )
    app.reports = headway_celery.install(app, store, lease=LEASE, result=True)
    for name in ("succeed", "fail", "endless", "slow", "forking"):
        app.task(getattr(bodies, name), name=f"contract.{name}", autoretry_for=(ConnectionError,))
    app.task(bodies.first_endless, name="contract.first_endless", acks_late=True)
    app.task(bodies.strange, name="contract.strange", ignore_result=True)

    @app.task(name="contract.flaky", bind=True)
    def flaky(self, path, failures):
        try:
            return bodies.flaky(path, failures)
        except ConnectionError as error:
            said = self.request.headers
            raise self.retry(exc=error, countdown=said["wait"], max_retries=said["again"]) from error

    @app.task(name="contract.meta", bind=True)
    def meta(self, path, steps):
        bodies.note(path)
        for step in range(steps):
            self.update_state(state="PROGRESS", meta={"current": step, "total": steps})
            bodies.time.sleep(bodies.PACE)

    @app.task(name="contract.recorder", bind=True)
    def recorder(self, path):
        from celery_progress.backend import ProgressRecorder

        progress = ProgressRecorder(self)
        progress.set_progress(3, 10, description="row 3")
        bodies.slow(path, 2)

    @app.task(name="contract.unreported", headway=False)
    def unreported():
        return bodies.headway.current().started

    @app.task(name="contract.named")
    @reported(name="Import of customers", total=len, scope="user/1")
    def named(rows):
        for _ in bodies.headway.current().track(rows):
            pass

    @app.task(name="contract.collect")
    def collect(results):
        return len(results)

    return app


app = make(os.environ["BROKER"], store_under_test()) if "BROKER" in os.environ else None

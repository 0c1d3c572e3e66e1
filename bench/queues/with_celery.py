"""Celery's ways.  Each task makes one step."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

import redis
from bench.queues.bodies import MILLISECOND, compute
from celery import Celery
from celery_progress.backend import ProgressRecorder

import headway
from headway.queues import celery as headway_celery

if TYPE_CHECKING:
    from collections.abc import Callable

WAYS = ("bare", "headway", "celery-progress")
COUNT = 300


def made(way: str) -> Any:
    """The app of one way."""
    broker = os.environ["BROKER"]
    app = Celery(way, broker=broker, backend=broker)
    app.conf.update(task_default_queue=way, broker_connection_retry_on_startup=True)
    if way == "headway":
        headway_celery.install(app, broker)
    done = redis.Redis.from_url(broker)

    def step(task: Any) -> None:
        if way == "headway":
            headway.current().advance()
        elif way == "celery-progress":
            ProgressRecorder(task).set_progress(1, 1)

    @app.task(name="bench.empty", bind=True)
    def empty(self: Any) -> None:
        step(self)

    @app.task(name="bench.waiting", bind=True)
    def waiting(self: Any) -> None:
        time.sleep(MILLISECOND)
        step(self)

    @app.task(name="bench.computing", bind=True)
    def computing(self: Any) -> None:
        compute()
        step(self)

    @app.task(name="bench.last", bind=True)
    def last(self: Any) -> None:
        step(self)
        done.rpush(f"done:{way}", 1)

    return app


def worker(way: str) -> list[str]:
    """What starts a worker."""
    without = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    app = ["-A", "bench.queues.with_celery:app"]
    return [sys.executable, "-m", "celery", *app, "worker", "--concurrency", "1", "-n", f"{way}@%h", *without]


def sender(way: str) -> Callable[[str, int], None]:
    """Sends so many tasks of a body, and one more, which says that it has run."""
    tasks = made(way).tasks

    def send(body: str, count: int) -> None:
        for _ in range(count):
            tasks[f"bench.{body}"].apply_async()
        tasks["bench.last"].apply_async()

    return send


def __getattr__(name: str) -> Any:
    """``app`` for Celery's worker."""
    if name == "app":
        return globals().setdefault("app", made(os.environ["WAY"]))
    raise AttributeError(name)

"""Celery holds the contract, with every pool that it has."""

import os
import sys
from contextlib import closing

import pytest
from tests.servers.redis import redis_server

import headway
from headway.testing.queue_contract import Queue, QueueContract, ended, until

FATES = {"SUCCESS": "completed", "FAILURE": "failed", "REVOKED": "cancelled"}


class CeleryQueue(Queue):
    """An app on a real broker; a line is one of Celery's queues."""

    def __init__(self, broker, store, pool="prefork"):
        os.environ["RESULTS"] = self.results = broker
        self.broker, self.store, self.pool = broker, store, pool
        self.hw = headway.connect(store)
        from tests.queues.celery_app import make

        self.app = make(broker, store)

    def command(self, line):
        options = ["-P", self.pool, "-c", "2", "-Q", line, "-n", f"{line}@%h", "-l", "WARNING"]
        without = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        return [sys.executable, "-m", "celery", "-A", "tests.queues.celery_app", "worker", *options, *without]

    def environment(self):
        return {"BROKER": self.broker, "RESULTS": self.results, "HEADWAY_STORE": self.store}

    def send(self, body, *args, line, retries=0, limit=None, late=False):
        how = {"queue": line, "time_limit": limit, "headers": {"again": retries}}
        return self.app.send_task(
            f"contract.{body}", [str(a) if hasattr(a, "parts") else a for a in args], **how
        ).id

    def fate(self, id):
        return FATES.get(self.app.AsyncResult(id).state)

    def close(self):
        self.app.close()
        self.hw.close()


@pytest.fixture(scope="module")
def broker():
    with redis_server("valkey") as server:
        yield f"redis://127.0.0.1:{server.port}/0"


class TestPrefork(QueueContract):
    @pytest.fixture(scope="class")
    @classmethod
    def queue(cls, broker, tmp_path_factory):
        store = f"sqlite:///{tmp_path_factory.mktemp('store') / 'headway.db'}"
        with closing(CeleryQueue(broker, store)) as queue:
            yield queue

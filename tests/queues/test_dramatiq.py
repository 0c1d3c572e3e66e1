"""Dramatiq holds the contract."""

import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from dramatiq.results import ResultFailure, ResultMissing
from tests.queues.dramatiq_app import make
from tests.queues.lives import lives
from tests.queues.unnamed import warned_once
from tests.servers.redis import redis_server

import headway
from headway.testing import QueueContract
from headway.testing.queue_contract import Queue, ended


class DramatiqQueue(Queue):
    """A queue of the broker's is a line."""

    def __init__(self, server, url, results, store):
        self.server, self.url, self.results = server, url, results
        self.hw = headway.connect(store)
        self.broker = make(url, results, self.hw)
        self.sent = {}

    def command(self, line):
        app = "tests.queues.dramatiq_app:broker"
        return [sys.executable, "-m", "dramatiq", app, "-p", "1", "-t", "2", "-Q", line]

    def environment(self):
        return {"BROKER": self.url, "RESULTS": self.results, "HEADWAY_STORE": self.hw.store.url}

    def worker(self, line, **environment):
        return super().worker(line, **{"LINE": line, **environment})

    def send(self, body, *args, line, retries=0, wait=0, limit=None, id=None, **_):
        plain = tuple(str(one) if isinstance(one, Path) else one for one in args)
        how = {"max_retries": retries, "min_backoff": 1_000 * wait + 1, "max_backoff": 1_000 * wait + 2}
        how |= {"time_limit": limit * 1000} if limit else {}
        self.broker.declare_queue(line)
        message = self.broker.get_actor(body).message_with_options(args=plain, **how)
        message = message.copy(queue_name=line)._replace(message_id=id or message.message_id)
        self.sent[message.message_id] = self.broker.enqueue(message)
        return message.message_id

    def fate(self, id):
        try:
            self.sent[id].get_result(backend=self.broker.get_results_backend(), block=False)
        except ResultMissing:
            return None
        except ResultFailure:
            return "failed"
        return "completed"

    def restart_broker(self):
        self.server.kill()
        self.server.start()

    def close(self):
        self.broker.close()
        self.hw.close()


@pytest.fixture(scope="module")
def redis():
    with redis_server("valkey") as server:
        yield server


@pytest.fixture(scope="module")
def results(redis):
    return f"redis://127.0.0.1:{redis.port}/0"


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('store') / 'headway.db'}"


@pytest.fixture(scope="module")
def queue(redis, results, records):
    with closing(DramatiqQueue(redis, results, results, records)) as queue:
        yield queue


@pytest.fixture(scope="module")
def on_rabbitmq(rabbit, results, records):
    with closing(DramatiqQueue(rabbit, rabbit.url, results, records)) as other:
        yield other


class TestDramatiq(QueueContract):
    """Messages are processed in threads of child processes; when one is killed, its master leaves too."""

    children = False


@pytest.mark.nightly
class TestRabbitMQ(QueueContract):
    """What is delivered again comes at once, when the worker's connection is gone."""

    children = False

    @pytest.fixture(scope="class")
    @classmethod
    def queue(cls, on_rabbitmq):
        return on_rabbitmq


def test_messages_that_go_by_rabbitmq_complete_and_come_again(on_rabbitmq, tmp_path):
    lives(on_rabbitmq, tmp_path)


def test_an_asynchronous_actor_is_reported_as_it_says(queue, line):
    job = ended(queue, queue.send("named", [1, 2, 3], line=line))
    assert (job.name, job.total, job.count, job.scope) == ("Import of customers", 3, 3, "user/1")


def test_several_messages_are_one_bar(queue, line):
    with queue.broker.reports.fan_out("All countries", 3, scope="user/1") as whole:
        for rows in (1, 2, 3):
            queue.send("succeed", rows, line=line)
    job = ended(queue, whole)
    assert (job.status, job.children.count, job.scope) == ("completed", 3, "user/1")


def test_a_message_that_is_too_old_has_failed_and_says_why(queue):
    line = queue.new_line()
    queue.broker.declare_queue(line)
    message = queue.broker.get_actor("succeed").message_with_options(args=(3,), max_age=50)
    queue.broker.enqueue(message.copy(queue_name=line))
    time.sleep(0.2)
    with queue.worker(line):
        job = ended(queue, message.message_id)
    assert (job.status, job.error.text) == ("failed", "It was not started in time.")


def test_installing_without_a_store_says_once_which_file_is_used(tmp_path):
    program = """
from dramatiq.brokers.stub import StubBroker
from headway.queues.dramatiq import install
install(StubBroker())
install(StubBroker())
"""
    assert warned_once("Dramatiq", program, tmp_path)

"""Huey holds the contract."""

import signal
import sys
import time
from pathlib import Path

import pytest
from tests.queues.huey_app import make
from tests.queues.unnamed import warned_once

import headway
from headway.testing import QueueContract
from headway.testing.queue_contract import Queue, ended, until


class HueyQueue(Queue):
    """An instance of Huey's is a line."""

    def __init__(self, server, store, kind="thread"):
        self.server, self.kind = server, kind
        self.hw = headway.connect(store)
        self.instances, self.lines = {}, {}

    def command(self, line):
        self.lines[line] = line
        consumer = str(Path(sys.executable).parent / "huey_consumer")
        how = ["-w", "2", "-k", self.kind, "-q", "-d", "0.05"]
        return [sys.executable, consumer, "tests.queues.huey_app.huey", *how]

    def environment(self):
        return {"PORT": str(self.server.port), "HEADWAY_STORE": self.hw.store.url}

    def worker(self, line, **environment):
        return super().worker(line, **{"LINE": line, **environment})

    def instance(self, line):
        if line not in self.instances:
            self.instances[line] = make(line, self.server.port, self.hw)
        return self.instances[line]

    def send(self, body, *args, line, retries=0, wait=0, limit=None, id=None, **_):
        huey = self.instance(line)
        plain = [str(one) if isinstance(one, Path) else one for one in args]
        sent = huey.tasks[body].s(*plain, retries=retries, retry_delay=wait, timeout=limit, id=id)
        huey.enqueue(sent)
        self.lines[sent.id] = line
        return sent.id

    def fate(self, id):
        huey = self.instance(self.lines[id])
        value = huey.get(id, peek=True)
        if value is None:
            return None
        if not hasattr(value, "metadata"):
            return "completed"
        return "cancelled" if "CancelExecution" in value.metadata["error"] else "failed"

    def restart_broker(self):
        self.server.kill()
        self.server.start()

    def close(self):
        self.hw.close()


QUEUE = HueyQueue


class TestHuey(QueueContract):
    """Tasks run in threads."""

    children = False
    limits = False  # but for processes
    redelivers = False  # every storage forgets a task when it gives it out
    stops_at = signal.SIGINT


def test_a_task_is_reported_as_it_says(queue, line):
    id = queue.send("named", [1, 2, 3], line=line)
    job = ended(queue, id)
    assert (job.name, job.total, job.count, job.scope) == ("Import of customers", 3, 3, "user/1")


def test_a_scheduled_task_that_is_cancelled_does_not_come_to_life(queue, line, tmp_path):
    huey, file = queue.instance(line), tmp_path / "calls"
    sent = huey.tasks["endless"].schedule((str(file),), delay=1)
    assert queue.hw.get(sent.id).status == "pending"
    assert queue.hw.cancel(sent.id)
    time.sleep(2.5)
    assert queue.hw.get(sent.id).status == "cancelled"
    assert not file.exists()


def test_a_revoked_task_is_cancelled_and_one_that_expires_has_failed(queue):
    line = queue.new_line()
    huey = queue.instance(line)
    revoked, expired = huey.tasks["succeed"](3), huey.tasks["succeed"](3, expires=0.1)
    revoked.revoke()
    time.sleep(0.2)
    with queue.worker(line):
        assert ended(queue, revoked.id).status == "cancelled"
        assert ended(queue, expired.id).status == "failed"
        error = queue.hw.get(expired.id, details=True).error
    assert error.text == "It was not started in time."


def test_several_tasks_are_one_bar(queue, line):
    huey = queue.instance(line)
    with huey.reports.fan_out("All countries", 3, scope="user/1") as whole:
        for rows in (1, 2, 3):
            huey.tasks["succeed"](rows)
    job = ended(queue, whole)
    assert (job.status, job.children.count, job.scope) == ("completed", 3, "user/1")


def test_a_consumer_that_must_leave_at_once_stops_its_task(queue, tmp_path):
    line, file = queue.new_line(), tmp_path / "calls"
    with queue.worker(line) as consumer:
        id = queue.send("endless", file, line=line)
        until(file.exists)
        consumer.terminate()
        assert ended(queue, id).status == "stopped"


@pytest.mark.parametrize("kind", ["process", "greenlet"])
def test_every_kind_of_worker_completes_fails_and_cancels(queue, tmp_path, kind):
    line, file = queue.new_line(), tmp_path / "calls"
    other = HueyQueue.__new__(HueyQueue)
    other.__dict__ = vars(queue) | {"kind": kind}
    with other.worker(line):
        assert ended(queue, queue.send("succeed", 5, line=line)).count == 5
        id = queue.send("endless", file, line=line, retries=2)
        until(file.exists)
        assert queue.hw.cancel(id)
        assert ended(queue, id).status == "cancelled"
        assert ended(queue, queue.send("fail", line=line)).status == "failed"
        if kind == "process":
            late = queue.send("slow", tmp_path / "late", 60, line=line, limit=1)
            assert ended(queue, late).status == "failed"
            assert queue.hw.get(late, details=True).error.type == "TaskTimeout"


def test_installing_without_a_store_says_once_which_file_is_used(tmp_path):
    program = """
from huey import MemoryHuey
from headway.queues.huey import install
install(MemoryHuey())
install(MemoryHuey())
"""
    assert warned_once("Huey", program, tmp_path)

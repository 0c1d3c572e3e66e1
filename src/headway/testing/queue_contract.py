# ruff: noqa: D102, PT018, S101, S603 - as in all tests: sentences, fixtures, assertions, processes
"""What every task queue must hold, on its real broker with real workers: subclass `QueueContract`.

class TestMyQueue(QueueContract):
    @pytest.fixture(scope="class")
    @classmethod
    def queue(cls):
        with closing(MyQueue()) as queue:
            yield queue
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import psutil
import pytest

import headway
from headway.testing.queue_bodies import LEASE, SECRET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from headway.client import Headway
    from headway.core.snapshot import Snapshot

T = TypeVar("T")
PATIENCE = 60.0


class Queue(ABC):
    """A queue under test: an app with a task for each function of `headway.testing.queue_bodies`.

    Attributes:
        hw: Reads the store that the app reports to.
        lines: The names of queues, one of which a worker serves.
    """

    hw: Headway
    _lines = 0

    @abstractmethod
    def command(self, line: str) -> list[str]:
        """What starts a worker that serves this line, two tasks at a time where it can."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """What a worker's environment has besides the test's own."""

    @abstractmethod
    def send(self, body: str, *args: Any, line: str, **how: Any) -> str:
        """Send a task, and give the id of its job.

        How: ``retries=`` how many more attempts, each ``wait=`` seconds after the one before; ``limit=`` a
        hard time limit in seconds; ``late=`` it is delivered again when its worker dies.
        """

    @abstractmethod
    def fate(self, id: str) -> str | None:
        """What the queue itself says of it: ``completed``, ``failed``, ``cancelled``; None: nothing yet."""

    def again(self, id: str, line: str) -> None:
        """Bring about what makes the queue deliver a lost task again; most do it by themselves."""
        del id, line

    def restart_broker(self) -> None:
        """Let the broker die and come back, with or without what it kept."""
        pytest.skip("the broker is not ours to restart")

    def new_line(self) -> str:
        """A line that nobody serves yet."""
        Queue._lines += 1
        return f"line-{os.getpid()}-{Queue._lines}"

    @contextmanager
    def worker(self, line: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        """A worker process of this line, in a session of its own, which is killed in the end."""
        process = subprocess.Popen(
            self.command(line),
            env=os.environ | self.environment() | environment,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            kill_with_children(process)


def kill_with_children(process: subprocess.Popen[bytes]) -> None:
    """Kill a worker and all that it started, at once."""
    with suppress(psutil.NoSuchProcess):
        all_of_them = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for one in all_of_them:
            with suppress(psutil.NoSuchProcess):
                one.kill()
    process.wait()


def until(condition: Callable[[], T | Literal[False] | None], patience: float = PATIENCE) -> T:
    """What the condition gives, once it gives something."""
    deadline = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {patience} s: {condition}"
        time.sleep(0.05)
    return found


class QueueContract:
    """Each life that a task can have.

    Attributes:
        retries: Whether a task is tried again when its function raises.
        waits: Whether it says how long it waits before.
        pause: Seconds between two attempts, where it needs some to note what came of one.
        children: Whether tasks run in children of the worker, whose death it notices.
        duplicates: Whether a task may be delivered twice at a time.
        redelivers: Whether a task is delivered again when its worker was killed.
        limits: Whether the queue ends a task that runs too long.
        remains: Whether the process that runs a task goes on after it.
        stops_at: Which signal asks a worker to stop; the task in hand is finished before.
    """

    retries = True
    waits = True
    pause = 0
    children = True
    duplicates = True
    redelivers = True
    limits = True
    remains = True
    stops_at = signal.SIGTERM

    @pytest.fixture(scope="class")
    @classmethod
    def line(cls, queue: Queue) -> Iterator[str]:
        """A line that one worker serves for all tests of the class that do not harm it."""
        line = queue.new_line()
        with queue.worker(line):
            yield line

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        return tmp_path / "calls"

    # Ends

    def test_a_task_that_returns_is_completed(self, queue: Queue, line: str) -> None:
        job = ended(queue, queue.send("succeed", 40, line=line))
        assert (job.status, job.attempt, job.count, job.total) == ("completed", 1, 40, 40)
        assert job.fraction == 1.0 and job.name == "Succeed"
        assert job.waited is not None and job.result == {"rows": 40}
        assert fate(queue, job) == "completed"

    def test_a_task_that_raises_has_failed_and_its_words_are_not_for_everybody(
        self, queue: Queue, line: str
    ) -> None:
        job = ended(queue, queue.send("fail", line=line))
        assert job.status == "failed" and job.error is not None
        assert job.error.text is None and job.error.type == "ValueError"
        assert SECRET in str(job.error.detail)
        assert fate(queue, job) == "failed"

    def test_a_result_that_json_cannot_carry_is_left_out(self, queue: Queue, line: str) -> None:
        job = ended(queue, queue.send("strange", line=line))
        assert job.status == "completed" and job.result is None
        assert "not kept" in job.messages[-1].text

    def test_it_is_pending_and_has_its_scope_before_anybody_starts_it(self, queue: Queue) -> None:
        from headway.queues import enqueueing

        line = queue.new_line()
        with enqueueing(scope="user/3421"):
            id = queue.send("succeed", 3, line=line)
        waiting = queue.hw.get(id)
        assert waiting is not None and (waiting.status, waiting.scope) == ("pending", "user/3421")
        with queue.worker(line):
            job = ended(queue, id)
        assert (job.status, job.scope, job.attempt) == ("completed", "user/3421", 1)

    # Retries

    def test_a_retry_that_succeeds_is_the_next_attempt(self, queue: Queue, line: str, file: Path) -> None:
        if not self.retries:
            pytest.skip("the queue does not retry")
        job = ended(queue, queue.send("flaky", file, 2, line=line, retries=3, wait=self.pause))
        assert (job.status, job.attempt) == ("completed", 3)
        assert [m.text for m in job.messages] == ["attempt 1: ConnectionError", "attempt 2: ConnectionError"]
        assert fate(queue, job) == "completed"

    def test_a_retry_that_is_waited_for_says_how_long(self, queue: Queue, line: str, file: Path) -> None:
        if not self.retries or not self.waits:
            pytest.skip("the queue does not tell")
        id = queue.send("flaky", file, 9, line=line, retries=2, wait=30)
        job = until(lambda: (one := queue.hw.get(id)) and one.status == "retrying" and one)
        assert job.retry_in is not None and 10 < job.retry_in <= 30
        assert queue.hw.cancel(id)

    def test_a_task_that_is_given_up_has_failed(self, queue: Queue, line: str, file: Path) -> None:
        if not self.retries:
            pytest.skip("the queue does not retry")
        id = queue.send("flaky", file, 9, line=line, retries=2, wait=self.pause)
        job = ended(queue, id, settled=("failed",))
        assert (job.status, job.attempt) == ("failed", 3)
        assert fate(queue, job) == "failed"

    def test_late_words_in_a_storm_of_retries_never_reopen_an_end(
        self, queue: Queue, line: str, tmp_path: Path
    ) -> None:
        if not self.retries:
            pytest.skip("the queue does not retry")
        ids = [queue.send("flaky", tmp_path / str(n), 2, line=line, retries=3) for n in range(20)]
        for id in ids:
            job = ended(queue, id)
            assert (job.status, job.attempt) == ("completed", 3)
        time.sleep(1.0)
        still = [queue.hw.get(id) for id in ids]
        assert {job and job.status for job in still} == {"completed"}

    # Cancel

    def test_a_cancelled_task_that_has_not_started_does_not_start(self, queue: Queue, file: Path) -> None:
        line = queue.new_line()
        id = queue.send("endless", file, line=line)
        assert queue.hw.cancel(id)
        after = queue.send("succeed", 1, line=line)
        with queue.worker(line):
            assert ended(queue, after).status == "completed"
            assert ended(queue, id).status == "cancelled"
            assert not file.exists()

    def test_a_running_task_stops_at_its_next_step_and_is_not_tried_again(
        self, queue: Queue, line: str, file: Path
    ) -> None:
        more = {"retries": 3} if self.retries else {}
        id = queue.send("endless", file, line=line, **more)
        until(file.exists)
        assert queue.hw.cancel(id)
        job = ended(queue, id)
        assert (job.status, job.attempt) == ("cancelled", 1)
        assert queue.fate(id) != "failed"
        time.sleep(1.0)
        assert len(calls(file)) == 1
        assert read(queue, id).status == "cancelled"

    # Time limits, duplicates, forks

    def test_a_task_that_runs_too_long_has_failed(self, queue: Queue, line: str, file: Path) -> None:
        if not self.limits:
            pytest.skip("the queue has no time limit")
        job = ended(queue, queue.send("slow", file, 60, line=line, limit=2))
        assert job.status == "failed" and job.error is not None

    def test_a_task_that_is_delivered_twice_ends_once(self, queue: Queue, line: str, file: Path) -> None:
        if not self.duplicates:
            pytest.skip("the queue knows its tasks by id")
        id = queue.send("slow", file, 2, line=line)
        until(file.exists)
        queue.send("slow", file, 3, line=line, id=id)
        until(lambda: len(calls(file)) == 2)
        twice = until(lambda: (job := read(queue, id)).attempt == 2 and job)
        assert twice.status == "running"
        assert (ended(queue, id).status, read(queue, id).attempt) == ("completed", 2)
        version = read(queue, id).version
        time.sleep(1.0)
        assert read(queue, id).version == version

    def test_a_task_that_forks_counts_in_both(self, queue: Queue, line: str) -> None:
        job = ended(queue, queue.send("forking", line=line))
        assert (job.status, job.count) == ("completed", 20)

    # Workers that leave

    def test_a_worker_that_is_asked_to_stop_finishes_its_task(self, queue: Queue, file: Path) -> None:
        line = queue.new_line()
        with queue.worker(line) as worker:
            id = queue.send("slow", file, 2, line=line)
            until(file.exists)
            worker.send_signal(self.stops_at)
            job = ended(queue, id)
        assert (job.status, job.attempt) == ("completed", 1)

    def test_a_killed_worker_reads_as_stalled_and_as_running_again_when_redelivered(
        self, queue: Queue, file: Path
    ) -> None:
        line = queue.new_line()
        how = {"late": True} if self.redelivers else {}
        with queue.worker(line) as worker:
            id = queue.send("first_endless", file, line=line, **how)
            until(lambda: (job := queue.hw.get(id)) and job.count)
            kill_with_children(worker)
            silent = until(lambda: (job := read(queue, id)).status == "stalled" and job)
        assert silent.attempt == 1 and (silent.silent_for or 0) > LEASE
        if not self.redelivers:
            return
        queue.again(id, line)
        with queue.worker(line):
            job = ended(queue, id)
        assert (job.status, job.attempt, len(calls(file))) == ("completed", 2, 2)

    def test_a_killed_child_has_failed_and_says_so_at_once(self, queue: Queue, line: str, file: Path) -> None:
        if not self.children:
            pytest.skip("the queue's tasks run in the worker itself")
        id = queue.send("endless", file, line=line)
        until(lambda: (job := queue.hw.get(id)) and job.count)
        os.kill(int(calls(file)[0]), signal.SIGKILL)
        job = ended(queue, id)
        assert job.status == "failed" and job.error is not None
        assert job.error.text == "Its worker died."

    @pytest.mark.nightly
    def test_a_broker_that_restarts_takes_nothing_from_a_task_that_runs(
        self, queue: Queue, file: Path
    ) -> None:
        line = queue.new_line()
        with queue.worker(line):
            id = queue.send("slow", file, 4, line=line)
            until(file.exists)
            queue.restart_broker()
            assert ended(queue, id).status == "completed"
            assert ended(queue, queue.send("succeed", 3, line=line)).status == "completed"

    # Stores that are away, or worse

    @pytest.mark.parametrize("store", ["redis://127.0.0.1:1", "hostile://raises", "hostile://babbles"])
    def test_without_a_store_that_works_tasks_end_as_they_would(
        self, queue: Queue, file: Path, store: str
    ) -> None:
        line = queue.new_line()
        with queue.worker(line, HEADWAY_STORE=store):
            bad = queue.send("fail", line=line)
            good = queue.send("flaky", file, 0, line=line)
            assert until(lambda: queue.fate(good)) == "completed"
            assert until(lambda: queue.fate(bad)) == "failed"
            assert len(calls(file)) == 1

    def test_an_end_arrives_when_the_store_is_back(self, queue: Queue, file: Path, tmp_path: Path) -> None:
        if not self.remains:
            pytest.skip("the process ends with its task, and takes its last word with it")
        line, folder = queue.new_line(), tmp_path / "later"
        elsewhere = headway.connect(f"sqlite:///{folder / 'headway.db'}")
        folder.write_text("in the way")
        with queue.worker(line, HEADWAY_STORE=elsewhere.store.url):
            queue.send("flaky", file, 0, line=line)
            until(file.exists)
            folder.unlink()
            folder.mkdir()
            assert until(lambda: list(elsewhere.find(status="completed")))[0].name == "Flaky"
        elsewhere.close()

    def test_a_store_that_hangs_delays_a_task_by_little(self, queue: Queue, file: Path) -> None:
        line = queue.new_line()
        with queue.worker(line, HEADWAY_STORE="hostile://hangs"):
            for _ in range(4):
                id = queue.send("flaky", file, 0, line=line)
                assert until(partial(queue.fate, id)) == "completed"


def read(queue: Queue, id: str) -> Snapshot:
    """A job that must be known."""
    job = queue.hw.get(id, details=True)
    assert job is not None
    return job


def ended(queue: Queue, id: str, settled: tuple[str, ...] = ()) -> Snapshot:
    """The job, once it has come to an end; of these kinds, where some ends are followed by others."""
    return until(lambda: (job := read(queue, id)).ended and (not settled or job.status in settled) and job)


def fate(queue: Queue, job: Snapshot) -> str:
    """What the queue itself says of it, in the end."""
    return until(lambda: queue.fate(job.id))


def calls(file: Path) -> list[str]:
    """Who was called, by process."""
    return file.read_text().splitlines()

"""``python -m bench.queues.measure QUEUE``: the ways of one queue, side by side."""

from __future__ import annotations

import importlib
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil
import redis
from bench.queues import sending
from bench.rounds import BARE, quick
from bench.table import held, show
from tests.servers.redis import redis_server

import headway

if TYPE_CHECKING:
    from collections.abc import Iterator

BODIES = {"empty": "Empty tasks", "waiting": "Tasks that wait 1 ms", "computing": "Tasks that compute 1 ms"}
OURS = "headway"
PATIENCE = 60
BUDGET = 0.95


class Round(NamedTuple):
    """What one task took, in seconds: to be run, and to be sent; on the clock, and of whose processor."""

    ran: float
    cpu: float
    server_cpu: float
    sent: float
    sent_cpu: float


class Way:
    """One way to run tasks: a worker, which is halted while it is not measured, and a process that sends.

    Attributes:
        rounds: What was measured, by the tasks' body.
    """

    def __init__(self, name: str, worker: subprocess.Popen[bytes], sender: subprocess.Popen[str]) -> None:
        self.name = name
        self.rounds: dict[str, list[Round]] = {body: [] for body in BODIES}
        self._worker = psutil.Process(worker.pid)
        self._sender = sender
        self._done = redis.Redis.from_url(os.environ["BROKER"], socket_timeout=2 * PATIENCE)

    def run(self, body: str, count: int) -> Round:
        """Send tasks to the halted worker, and let it go until it has run them."""
        sent, sent_cpu = self._send(body, count)
        cpu, server_cpu, began = self._cpu(), self._server_cpu(), time.perf_counter()
        self._worker.send_signal(signal.SIGCONT)
        self.wait()
        ran = time.perf_counter() - began
        time.sleep(0.2)  # what it does afterwards is its work, too
        self._worker.send_signal(signal.SIGSTOP)
        cpu, server_cpu = self._cpu() - cpu, self._server_cpu() - server_cpu
        return Round(ran / count, cpu / count, server_cpu / count, sent / count, sent_cpu / count)

    def begin(self) -> None:
        """The first task: the worker is there."""
        self._send("empty", 1)
        self.wait()
        time.sleep(0.2)  # what it does afterwards
        self._worker.send_signal(signal.SIGSTOP)

    def wait(self) -> None:
        """Until the last task has run."""
        assert self._done.blpop([f"done:{self.name}"], PATIENCE), f"{self.name}: the tasks did not run"

    def median(self, body: str, what: str) -> float:
        """Over all rounds."""
        return median(getattr(one, what) for one in self.rounds[body])

    def share(self, body: str, of: Way) -> float:
        """Its throughput as a share of another's, each compared with the other's in the same round."""
        return median(
            bare.ran / own.ran for own, bare in zip(self.rounds[body], of.rounds[body], strict=True)
        )

    def _send(self, body: str, count: int) -> tuple[float, float]:
        assert self._sender.stdin is not None
        assert self._sender.stdout is not None
        self._sender.stdin.write(f"{count} {body}\n")
        self._sender.stdin.flush()
        seconds, cpu = self._sender.stdout.readline().split()
        return float(seconds), float(cpu)

    def _cpu(self) -> float:
        """Processor time of the worker and all that it started."""
        everybody = (self._worker, *self._worker.children(recursive=True))
        return sum(sum(one.cpu_times()[:4]) for one in everybody)

    def _server_cpu(self) -> float:
        """Processor time of the server, which is broker, keeps results, and is headway's store."""
        used: Any = self._done.info("cpu")
        return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def main() -> None:
    """Measure and print."""
    queue = sys.argv[1]
    with redis_server("valkey") as server, ExitStack() as stack:
        os.environ["BROKER"] = f"redis://127.0.0.1:{server.port}"
        module: Any = importlib.import_module(f"bench.queues.with_{queue}")
        count, rounds = (module.COUNT // 3, 3) if quick() else (module.COUNT, 15)
        ways = [stack.enter_context(_started(queue, module, name)) for name in module.WAYS]
        for round_ in range(-1, rounds):  # the first warms up
            for body in BODIES:
                for way in random.sample(ways, len(ways)):
                    measured = way.run(body, count)
                    if round_ >= 0:
                        way.rounds[body].append(measured)
        _check(module, len(BODIES) * (rounds + 1) * (count + 1) + 2)
    print(f"{queue} {version(queue.partition('_')[0])}, {rounds} rounds of {count} tasks\n")
    for body, title in BODIES.items():
        _show(body, title, ways)


@contextmanager
def _started(queue: str, module: Any, name: str) -> Iterator[Way]:
    environment = os.environ | {"WAY": name}
    worker = subprocess.Popen(
        module.worker(name),
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    sender = subprocess.Popen(
        [sys.executable, "-m", sending.__name__, queue],
        env=environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        way = Way(name, worker, sender)
        way.begin()
        yield way
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
        sender.communicate()


def _check(module: Any, tasks: int) -> None:
    """Every task that was to be reported was."""
    with_headway = sum(name.startswith(OURS) for name in module.WAYS)
    hw = headway.connect(os.environ["BROKER"])
    known, cursor = 0, None
    while True:
        page = hw.find(status="completed", limit=200, cursor=cursor)
        known, cursor = known + len(page), page.cursor
        if cursor is None:
            break
    hw.close()
    assert known == with_headway * tasks, f"headway knows {known} of {with_headway * tasks} tasks"


def _show(body: str, title: str, ways: list[Way]) -> None:
    bare = next(way for way in ways if way.name == BARE)
    rows = []
    for way in ways:
        row = [way.name, f"{1 / way.median(body, 'ran'):,.0f}", f"{way.share(body, bare):.0%}"]
        for what in ("cpu", "server_cpu", "sent", "sent_cpu"):
            own = way.median(body, what)
            row.append(f"{own * 1e3:.2f} ({(own - bare.median(body, what)) * 1e3:+.2f})")
        rows.append(row)
    columns = ("", "tasks/s", "of bare", "worker's CPU", "server's CPU", "to send", "sender's CPU")
    show(f"{title}, medians, ms a task", columns, rows)
    for ours in ways:
        if not ours.name.startswith(OURS):
            continue
        if body != "empty":
            print(
                f"Budget: {ours.name} at least {BUDGET:.0%} of bare: {held(-ours.share(body, bare), -BUDGET)}"
            )
        for peer in ways:
            if peer is not bare and not peer.name.startswith(OURS):
                word = held(-ours.share(body, bare), -peer.share(body, bare))
                print(f"Budget: {ours.name} costs less than {peer.name}: {word}")
    print()


if __name__ == "__main__":
    main()

"""How many can watch: 1,000, 5,000 and 10,000 clients of 100 jobs, each told twice a second, on one process.

The server, the writer and the clients are processes of their own on one machine.  Each write carries the
clock; what a client reads off is the time from the write to the client.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

import psutil
from bench.rounds import quick
from bench.table import held, show

from headway.stores import open_store
from headway.testing.store_scene import Worker

JOBS = 100
EVERY = 0.5
WARM, MEASURED, PATIENCE = 2.0, 10.0, 90.0
STAMP = re.compile(rb'"activity":"(\d+)"')
WAYS = {"headway": "headway", "sse-starlette": "sse-starlette", "headway, polled": "headway"}


@dataclass
class Load:
    """What the clients saw while it was measured."""

    late: list[float] = field(default_factory=list)
    measuring: bool = False
    heard: dict[int, int] = field(default_factory=dict)

    def take(self, client: int, data: bytes) -> None:
        """Something came."""
        now = time.monotonic_ns()
        for stamp in STAMP.findall(data):
            written = int(stamp)
            self.heard[client] = max(written, self.heard.get(client, 0))
            if self.measuring:
                self.late.append((now - written) / 1e9)


class Watcher(asyncio.Protocol):
    """One client: of a stream, or one that asks every half second."""

    def __init__(self, load: Load, number: int, *, polls: bool) -> None:
        self.load = load
        self.number = number
        self.polls = polls
        path = f"jobs/job{number % JOBS}" if polls else f"events?id=job{number % JOBS}"
        self.request = f"GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Read."""
        self.load.take(self.number, data)

    def _ask(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(self.request)
            if self.polls:
                asyncio.get_running_loop().call_later(EVERY, self._ask)


async def clients(port: int, many: int, *, polls: bool) -> None:
    """All of them; what they saw goes to standard output as JSON."""
    loop, load = asyncio.get_running_loop(), Load()
    for first in range(0, many, 100):
        await asyncio.gather(
            *(
                loop.create_connection(lambda n=n: Watcher(load, n, polls=polls), "127.0.0.1", port)  # type: ignore[misc]  # a default binds n
                for n in range(first, min(many, first + 100))
            )
        )
        await asyncio.sleep(0.05)
    deadline = time.monotonic() + PATIENCE
    while len(load.heard) < many and time.monotonic() < deadline:  # noqa: ASYNC110 - no event says so
        await asyncio.sleep(0.1)
    await asyncio.sleep(WARM)
    print("ready", flush=True)
    load.measuring = True
    await asyncio.sleep(MEASURED)
    load.measuring = False
    oldest = (time.monotonic_ns() - min(load.heard.values())) / 1e9
    late = sorted(load.late)
    found = {"events": len(late), "heard": len(load.heard), "oldest": oldest}
    found |= {"p50": late[len(late) // 2], "p99": late[len(late) * 99 // 100]}
    print(json.dumps(found), flush=True)


def write(url: str) -> None:
    """Report each job twice a second, one after another, for ever."""
    store = open_store(url)
    workers = [Worker(store, f"job{number}", total=10**6) for number in range(JOBS)]
    for worker in workers:
        worker.claim()
    print("ready", flush=True)
    began, sent = time.monotonic(), 0
    while True:
        worker = workers[sent % JOBS]
        worker.report(count=sent, activity=str(time.monotonic_ns()))
        sent += 1
        time.sleep(max(0.0, began + sent * EVERY / JOBS - time.monotonic()))


def measure(way: str, many: int) -> list[str]:
    """A row of the table."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        url, port = f"sqlite:///{folder}/jobs.db", 20_000 + os.getpid() % 10_000
        server = _started(stack, "server", "uvicorn", port, url, WAYS[way])
        writer = _started(stack, "writer", "write", url)
        assert writer.stdout is not None
        writer.stdout.readline()
        _wait_for(port)
        process = psutil.Process(server.pid)
        empty = process.memory_info().rss
        load = _started(stack, "clients", "clients", str(port), str(many), way)
        assert load.stdout is not None
        load.stdout.readline()
        cpu, reads = _cpu(process), _reads(port)
        json_late = _json_late(port, MEASURED - 1) if way != "sse-starlette" else []
        found = json.loads(load.stdout.readline())
        cpu, reads = _cpu(process) - cpu, _reads(port) - reads
        memory = (process.memory_info().rss - empty) / many
    return [
        f"{way}, {many:,}",
        f"{found['events'] / MEASURED:,.0f}",
        f"{found['p50'] * 1e3:,.0f} / {found['p99'] * 1e3:,.0f}",
        f"{cpu / max(1, found['events']) * 1e6:,.0f}",
        f"{100 * cpu / MEASURED:.0f} %",
        f"{memory / 1024:,.1f}",
        f"{reads / MEASURED:,.0f}",
        f"{json_late[len(json_late) * 99 // 100] * 1e3:,.0f}" if json_late else "",
        "all" if found["heard"] == many else f"{found['heard']:,}",
        held(found["p99"], 0.5),
    ]


def _started(stack: ExitStack, what: str, *words: object) -> subprocess.Popen[str]:
    if what == "server":
        _, port, url, door = words
        command = [sys.executable, "-m", "uvicorn", "--port", str(port), "--log-level", "error"]
        command += ["--backlog", "8192", "bench.watchers_doors:application"]
        environment = {"HEADWAY_STORE": str(url), "DOOR": str(door)}
    else:
        command, environment = [sys.executable, "-m", "bench.watchers", *map(str, words)], {}
    process = subprocess.Popen(
        command,
        env=os.environ | environment,
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        text=True,
    )
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process


def _wait_for(port: int) -> None:
    while True:
        try:
            _reads(port)
        except OSError:
            time.sleep(0.05)
        else:
            return


def _reads(port: int) -> int:
    with urlopen(f"http://127.0.0.1:{port}/reads", timeout=30) as answer:
        return int(answer.read())


def _json_late(port: int, seconds: float) -> list[float]:
    late, deadline = [], time.monotonic() + seconds
    while time.monotonic() < deadline:
        began = time.monotonic()
        with urlopen(f"http://127.0.0.1:{port}/jobs/job7", timeout=30) as answer:
            answer.read()
        late.append(time.monotonic() - began)
        time.sleep(0.05)
    return sorted(late)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main() -> None:
    """The table."""
    sizes = {
        "headway": (1_000,) if quick() else (1_000, 5_000, 10_000),
        "sse-starlette": (1_000,) if quick() else (1_000, 5_000),
        "headway, polled": (500,) if quick() else (500, 1_000),
    }
    rows = [measure(way, many) for way, ns in sizes.items() for many in ns]
    title = f"{JOBS} jobs, told twice a second, uvicorn, SQLite, {os.cpu_count()} cores for all processes"
    columns = ("clients", "events/s", "p50/p99, ms", "µs/event", "of a core", "KiB each")
    show(title, (*columns, "reads/s", "JSON p99, ms", "heard", "p99 < 0.5 s"), rows)
    print("µs/event: CPU of the server for one event delivered.  JSON: a GET of a job meanwhile.")
    print("reads/s: what the server asked its store.  heard: how many clients had every job's news.\n")


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    if words[:1] == ["write"]:
        write(words[1])
    elif words[:1] == ["clients"]:
        asyncio.run(clients(int(words[1]), int(words[2]), polls="polled" in words[3]))
    else:
        main()

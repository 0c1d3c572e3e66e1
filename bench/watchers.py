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
from typing import TYPE_CHECKING
from urllib.request import urlopen

import psutil
from bench.rounds import quick
from bench.table import held, show
from tests.servers import free_port
from tests.servers.redis import redis_server

from headway.stores import open_store
from headway.testing.store_scene import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

JOBS = 100
EVERY = 0.5
WARM, MEASURED, PATIENCE = 2.0, 10.0, 120.0
CURRENT = 2.0
"""Seconds: who has heard nothing younger at the end is behind."""
STAMP = re.compile(rb'"(?:activity|description)": ?"(\d+)"')
STREAM, POLL = "events?id=job{}", "jobs/job{}"
WAYS = {
    "headway": STREAM,
    "sse-starlette": STREAM,
    "headway, polled": POLL,
    "celery-progress, polled": POLL,
}
"""What is measured, and what its clients ask for."""
UVICORN = "-m uvicorn --port {port} --log-level error --backlog 8192 bench.watchers_doors:application"
GUNICORN = (
    "-m gunicorn --bind 127.0.0.1:{port} --worker-class gthread --threads 8 --worker-connections 8192 "
    "--keep-alive 10 --backlog 8192 --log-level error bench.watchers_celery:application"
)


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

    def __init__(self, load: Load, number: int, path: str) -> None:
        self.load = load
        self.number = number
        self.polls = "events" not in path
        where = path.format(number % JOBS)
        self.request = f"GET /{where} HTTP/1.1\r\nHost: x\r\n\r\n".encode()

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


async def clients(port: int, many: int, path: str) -> None:
    """All of them; what they saw goes to standard output as JSON."""
    loop, load = asyncio.get_running_loop(), Load()
    for first in range(0, many, 100):
        those = range(first, min(many, first + 100))
        await asyncio.gather(
            *(
                loop.create_connection(lambda n=n: Watcher(load, n, path), "127.0.0.1", port)  # type: ignore[misc]  # a default binds n
                for n in those
            )
        )
        deadline = time.monotonic() + PATIENCE
        while len(load.heard) < those.stop:
            assert time.monotonic() < deadline, f"only {len(load.heard)} of {many} clients were answered"
            await asyncio.sleep(0.02)
    await asyncio.sleep(WARM)
    print("ready", flush=True)
    load.measuring = True
    await asyncio.sleep(MEASURED)
    load.measuring = False
    oldest = (time.monotonic_ns() - min(load.heard.values())) / 1e9
    current = sum(time.monotonic_ns() - written < CURRENT * 1e9 for written in load.heard.values())
    late = sorted(load.late)
    assert late, "nothing was heard while it was measured"
    found = {"events": len(late), "current": current, "oldest": oldest}
    found |= {"p50": late[len(late) // 2], "p99": late[len(late) * 99 // 100]}
    print(json.dumps(found), flush=True)


def write(url: str, way: str) -> None:
    """Report each job twice a second, one after another, for ever."""
    names = [f"job{number}" for number in range(JOBS)]
    tells = [_teller(way, url, name) for name in names]
    print("ready", flush=True)
    began, sent = time.monotonic(), 0
    while True:
        tells[sent % JOBS](sent, str(time.monotonic_ns()))
        sent += 1
        time.sleep(max(0.0, began + sent * EVERY / JOBS - time.monotonic()))


def _teller(way: str, url: str, name: str) -> Callable[[int, str], object]:
    if way.startswith("celery"):
        from bench.watchers_celery import recorder

        return recorder(name)
    worker = Worker(open_store(url), name, total=10**6)
    worker.claim()
    return lambda count, text: worker.report(count=count, activity=text)


def measure(way: str, many: int) -> list[str]:
    """A row of the table."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        celery, port = way.startswith("celery"), free_port()
        url = f"sqlite:///{folder}/jobs.db"
        if celery:
            url = stack.enter_context(redis_server("valkey")).url.replace("valkey://", "redis://")
        own = {"HEADWAY_STORE": url, "DOOR": way.partition(",")[0]}
        server = _started(stack, (GUNICORN if celery else UVICORN).format(port=port).split(), own)
        writer = _started(stack, ["-m", "bench.watchers", "write", url, way], own)
        assert writer.stdout is not None
        writer.stdout.readline()
        _wait_for(port)
        process = psutil.Process(server.pid)
        process = process.children()[0] if celery else process
        empty = process.memory_info().rss
        load = _started(stack, ["-m", "bench.watchers", "clients", str(port), str(many), WAYS[way]], {})
        assert load.stdout is not None
        assert load.stdout.readline() == "ready\n", "the clients gave up: see above"
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
        "" if celery else f"{reads / MEASURED:,.0f}",
        f"{json_late[len(json_late) * 99 // 100] * 1e3:,.0f}" if json_late else "",
        "all" if found["current"] == many else f"{found['current']:,}",
        held(found["p99"], 0.5),
    ]


def _started(stack: ExitStack, words: list[str], own: dict[str, str]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, *words],
        env=os.environ | own,
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
    with urlopen(f"http://127.0.0.1:{port}/reads", timeout=PATIENCE) as answer:
        return int(answer.read())


def _json_late(port: int, seconds: float) -> list[float]:
    late, deadline = [], time.monotonic() + seconds
    while time.monotonic() < deadline:
        began = time.monotonic()
        with urlopen(f"http://127.0.0.1:{port}/jobs/job7", timeout=PATIENCE) as answer:
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
        "celery-progress, polled": (500,) if quick() else (500, 1_000),
    }
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    rows = [measure(way, many) for way, ns in sizes.items() for many in ns if many < files - 200]
    if any(many >= files - 200 for ns in sizes.values() for many in ns):
        print(f"Rows of more than {files - 200:,} clients are left out: raise the hard limit (ulimit -Hn).")
    title = f"{JOBS} jobs, told twice a second, {os.cpu_count()} cores for all processes"
    columns = ("clients", "events/s", "p50/p99, ms", "µs/event", "of a core", "KiB each")
    show(title, (*columns, "reads/s", "JSON p99, ms", "current", "p99 < 0.5 s"), rows)
    print("headway and sse-starlette: uvicorn, SQLite.  celery-progress: gunicorn, 8 threads, Valkey.")
    print("µs/event: CPU of the server for one event delivered.  JSON: a GET of a job meanwhile.")
    print(
        "reads/s: what the server asked its store.  current: clients with news younger than 2 s at the end.\n"
    )


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    if words[:1] == ["write"]:
        write(words[1], words[2])
    elif words[:1] == ["clients"]:
        asyncio.run(clients(int(words[1]), int(words[2]), words[3]))
    else:
        main()

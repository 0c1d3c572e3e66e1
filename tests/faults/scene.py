"""What tests of faults share: the stores, a worker that says how it fared, and how that is judged."""

import pytest
from tests.processes import eventually

from headway.core.errors import StoreUnavailable

STORES = ("sqlite", "redis", "postgres", "files")
SERVERS = ("redis", "postgres")
LEASE = 2.0
SOON = 3.0
"""Seconds within which a dead worker shows: a lease, and what a watcher needs to notice."""


def on(*engines):
    """Only on these stores."""
    return pytest.mark.parametrize("engine", engines, indirect=True)


def located(engine, port, space):
    """The URL of a test's own store on a server."""
    if engine == "redis":
        return f"valkey://127.0.0.1:{port}?prefix={space}"
    return f"postgresql://postgres@127.0.0.1:{port}/postgres?schema={space}"


WORKER = f"""
import logging
warned = []
class Handler(logging.Handler):
    def emit(self, record):
        if record.levelno >= logging.WARNING:
            warned.append(record.getMessage())
logging.getLogger("headway").addHandler(Handler())

def memory():
    import psutil
    return psutil.Process().memory_info().rss

def work(done):
    \"\"\"Count until that is done; how many steps that were, and how long the longest took.\"\"\"
    steps, longest = 0, 0.0
    with hw.job("Import", id="one", total=10**9, lease={LEASE}, meta={{"file": "a"}}) as job:
        job.message("begun")
        print("begun", flush=True)
        while not done():
            for _ in range(200):
                began = time.perf_counter()
                job.advance()
                longest = max(longest, time.perf_counter() - began)
                steps += 1
            time.sleep(0.001)
    return steps, longest

def until_told():
    said = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), said.set()), daemon=True).start()
    return said.is_set
"""

UNTIL_TOLD = (
    WORKER
    + """
hw.job("warm", id="warm").start().complete()
before = memory()
steps, longest = work(until_told())
print(steps, longest, len(warned), hw.dropped_writes, memory() - before, flush=True)
"""
)
"""A worker that counts until it is told to stop by a line, then says how it fared."""


class Fared:
    """How a worker got on: its steps, its longest one, warnings, dropped writes, memory grown."""

    def __init__(self, line):
        numbers = [float(word) for word in line.split()]
        self.steps, self.longest, self.warnings, self.dropped, self.grown = numbers

    def was_not_disturbed(self):
        """No step waited for the store (that is half a second), and nothing piled up."""
        assert self.steps > 1_000
        assert self.longest < 0.4
        assert self.grown < 16 * 2**20
        return True


def begun(worker):
    """The same, once it runs."""
    assert worker.stdout.readline() == "begun\n"
    return worker


def begin_one(begin, url):
    """A worker that runs until it is told to end."""
    return begun(begin(UNTIL_TOLD, url))


def told_to_end(worker, seconds=20):
    """How it fared."""
    out, errors = worker.communicate("\n", timeout=seconds)
    assert worker.returncode == 0, errors
    assert "Traceback" not in errors
    return Fared(out.splitlines()[-1])


def is_whole(snapshot):
    """Whether nothing of the worker's record is missing."""
    return (
        snapshot is not None
        and (snapshot.name, snapshot.total, snapshot.attempt) == ("Import", 10**9, 1)
        and snapshot.meta == {"file": "a"}
        and [one.text for one in snapshot.messages] == ["begun"]
    )


def comes_back(hw, id="one", seconds=10):
    """The record as it is when it is there again, with all its details."""
    return eventually(lambda: is_whole(found := read(hw, id)) and found, seconds)


def read(hw, id="one"):
    """The record with its details; None while the store cannot be read."""
    try:
        return hw.get(id, details=True)
    except StoreUnavailable:
        return None

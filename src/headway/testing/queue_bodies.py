"""What the tasks of `QueueContract` do; a queue's own test makes tasks of them, one of each name."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Literal

import headway
from headway.stores.contract import Store

SECRET = "the password is swordfish"  # noqa: S105 - what an exception says is not for every viewer
PACE = 0.02
LEASE = 4.0
"""Seconds for which a job of the contract is believed when silent; the tasks' options must say so."""


def succeed(rows: int) -> dict[str, int]:
    """Count rows, to the end."""
    for _ in headway.current().track(range(rows)):
        pass
    return {"rows": rows}


def fail() -> None:
    """Fail with words that are not for everybody."""
    raise ValueError(SECRET)


def flaky(path: str, failures: int) -> int:
    """Fail so many times, as a file remembers, then succeed."""
    called = note(path)
    if called <= failures:
        raise ConnectionError(SECRET)
    return called


def endless(path: str) -> None:
    """Go on until it is asked to stop; the file has a line for each call."""
    note(path)
    job = headway.current()
    while True:
        job.advance()
        time.sleep(PACE)


def slow(path: str, seconds: float) -> int:
    """Say nothing for so long; the file has a line for each call."""
    called = note(path)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(PACE)
    return called


def first_endless(path: str) -> int:
    """Go on for ever when it is called first; succeed when it is called again."""
    called = note(path)
    while called == 1:
        headway.current().advance()
        time.sleep(PACE)
    return called


def strange() -> Any:
    """Return what JSON cannot carry."""
    return {1, 2j}


def forking() -> int:
    """Fork a child that counts, too."""
    job = headway.current()
    job.total = 20
    child = os.fork()
    if child == 0:
        for _ in range(10):
            job.advance()
        time.sleep(1.5)  # long enough to be reported
        os._exit(0)
    for _ in range(10):
        job.advance()
    os.waitpid(child, 0)
    return 20


def note(path: str) -> int:
    """Write down that and by which process it was called; how often it was."""
    with Path(path).open("a") as file:
        file.write(f"{os.getpid()}\n")
    return len(Path(path).read_text().splitlines())


Fault = Literal["hangs", "raises", "babbles"]


class HostileStore(Store):
    """A store each verb of which hangs, raises what no store may raise, or answers what makes no sense."""

    def __init__(self, fault: Fault) -> None:
        self.url = f"hostile://{fault}"
        self.fault = fault

    def _called(self, *_: Any, **__: Any) -> Any:
        if self.fault == "hangs":
            time.sleep(600)
        if self.fault == "raises":
            raise ZeroDivisionError("a store that is broken")
        return "nonsense"

    open = write = end = request_cancel = read = find = forget = sweep = history = learn = _called

    def close(self) -> None:
        """Let go of nothing."""


def store_under_test() -> Any:
    """What a worker of the contract is to report to: as ``HEADWAY_STORE`` says, or one that is hostile."""
    url = os.environ["HEADWAY_STORE"]
    scheme, _, fault = url.partition("://")
    if scheme != "hostile":
        return url
    store: Any = HostileStore(fault)  # type: ignore[arg-type]
    return headway.Headway(store)

"""What tasks do besides reporting, the same in every queue."""

from __future__ import annotations

import time

MILLISECOND = 0.001


def compute() -> None:
    """Take a millisecond of the processor, however long others hold it."""
    until = time.thread_time() + MILLISECOND
    while time.thread_time() < until:
        pass

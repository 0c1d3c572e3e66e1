"""``python -m bench [NAME …] [--quick]``: measures what headway costs, side by side with its peers.

Each bench runs in an interpreter of its own, so that no thread of one disturbs another.  It is no test: what
does not hold is said, and the exit status is 0.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

BENCHES = {
    "step": "cost_of_a_step",
    "job": "cost_of_a_job",
    "publisher": "cpu_of_the_publisher",
    "bar": "cost_of_a_bar",
    "import": "import_time",
    "update": "cost_of_an_update",
    "stores": "cpu_of_a_store",
    "finding": "time_to_find_and_hear",
    "left": "eta",
    "watchers": "watchers",
    "queues": "queues",
}


def main() -> None:
    """Run the chosen ones, or all."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure what headway costs.")
    parser.add_argument("name", nargs="*", help=f"{', '.join(BENCHES)}; all by default")
    parser.add_argument("--quick", action="store_true", help="a rough answer in a fraction of the time")
    options = parser.parse_args()
    unknown = set(options.name) - set(BENCHES)
    if unknown:
        parser.error(f"there is no bench {', '.join(sorted(unknown))}; choose from {', '.join(BENCHES)}")
    for name in options.name or BENCHES:
        print(f"\n## {BENCHES[name].replace('_', ' ').capitalize()}\n", flush=True)
        quick = ["--quick"] if options.quick else []
        subprocess.run([sys.executable, "-m", f"bench.{BENCHES[name]}", *quick], check=False)


if __name__ == "__main__":
    main()

"""What is said where nobody has named a store, seen in a process of its own."""

import os
import subprocess
import sys


def warned_once(queue, program, folder, **environment):
    """Run a program that installs twice; whether that was said once, with the file that is used."""
    kept = {name: value for name, value in os.environ.items() if name != "HEADWAY_STORE"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=kept | {"XDG_STATE_HOME": str(folder)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if "no store is named" in line]
    return len(said) == 1 and f"tasks of {queue} are" in said[0] and f"{folder}/headway/jobs.db" in said[0]

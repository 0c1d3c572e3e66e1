"""What tests of programs share: scripts in processes of their own, and what a store says meanwhile."""

import os
import subprocess
import sys
import textwrap

from tests.emulator import headway as command
from tests.processes import eventually

import headway

PATIENCE = 60.0


def environment(store, **variables):
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("HEADWAY_", "TQDM_"))}
    return plain | {"HEADWAY_STORE": store, "PYTHONUNBUFFERED": "1"} | variables


def start(words, store, **options):
    """Start a command; its output is kept."""
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    variables = options.pop("variables", {})
    return subprocess.Popen(words, env=environment(store, **variables), **options)


def finish(process, seconds=PATIENCE):
    """(exit status, standard output, standard error) of a process that ends."""
    try:
        out, errors = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return process.returncode, out, errors


def run(words, store, **options):
    return finish(start(words, store, **options))


def script(folder, text, name="train.py"):
    """A file with a program in it."""
    path = folder / name
    path.write_text(textwrap.dedent(text))
    return path


def python(text, store, *arguments, **options):
    """Run a program text to its end, which must be a good one."""
    words = [sys.executable, "-c", textwrap.dedent(text), *map(str, arguments)]
    status, out, errors = run(words, store, **options)
    assert status == 0, errors.decode()
    return out.decode()


def headway_run(*words):
    return command("run", *words)


def jobs(store):
    """All jobs there, the oldest first."""
    return sorted(headway.connect(store).find(limit=200), key=lambda job: job.created_at)


def one_job(store):
    (job,) = jobs(store)
    return headway.connect(store).get(job.id, details=True)


def seen_live(store, condition, seconds=PATIENCE):
    """The first state of a job that meets a condition, as somebody else sees it."""
    return eventually(lambda: next((job for job in jobs(store) if condition(job)), None), seconds, 0.05)

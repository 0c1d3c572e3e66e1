"""What tests share: waiting with a deadline, programs in processes of their own, and forked children."""

import os
import pickle
import subprocess
import sys
import textwrap
import time
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"
NOBODY = 65_534
"""The number of a user who owns nothing."""

FORKED = "ignore:This process:DeprecationWarning"
"""Python 3.12 and newer warn of every fork of a process that has threads, as one with a publisher has."""

HEADER = """
import headway, os, signal, sys, threading, time
hw = headway.connect(sys.argv[1])
"""


def eventually(condition, seconds=10.0, every=0.01):
    """What the condition gives once it gives something."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s: {condition}"
        time.sleep(every)


def start(script, url, *arguments, **options):
    """A Python process that runs a script; ``hw`` there reports to the store of that URL."""
    return subprocess.Popen(
        [sys.executable, "-c", HEADER + textwrap.dedent(script), url, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONWARNINGS": f"default,{FORKED}"},
        **options,
    )


def run(script, url, *arguments, seconds=60, **options):
    """The same, to its end: (exit status, standard output, standard error)."""
    process = start(script, url, *arguments, **options)
    try:
        out, errors = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return process.returncode, out, errors


TELLS = """
with hw.job("Import", id=sys.argv[2], scope="all", total=10**9, lease=2) as job:
    told = None
    while True:
        job.advance()
        now = job._entry._told
        if now is not told:
            told = now
            print(told.count, flush=True)
        time.sleep(0.0005)
"""
"""For `start`: a worker that says what was acknowledged."""


def kill_at_random(workers, hw, chance):
    """Kill workers that run `TELLS`, by id; nothing that was acknowledged is missing.  When each died."""
    killed = {}
    for id, worker in workers.items():
        time.sleep(chance.random() * 0.4)
        worker.kill()
        killed[id] = time.monotonic()
    for id, worker in workers.items():
        out, _ = worker.communicate(timeout=10)
        acknowledged = max(map(int, out.split("\n")[:-1] or [0]))
        assert hw.get(id).count >= acknowledged
    return killed


def program(code, *arguments, **options):
    """Another Python process, which finds our sources."""
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, **options)


def in_a_child(call):
    """What a call returns, or the error that it raises, in a forked process."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            result = call()
        except Exception as error:  # noqa: BLE001 - the parent looks at it
            result = error
        os.write(writer, pickle.dumps(result))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        result = pickle.loads(pipe.read())  # noqa: S301 - our own child wrote it
    os.waitpid(child, 0)
    return result


def as_nobody(call):
    """The same for a user who owns nothing."""

    def unprivileged():
        if os.geteuid() == 0:
            os.setgroups([])
            os.setegid(NOBODY)
            os.seteuid(NOBODY)
        return call()

    return in_a_child(unprivileged)

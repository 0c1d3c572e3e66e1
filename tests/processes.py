"""What tests of the worker share: waiting with a deadline, and scripts in processes of their own."""

import os
import subprocess
import sys
import textwrap
import time

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

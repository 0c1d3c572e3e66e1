"""A Python program as a job, from within: its bars, what it raised, and how it is asked to stop.

Its end is told by whoever started it, who alone sees the exit status; only an exception that nobody caught
is told from here, because only here it is known.
"""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import sys
import time
from contextlib import suppress
from typing import Any

from headway import client, threads
from headway.mirrored import mirror
from headway.worker.current import enter
from headway.worker.mirror import MirrorJob

PATIENCE = 2.0
"""Seconds for which the last state is waited for when the program exits."""


def begin(run: dict[str, Any]) -> None:
    """From now on this process is the job."""
    publisher = client.default._publisher  # HEADWAY_STORE names the store of whoever started us
    job = ProgramJob(publisher, run.get("name"), id=run["id"], scope=run.get("scope"))
    job.grace = run.get("grace", 10.0)
    job._start()
    enter(job)
    mirror().program = job
    atexit.register(_at_exit, job, os.getpid())  # after the publisher's, so that it comes first


def _ask_to_stop(name: str) -> None:
    """Send ourselves a signal; on Windows any of them would end us at once, so Ctrl-C is imitated."""
    if sys.platform == "win32" and name == "SIGINT":
        _thread.interrupt_main()
    else:
        os.kill(os.getpid(), getattr(signal, name, signal.SIGTERM))


class ProgramJob(MirrorJob):
    """The job of this process.

    Attributes:
        grace: Seconds from asking it to stop, as Ctrl-C does, to the next, stronger word.
    """

    __slots__ = ("_stopping", "grace")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.grace = 10.0
        self._stopping = False
        super().__init__(*arguments, **options)

    def _look_up(self) -> None:
        """No bar is stopped, but the program."""
        if self._asked and not self._stopping:
            self._stopping = True
            threads.start(self._stop_program)

    def _stop_program(self) -> None:
        for name in ("SIGINT", "SIGTERM", "SIGKILL"):
            _ask_to_stop(name)
            time.sleep(self.grace)


def _at_exit(job: ProgramJob, pid: int) -> None:
    if pid != os.getpid() or job.ended:
        return
    error = getattr(sys, "last_value", None)  # what nobody caught, as the interpreter has just printed it
    if job._asked:
        job._finish("cancelled")
    elif isinstance(error, BaseException):
        job._finish_with(error)
    else:
        _leave_the_end(job)


def _leave_the_end(job: ProgramJob) -> None:
    """Say where it stands for the last time, and leave the end to whoever sees the exit status."""
    entry = job._entry
    if entry is None:
        return
    told, deadline = entry._told, time.monotonic() + PATIENCE
    entry.change()
    while entry._told is told and not entry.over and time.monotonic() < deadline:
        if job._publisher is None or not job._publisher.available:
            break
        time.sleep(0.002)
    with suppress(AttributeError):
        entry.owned = False

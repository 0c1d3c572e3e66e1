"""What flows through a pipe, counted: bytes, or lines."""

from __future__ import annotations

import os
import select
import stat
import sys
from typing import TYPE_CHECKING

from headway.programs.channel import CHUNK, write_all

if TYPE_CHECKING:
    from headway.worker.job import Job

LOOK = 0.2
"""Seconds between two looks whether it is to stop, while nothing comes."""


def left_in(source: int) -> int | None:
    """How many bytes are still to be read; None where that is not a file."""
    facts = os.fstat(source)
    if not stat.S_ISREG(facts.st_mode):
        return None
    return max(0, facts.st_size - os.lseek(source, 0, os.SEEK_CUR))


def copy(source: int, target: int, job: Job, *, lines: bool) -> None:
    """Copy all of it, and count.

    Raises:
        Cancelled: The job was asked to stop.
        OSError: It cannot be read, or nobody reads on.
    """
    while chunk := _read(source, job):
        write_all(target, chunk)
        job.advance(chunk.count(b"\n") if lines else len(chunk))


def _read(source: int, job: Job) -> bytes:
    if sys.platform != "win32":  # there only sockets can be waited for
        while not select.select([source], [], [], LOOK)[0]:
            job.checkpoint()
    return os.read(source, CHUNK)

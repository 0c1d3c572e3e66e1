"""What flows through a pipe, counted: bytes, or lines."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from headway.programs.channel import CHUNK, write_all

if TYPE_CHECKING:
    from headway.worker.job import Job


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
    while chunk := os.read(source, CHUNK):
        write_all(target, chunk)
        job.advance(chunk.count(b"\n") if lines else len(chunk))

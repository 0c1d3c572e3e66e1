"""A real job to look at: how small is every file below a folder under xz?

``headway demo`` starts it as a process of its own, and watches it through the store like anybody else.
"""

from __future__ import annotations

import argparse
import os
import signal
import stat
import subprocess
import sys
import sysconfig
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Self

import headway
from headway.core import words
from headway.core.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from lzma import LZMACompressor

    from headway.worker.job import Job
    from headway.worker.stage import Stage

SECONDS = 25.0
"""How long the demo aims to take."""
LEASE = 15.0
"""Seconds for which its worker is believed when silent; shorter than usual, so that one sees it stall."""
LEVELS = (6, 3, 1)
"""The levels of xz to choose from, the best first."""
CHUNK = 256 * 1024
SAMPLE = 40
"""Files whose beginnings are measured beforehand, and how many bytes of each."""
SAMPLED = 16 * 1024


def standard_library() -> Path:
    """Python's own library: there is one wherever this runs."""
    return Path(sysconfig.get_path("stdlib"))


def possible() -> bool:
    """Whether this Python knows xz: some are built without."""
    return find_spec("_lzma") is not None


def options(folder: Path) -> dict[str, Any]:
    """What the job is told beforehand."""
    stages = {"Find files": 1, "Compress": 24}
    name = f"{folder.name or folder} under xz"
    return {"name": name, "kind": "headway demo", "stages": stages, "lease": LEASE}


# The worker


class File(NamedTuple):
    """A file to be measured."""

    path: str
    size: int


class Plan(NamedTuple):
    """What is measured, and how: the level of xz, and of all files found each so-manieth."""

    level: int
    files: Sequence[File]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure a folder, as a job in the default store."""
    parser = argparse.ArgumentParser(prog="python -m headway.demo", description=__doc__)
    parser.add_argument("path", type=Path, help="the folder to measure")
    parser.add_argument("--id", help="the id of the job")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long it should take")
    given = parser.parse_args(arguments)
    job = headway.job(id=given.id, **options(given.path))
    try:
        with job:
            job.complete(measure(job, given.path, given.seconds))
    except Cancelled:
        sys.exit(2)


def measure(job: Job, folder: Path, seconds: float = SECONDS) -> dict[str, Any]:
    """Find the files, compress them, and say how large they were before and after."""
    began = time.monotonic()
    with job.stage("Find files", unit="files") as stage:
        found = list(find(job, stage, folder))
        job.activity = "measuring how fast xz is here"
        plan = planned(found, seconds - (time.monotonic() - began))
    total = sum(file.size for file in plan.files)
    with job.stage("Compress", total=total, unit="B") as stage:
        after = sum(compressed(job, stage, file, folder, plan.level) for file in plan.files)
    job.activity = None
    return {
        "files": len(plan.files),
        "bytes_before": total,
        "bytes_after": after,
        "files_found": len(found),
        "bytes_found": sum(file.size for file in found),
        "level": plan.level,
    }


def find(job: Job, stage: Stage, folder: Path) -> Iterator[File]:
    """All regular files below a folder, on its file system.

    Links are not followed; what cannot be looked at is a failed item.
    """
    others = {"site-packages", "dist-packages"} if folder == standard_library() else set()
    device = folder.stat().st_dev
    waiting = [str(folder)]
    while waiting:
        here = waiting.pop()
        job.activity = os.path.relpath(here, folder)
        stage.checkpoint()
        for entry, facts in _listed(job, here, folder):
            if stat.S_ISDIR(facts.st_mode) and facts.st_dev == device and entry.name not in others:
                waiting.append(entry.path)
            elif stat.S_ISREG(facts.st_mode):
                stage.advance()
                yield File(entry.path, facts.st_size)


def _listed(job: Job, here: str, folder: Path) -> Iterator[tuple[os.DirEntry[str], os.stat_result]]:
    entries: list[os.DirEntry[str]] = []
    try:
        with os.scandir(here) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        _skip(job, here, folder, error)
    for entry in entries:
        try:
            facts = os.lstat(entry.path)  # on Windows an entry's own facts lack the device
        except OSError as error:
            _skip(job, entry.path, folder, error)
        else:
            yield entry, facts


def _skip(job: Job, path: str, folder: Path, error: OSError) -> None:
    job.message(f"cannot read {os.path.relpath(path, folder)}: {error.strerror}", level="warning")
    job.advance(0, failed=1)


def planned(found: Sequence[File], seconds: float) -> Plan:
    """The best level of xz that is quick enough here for all files, else the quickest for a share."""
    total = sum(file.size for file in found)
    sample = _sample(found)
    needed = 0.0
    for level in LEVELS:
        needed = _pace(sample, level) * total
        if needed <= seconds:
            return Plan(level, found)
    every = -int(-needed // max(seconds, 1.0))
    largest_first = sorted(found, key=lambda file: (-file.size, file.path))
    share = {file.path for file in largest_first[every // 2 :: every]}
    return Plan(LEVELS[-1], [file for file in found if file.path in share])


def _sample(found: Sequence[File]) -> list[bytes]:
    """The middle pieces of some files, large ones more likely, as they weigh more."""
    ordered = sorted(found, key=lambda file: file.size)
    picked = ordered[len(ordered) // 2 :: max(1, len(ordered) // (2 * SAMPLE))]
    return [piece for piece in map(_piece, picked) if piece]


def _piece(file: File) -> bytes:
    try:
        with opened(file) as stream:
            stream.seek(max(0, file.size - SAMPLED) // 2)
            return stream.read(SAMPLED)
    except OSError:
        return b""


def _pace(sample: Sequence[bytes], level: int) -> float:
    """Seconds a byte."""
    began = time.perf_counter()
    for piece in sample:
        compressor = _compressor(level, len(piece))
        compressor.compress(piece)
        compressor.flush()
    return (time.perf_counter() - began) / max(1, sum(map(len, sample)))


def compressed(job: Job, stage: Stage, file: File, folder: Path, level: int) -> int:
    """How many bytes a file has under xz; progress moves within it."""
    job.activity = os.path.relpath(file.path, folder)
    compressor = _compressor(level, file.size)
    left, after = file.size, 0
    try:
        with opened(file) as stream:
            while left > 0 and (data := stream.read(min(CHUNK, left))):
                after += len(compressor.compress(data))
                left -= len(data)
                stage.advance(len(data))
        after += len(compressor.flush())
    except OSError as error:
        _skip(job, file.path, folder, error)
        after = 0
    stage.advance(left)
    return after


def opened(file: File) -> IO[bytes]:
    """The file, if it still is a regular one.

    Raises:
        OSError: It is not, or it cannot be read.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    stream = open(file.path, "rb", opener=lambda path, given: os.open(path, given | flags))  # noqa: SIM115
    if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        return stream
    stream.close()
    raise OSError(0, "it is not a regular file any longer")


def _compressor(level: int, size: int) -> LZMACompressor:
    """As `xz -LEVEL`, with no more memory prepared than the file has use for."""
    import lzma

    dictionary = max(4096, min(size, 8 * 1024 * 1024 if level >= 6 else 1024 * 1024))
    options = {"id": lzma.FILTER_LZMA2, "preset": level, "dict_size": dictionary}
    return lzma.LZMACompressor(filters=[options])


# The process, and what is said at its end


@dataclass
class Worker:
    """The process that measures; leaving its block does not end it.

    Attributes:
        id: The id of its job.
        complaint: The last line on its standard error, as of the last `listen`.
    """

    id: str
    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    complaint: str = ""

    @property
    def exited(self) -> str | None:
        """How the process ended; None while it runs."""
        status = self.process.poll()
        if status is None:
            return None
        return f"was killed by {_signal_name(-status)}" if status < 0 else f"exited with {status}"

    def listen(self) -> None:
        """Read what it complained of."""
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        self.complaint = words.harmless(lines[-1]) if lines else ""

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no longer."""
        self.errors.close()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def start(folder: Path, id: str, seconds: float, store: str) -> Worker:
    """Start the worker, out of reach of this terminal's Ctrl-C."""
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the worker
    command = [sys.executable, "-m", "headway.demo", str(folder), "--id", id]
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    process = subprocess.Popen(  # noqa: S603 - our own module
        [*command, "--seconds", str(seconds)],
        env={**os.environ, "HEADWAY_STORE": store},  # a URL may hold a password: not for `ps`
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        **apart,
    )
    return Worker(id, process, errors)


def summary(result: dict[str, Any], failed: int = 0) -> list[str]:
    """What came out, in a line or two."""
    before, after = result["bytes_before"], result["bytes_after"]
    said = [f"{_files(result['files'])}, {words.size(before)}, {words.size(after)} under xz"]
    if before:
        said[0] += f" -{result['level']} ({after / before:.0%})"
    if result["files"] < result["files_found"]:
        found = f"{result['files_found']:,} files, {words.size(result['bytes_found'])}"
        said.append(f"Measured was an even share of {found}; --seconds gives it more time.")
    if failed:
        said.append(f"{failed:,} {'item' if failed == 1 else 'items'} could not be read.")
    return said


def _files(count: int) -> str:
    return f"{count:,} file" if count == 1 else f"{count:,} files"


def next_lines(commands: Iterable[str]) -> list[str]:
    """What to type next."""
    return ["Type next:", *(f"  {command}" for command in commands)]


if __name__ == "__main__":
    main()

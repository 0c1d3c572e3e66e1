"""Any command as a job: started, listened to, stopped when asked, and ended as its exit status says."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from headway import threads
from headway.core.errors import AlreadyRunning, HeadwayError, StoreUnavailable
from headway.core.snapshot import Error
from headway.programs import inside
from headway.programs.channel import Channel, channels
from headway.worker.job import new_id
from headway.worker.publisher import log

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from headway.client import Headway
    from headway.worker.job import Job

LOOK = 0.1
"""Seconds between two looks at what a command says, and whether it is to stop."""
NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""As shells have it."""
PASSED_ON = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT", "SIGINT")
FROM_TERMINAL = ("SIGINT", "SIGQUIT")
"""What a terminal sends to all that run in its foreground, the command included."""
LEFT = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
"""Signals by which somebody stops a command; any other is a failure of its own."""
STOPPED_BY_CTRL_C = 0xC000013A
"""The exit status by which Windows says so."""


class CannotStart(HeadwayError):
    """A command cannot be started.

    Attributes:
        status: 127 where there is none of that name, 126 where it cannot be executed.
    """

    def __init__(self, word: str, error: OSError) -> None:
        missing = isinstance(error, FileNotFoundError)
        self.status = NOT_FOUND if missing else NOT_EXECUTABLE
        why = "there is no such command" if missing else f"it cannot be executed ({error.strerror})"
        super().__init__(f"{word}: {why}")


def run_command(
    headway: Headway, words: Sequence[str], *, name: str, id: str | None, scope: str | None, grace: float
) -> int:
    """Run a command as a job, its output passed through; its status as `subprocess` has it.

    Raises:
        AlreadyRunning: A live job holds the id.
        CannotStart: There is no such command, or it cannot be executed; the job has failed.
    """
    job = headway.job(name, id=id or new_id(), scope=scope, exclusive=True).start()
    run = {"url": headway.store.url, "id": job.id, "attempt": job.attempt or 1, "owner": None}
    streams, out, errors = channels()
    try:
        child = _started(words, inside.environment(run, headway.store.url), stdout=out, stderr=errors)
    except CannotStart as error:
        job.fail(str(error))
        raise
    for stream in streams:
        stream.start()
    stopping = Stopping(child, grace)
    status = _attended(child, streams, job, stopping)
    end, why = fate(status, asked=stopping.begun)
    if end == "failed":
        job.fail(why)
    else:
        job._finish(end)
    return status


def run_program(
    headway: Headway, words: Sequence[str], *, name: str, id: str | None, scope: str | None, grace: float
) -> int:
    """Run a Python program as a job that it reports itself; its status as `subprocess` has it.

    Raises:
        AlreadyRunning: A live job holds the id.
        CannotStart: There is no interpreter.
    """
    id = id or new_id()
    attempt = _reserved(headway, id, name, scope)
    run = {"url": headway.store.url, "id": id, "attempt": attempt, "owner": os.getpid()}
    run |= {"name": name, "scope": scope, "grace": grace}
    words, launched = _without_launcher(words)
    child = _started(words, inside.environment(run, headway.store.url) | launched)
    status = _attended(child, [])
    _told(headway, id, attempt, status)
    return status


def _without_launcher(words: Sequence[str]) -> tuple[Sequence[str], dict[str, str]]:
    """On Windows an environment's python.exe only starts the real one, whose parent we must be."""
    base = getattr(sys, "_base_executable", sys.executable)
    if sys.platform != "win32" or words[0] != sys.executable or base == sys.executable:
        return words, {}
    return [base, *words[1:]], {"__PYVENV_LAUNCHER__": sys.executable}


def _reserved(headway: Headway, id: str, name: str, scope: str | None) -> int:
    """The attempt that is to come; the first where the store is away, which must not keep a program."""
    try:
        snapshot = headway.reserve(name, id=id, scope=scope)
        held = headway.get(id) if snapshot is None else None
    except StoreUnavailable as error:
        log().warning("progress cannot be stored for now; the program runs all the same: %s", error)
        return 1
    if held is not None:
        raise AlreadyRunning(held)
    return 1 if snapshot is None else snapshot.attempt


def _told(headway: Headway, id: str, attempt: int, status: int) -> None:
    """Tell how a program ended, unless it has said so itself."""
    try:
        job = headway.get(id)
        if job is None or job.ended:
            return
        asked = job.cancel == "seen" or (job.cancel is not None and status != 0)
        end, why = fate(status, asked=asked)
        headway.store.end(id, max(attempt, job.attempt), end, Error(text=why) if end == "failed" else None)
    except StoreUnavailable as error:
        log().warning("the end of job %s cannot be stored: %s", id, error)


def _started(
    words: Sequence[str], variables: dict[str, str], stdout: int | None = None, stderr: int | None = None
) -> subprocess.Popen[bytes]:
    def start(words: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(words, env=os.environ | variables, stdout=stdout, stderr=stderr)  # noqa: S603 - the user's own

    if sys.platform == "win32":  # which finds programs that are no .exe only if it is told what they are
        words = [shutil.which(words[0]) or words[0], *words[1:]]

    try:
        try:
            return start(list(words))
        except OSError as error:
            if error.errno != errno.ENOEXEC or sys.platform == "win32":
                raise
            return start(["/bin/sh", *words])  # a script that does not say whose: as shells do
    except OSError as error:
        raise CannotStart(words[0], error) from error


def fate(status: int, *, asked: bool) -> tuple[str, str]:
    """How a job ended whose process ended so, having been asked to stop or not, and why in words."""
    if asked:
        return "cancelled", ""
    if status == 0:
        return "completed", ""
    if status == STOPPED_BY_CTRL_C:
        return "stopped", ""
    if status > 0:
        return "failed", f"exit status {status}"
    name = signal_name(-status)
    return ("stopped" if name in LEFT else "failed"), f"killed by {name}"


def signal_name(number: int) -> str:
    """What a signal is called."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _attended(
    child: subprocess.Popen[bytes],
    streams: Sequence[Channel],
    job: Job | None = None,
    stopping: Stopping | None = None,
) -> int:
    """Wait for the process; meanwhile pass on signals, listen, and stop it when asked."""
    ended = threads.Bell()

    def wait() -> None:
        child.wait()
        ended.ring()

    with _passing_on_signals(child, streams):
        threads.start(wait)
        while not ended.wait_in_callers_thread(LOOK):
            if job is not None:
                _listen(streams, job)
                if stopping is not None and job.cancel_requested:
                    stopping.go_on(time.monotonic())
        for stream in streams:
            stream.finish()
    if job is not None:
        _listen(streams, job)
    return child.returncode


class Stopping:
    """A process that is to be stopped: SIGTERM first, SIGKILL after the grace time."""

    def __init__(self, child: subprocess.Popen[bytes], grace: float) -> None:
        self._child = child
        self._grace = grace
        self._since: float | None = None
        self._killed = False

    @property
    def begun(self) -> bool:
        """Whether it has been asked to stop."""
        return self._since is not None

    def go_on(self, now: float) -> None:
        """Do what is due."""
        if self._since is None:
            self._since = now
            self._child.send_signal(signal.SIGTERM)
        elif not self._killed and now - self._since >= self._grace:
            self._killed = True
            self._child.kill()


def _listen(streams: Sequence[Channel], job: Job) -> None:
    for stream in streams:
        if stream.output.changes:
            stream.output.changes = 0
            line, percent = stream.output.heard()
            job.activity = line or job.activity
            if percent is not None:
                job.total = 100
                job.count = percent


@contextmanager
def _passing_on_signals(child: subprocess.Popen[bytes], streams: Sequence[Channel]) -> Iterator[None]:
    """Signals are the command's, and the terminal's size is."""

    def pass_on(number: int, _: Any) -> None:
        if signal.Signals(number).name in FROM_TERMINAL and _in_foreground():
            return  # the command has it already
        child.send_signal(number)

    def resize(*_: Any) -> None:
        for stream in streams:
            stream.resize()

    handlers: dict[Any, Any] = {getattr(signal, name, None): pass_on for name in PASSED_ON}
    if streams:
        handlers[getattr(signal, "SIGWINCH", None)] = resize
    handlers.pop(None, None)  # Windows has few of them
    before = {}
    for number, handler in handlers.items():
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, handler_before in before.items():
            signal.signal(number, handler_before)


def _in_foreground() -> bool:
    """Whether a terminal sends what is typed there to us and the command alike; on Windows it always does."""
    if sys.platform == "win32":
        return True
    try:
        with Path("/dev/tty").open("rb", buffering=0) as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


def leave_as(status: int) -> NoReturn:
    """Exit as the command did, by the same signal where it was one."""
    if status < 0 and sys.platform != "win32":
        import resource

        sys.stdout.flush()
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # one core is enough
            if -status not in {signal.SIGKILL, signal.SIGSTOP}:
                signal.signal(-status, signal.SIG_DFL)
            os.kill(os.getpid(), -status)
        status = 128 - status
    sys.exit(status if status < 2**31 else status - 2**32)  # of the two ways to read 32 bits, the one for C

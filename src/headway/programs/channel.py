"""A command's output on its way through us: byte for byte, by a terminal of its own where ours is one.

Windows has no terminals that a program could make, so there a command always writes into a pipe.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress

from headway import threads
from headway.programs.output import Output

if sys.platform != "win32":
    import fcntl
    import pty
    import termios

CHUNK = 65_536
IDLE = 0.5
"""Seconds without output after which what a command left running is not waited for."""


class Channel:
    """From a command's end to one of our own streams.

    Attributes:
        theirs: The descriptor that the command writes to.
        output: What it has said.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self.output = Output()
        self.is_terminal = sys.platform != "win32" and os.isatty(target)
        self._ours, self.theirs = self._opened()
        self._done = threads.Bell()
        self._moved_at = time.monotonic()

    def _opened(self) -> tuple[int, int]:
        """A pipe, or a terminal like our own, except that ours alone turns line feeds into new lines."""
        if sys.platform == "win32" or not self.is_terminal:
            return os.pipe()
        ours, theirs = pty.openpty()
        attributes = termios.tcgetattr(self._target)
        attributes[1] &= ~termios.OPOST
        termios.tcsetattr(theirs, termios.TCSANOW, attributes)
        self._resize(theirs)
        return ours, theirs

    def resize(self) -> None:
        """As large as our own terminal."""
        if self.is_terminal:
            self._resize(self.theirs if self.theirs >= 0 else self._ours)

    def _resize(self, terminal: int) -> None:
        if sys.platform != "win32":
            with suppress(OSError):
                size = fcntl.ioctl(self._target, termios.TIOCGWINSZ, bytes(8))
                fcntl.ioctl(terminal, termios.TIOCSWINSZ, size)

    def start(self) -> None:
        """The command has its end by now: begin to pass on."""
        os.close(self.theirs)
        self.theirs = -1
        threads.start(self._pass_on)

    def finish(self) -> None:
        """Pass on what is still to come of a command that has ended."""
        while not self._done.wait_in_callers_thread(0.05):
            if time.monotonic() - self._moved_at > IDLE:
                return

    def _pass_on(self) -> None:
        try:
            while chunk := self._read():
                self._moved_at = float("inf")  # whoever reads us may take any time
                write_all(self._target, chunk)
                self.output.feed(chunk)
                self._moved_at = time.monotonic()
        except OSError:  # nobody reads us any longer: the command will notice, as it would without us
            pass
        finally:
            os.close(self._ours)
            self._done.ring()

    def _read(self) -> bytes:
        try:
            return os.read(self._ours, CHUNK)
        except OSError:  # how Linux says that nobody has the terminal open any longer
            return b""


def write_all(target: int, chunk: bytes) -> None:
    """Write all of it."""
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(target, rest) :]


def channels() -> tuple[list[Channel], int, int]:
    """The channels of standard output and error, one where both are the same, and the command's ends."""
    out = Channel(1)
    if _same(1, 2):
        return [out], out.theirs, out.theirs
    errors = Channel(2)
    return [out, errors], out.theirs, errors.theirs


def _same(one: int, other: int) -> bool:
    """Whether both lead to one place; on Windows only files have a number by which that is known."""
    return os.path.sameopenfile(one, other) and os.fstat(one).st_ino != 0

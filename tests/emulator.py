"""A program in a real pseudo-terminal, and what is on its screen."""

import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time

import pyte

PATIENCE = 60.0


class Terminal:
    def __init__(self, *command, width=80, height=24, **variables):
        self.screen = pyte.HistoryScreen(width, height)
        self.written = b""
        self._stream = pyte.ByteStream(self.screen)
        self._status = None
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            size = struct.pack("HHHH", height, width, 0, 0)
            fcntl.ioctl(0, termios.TIOCSWINSZ, size)
            plain = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "COLUMNS", "LINES"}}
            variables = {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **variables}
            os.execvpe(command[0], command, plain | variables)  # noqa: S606 - a program of our own

    @property
    def pid(self):
        return self._pid

    @property
    def lines(self):
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self):
        return "\n".join(self.lines).rstrip()

    def type(self, keys):
        os.write(self._fd, keys)

    def until(self, condition, patience=PATIENCE):
        """Read on until the screen's text meets a condition, or holds a text."""
        wanted = condition if callable(condition) else (lambda text: condition in text)
        deadline = time.monotonic() + patience
        while not wanted(self.text):
            assert time.monotonic() < deadline, f"not on the screen: {condition}\n{self.text}"
            if not self._read(0.05):
                assert wanted(self.text), f"ended without {condition}\n{self.text}"
        return self.text

    def ended(self, patience=PATIENCE):
        """Read to the end; gives the exit status."""
        deadline = time.monotonic() + patience
        while self._read(0.05):
            assert time.monotonic() < deadline, f"does not end\n{self.text}"
        _, status = os.waitpid(self._pid, 0)
        self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def close(self):
        if self._status is None:
            os.kill(self._pid, 9)
            self.ended()
        os.close(self._fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _read(self, timeout):
        ready, _, _ = select.select([self._fd], [], [], timeout)
        if not ready:
            return True
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # Linux says so when nobody has it open any longer
            data = b""
        self.written += data
        self._stream.feed(data)
        return bool(data)


def headway(*arguments):
    """The command, in this environment."""
    return (sys.executable, "-m", "headway", *map(str, arguments))

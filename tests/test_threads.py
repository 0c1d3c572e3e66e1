"""What threads and forks must not trip over."""

import os
import signal
import threading
from contextlib import suppress

from tests.processes import eventually

from headway.threads import cached_property


def test_a_value_is_worked_out_once_for_each_object():
    calls = []

    class Sum:
        @cached_property
        def value(self):
            """What it comes to."""
            calls.append(self)
            return len(calls)

    first, second = Sum(), Sum()
    assert (first.value, second.value, first.value, second.value) == (1, 2, 1, 2)
    assert calls == [first, second]


def test_a_child_that_is_forked_while_a_value_is_worked_out_does_not_wait_for_it_for_ever():
    begun, over = threading.Event(), threading.Event()

    class Slow:
        @cached_property
        def value(self):
            begun.set()
            return over.wait(10)

    thread = threading.Thread(target=lambda: Slow().value)
    thread.start()
    assert begun.wait(10)
    child = os.fork()
    if child == 0:
        over.set()
        os._exit(7 if Slow().value else 1)
    try:
        ended = eventually(lambda: (done := os.waitpid(child, os.WNOHANG))[0] and done, 5)
    finally:
        over.set()
        thread.join(10)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(ended[1]) == 7

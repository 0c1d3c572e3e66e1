"""What all tests have in common."""

import os
import signal
from contextlib import suppress

with suppress(ImportError):  # a queue's own environment has none
    from hypothesis import settings

    if "CI" not in os.environ:  # there hypothesis has a profile of its own
        settings.register_profile("headway", deadline=None, print_blob=True)
        settings.load_profile("headway")

if hasattr(signal, "SIGHUP"):  # what runs in the background ignores them, and so do those that it starts
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)

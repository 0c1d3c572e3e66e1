"""What all tests have in common."""

import os
import signal
from contextlib import suppress

import pytest

import headway

with suppress(ImportError):  # a queue's own environment has none
    from hypothesis import settings

    if "CI" not in os.environ:  # there hypothesis has a profile of its own
        settings.register_profile("headway", deadline=None, print_blob=True)
        settings.load_profile("headway")


def pytest_runtest_setup():
    """Signals as they are in a program of its own, which those that a test starts inherit.

    What runs in the background ignores some, and a server that ran in this process may leave its handlers.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def url(tmp_path):
    """The URL of a store of its own."""
    return f"sqlite:///{tmp_path / 'jobs.db'}"


@pytest.fixture
def store(url):
    """The same, as programs are told it."""
    return url


@pytest.fixture
def hw(url):
    """All verbs over that store."""
    made = headway.connect(url)
    yield made
    made.close()

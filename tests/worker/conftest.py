import sys

import pytest

from headway.client import Headway
from headway.stores import open_store
from headway.testing import FaultyStore


@pytest.fixture
def faulty():
    """A store in memory that fails on command."""
    return FaultyStore(open_store("memory://"))


@pytest.fixture
def shaky(faulty):
    """All verbs over that store."""
    made = Headway(faulty)
    yield made
    faulty.failing = faulty.hanging = False
    faulty.delay = 0
    made.close()


@pytest.fixture
def hasty():
    """Threads take turns every 10 µs."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)

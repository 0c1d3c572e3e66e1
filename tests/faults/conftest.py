"""Stores that processes share, and the servers and networks behind them, which fail on command.

A test that takes ``address`` runs on every such store; one that takes ``server`` or ``network`` on those that
have one.  Fewer are named by ``@on("redis")``.  Servers are shared: each test has a prefix or schema there.

Each test is named after its fault.  What a fault means for one store alone is tested beside that store, in
``tests/stores``; what it means for a worker on any store in ``tests/worker``: F2 and F3 (exits, errors), F13
(forks), and of F24 files that are locked, deleted, damaged, read-only or on a full disk.
"""

import secrets
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from functools import partial

import pytest
from tests.faults.scene import SERVERS, STORES, begin_one, located
from tests.processes import eventually, start
from tests.servers.postgres import postgres
from tests.servers.redis import redis_server

import headway
from headway.core.errors import HeadwayError
from headway.stores.files import url_of
from headway.testing import FaultProxy

collect_ignore_glob = ["test_*.py"] if sys.platform == "win32" else []  # signals are sent as on POSIX


def pytest_generate_tests(metafunc):
    """Every store there is, unless the test names some."""
    named = [mark for mark in metafunc.definition.iter_markers("parametrize") if "engine" in mark.args[0]]
    if "engine" in metafunc.fixturenames and not named:
        needs_server = {"server", "network"} & set(metafunc.fixturenames)
        metafunc.parametrize("engine", SERVERS if needs_server else STORES, indirect=True)


@pytest.fixture
def engine(request):
    """Which store it is."""
    return request.param


@pytest.fixture(scope="session")
def servers():
    """One of each kind, started when it is first asked for."""
    with ExitStack() as stack:
        known = {}

        def server(engine):
            if engine not in known:
                start_one = {"redis": redis_server, "postgres": postgres}[engine]
                known[engine] = stack.enter_context(start_one())
            return known[engine]

        yield server


@pytest.fixture
def server(engine, servers):
    """The store's server, which a test may pause or kill; afterwards it runs."""
    server = servers(engine)
    yield server
    if server.process.poll() is not None:
        server.start()
    with suppress(Exception):
        server.resume()


@pytest.fixture
def network(server):
    """The network before the server."""
    with FaultProxy("127.0.0.1", server.port) as network:
        yield network


@pytest.fixture
def space():
    """The name of what belongs to this test on a shared server."""
    return f"test_{secrets.token_hex(4)}"


@pytest.fixture
def address(engine, request, tmp_path, space):
    """A store of its own, without anything between."""
    if engine == "sqlite":
        yield f"sqlite:///{tmp_path / 'jobs.db'}"
    elif engine == "files":
        yield url_of(tmp_path / "jobs")
    else:
        server = request.getfixturevalue("server")
        yield located(engine, server.port, space)
        if engine == "postgres":
            with suppress(Exception):
                server.execute(f"DROP SCHEMA IF EXISTS {space} CASCADE")


@pytest.fixture
def far(engine, network, space):
    """The same store, through the network."""
    return located(engine, network.port, space)


@pytest.fixture
def hw(address):
    """All verbs over the store."""
    made = headway.connect(address)
    yield made
    made.close()


@pytest.fixture
def begin():
    """Start worker processes, which do not outlive the test."""
    started = []

    def begin(script, url, *arguments, stdin=subprocess.PIPE, **options):
        started.append(start(script, url, *arguments, stdin=stdin, **options))
        return started[-1]

    yield begin
    for process in started:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()


@pytest.fixture
def worker(begin, address):
    """One that runs, until it is told to end."""
    return begin_one(begin, address)


@pytest.fixture
def viewed_by():
    """Watch a job in a thread: all that it shows, in order."""
    views = []

    def view(hw, id="one"):
        views.append(View(hw.watch(id)))
        return views[-1]

    yield view
    for view in views:
        view.close()


@pytest.fixture
def viewed(hw, viewed_by):
    """The same, in the test's own store."""
    return partial(viewed_by, hw)


class View:
    """What somebody sees who watches a job.

    Attributes:
        seen: The snapshots, in order.
    """

    def __init__(self, watch):
        self.seen = []
        self.failed = None
        self._watch = watch
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self):
        try:
            self.seen.extend(iter(self._watch))
        except HeadwayError as error:
            self.failed = error

    def shows(self, condition, seconds=10):
        """Wait until the newest snapshot is such."""
        return eventually(lambda: self.seen and condition(self.seen[-1]) and self.seen[-1], seconds)

    def never_goes_back(self):
        """Neither in its order nor in its version, which is that of one attempt at least."""
        orders = [(one.attempt, one.ended, one.count or 0) for one in self.seen]
        versions = [one.version for one in self.seen]
        return orders == sorted(orders) and versions == sorted(versions) and self.failed is None

    def close(self):
        self._watch.close()
        self._thread.join(5)

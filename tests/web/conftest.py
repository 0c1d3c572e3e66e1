"""A door in this process, under a real server in a thread: its store fails on command."""

import threading
from contextlib import ExitStack, contextmanager

import pytest
import uvicorn
from tests.processes import eventually
from tests.servers import free_port

from headway.client import Headway
from headway.stores import open_store
from headway.testing import FaultyStore
from headway.testing.web_client import ACCESS, Client
from headway.web.asgi import app


@pytest.fixture
def store(tmp_path):
    return FaultyStore(open_store(f"sqlite:///{tmp_path / 'jobs.db'}"))


@pytest.fixture
def hw(store):
    """The door's verbs; whoever reports has others, so that its calls are not counted."""
    made = Headway(store)
    yield made
    store.failing = store.hanging = False
    made.close()


@pytest.fixture
def worker(store):
    made = Headway(open_store(store.url))
    yield made
    made.close()


@contextmanager
def served(door):
    """The door under uvicorn; its address."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(door, port=port, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    eventually(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def serve(hw):
    """Serve a door with these settings; gives (door, a client by name)."""
    with ExitStack() as stack:

        def one(**settings):
            door = app(ACCESS, hw, **settings)
            url = stack.enter_context(served(door))
            return door, lambda user=None: Client(url, user)

        yield one

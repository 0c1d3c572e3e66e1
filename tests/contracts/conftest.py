"""What doors are held to their contract by: a real server, one for each class of tests."""

import pytest
from tests.servers.web import web_server

import headway


@pytest.fixture(scope="class")
def served(request, tmp_path_factory):
    """The server, and the store that it reads."""
    store = f"sqlite:///{tmp_path_factory.mktemp('web') / 'jobs.db'}"
    server, app, environment = request.cls.runs
    hw = headway.connect(store)
    with web_server(server, app, store, **environment) as running:
        yield running, hw
    hw.close()

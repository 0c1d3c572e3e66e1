"""Every door, under its real server."""

import pytest
from tests.servers.web import web_server

import headway
from headway.testing import WebContract


@pytest.fixture(scope="class")
def served(request, tmp_path_factory):
    """The server, and the store that it reads."""
    store = f"sqlite:///{tmp_path_factory.mktemp('web') / 'jobs.db'}"
    server, app, environment = request.cls.runs
    hw = headway.connect(store)
    with web_server(server, app, store, **environment) as running:
        yield running, hw
    hw.close()


class Served(WebContract):
    @pytest.fixture
    def url(self, served):
        return served[0].url

    @pytest.fixture
    def hw(self, served):
        return served[1]


class TestAsgiUnderUvicorn(Served):
    runs = ("uvicorn", "asgi", {})


class TestAsgiUnderHypercorn(Served):
    runs = ("hypercorn", "asgi", {})


class TestAsgiUnderGranian(Served):
    runs = ("granian", "asgi", {})


class TestStarletteUnderUvicorn(Served):
    runs = ("uvicorn", "starlette", {})


class TestFastapiUnderUvicorn(Served):
    runs = ("uvicorn", "fastapi", {})


class TestWsgiUnderGunicornSync(Served):
    runs = ("gunicorn-sync", "wsgi", {})
    streams = False


class TestWsgiUnderGunicornThreads(Served):
    runs = ("gunicorn-gthread", "wsgi", {"STREAMS": "24"})


class TestWsgiUnderGunicornGevent(Served):
    runs = ("gunicorn-gevent", "wsgi", {})


class TestWsgiUnderWaitress(Served):
    runs = ("waitress", "wsgi", {"STREAMS": "24"})


class TestWsgiUnderGranian(Served):
    runs = ("granian-wsgi", "wsgi", {"STREAMS": "12"})


class TestFlaskUnderItsOwnServer(Served):
    runs = ("flask", "flask", {})


del Served  # it brings no server

"""Every door, under its real server."""

import pytest
from tests.contracts.served import Served


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


@pytest.mark.nightly
class TestWsgiUnderGunicornThatLoadsBeforeItForks(Served):
    runs = ("gunicorn-preload", "wsgi", {"STREAMS": "24"})


@pytest.mark.nightly
class TestAsgiUnderDaphne(Served):
    runs = ("daphne", "asgi", {})


class TestWsgiUnderGunicornGevent(Served):
    runs = ("gunicorn-gevent", "wsgi", {})


class TestWsgiUnderWaitress(Served):
    runs = ("waitress", "wsgi", {"STREAMS": "24"})


class TestWsgiUnderGranian(Served):
    runs = ("granian-wsgi", "wsgi", {"STREAMS": "12"})


class TestFlaskUnderItsOwnServer(Served):
    runs = ("flask", "flask", {})


del Served  # it brings no server

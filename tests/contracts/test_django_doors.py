"""Django's door, under its own server and under others, by threads and by an event loop."""

import pytest
from tests.servers.web import web_server

import headway
from headway.testing import WebContract
from headway.testing.web_client import Client

TOKEN = "a" * 32


class Page(Client):
    """Somebody who has the site's CSRF token, as its pages have."""

    def _sent(self, path, method, body, headers):
        if method == "POST":
            headers = {"cookie": f"csrftoken={TOKEN}", "x_csrftoken": TOKEN, **headers}
        return super()._sent(path, method, body, headers)


@pytest.fixture(scope="class")
def served(request, tmp_path_factory):
    """The server, and the store that it reads."""
    store = f"sqlite:///{tmp_path_factory.mktemp('django') / 'jobs.db'}"
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

    @pytest.fixture
    def ann(self, url):
        return Page(url, "ann")

    @pytest.fixture
    def bob(self, url):
        return Page(url, "bob")

    @pytest.fixture
    def eve(self, url):
        return Page(url, "eve")

    @pytest.fixture
    def nobody(self, url):
        return Page(url)


class TestUnderUvicorn(Served):
    runs = ("uvicorn", "django-asgi", {})


class TestUnderItsOwnServer(Served):
    runs = ("runserver", "django", {})


class TestUnderGunicornSync(Served):
    runs = ("gunicorn-sync", "django", {})
    streams = False


class TestUnderGunicornThreads(Served):
    runs = ("gunicorn-gthread", "django", {"STREAMS": "24"})


del Served  # it brings no server

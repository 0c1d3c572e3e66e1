"""Django's door, under its own server and under others, by threads and by an event loop."""

import pytest
from tests.contracts.served import Served

from headway.testing.web_client import Client

TOKEN = "a" * 32


class Page(Client):
    """Somebody who has the site's CSRF token, as its pages have."""

    def _sent(self, path, method, body, headers):
        if method == "POST":
            headers = {"cookie": f"csrftoken={TOKEN}", "x_csrftoken": TOKEN, **headers}
        return super()._sent(path, method, body, headers)


class ServedByDjango(Served):
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


class TestUnderUvicorn(ServedByDjango):
    runs = ("uvicorn", "django-asgi", {})


class TestUnderItsOwnServer(ServedByDjango):
    runs = ("runserver", "django", {})


class TestUnderGunicornSync(ServedByDjango):
    runs = ("gunicorn-sync", "django", {})
    streams = False


class TestUnderGunicornThreads(ServedByDjango):
    runs = ("gunicorn-gthread", "django", {"STREAMS": "24"})


@pytest.mark.nightly
class TestUnderHypercorn(ServedByDjango):
    runs = ("hypercorn", "django-asgi", {})


@pytest.mark.nightly
class TestUnderGranian(ServedByDjango):
    runs = ("granian", "django-asgi", {})


@pytest.mark.nightly
class TestUnderDaphne(ServedByDjango):
    runs = ("daphne", "django-asgi", {})


@pytest.mark.nightly
class TestUnderGranianWithThreads(ServedByDjango):
    runs = ("granian-wsgi", "django", {"STREAMS": "12"})


@pytest.mark.nightly
class TestUnderGunicornGevent(ServedByDjango):
    runs = ("gunicorn-gevent", "django", {})


@pytest.mark.nightly
class TestUnderGunicornThatLoadsBeforeItForks(ServedByDjango):
    runs = ("gunicorn-preload", "django", {"STREAMS": "24"})


@pytest.mark.nightly
class TestUnderWaitress(ServedByDjango):
    runs = ("waitress", "django", {"STREAMS": "24"})


del Served  # it brings no server

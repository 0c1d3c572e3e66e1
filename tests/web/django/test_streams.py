"""Streams of a Django project: not compressed, and given up when nobody takes them any more."""

import asyncio
import gc

import pytest
from tests.processes import eventually
from tests.servers.web import web_server

import headway
from headway.testing.web_client import Client

ASKED = {"X-User": "ann", "Accept-Encoding": "gzip"}


@pytest.fixture
def stream_address(project, hw):
    """Of a stream that anybody called Ann may have."""
    from django.test import override_settings
    from tests.web.django.project import by_name

    job = hw.job("Import", scope="user/ann", total=4).start()
    settings = {"STORE": hw.store.url, "ACCESS": by_name}
    with override_settings(HEADWAY=settings):
        yield f"/progress/events?id={job.id}"
    job.complete()


def streams():
    """Those that the ASGI door of this process holds."""
    from django.apps import apps

    loops = apps.get_app_config("headway").looping._loops.values()
    return sum(len(loop.broadcast.streams) for loop in loops)


def test_in_threads_they_are_not_compressed(stream_address):
    from django.conf import settings
    from django.test import Client as Browser
    from django.test import override_settings

    environ = {"wsgi.multithread": True}
    with override_settings(HEADWAY=settings.HEADWAY | {"STREAMS": 1}):
        answer = Browser(**environ).get(stream_address, headers=ASKED)
        assert "Content-Encoding" not in answer.headers
        pieces = iter(answer.streaming_content)
        assert b"event: job" in next(pieces)
        answer.close()


@pytest.mark.asyncio
async def test_in_a_loop_they_are_neither_and_end_when_closed(stream_address):
    from django.test import AsyncClient

    answer = await AsyncClient().get(stream_address, headers=ASKED)
    assert "Content-Encoding" not in answer.headers
    async for piece in answer.streaming_content:
        assert b"event: job" in piece
        break
    assert streams() == 1
    await asyncio.to_thread(answer.close)
    await until(lambda: streams() == 0)


@pytest.mark.asyncio
async def test_one_that_nobody_ever_took_ends_as_well(stream_address):
    from django.test import AsyncRequestFactory

    from headway.web.django.views import carry_in_loop

    request = AsyncRequestFactory().get(stream_address, headers=ASKED)
    answer = await carry_in_loop(request, "events")
    assert (answer.status_code, streams()) == (200, 1)
    del answer
    gc.collect()
    await until(lambda: streams() == 0)


async def until(holds):
    await asyncio.to_thread(eventually, holds)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    store = f"sqlite:///{tmp_path_factory.mktemp('site') / 'jobs.db'}"
    hw = headway.connect(store)
    with web_server("uvicorn", "django-asgi", store) as server:
        yield server, hw
    hw.close()


def test_a_client_that_leaves_makes_room(site):
    import django

    if django.VERSION < (5, 0):
        pytest.skip("this Django does not notice; its streams live 30 s")
    server, hw = site
    ann = Client(server.url, "ann")

    def fits():
        with ann.stream(f"id={job.id}") as stream:
            return next(iter(stream)).name == "job"

    with hw.job("Import", scope="user/ann") as job:
        for _ in range(12):  # four at once is the most that one may have there
            eventually(fits, seconds=20)


def test_a_server_that_is_asked_to_stop_says_so_on_its_streams(site):
    server, hw = site
    ann = Client(server.url, "ann")
    with hw.job("Import", scope="user/ann") as job, ann.stream(f"id={job.id}") as stream:
        stream.until(status="running")
        server.terminate()
        assert stream.named("bye").json["reason"] == "later"

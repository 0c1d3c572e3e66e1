"""Behind nginx and Caddy, set up as the guide says."""

import pytest
from tests.servers.proxies import HOLDS_BACK, proxy
from tests.servers.web import web_server

import headway
from headway.testing.web_client import Client


@pytest.fixture(params=["nginx", "caddy"])
def name(request):
    return request.param


@pytest.fixture
def store(tmp_path):
    return f"sqlite:///{tmp_path / 'jobs.db'}"


@pytest.fixture
def hw(store):
    made = headway.connect(store)
    yield made
    made.close()


@pytest.fixture
def ann(name, store, tmp_path):
    with (
        web_server("uvicorn", "asgi", store) as server,
        proxy(name, server.port, tmp_path) as address,
    ):
        yield Client(f"{address}/progress", "ann")


def test_a_stream_passes_as_it_comes_and_a_cancel_of_its_page_too(ann, hw):
    with hw.job("Import", scope="user/ann", total=10) as job, ann.stream(f"id={job.id}") as stream:
        stream.until(status="running")
        for count in (1, 2, 3):
            job.advance()
            stream.until(count=count)
        page = {"origin": f"http://{ann.host}", "content_type": "text/plain"}
        assert ann.cancel(job.id, **page).status == 202
        assert ann.cancel(job.id, **page | {"origin": "http://evil.example"}).status == 403
        stream.until(cancel="requested")
        job.complete()
        assert stream.named("bye").json["reason"] == "ended"


def test_the_script_stays_compressed_and_is_asked_for_once(ann):
    packed = ann.ask("headway.js", accept_encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    etag = packed.headers["etag"]
    assert ann.ask("headway.js", accept_encoding="gzip", if_none_match=etag).status == 304


def test_nginx_that_compresses_holds_streams_back_and_nothing_else(store, hw, tmp_path):
    with (
        web_server("uvicorn", "asgi", store) as server,
        proxy("nginx", server.port, tmp_path, HOLDS_BACK) as address,
        hw.job("Import", scope="user/ann") as job,
    ):
        ann = Client(f"{address}/progress", "ann")
        packed = ann._sent(f"events?id={job.id}", "GET", None, {"accept-encoding": "gzip"})
        packed.sock.settimeout(3)
        with pytest.raises(TimeoutError):
            packed.getresponse().read(1)
        packed.close()
        assert ann.ask(f"jobs/{job.id}", accept_encoding="identity").status == 200
        with ann.stream(f"id={job.id}") as stream:
            stream.until(status="running")

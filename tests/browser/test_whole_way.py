"""From a worker's `advance()` to the pixel: a real worker, a real store, a real server, a real browser."""

import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from tests.browser.door import STRICT
from tests.processes import eventually, start
from tests.servers import free_port

import headway

SERVER = """
import sys, uvicorn
from headway.web.asgi import app

shown = app(access=lambda request, action, job: True, store=sys.argv[1])

async def site(scope, receive, send):
    if scope["type"] != "http" or scope["path"].startswith("/headway"):
        return await shown(scope | {"root_path": "/headway"}, receive, send)
    body = PAGE.encode()
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-security-policy", STRICT.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})

uvicorn.run(site, port=int(sys.argv[2]), log_level="warning", timeout_graceful_shutdown=3)
"""
PAGE = """<!doctype html><html lang="en"><title>whole way</title>
<link rel="icon" href="data:,"><script type="module" src="/headway/headway.js"></script>
<headway-progress id="one" src="/headway/jobs/one" cancel></headway-progress>
<headway-list src="/headway/jobs?scope=all" cancel></headway-list></html>"""
WORKER = """
with hw.job("Import", id="one", scope="all", total=100) as job:
    for line in sys.stdin:
        job.advance(int(line), activity=f"row {job.count}")
"""


@pytest.fixture
def serve(url):
    """Starts the server; leaving stops it as an operator does."""

    port = free_port()

    @contextmanager
    def serve():
        code = f"PAGE = {PAGE!r}\nSTRICT = {STRICT.replace('img-src', 'img-src data:')!r}\n{SERVER}"
        process = subprocess.Popen([sys.executable, "-c", code, url, str(port)])
        try:
            eventually(lambda: answers(f"http://127.0.0.1:{port}/"), 30)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()
            process.wait(20)

    return serve


def answers(address):
    try:
        with urlopen(address, timeout=2) as response:  # noqa: S310 - our own server
            return response.status == 200
    except (URLError, OSError):
        return False


@contextmanager
def worker(url):
    process = start(WORKER, url, stdin=subprocess.PIPE)

    def advance(by):
        process.stdin.write(f"{by}\n")
        process.stdin.flush()

    try:
        yield advance, process
    finally:
        process.kill()
        process.communicate()


def test_what_a_worker_counts_is_painted(serve, url, page, shown):
    with serve() as address:
        page.goto(address)
        one = shown("#one")
        one.says("status", "waiting")
        with worker(url) as (advance, process):
            one.becomes("running", 20)
            advance(25)
            one.says("percent", "25%")
            eventually(lambda: one.width == 25)
            assert one.text("detail").startswith("row 0")
            advance(50)
            one.says("percent", "75%")
            listed = shown("headway-list headway-progress")
            listed.says("percent", "75%")
            advance(25)
            process.stdin.close()
            process.stdin = None
            one.becomes("completed")
            one.says("percent", "100%")
            listed.becomes("completed")


def test_the_button_reaches_the_worker(serve, url, page, shown):
    with serve() as address, worker(url) as (advance, process):
        page.goto(address)
        one = shown("#one")
        one.becomes("running", 20)
        one.part("cancel").click()
        one.says("status", "asked to stop")

        def stopped():
            with suppress(BrokenPipeError):
                advance(1)
            return process.poll() is not None

        eventually(stopped, 20, every=0.1)
        one.becomes("cancelled", 20)
        assert headway.connect(url).get("one").status == "cancelled"
        assert process.returncode != 0


def test_a_server_may_restart_in_the_middle_of_a_job(serve, url, page, shown):
    with worker(url) as (advance, _):
        with serve() as address:
            page.goto(address)
            one = shown("#one")
            one.becomes("running", 20)
            advance(10)
            one.says("percent", "10%")
        advance(10)
        time.sleep(1)
        assert one.text("percent") == "10%"
        with serve():
            one.says("percent", "20%", 30)
            advance(10)
            one.says("percent", "30%")


def test_a_killed_worker_shows(serve, url, page, shown):
    with serve() as address:
        page.goto(address)
        code = WORKER.replace("total=100", "total=100, lease=2")
        process = start(code, url, stdin=subprocess.PIPE)
        one = shown("#one")
        one.becomes("running", 20)
        process.kill()
        process.communicate()
        one.becomes("stalled", 20)
        assert one.text("detail").startswith("nothing heard for")

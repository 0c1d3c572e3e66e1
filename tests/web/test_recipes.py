"""The programs of docs/web/recipes.md, each under the server that the page names, held to the contract."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from tests.processes import eventually
from tests.servers import free_port

import headway
from headway.testing import WebContract
from headway.testing.web_client import Client

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PAGE = (ROOT / "docs" / "web" / "recipes.md").read_text()
PROGRAM = re.compile(r"<!-- file: (\w+) -->\n```python\n(.*?)```", re.DOTALL)
PROGRAMS = dict(PROGRAM.findall(PAGE))
POLICY = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
OPEN_TO_THE_CONTRACT = """
from headway.testing.web_client import ACCESS
from headway.web import asgi

made = asgi.app
asgi.app = lambda access: made(ACCESS, streams_per_client=4)
"""
COMMANDS = {
    "litestar": "uvicorn app:app --port {port} --log-level warning",
    "quart": "hypercorn app:app --bind 127.0.0.1:{port} --log-level warning",
    "aiohttp": "python -m aiohttp.web --hostname 127.0.0.1 --port {port} app:main",
    "sanic": "sanic app:app --host 127.0.0.1 --port {port} --single-process --no-access-logs --no-motd",
}


@contextmanager
def serving(name, folder, program):
    """The program under its server; where headway is mounted there."""
    (folder / "app.py").write_text(program)
    port = free_port()
    command = COMMANDS[name].format(port=port).split()
    store = f"sqlite:///{folder / 'jobs.db'}"
    environment = {"HEADWAY_STORE": store, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [str(BIN / command[0]), *command[1:]],
            cwd=folder,
            env=os.environ | environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}/progress"
    try:
        wait_for(url, process, folder / "log")
        yield url
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(url, process, log):
    deadline = time.monotonic() + 30
    while True:
        try:
            with urlopen(f"{url}/openapi.json", timeout=5):  # noqa: S310 - our own
                return
        except (URLError, OSError):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)


def test_every_recipe_has_its_server():
    assert PROGRAMS.keys() == COMMANDS.keys()
    for command in COMMANDS.values():
        assert " ".join(word for word in command.split() if ":" in word and "{" not in word) in PAGE


@pytest.mark.parametrize("name", COMMANDS)
def test_a_recipe_shows_streams_and_cancels(name, tmp_path):
    with serving(name, tmp_path, POLICY + PROGRAMS[name]) as url:
        hw = headway.connect(f"sqlite:///{tmp_path / 'jobs.db'}")
        ann, eve = Client(url, "ann"), Client(url, "eve")
        job = hw.job("Import", scope="user/ann", total=4).start()
        eventually(lambda: hw.get(job.id))
        assert ann.ask(f"jobs/{job.id}").json["name"] == "Import"
        assert eve.ask(f"jobs/{job.id}").status == 404
        with ann.stream(f"id={job.id}") as stream:
            stream.until(status="running")
            job.advance(2)
            stream.until(percent=50)
            assert ann.cancel(job.id).status == 202
            job.complete()
            stream.until(status="completed")
            assert stream.named("bye").json["reason"] == "ended"
            assert list(stream) == []
        hw.close()


@pytest.fixture(scope="class")
def served(request, tmp_path_factory):
    name = request.cls.name
    folder = tmp_path_factory.mktemp(name)
    hw = headway.connect(f"sqlite:///{folder / 'jobs.db'}")
    with serving(name, folder, OPEN_TO_THE_CONTRACT + PROGRAMS[name]) as url:
        yield url, hw
    hw.close()


class Recipe(WebContract):
    """With the contract's policies in place of the page's."""

    @pytest.fixture
    def url(self, served):
        return served[0]

    @pytest.fixture
    def hw(self, served):
        return served[1]


@pytest.mark.nightly
class TestLitestar(Recipe):
    name = "litestar"


@pytest.mark.nightly
class TestQuart(Recipe):
    name = "quart"


@pytest.mark.nightly
class TestAiohttp(Recipe):
    name = "aiohttp"


@pytest.mark.nightly
class TestSanic(Recipe):
    name = "sanic"


del Recipe  # it brings no server

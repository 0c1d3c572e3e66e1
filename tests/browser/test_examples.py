"""The example apps, as they come from a clone, each started by its one command and used in Chromium."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from playwright.sync_api import expect
from tests.processes import eventually
from tests.servers import free_port
from uv import find_uv_bin

ROOT = Path(__file__).parents[2]
SLOW = 30_000


def cloned(folder):
    """What git knows of, as in a fresh clone."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", "examples", "src", "pyproject.toml", "README.md", "LICENSE"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    return folder


def installed(example):
    """The same environment that its Makefile makes by pip, made quicker."""
    python = example / ".venv" / "bin" / "python"
    for command in (
        ["venv", "--python", sys.executable, ".venv"],
        ["pip", "install", "--python", python, "--requirement", "requirements.txt"],
    ):
        subprocess.run([find_uv_bin(), "--quiet", *command], cwd=example, check=True)
    (example / ".venv" / ".installed").touch()


@contextmanager
def started(example, patience):
    """Where the page is, while its one command runs."""
    port, valkey = free_port(), free_port()
    command = ["make", "-C", str(example), f"WEB_PORT={port}", f"VALKEY_PORT={valkey}"]
    with (example / "log").open("wb") as log:
        own = {"PYTHON": sys.executable}
        process = subprocess.Popen(
            command, env=os.environ | own, stdout=log, stderr=log, start_new_session=True
        )
    try:
        url = f"http://127.0.0.1:{port}"
        assert eventually(lambda: answers(url) or process.poll() is not None, patience)
        assert process.poll() is None, (example / "log").read_text()
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def answers(url):
    try:
        with urlopen(url, timeout=5) as response:  # noqa: S310 - our own server
            return response.status == 200
    except (URLError, OSError):
        return False


@pytest.fixture(params=["quick", pytest.param("by pip", marks=pytest.mark.nightly)])
def start(request, tmp_path):
    @contextmanager
    def start(name):
        example = cloned(tmp_path) / "examples" / name
        if request.param == "quick":
            installed(example)
        with started(example, 60 if request.param == "quick" else 500) as url:
            yield url

    return start


@pytest.fixture
def visitor(page):
    page.on("dialog", lambda asked: asked.accept())
    return page


def moves(bar):
    """The bar is seen to move."""
    seen = set()
    return eventually(lambda: seen.add(bar.get_attribute("aria-valuenow")) or len(seen) > 3, 30, 0.1)


@pytest.mark.timeout(900)
def test_django_with_celery(start, visitor, tmp_path):
    file = tmp_path / "customers.csv"
    file.write_text("name,email\nAnn,ann@example.com\nBob,\n<b>Eve</b>,eve@example.com\n")
    with start("django-celery") as url:
        visitor.goto(url)
        visitor.get_by_role("button", name="Import").click()
        bar = visitor.get_by_role("progressbar", name="Import of customers")
        assert moves(bar)
        visitor.get_by_role("button", name="Cancel").click()
        cancelled = visitor.locator("headway-progress[state=cancelled]")
        expect(cancelled).to_be_visible(timeout=SLOW)
        assert int(bar.get_attribute("aria-valuenow")) < 100

        visitor.get_by_role("link", name="All imports").click()
        visitor.locator("input[type=file]").set_input_files(file)
        visitor.get_by_role("button", name="Import").click()
        expect(visitor.get_by_text("2 customers imported, 1 left out.")).to_be_visible(timeout=SLOW)
        expect(visitor.get_by_text("Bob has no e-mail address")).to_be_visible()
        expect(visitor.locator("headway-progress[state=completed]")).to_be_visible()
        imported = visitor.url

        visitor.get_by_role("link", name="All imports").click()
        expect(visitor.locator("headway-progress")).to_have_count(2, timeout=SLOW)
        visitor.context.clear_cookies()
        assert visitor.request.get(imported).status == 404, "somebody else's import"


@pytest.mark.timeout(900)
def test_fastapi_with_arq(start, visitor):
    with start("fastapi-arq") as url:
        visitor.goto(url)
        visitor.get_by_role("button", name="Make a report").click()
        assert moves(visitor.get_by_role("progressbar", name="Yearly report"))
        visitor.get_by_role("button", name="Cancel").click()
        expect(visitor.locator("headway-progress[state=cancelled]")).to_be_visible(timeout=SLOW)

        visitor.get_by_label("Orders").fill("20")
        visitor.get_by_role("button", name="Make a report").click()
        expect(visitor.get_by_text("20 orders came to 190 €")).to_be_visible(timeout=SLOW)
        expect(visitor.locator("headway-progress[state=completed]")).to_be_visible()

        visitor.reload()
        expect(visitor.locator("headway-progress")).to_have_count(2, timeout=SLOW)
        expect(visitor.get_by_text("20 orders came to 190 €")).to_be_visible(timeout=SLOW)

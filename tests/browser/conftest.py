"""One Chromium for the tests of a file, a page each, and a server that misbehaves as it is told.

Not one for all files: while playwright is open, its event loop is the thread's, and coroutines cannot run.
"""

import os
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright
from tests.browser.door import Door
from tests.processes import eventually

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
KEPT_OUT = ["--disable-back-forward-cache"]
NPM = Path(__file__).parent / "node_modules"


@pytest.fixture(scope="module")
def chromium():
    """Ended with its module: until then an event loop runs in this thread, and others would notice."""
    if CHROMIUM is None or not NPM.exists():
        assert not os.environ.get("CI"), "Chromium, or what npm brings, is missing: make servers"
        pytest.skip("Chromium, or what npm brings, is missing: make servers")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=FLAGS, ignore_default_args=KEPT_OUT
        )
        yield browser
        browser.close()


@pytest.fixture
def door():
    door = Door()
    yield door
    door.fault = None
    door.stop()


@pytest.fixture
def context(chromium):
    context = chromium.new_context(color_scheme="light")
    context.set_default_timeout(10_000)
    yield context
    context.close()


@pytest.fixture
def page(context):
    """A page on which no script may complain."""
    page = context.new_page()
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if _complains(said) else None)
    yield page
    page.close()
    assert complaints == []


def _complains(said):
    """What the browser itself says of a request that failed is nothing a script can prevent."""
    return said.type in {"error", "warning"} and not said.text.startswith("Failed to load resource")


@pytest.fixture
def shown(page):
    return lambda selector="headway-progress": Shown(page.locator(selector))


class Shown:
    """What an element shows."""

    def __init__(self, locator):
        self._locator = locator

    def part(self, name):
        return self._locator.locator(f"[part={name}]").first

    def text(self, name):
        return self.part(name).text_content()

    @property
    def state(self):
        return self._locator.get_attribute("state")

    @property
    def width(self):
        """How full the bar is, in hundredths, as it is painted."""
        bar, fill = (self.part(name).bounding_box()["width"] for name in ("bar", "fill"))
        return round(100 * fill / bar)

    def becomes(self, state, seconds=15):
        eventually(lambda: self.state == state, seconds, 0.03)

    def says(self, name, text, seconds=15):
        eventually(lambda: self.text(name) == text, seconds, 0.03)

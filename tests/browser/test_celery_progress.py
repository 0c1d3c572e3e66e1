"""Pages that run celery-progress's own script and ask us: its script, Celery's worker, Chromium, all real."""

import os
import re
import signal
import subprocess
import sys
import uuid
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from playwright.sync_api import expect
from tests.processes import eventually
from tests.servers.redis import redis_server
from tests.servers.web import ROOT, web_server

import headway
from headway.testing.queue_contract import kill_with_children

WORKER = [
    *(sys.executable, "-m", "celery", "-A", "tests.web.celery_progress", "worker", "-c", "2"),
    *("-P", "threads", "-l", "ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat"),
]
PATIENCE = 20_000


class Site:
    """Where it is, its broker, its store, and what its processes find in their environment."""

    def __init__(self, broker, kept):
        self.broker, self.kept = broker.client(), kept
        self.environment = {
            "BROKER": f"redis://127.0.0.1:{broker.port}/0",
            "HEADWAY_STORE": kept.url,
            "PYTHONPATH": str(ROOT),
        }
        self.hw = headway.connect(kept.url)
        self.url = None

    def send(self, *lines):
        """A task that does what its line says, or a group of them."""
        with urlopen(f"{self.url}/sent?{urlencode({'line': lines}, doseq=True)}") as reply:  # noqa: S310 - our own
            return reply.read().decode()

    def say(self, line, *words):
        self.broker.rpush(line, *words)


@pytest.fixture(scope="module")
def site():
    with redis_server("valkey") as broker, redis_server("valkey") as kept:
        site = Site(broker, kept)
        with web_server("waitress", "celery-progress", kept.url, **site.environment) as served:
            site.url = served.url.removesuffix("/progress")
            yield site
        site.hw.close()
        site.broker.close()


@pytest.fixture(scope="module")
def worker(site):
    process = subprocess.Popen(WORKER, env=os.environ | site.environment, cwd=ROOT, start_new_session=True)
    yield process
    kill_with_children(process)


@pytest.fixture
def line():
    return uuid.uuid4().hex


@pytest.fixture
def shows(context, site):
    """Open a page, as those that exist already are."""
    return lambda id, kind="ours", also="": Bar(context.new_page(), f"{site.url}/shown/{kind}/{id}{also}")


class Bar:
    """What their script has painted."""

    def __init__(self, page, address):
        page.goto(address)
        self.page = page
        self.message = page.locator("#progress-bar-message")

    @property
    def width(self):
        return self.page.evaluate("document.getElementById('progress-bar').style.width")

    def is_at(self, width):
        eventually(lambda: self.width == width, PATIENCE / 1000, 0.05)

    def says(self, words):
        expect(self.message).to_have_text(words, timeout=PATIENCE)


def test_a_task_is_shown_from_waiting_to_its_result(site, worker, shows, line):
    id = site.send(line)
    bar = shows(id, also="?result")
    bar.says("Task started...")
    site.say(line, "3/10 row 3")
    bar.says("3 of 10 processed. row 3")
    bar.is_at("30%")
    site.say(line, "done 10")
    bar.says("Success! ")
    bar.is_at("100%")
    expect(bar.page.locator("#celery-result")).to_have_text("Imported: 10")


def test_an_id_that_is_not_known_yet_is_waited_for(site, shows):
    shows(uuid.uuid4()).says("Waiting for task to start...")


def test_what_fails_keeps_its_place_where_the_original_is_full(site, worker, shows, line):
    id = site.send(line)
    ours, theirs = shows(id), shows(id, "theirs")
    site.say(line, "4/10")
    ours.is_at("40%")
    theirs.is_at("40%")
    site.say(line, "fail password=1234")
    ours.says("Uh-Oh, something went wrong! failed")
    theirs.says("Uh-Oh, something went wrong! password=1234")
    assert (ours.width, theirs.width) == ("40%", "100%")


def test_what_is_tried_again_keeps_its_place_says_so_and_goes_on(site, worker, shows, line):
    id = site.send(line)
    bar = shows(id)
    site.say(line, "4/10", "retry 2")
    bar.says(re.compile("Retrying after [012]s: retrying, attempt 1"))
    assert bar.width == "40%"
    site.say(line, "1/10")
    bar.says("1 of 10 processed. ")
    assert bar.width == "10%"
    site.say(line, "done 10")
    bar.is_at("100%")
    assert site.hw.get(id).attempt == 2


def test_an_outage_of_the_store_stops_nobody(site, worker, shows, line):
    id = site.send(line)
    bar = shows(id)
    site.say(line, "2/10")
    bar.is_at("20%")
    site.kept.kill()
    with bar.page.expect_response(f"**/{id}/") as told:
        pass
    assert told.value.json() == {"state": "UNKNOWN", "complete": False, "success": None}
    assert bar.width == "20%"
    site.kept.start()
    site.say(line, "5/10", "done 10")
    bar.is_at("100%")
    bar.says("Success! [object Object]")


def test_a_cancelled_task_is_revoked(site, worker, shows, line):
    id = site.send(line)
    bar = shows(id)
    site.say(line, "2/10")
    bar.is_at("20%")
    assert site.hw.cancel(id)
    eventually(lambda: site.say(line, "2/10") or site.hw.get(id).ended, PATIENCE / 1000, 0.2)
    bar.says("Uh-Oh, something went wrong! cancelled")
    assert bar.width == "20%"


def test_a_group_is_one_bar_that_only_grows(site, worker, shows):
    lines = [uuid.uuid4().hex for _ in range(2)]
    id = site.send(*lines)
    bar = shows(id, "group")
    site.say(lines[0], "9/10")
    site.say(lines[1], "1/10")
    bar.is_at("50%")
    site.say(lines[0], "done 1")
    bar.is_at("55%")
    site.say(lines[1], "done 2")
    bar.is_at("100%")


def test_a_worker_that_was_killed_shows_where_the_original_waits(site, worker, shows, line):
    """The last of this file: the worker serves nobody after it."""
    id = site.send(line)
    ours, theirs = shows(id), shows(id, "theirs")
    site.say(line, "4/10 row 4")
    theirs.says("4 of 10 processed. row 4")
    ours.says("4 of 10 processed. row 4")
    os.killpg(worker.pid, signal.SIGKILL)
    expect(ours.message).to_contain_text("4 of 10 processed. nothing heard for", timeout=PATIENCE)
    theirs.says("4 of 10 processed. row 4")

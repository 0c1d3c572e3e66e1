"""A Django project in Chromium: painted, alive, cancelled, under a strict content security policy."""

import os
import re
import subprocess
import sys

import pytest
from playwright.sync_api import expect
from tests.processes import eventually
from tests.servers.web import ROOT, web_server

import headway

USERS = """
import django
django.setup()
from django.contrib.auth.models import User
from django.core.management import call_command
call_command("migrate", verbosity=0)
User.objects.create_superuser("ann")
"""
SERVERS = {"event loop": ("uvicorn", "django-asgi"), "threads": ("gunicorn-gthread", "django")}


@pytest.fixture(scope="module", params=SERVERS)
def site(request, tmp_path_factory):
    """Where it is, and the verbs over its store."""
    folder = tmp_path_factory.mktemp("django")
    environment = {
        "DATABASE": str(folder / "site.db"),
        "DJANGO_SETTINGS_MODULE": "tests.web.django.project",
        "PYTHONPATH": str(ROOT),
    }
    subprocess.run([sys.executable, "-c", USERS], env=os.environ | environment, check=True, timeout=60)
    store = f"sqlite:///{folder / 'jobs.db'}"
    hw = headway.connect(store)
    with web_server(*SERVERS[request.param], store, **environment) as server:
        yield server.url.removesuffix("/progress"), hw
    hw.close()


@pytest.fixture
def ann(page, site):
    page.goto(f"{site[0]}/log-in/ann")
    return page


def test_a_bar_is_painted_lives_and_is_cancelled(ann, site):
    url, hw = site
    ann.on("dialog", lambda asked: asked.accept())
    job = hw.job("Import", scope="user/1", total=4).start()
    job.advance(1)
    eventually(lambda: (found := hw.get(job.id)) and found.count == 1)
    html = ann.request.get(f"{url}/bar/{job.id}").text()
    assert re.search(r'<progress max="1" value="0.25"', html)
    ann.goto(f"{url}/bar/{job.id}")
    bar = ann.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", "25")
    job.advance(2)
    expect(bar).to_have_attribute("aria-valuenow", "75", timeout=15_000)
    ann.get_by_role("button", name="Cancel").click()
    eventually(lambda: hw.get(job.id).cancel_requested)
    eventually(lambda: job.cancel_requested)
    job.complete()
    expect(ann.locator("headway-progress")).to_have_attribute("state", "completed", timeout=15_000)


def test_a_list_shows_what_begins(ann, site):
    url, hw = site
    ann.goto(f"{url}/bars")
    with hw.job("Begun later", scope="user/1"):
        expect(ann.get_by_role("progressbar", name="Begun later")).to_be_visible(timeout=15_000)


def test_the_admin_shows_living_bars(ann, site):
    url, hw = site
    with hw.job("Import for the admin", scope="user/7", total=2) as job:
        job.advance(1)
        ann.goto(f"{url}/admin/headway/job/")
        bar = ann.get_by_role("progressbar", name="Import for the admin")
        expect(bar).to_have_attribute("aria-valuenow", "50", timeout=15_000)
    expect(bar).to_have_attribute("aria-valuenow", "100", timeout=15_000)


def test_without_javascript_a_link_follows_the_job(chromium, site):
    url, hw = site
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{url}/log-in/ann")
    with hw.job("Import", scope="user/1") as import_:
        pass
    job = eventually(lambda: hw.get(import_.id))
    page.goto(f"{url}/bar/{job.id}")
    expect(page.locator(".headway")).to_contain_text("completed")
    page.get_by_role("link", name="Follow it").click()
    expect(page.locator("progress")).to_be_visible()
    context.close()

"""The dashboard as it is asked over HTTP, without a browser."""

import re
from importlib import resources
from types import SimpleNamespace

import httpx
import pytest
import pytest_asyncio

import headway
from headway.web.dashboard import Dashboard
from headway.web.guard import Guard

pytestmark = pytest.mark.asyncio

PAGES = resources.files("headway.web") / "pages"


@pytest.fixture
def hw():
    connected = headway.connect("memory://")
    yield connected
    connected.close()


def client(hw, *arguments):
    transport = httpx.ASGITransport(Dashboard(hw, *arguments))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


@pytest_asyncio.fixture
async def asking(hw):
    async with client(hw) as asking:
        yield asking


async def test_the_page_and_all_it_is_made_of_come_from_here(asking):
    page = await asking.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["referrer-policy"] == "no-referrer"
    named = set(re.findall(r'(?:src|href)="([^"?#]+)"', page.text))
    named |= await imported(asking, "dashboard.js")
    assert {"list.js", "job.js", "rate.js", "headway.js", "dashboard.css"} <= named
    for name in named:
        answer = await asking.get(f"/{name}")
        assert answer.status_code == 200, name
        assert answer.headers["x-content-type-options"] == "nosniff"


async def imported(asking, name):
    """All modules that a module needs."""
    found = set(re.findall(r'from "\./([^"]+)"', (await asking.get(f"/{name}")).text))
    for other in found - {"headway.js"}:
        found |= await imported(asking, other)
    return found


async def test_the_page_holds_no_script_and_no_style_of_its_own(asking):
    page = (await asking.get("/")).text
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|javascript:", page)
    for file in (PAGES).iterdir():
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", file.read_text()
        )


async def test_the_owner_sees_all_and_may_cancel(hw, asking):
    hw.reserve("Import", id="a", scope="user/1")
    assert (await asking.get("/jobs/a")).json()["scope"] == "user/1"
    found = (await asking.get("/overview?scope=user/1")).json()["jobs"]
    assert [one["name"] for one in found] == ["Import"]
    assert (await asking.post("/jobs/a/cancel", json={})).status_code == 202
    assert hw.get("a").status == "cancelled"


async def test_another_sites_page_may_not_cancel(hw, asking):
    hw.reserve("Import", id="a")
    for headers in (
        {"origin": "http://evil.example"},
        {"sec-fetch-site": "cross-site", "content-type": "application/json"},
        {"content-type": "text/plain"},
    ):
        assert (await asking.post("/jobs/a/cancel", content="{}", headers=headers)).status_code == 403
    assert hw.get("a").status == "pending"


@pytest.mark.parametrize("query", ["status=nonsense", "scope=%00", "parent=.", "cursor=nobodys"])
async def test_what_means_nothing_is_refused(asking, query):
    answer = await asking.get(f"/overview?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_store_that_is_away_is_said_to_be(tmp_path):
    away = headway.connect("redis://127.0.0.1:1")
    async with client(away) as asking:
        assert (await asking.get("/overview")).status_code == 503
        assert (await asking.get("/")).status_code == 200
        assert (await asking.get("/about")).json()["store"] == "redis://127.0.0.1:1"
    away.close()


async def test_how_to_start_names_the_store_but_no_password(hw):
    async with client(hw, None, "postgresql://me:secret@host/db") as asking:
        snippet = (await asking.get("/about")).json()["snippet"]
        assert 'headway.connect("postgresql://me:***@host/db")' in snippet
        compile(snippet, "snippet", "exec")
    async with client(hw) as asking:
        snippet = (await asking.get("/about")).json()["snippet"]
        assert "connect" not in snippet
        compile(snippet, "snippet", "exec")


async def test_a_guard_stands_before_everything(hw):
    hw.reserve("Import", id="a")
    async with client(hw, Guard("a token of some length")) as asking:
        for path in (
            "/",
            "/overview",
            "/about",
            "/jobs",
            "/jobs/a",
            "/events?scope=",
            "/headway.js",
            "/job.js",
        ):
            assert (await asking.get(path)).status_code == 401, path
        assert (await asking.post("/jobs/a/cancel", json={})).status_code == 401
        assert (await asking.get("/dashboard.css")).status_code == 200
        asking.headers["authorization"] = "Bearer a token of some length"
        assert (await asking.get("/jobs/a")).status_code == 200


async def test_tokens_can_be_guessed_a_few_times_only(hw, monkeypatch):
    monkeypatch.setattr("headway.web.buckets.time", SimpleNamespace(monotonic=lambda: 0.0))
    token = "a token of some length"  # noqa: S105 - as the test has it
    async with client(hw, Guard(token)) as asking:
        entered = await asking.get("/", params={"token": token})
        asking.cookies.clear()
        for guess in range(10):
            assert (
                await asking.get("/overview", headers={"authorization": f"Bearer {guess}"})
            ).status_code == 401
        refused = await asking.get("/", params={"token": "guess"})
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert (await asking.get("/", params={"token": token})).status_code == 429, "nor the right one"
        assert entered.status_code == 303
        cookie = {"cookie": entered.headers["set-cookie"].partition(";")[0]}
        assert (await asking.get("/overview", headers=cookie)).status_code == 200


async def test_an_app_that_mounts_a_door_does_not_serve_the_dashboard(hw):
    from headway.web.access import whoever_knows_the_id
    from headway.web.asgi import app

    transport = httpx.ASGITransport(app(whoever_knows_the_id, hw))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as asking:
        for path in ("/", "/index.html", "/dashboard.js", "/overview", "/about", "/dashboard/index.html"):
            assert (await asking.get(path)).status_code == 404, path

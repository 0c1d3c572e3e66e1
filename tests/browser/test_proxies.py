"""Pages behind nginx and Caddy, set up as the guide says, and behind one that holds streams back."""

import pytest
from tests.processes import eventually
from tests.servers.proxies import HOLDS_BACK, proxy
from tests.servers.web import web_server

import headway

PAGE = """<!doctype html><html lang="en"><title>behind a proxy</title><link rel="icon" href="data:,">
<script type="module" src="/progress/headway.js"></script>
<headway-progress src="/progress/jobs/one" cancel></headway-progress></html>"""


@pytest.mark.parametrize(
    "behind",
    [("nginx", "", True), ("caddy", "", True), ("nginx", HOLDS_BACK, False)],
    ids=["nginx", "caddy", "held back"],
)
def test_a_page_behind_a_proxy_is_live(behind, page, shown, tmp_path):
    name, more, streams = behind
    store = f"sqlite:///{tmp_path / 'jobs.db'}"
    hw = headway.connect(store)
    (tmp_path / "page.html").write_text(PAGE)
    page.context.set_extra_http_headers({"X-User": "ann"})
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    with (
        web_server("uvicorn", "asgi", store) as server,
        proxy(name, server.port, tmp_path, more) as address,
        hw.job("Import", id="one", scope="user/ann", total=4) as job,
    ):
        page.goto(f"{address}/page.html")
        shown().becomes("running", 30)
        for percent in ("25%", "50%"):
            job.advance()
            shown().says("percent", percent)
        assert any("/events?" in url for url in asked)
        assert any("/jobs/one" in url for url in asked) is not streams
        shown().part("cancel").click()
        eventually(lambda: hw.get("one").cancel_requested, 20)
        job.complete()
        shown().becomes("completed")
    hw.close()

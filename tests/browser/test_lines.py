"""How the browser keeps hearing: one stream a page, and what it does when servers and networks fail."""

import time

import pytest
from tests.processes import eventually

BAR = '<headway-progress src="/headway/jobs/a"></headway-progress>'
HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", {get: () => hidden, configurable: true});
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture
def bar(door, page, shown):
    door.tell("a", count=1, total=4)

    def bar(body=BAR, **options):
        page.goto(door.page(body, **options))
        return shown()

    return bar


def follows(door, shown, seconds=15):
    """News still arrive."""
    count = (door._jobs["a"]["count"] or 0) + 1
    door.tell("a", count=count, total=1_000)
    shown.says("counts", f"{count}/1,000", seconds)


def test_twenty_elements_share_one_stream(door, page):
    for n in range(20):
        door.tell(f"job{n}", count=n, total=100)
    page.goto(
        door.page(
            "".join(f'<headway-progress src="/headway/jobs/job{n}"></headway-progress>' for n in range(20))
        )
    )
    eventually(lambda: page.locator("[state=running]").count() == 20)
    assert len(door.asked) == 1
    assert door.most_streams == 1
    page.evaluate("""() => {
      const one = document.createElement("headway-progress");
      one.src = "/headway/jobs/late";
      document.body.append(one);
    }""")
    door.tell("late", count=1, total=2)
    eventually(lambda: page.locator("[state=running]").count() == 21)
    eventually(lambda: door.streams == 1)
    assert len(door.asked) == 2


def test_the_stream_ends_with_the_last_job(door, page, bar):
    shown = bar()
    shown.becomes("running")
    door.tell("a", "completed")
    shown.becomes("completed")
    eventually(lambda: door.streams == 0)


def test_the_stream_ends_with_the_last_element(door, page, bar):
    bar().becomes("running")
    page.evaluate("document.querySelector('headway-progress').remove()")
    eventually(lambda: door.streams == 0)


def test_a_server_that_restarts_is_found_again(door, bar):
    shown = bar()
    shown.becomes("running")
    door.stop()
    time.sleep(1)
    assert shown.text("percent") == "25%"
    door.start()
    follows(door, shown, 30)
    eventually(lambda: door.streams == 1, 30)


@pytest.mark.parametrize("fault", ["bad gateway", "unavailable"])
def test_a_proxy_without_a_server_is_outlived(door, page, bar, fault):
    shown = bar()
    shown.becomes("running")
    page.evaluate("addEventListener('headway-error', () => window.errors = (window.errors ?? 0) + 1)")
    door.fault = fault
    eventually(lambda: shown._locator.get_attribute("offline") is not None, 20)
    assert shown.text("status") == "no connection"
    assert shown.text("percent") == "25%"
    time.sleep(3)
    assert page.evaluate("window.errors") == 1, "one outage is told once"
    door.fault = None
    follows(door, shown, 40)
    eventually(lambda: shown._locator.get_attribute("offline") is None)
    eventually(lambda: door.streams == 1, 40)


@pytest.mark.nightly
def test_half_a_minute_of_bad_gateways_is_outlived_without_a_storm(door, bar):
    shown = bar()
    shown.becomes("running")
    door.fault, before = "bad gateway", len(door.asked)
    time.sleep(30)
    assert len(door.asked) - before < 20
    door.fault = None
    follows(door, shown, 40)


@pytest.mark.parametrize("fault", ["no streams", "silent", "buffered", "full", "cut"])
def test_where_streams_do_not_come_through_it_polls(door, page, bar, fault):
    page.clock.install()
    door.fault = fault
    shown = bar()
    eventually(lambda: door.requests("/events"))
    if fault in {"silent", "buffered"}:
        page.clock.fast_forward(6_500)
    shown.becomes("running")
    follows(door, shown, 20)
    follows(door, shown, 20)
    if fault != "cut":
        assert door.requests("/jobs/a")
        assert len(door.requests("/events")) <= 4


def test_a_stream_that_falls_silent_is_left(door, page, bar):
    page.clock.install()
    shown = bar()
    shown.becomes("running")
    door.fault = "silent"  # from now on not even comments
    door._jobs["a"]["version"] += 0
    page.clock.run_for(45_000)
    eventually(lambda: len(door.requests("/jobs/a")) + len(door.requests("/events")) > 1)


def test_a_page_that_wants_a_login_is_no_answer(door, page, bar):
    shown = bar()
    shown.becomes("running")
    door.fault = "garbage"
    door.stop()
    door.start()
    eventually(lambda: shown._locator.get_attribute("offline") is not None, 20)
    door.fault = None
    follows(door, shown, 40)


def test_a_frame_that_is_none_is_outlived(door, bar):
    shown = bar()
    shown.becomes("running")
    door.tell("a", count=2, total=4, raw="{not json")
    eventually(lambda: "{not json" in door.written)
    follows(door, shown)


def test_a_sleeping_laptop_finds_out_at_once(door, page, bar):
    page.clock.install()
    shown = bar()
    shown.becomes("running")
    before = len(door.requests("/events"))
    page.clock.fast_forward(3_600_000)
    page.clock.run_for(2_000)
    eventually(lambda: len(door.requests("/events")) == before + 1)
    follows(door, shown)


def test_a_hidden_page_asks_nothing_and_one_that_is_seen_again_everything(door, page, bar):
    shown = bar()
    shown.becomes("running")
    page.evaluate(HIDE, True)
    eventually(lambda: door.streams == 0)
    before = len(door.asked)
    door.tell("a", count=3, total=4)
    time.sleep(1)
    assert len(door.asked) == before
    page.evaluate(HIDE, False)
    shown.says("percent", "75%")


def test_polling_alone_spares_the_server(door, bar):
    shown = bar('<headway-progress src="/headway/jobs/a" transport="poll" poll="0.2"></headway-progress>')
    follows(door, shown)
    time.sleep(3)
    asked = door.requests("/jobs/a")
    assert door.requests("/events") == []
    assert len(asked) < 8, "it asks for what it has not, and lets the server wait"
    assert asked[-1].headers["if-none-match"].startswith('W/"')
    assert asked[-1].headers["prefer"].startswith("wait=")
    door.tell("a", "completed")
    shown.becomes("completed")
    after = len(door.asked)
    time.sleep(1)
    assert len(door.asked) == after


def test_streams_alone_never_poll(door, bar):
    door.fault = "bad gateway"
    shown = bar('<headway-progress src="/headway/jobs/a" transport="sse"></headway-progress>')
    eventually(lambda: len(door.requests("/events")) >= 2, 20)
    door.fault = None
    follows(door, shown, 30)
    assert door.requests("/jobs/a") == []


def test_watch_tells_whoever_draws_alone(door, page, bar):
    bar("")
    page.evaluate("""async () => {
      const {watch} = await import("/static/headway.js");
      window.heard = [];
      const urls = ["/headway/jobs/a", "/headway/jobs/b"];
      window.stop = watch(urls, (job, url) => heard.push([url.slice(-1), job.status]));
    }""")
    eventually(lambda: page.evaluate("heard") == [["a", "running"], ["b", "waiting"]])
    door.tell("b", count=1)
    eventually(lambda: page.evaluate("heard.at(-1)") == ["b", "running"])
    assert len(door.asked) == 1
    page.evaluate("stop()")
    eventually(lambda: door.streams == 0)


def test_elements_and_watchers_of_one_job_share_it(door, page, bar):
    shown = bar(BAR + BAR)
    eventually(lambda: page.locator("[state=running]").count() == 2)
    page.evaluate("""async () => {
      const {watch} = await import("/static/headway.js");
      watch("/headway/jobs/a", (job) => window.heard = job.count);
    }""")
    eventually(lambda: page.evaluate("window.heard") == 1)
    assert shown is not None
    assert door.requests("/events")[0].query == {"id": ["a"]}
    assert len(door.asked) == 1


@pytest.mark.nightly
def test_a_slow_network_is_no_fault(door, page, bar):
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    conditions = {"offline": False, "latency": 600, "downloadThroughput": 6_000, "uploadThroughput": 6_000}
    session.send("Network.emulateNetworkConditions", conditions)
    shown = bar()
    shown.becomes("running", 60)
    follows(door, shown, 30)


def test_a_page_that_is_left_and_entered_again_goes_on(door, page, bar):
    shown = bar(csp=None)
    shown.becomes("running")
    page.evaluate("window.here = true")
    page.goto(door.page("elsewhere", path="/other", script=None))
    eventually(lambda: door.streams == 0)
    door.tell("a", count=3, total=4)
    page.go_back(wait_until="commit")
    shown.says("percent", "75%")
    assert page.evaluate("window.here"), "the page came back whole, from the browser's cache"
    eventually(lambda: door.streams == 1)


def test_newcomers_are_no_failure_of_those_who_wait(door, page, bar):
    shown = bar('<headway-progress src="/headway/jobs/a" transport="poll"></headway-progress>')
    shown.becomes("running")
    eventually(lambda: any("prefer" in asked.headers for asked in door.requests("/jobs/a")))
    for n in range(5):
        page.evaluate(f"""() => {{
          const one = document.createElement("headway-progress");
          one.setAttribute("transport", "poll");
          one.src = "/headway/jobs/late{n}";
          document.body.prepend(one);
        }}""")
        time.sleep(0.2)
    assert page.locator("[offline]").count() == 0
    eventually(lambda: {f"/headway/jobs/late{n}" for n in range(5)} <= {asked.path for asked in door.asked})


@pytest.mark.parametrize("fault", ["no streams", "full"])
def test_streams_alone_storm_no_server_that_has_none(door, page, bar, fault):
    door.fault, began = fault, time.monotonic()
    bar('<headway-progress src="/headway/jobs/a" transport="sse"></headway-progress>')
    eventually(lambda: door.asked)
    time.sleep(2)
    asked = len(door.asked)
    assert asked <= 2 + (time.monotonic() - began)


def test_a_network_that_is_back_is_believed(door, page, bar, context):
    shown = bar()
    shown.becomes("running")
    context.set_offline(offline=True)
    door.stop()
    eventually(lambda: shown._locator.get_attribute("offline") is not None, 20)
    door.start()
    context.set_offline(offline=False)
    eventually(lambda: shown._locator.get_attribute("offline") is None)
    follows(door, shown)

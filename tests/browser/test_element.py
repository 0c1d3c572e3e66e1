"""What <headway-progress> shows, tells and does, in Chromium under a strict content security policy."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from tests.processes import eventually

from headway.core.snapshot import Stage

BAR = '<headway-progress src="/headway/jobs/a"></headway-progress>'
CANCELLABLE = '<headway-progress src="/headway/jobs/a" cancel></headway-progress>'
LISTENS = """() => {
  window.told = [];
  for (const name of ["progress", "done", "error"]) {
    document.addEventListener("headway-" + name, (event) => told.push([name, event.detail?.status ?? null]));
  }
}"""


@pytest.fixture
def bar(door, page, shown):
    """The element of one job, in a page."""

    def bar(body=BAR, **options):
        page.goto(door.page(body, **options))
        return shown()

    return bar


def told(page):
    return [tuple(one) for one in page.evaluate("window.told")]


def test_a_running_job_shows_all_that_is_known(door, bar):
    stages = (
        Stage("Download", 1.0, 40, 40, "files", 20.0, ended=True),
        Stage("Crunch", 3.0, 5, 50, None, 9.0),
    )
    counted = {"count": 5_210, "total": 12_400, "unit": "rows", "rate": 135.7, "activity": "row 5210"}
    left = {"elapsed": 40.0, "remaining": 230.0, "remaining_low": 170.0, "remaining_high": 310.0}
    door.tell("a", name="Nightly report", stages=stages, **counted, **left)
    shown = bar()
    shown.becomes("running")
    assert shown.text("name") == "Nightly report"
    assert shown.text("percent") == "42%"
    assert shown.text("status") == "3–5 min left"
    assert shown.text("counts") == "5,210/12,400 rows"
    assert shown.text("detail") == "row 5210 · 135.7 rows/s"
    assert shown.text("stages") == "Download40/40 files100%Crunch5/5010%"
    eventually(lambda: shown.width == 42)


def test_it_waits_for_a_job_that_does_not_exist_yet(door, page, bar):
    shown = bar()
    page.evaluate(LISTENS)
    shown.says("status", "waiting")
    assert shown.width == 0
    door.tell("a", "pending", name="Import")
    shown.becomes("pending")
    door.tell("a", name="Import", count=1, total=4)
    shown.says("percent", "25%")
    assert told(page) == [("progress", "pending"), ("progress", "running")]


def test_only_a_completed_job_reads_100(door, bar):
    door.tell("a", count=100, total=100)
    shown = bar()
    shown.says("percent", "99%")
    door.tell("a", "completed", count=100, total=100)
    shown.says("percent", "100%")
    shown.says("status", "completed")
    eventually(lambda: shown.width == 100)


@pytest.mark.parametrize("status", ["failed", "cancelled", "stopped"])
def test_a_job_that_did_not_complete_keeps_its_place(door, bar, status):
    door.tell("a", count=45, total=100)
    shown = bar()
    shown.becomes("running")
    door.tell("a", status, count=45, total=100)
    shown.becomes(status)
    assert shown.text("percent") == "45%"
    assert shown.text("status") == status
    eventually(lambda: shown.width == 45)


def test_a_job_of_unknown_length_moves_without_a_share(door, page, bar):
    door.tell("a", count=1_842, unit="files")
    shown = bar()
    shown.says("counts", "1,842 files")
    assert page.locator("headway-progress[indeterminate]").count() == 1
    assert shown.part("bar").get_attribute("aria-valuenow") is None


def test_the_bar_never_moves_back_for_what_comes_late(door, page, bar):
    old = door.tell("a", count=10, total=100)
    door.tell("a", count=60, total=100)
    shown = bar()
    shown.says("percent", "60%")
    page.evaluate("(job) => document.querySelector('headway-progress').snapshot = job", old)
    stale = door._jobs["a"] | {"count": 11, "percent": 11, "read_at": "2020-01-01T00:00:00Z"}
    page.evaluate("(job) => document.querySelector('headway-progress').snapshot = job", stale)
    assert shown.text("percent") == "60%"
    assert page.evaluate("document.querySelector('headway-progress').snapshot.count") == 60


def test_a_dead_worker_shows_and_one_that_speaks_again_too(door, bar):
    door.tell("a", count=1, total=2)
    shown = bar()
    shown.becomes("running")
    version = door._jobs["a"]["version"]
    door.tell("a", "stalled", version=version, count=1, total=2, silent_for=47.0)
    shown.becomes("stalled")
    eventually(lambda: shown.text("detail") in {f"nothing heard for {seconds} s" for seconds in (48, 49, 50)})
    door.tell("a", count=1, total=2)
    shown.becomes("running")


def test_time_left_counts_down_between_reports(door, page, bar):
    page.clock.install()
    door.tell("a", elapsed=60.0, remaining=50.0, remaining_low=48.0, remaining_high=52.0)
    shown = bar()
    shown.says("status", "about 50 s left")
    page.clock.fast_forward(9_000)
    page.clock.run_for(2_000)
    shown.says("status", "about 40 s left")


def test_standing_still_is_mentioned_but_silence_is_not_taken_for_the_worker_s(door, page, bar):
    page.clock.install()
    door.tell("a", count=50, total=100, elapsed=50.0, idle_for=0.0, silent_for=0.0)
    shown = bar()
    shown.becomes("running")
    page.clock.run_for(9_000)
    assert shown.text("detail") == ""
    page.clock.run_for(6_000)
    eventually(lambda: "no progress for 1" in shown.text("detail"))


def test_events_bubble_and_an_end_is_told_once(door, page, bar):
    door.tell("a", count=1, total=2)
    shown = bar()
    page.evaluate(LISTENS)
    shown.becomes("running")
    door.tell("a", count=2, total=2)
    shown.says("counts", "2/2")
    door.tell("a", "completed", count=2, total=2)
    shown.becomes("completed")
    assert told(page)[-2:] == [("progress", "completed"), ("done", "completed")]
    assert [name for name, _ in told(page)].count("done") == 1
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    door.stop()
    page.wait_for_timeout(500)
    assert asked == [], "an end is the end: nothing is asked any more"


def test_cancel_asks_and_says_so(door, page, bar):
    door.tell("a", count=1, total=2)
    shown = bar(CANCELLABLE)
    shown.becomes("running")
    shown.part("cancel").click()
    shown.says("status", "asked to stop")
    assert shown.part("cancel").is_disabled()
    assert door.cancels == ["a"]
    (asked,) = door.requests("/cancel")
    assert asked.headers["content-type"] == "application/json"
    door.tell("a", "cancelled", count=1, total=2)
    shown.becomes("cancelled")
    assert not shown.part("cancel").is_visible()


def test_cancel_may_ask_first(door, page, bar):
    door.tell("a", count=1, total=2)
    shown = bar('<headway-progress src="/headway/jobs/a" cancel="Stop the import?"></headway-progress>')
    shown.becomes("running")
    asked = []
    page.once("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    shown.part("cancel").click()
    assert asked == ["Stop the import?"]
    assert door.cancels == []
    page.once("dialog", lambda dialog: dialog.accept())
    shown.part("cancel").click()
    eventually(lambda: door.cancels == ["a"])


def test_cancel_carries_the_token_of_the_page_or_of_django_s_cookie(door, page, bar, context):
    door.tell("a")
    shown = bar('<headway-progress src="/headway/jobs/a" cancel csrf="s3cret"></headway-progress>')
    shown.becomes("running")
    shown.part("cancel").click()
    eventually(lambda: [asked.headers.get("x-csrftoken") for asked in door.requests("/cancel")] == ["s3cret"])
    context.add_cookies([{"name": "csrftoken", "value": "c00kie", "url": door.url}])
    door.tell("a")
    shown = bar(CANCELLABLE)
    shown.becomes("running")
    shown.part("cancel").click()
    eventually(
        lambda: [asked.headers.get("x-csrftoken") for asked in door.requests("/cancel")][1:] == ["c00kie"]
    )


def test_a_link_s_token_goes_along_and_cancels_as_a_header(door, page, bar):
    door.tell("a")
    shown = bar('<headway-progress src="/headway/jobs/a?token=t.1" cancel></headway-progress>')
    shown.becomes("running")
    assert door.requests("/events")[0].query == {"id": ["a"], "token": ["t.1"]}
    shown.part("cancel").click()
    eventually(lambda: door.cancels == ["a"])
    (asked,) = door.requests("/cancel")
    assert asked.query == {}
    assert asked.headers["authorization"] == "Bearer t.1"


def test_a_refused_cancel_is_told_and_may_be_asked_again(door, page, bar):
    door.tell("a")
    door.refuses_cancel = True
    shown = bar(CANCELLABLE)
    page.evaluate(LISTENS)
    shown.becomes("running")
    shown.part("cancel").click()
    eventually(lambda: ("error", 409) in told(page))
    assert shown.part("cancel").is_enabled()


def test_a_job_past_its_point_of_no_return_has_no_button(door, bar):
    door.tell("a", cancellable=False)
    shown = bar(CANCELLABLE)
    shown.becomes("running")
    assert not shown.part("cancel").is_visible()


def test_a_plain_progress_is_upgraded_without_a_jump(door, page, bar):
    door.fault = "hung"
    label = '<label>Your report <progress value="0.4" max="1">40%</progress></label>'
    shown = bar(f'<headway-progress src="/headway/jobs/a">{label}</headway-progress>')
    shown.says("name", "Your report")
    assert shown.text("percent") == "40%"
    eventually(lambda: shown.width == 40)
    assert not page.locator("progress").is_visible()
    door.tell("a", name="report_v2", count=1, total=2)
    door.fault = None
    shown.says("percent", "50%", 30)
    assert shown.text("name") == "Your report"


def test_what_the_page_calls_it_shows_until_its_name_is_known(door, bar):
    door.fault = "hung"
    painted = '<progress value="0.4" max="1" aria-label="Nightly report">40%</progress>'
    shown = bar(f'<headway-progress src="/headway/jobs/a">{painted}</headway-progress>')
    shown.says("name", "Nightly report")
    door.tell("a", name="Report of Friday", count=1, total=2)
    door.fault = None
    shown.says("name", "Report of Friday", 30)


HOSTILE = (
    "<img src=x onerror=alert(1)><script>alert(2)</script>&lt;b&gt;",
    "abc\u202edcba\u2066\u2069 \u200f",
    "line\u2028separator\u2029and\u0085next",
    "word" * 2_500,
    '"; event: gone',
)


@pytest.mark.parametrize("text", HOSTILE, ids=["markup", "direction", "separators", "10 kB", "quotes"])
def test_hostile_text_is_text(door, page, bar, text):
    stage = Stage(text, 1.0, 1, 2, None, 1.0)
    door.tell("a", name=text, activity=text, stages=(stage,), total_weight=1.0, count=1, total=2, unit=text)
    shown = bar()
    shown.says("name", text.strip())
    assert text in shown.text("detail")
    assert text in shown.text("stages")
    assert text in shown.text("counts")
    door.tell("a", "failed", name=text, error={"text": text})
    shown.becomes("failed")
    assert text in shown.text("detail")
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    assert (
        page.evaluate(
            "document.querySelector('headway-progress').shadowRoot.querySelectorAll('img,script,b').length"
        )
        == 0
    )


def test_a_name_from_right_to_left_leaves_the_rest_in_place(door, page, bar):
    door.tell("a", name="דוח לילה", count=1, total=4)
    shown = bar()
    shown.becomes("running")
    percent, bar_ = (shown.part(name).bounding_box() for name in ("percent", "bar"))
    assert abs(percent["x"] + percent["width"] - bar_["x"] - bar_["width"]) < 2


def test_in_a_page_from_right_to_left_the_bar_fills_from_the_right(door, page, bar):
    door.tell("a", name="تقرير", count=1, total=4)
    shown = bar(f'<main dir="rtl" lang="ar">{BAR}</main>')
    eventually(lambda: shown.width == 25)
    fill, bar_ = (shown.part(name).bounding_box() for name in ("fill", "bar"))
    assert abs(fill["x"] + fill["width"] - bar_["x"] - bar_["width"]) < 2


def test_nothing_moves_while_a_job_lives(door, page, bar):
    shown = bar(CANCELLABLE + "<p>below</p>")
    heights = set()

    def look(status, **facts):
        door.tell("a", status, name="Import", **facts)
        shown.becomes(status)
        time.sleep(0.1)
        heights.add(page.locator("p").bounding_box()["y"])

    look("pending")
    look("running", count=1, total=4)
    look("running", count=2, total=4, remaining=60.0, elapsed=60.0, unit="rows")
    look("completed", count=4, total=4)
    assert len(heights) == 1


def test_calm_for_those_who_ask_for_it(door, page, bar):
    page.emulate_media(reduced_motion="reduce")
    door.tell("a", count=1_842)
    shown = bar()
    shown.becomes("running")
    assert page.evaluate("document.querySelector('headway-progress').shadowRoot.getAnimations().length") == 0


def test_another_job_starts_from_nothing(door, page, bar):
    door.tell("a", name="First", count=9, total=10)
    door.tell("b", name="Second", count=1, total=10)
    shown = bar()
    shown.says("percent", "90%")
    page.evaluate("document.querySelector('headway-progress').src = '/headway/jobs/b'")
    shown.says("percent", "10%")
    assert shown.text("name") == "Second"


def test_a_job_that_is_forgotten_is_gone_and_may_come_back(door, bar):
    door.tell("a", count=1, total=2)
    shown = bar()
    shown.becomes("running")
    door.forget("a")
    shown.becomes("gone")
    assert shown.text("percent") == "50%"
    door._jobs["a"] = {"version": time.time_ns() // 1_000}
    door.tell("a", count=2, total=2)
    shown.becomes("running")


def test_an_id_may_hold_what_a_url_must_quote(door, bar):
    id = "user@x.org:7~a-b"
    door.tell(id, count=1, total=2)
    shown = bar(f'<headway-progress src="/headway/jobs/{id.replace("@", "%40")}"></headway-progress>')
    shown.says("percent", "50%")


def test_whoever_hears_of_a_job_otherwise_may_show_it(door, page, bar):
    shown = bar("<headway-progress></headway-progress>")
    moment = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    job = door.tell("x", count=3, total=4) | {"read_at": moment}
    page.evaluate("(job) => document.querySelector('headway-progress').snapshot = job", job)
    assert shown.text("percent") == "75%"
    assert door.asked == []

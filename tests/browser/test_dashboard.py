"""The dashboard from end to end: real workers, a real store, `headway serve`, a real browser."""

import re
import signal
import subprocess
import time
from contextlib import contextmanager

import pytest
from tests.browser.door import HERE
from tests.processes import eventually, program, run, start
from tests.servers.redis import redis_server

AXE = HERE / "node_modules" / "axe-core" / "axe.min.js"
SERVE = "import sys; from headway.__main__ import main; sys.argv[0] = 'headway'; main()"

STEPS = """
with hw.job("Import", id="a", total=8) as job:
    for line in map(str.strip, iter(sys.stdin.readline, "end\\n")):
        job.advance(int(line), activity="row " + line)
"""
"""A worker that advances as it is told."""
LOOPS = """
try:
    with hw.job(sys.argv[3], id=sys.argv[2], total=10**9, lease=2) as job:
        while True:
            job.advance()
            time.sleep(0.01)
except headway.Cancelled:
    print("stopped", flush=True)
"""
FAILS = """
stages = {"Fetch": 1, "Crunch": 1}
with hw.job("Nightly", id="a", scope="user/1", stages=stages, meta={"by": "cron"}) as job:
    with job.stage("Fetch", total=2, unit="pages") as stage:
        stage.advance(2, failed=1)
    with job.child("Picture", id="b", total=1) as child:
        child.advance()
    job.message("2 rows skipped", level="warning")
    raise ZeroDivisionError
"""
HOSTILE = "<img src=x onerror=alert(1)>\u202e<script>alert(2)</script>"


@contextmanager
def served(store, *options, port=0):
    """`headway serve` in a process of its own: its address, and the process."""
    process = program(SERVE, "serve", store, "--port", port, *options, stderr=subprocess.PIPE)
    try:
        said = []
        while not said or not said[-1].startswith("  http"):
            said.append(process.stdout.readline())
            assert said[-1], process.stderr.read()
        process.address = said[-1].strip()
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.complaints = process.communicate(timeout=20)[1]
        finally:
            process.kill()
        assert process.returncode in {0, -signal.SIGKILL}


@contextmanager
def working(script, store, *arguments):
    worker = start(script, store, *arguments, stdin=subprocess.PIPE)
    try:
        yield worker
    finally:
        worker.kill()
        worker.communicate()


@pytest.fixture
def dashboard(store):
    with served(store) as process:
        yield process


@pytest.fixture
def names(page):
    return lambda: page.locator("#jobs .row .name").all_text_contents()


def said(page, selector):
    return page.locator(selector).first.text_content()


def fact(page, name):
    row = page.locator(".facts > div").filter(has=page.get_by_text(name, exact=True))
    return row.locator("dd").text_content()


def tell(worker, *steps):
    for step in steps:
        worker.stdin.write(f"{step}\n")
    worker.stdin.flush()


def done(hw, name, **options):
    with hw.job(name, total=1, **options) as job:
        job.advance()
    return job.id


# What is shown


def test_an_advance_in_a_worker_reaches_the_page(store, dashboard, page):
    page.goto(dashboard.address)
    page.get_by_text("Nothing here yet").wait_for()
    with working(STEPS, store) as worker:
        tell(worker, 2)
        page.get_by_text("25%").wait_for()
        assert said(page, ".row .name") == "Import"
        assert page.title() == "(1) headway"
        fill = page.locator(".row .fill")
        eventually(lambda: fill.evaluate("node => node.style.inlineSize") == "25%")
        page.locator(".row").click()
        eventually(lambda: page.title() == "25% Import")
        tell(worker, 4)
        eventually(lambda: page.title() == "75% Import")
        eventually(lambda: said(page, ".activity") == "row 4")
        assert fact(page, "Done") == "6/8"
        tell(worker, 2, "end")
        eventually(lambda: page.title() == "✓ Import")
    assert page.locator("headway-progress").get_attribute("state") == "completed"
    assert page.locator("#job .danger").is_hidden()
    page.get_by_role("link", name="All jobs").click()
    eventually(lambda: said(page, ".row .status") == "completed")
    assert page.title() == "headway"


def test_a_page_shows_all_that_is_known_of_a_job(store, dashboard, page):
    run(FAILS, store)
    page.goto(f"{dashboard.address}?job=a")
    page.get_by_text("2 rows skipped").wait_for()
    eventually(lambda: said(page, "#job .row .name") == "Picture")
    assert page.locator(".stages .name").all_text_contents() == ["Fetch", "Crunch"]
    assert said(page, ".stages .counts") == "2/2 pages"
    assert said(page, ".said") == "ZeroDivisionError"
    assert "ZeroDivisionError" in said(page, "#job details pre")
    assert fact(page, "Failed items") == "1"
    assert fact(page, "Children") == "1 of 1 ended"
    assert '"by": "cron"' in page.locator("#job pre").last.text_content()
    page.locator("#job .row").click()
    eventually(lambda: page.title() == "✓ Picture")
    page.get_by_role("link", name="a", exact=True).click()
    eventually(lambda: page.title() == "✗ Nightly")
    page.get_by_role("link", name="user/1").click()
    eventually(lambda: page.url.endswith("?scope=user%2F1"))


def test_a_second_attempt_says_so_and_why_the_first_one_failed(hw, dashboard, page):
    hw.job("Import", id="a").start().fail("The file has no header row.")
    with hw.job("Import", id="a") as job:
        page.goto(f"{dashboard.address}?job=a")
        page.get_by_text("attempt 1: The file has no header row.").wait_for()
        assert fact(page, "Attempt") == "2"
        job.complete({"rows": 7})
        page.get_by_text('"rows": 7').wait_for()


def test_jobs_are_found_by_status_scope_and_words(hw, dashboard, page, names):
    done(hw, "Old import", scope="user/1")
    done(hw, "Report", scope="user/2")
    hw.job("New import", scope="user/1").start().fail("no")
    page.goto(dashboard.address)
    eventually(lambda: names() == ["New import", "Report", "Old import"])
    page.get_by_role("radio", name="Failed").click()
    eventually(lambda: names() == ["New import"])
    page.get_by_role("radio", name="All", exact=True).click()
    page.get_by_role("searchbox").fill("IMPORT old")
    eventually(lambda: names() == ["Old import"])
    page.get_by_role("searchbox").fill("nothing of the kind")
    page.get_by_text("No jobs match").wait_for()
    page.get_by_role("link", name="Show all jobs").click()
    eventually(lambda: len(names()) == 3)
    page.goto(f"{dashboard.address}?scope=user/1&status=completed")
    eventually(lambda: names() == ["Old import"])
    page.locator("#scope").click()
    eventually(lambda: names() == ["Report", "Old import"])


def test_new_jobs_appear_at_the_top_and_move_nothing_for_whoever_reads_below(hw, dashboard, page, names):
    for at in range(60):
        hw.reserve(f"Job {at}")
    page.goto(dashboard.address)
    eventually(lambda: names()[:1] == ["Job 59"])
    page.mouse.wheel(0, 1500)
    eventually(lambda: "Job 35" in names() and "Job 59" not in names())
    row = page.locator(".row", has_text="Job 35")
    before = row.bounding_box()["y"]
    hw.reserve("Newcomer")
    page.get_by_role("button", name="1 new").wait_for()
    assert abs(row.bounding_box()["y"] - before) < 2
    page.get_by_role("button", name="1 new").click()
    eventually(lambda: names()[0] == "Newcomer")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_empty_store_says_how_to_start_and_that_works(store, dashboard, chromium, scheme):
    context = chromium.new_context(color_scheme=scheme, permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(dashboard.address)
    page.get_by_role("button", name="Copy").click()
    eventually(lambda: page.get_by_role("button", name="Copied").is_visible())
    copied = page.evaluate("navigator.clipboard.readText()")
    assert store in copied
    worker = program(copied)
    try:
        page.get_by_text("My first job").wait_for()
    finally:
        worker.kill()
        worker.communicate()
    context.close()


# What jobs say is only text


def test_what_jobs_say_is_shown_as_text(hw, dashboard, page):
    name = f"四半期 📈 {HOSTILE}"
    with hw.job(name, id="a", scope="<b>x</b>", unit="<i>", total=9, stages={"<u>s</u>": 1}) as job:
        job.message(f"警告 {HOSTILE}", level="error")
        job.advance(activity=f"יבוא {HOSTILE}")
        job.meta = {"<b>": HOSTILE}
        page.goto(dashboard.address)
        eventually(lambda: said(page, ".row .name") == name)
        page.locator(".row").click()
        page.get_by_text("警告").wait_for()
        assert said(page, "#job h1") == name
        assert said(page, ".activity") == f"יבוא {HOSTILE}"
        page.get_by_role("button", name="Cancel").click()
        assert said(page, "#asked") == f"Cancel {name}?"
        for tag in ("img[src=x]", "main script", "main b", "main i", "main u"):
            assert page.locator(tag).count() == 0
        percent = page.locator("headway-progress [part=percent]")
        assert percent.bounding_box()["x"] < 200, "text from right to left turns nothing else round"


# Many


@pytest.fixture
def three_thousand(hw):
    for at in range(3_000):
        hw.reserve(f"Job {at:04}", id=f"job-{at:04}")


def test_thousands_of_jobs_are_a_few_rows_and_one_stream(three_thousand, dashboard, page, names):
    streams = []
    page.on("request", lambda asked: streams.append(asked.url) if "/events" in asked.url else None)
    page.goto(dashboard.address)
    eventually(lambda: names()[:1] == ["Job 2999"])
    assert page.title() == "(200+) headway"
    eventually(lambda: page.title() and streams)  # it is asking the page that lets its events in
    assert streams[0].count("id=") < 64
    seen, deadline = set(), time.monotonic() + 60
    while "Job 0000" not in seen:
        assert time.monotonic() < deadline
        page.mouse.wheel(0, 6_000)
        page.wait_for_timeout(30)
        seen.update(names())
        assert len(names()) < 80
    page.keyboard.press("/")
    page.keyboard.type("0042")
    eventually(lambda: names() == ["Job 0042"])


def test_a_job_far_down_is_live_as_well(hw, store, dashboard, page):
    with working(STEPS, store) as worker:
        tell(worker, 1)
        eventually(lambda: hw.get("a"))
        for at in range(120):
            hw.reserve(f"Later {at}")
        page.goto(dashboard.address)
        row = page.locator(".row", has_text="Import")

        def below():
            page.mouse.wheel(0, 3_000)
            return row.is_visible()

        eventually(below, every=0.1)
        tell(worker, 5)
        eventually(lambda: row.locator(".percent").text_content() == "75%")


# Faults


def test_a_killed_worker_is_said_to_be_stalled(store, dashboard, page):
    with working(LOOPS, store, "a", "Import") as worker:
        page.goto(dashboard.address)
        page.locator(".row[data-state=running]").wait_for()
        worker.send_signal(signal.SIGKILL)
        eventually(lambda: said(page, ".row .status") == "stalled", 30)
        page.locator(".row").click()
        eventually(lambda: page.title() == "! Import")
        eventually(lambda: re.fullmatch(r"nothing heard for \d+ s", said(page, ".worry")))


def test_a_server_that_restarts_is_missed_and_found_again(store, page):
    with working(STEPS, store) as worker:
        tell(worker, 2)
        with served(store) as first:
            page.goto(first.address)
            page.locator(".row").click()
            eventually(lambda: page.title() == "25% Import")
            port = int(first.address.rpartition(":")[2].strip("/"))
        eventually(lambda: "No connection to headway serve" in said(page, "#trouble"))
        assert page.title() == "… Import"
        tell(worker, 2)
        with served(store, port=port):
            eventually(lambda: said(page, "#trouble") == "", 30)
            eventually(lambda: page.title() == "50% Import", 30)


def test_a_store_that_goes_away_is_said_to_and_what_was_known_stays(page, names):
    with redis_server() as redis, served(redis.url) as dashboard, working(STEPS, redis.url) as worker:
        tell(worker, 2)
        page.goto(dashboard.address)
        eventually(lambda: names() == ["Import"])
        redis.kill()
        eventually(lambda: "The store cannot be read" in said(page, "#trouble"), 30)
        assert names() == ["Import"]
        tell(worker, 2)
        redis.start()
        eventually(lambda: said(page, "#trouble") == "", 30)
        eventually(lambda: said(page, ".row .percent") == "50%" if names() else False, 30)


def test_children_are_folded_into_what_they_are_part_of(store, dashboard, page, names):
    run(FAILS, store)
    page.goto(dashboard.address)
    eventually(lambda: names() == ["Nightly"])
    page.get_by_role("button", name="Children").click()
    eventually(lambda: names() == ["Picture", "Nightly"])
    page.get_by_role("button", name="Children").click()
    eventually(lambda: names() == ["Nightly"])
    page.get_by_role("searchbox").fill("picture")
    eventually(lambda: names() == ["Picture"])


# Cancel


def test_a_cancel_is_asked_for_and_reaches_the_worker(store, hw, dashboard, page):
    with working(LOOPS, store, "a", "Import") as worker:
        eventually(lambda: hw.get("a"))
        page.goto(f"{dashboard.address}?job=a")
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name="Let it run").click()
        assert hw.get("a").cancel is None
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name="Cancel the job").click()
        assert worker.stdout.readline() == "stopped\n"
        eventually(lambda: page.title() == "■ Import")
        assert page.get_by_role("dialog").count() == 0


def test_a_cancel_that_comes_too_late_says_so(hw, dashboard, page):
    with hw.job("Import", id="a") as job:
        page.goto(f"{dashboard.address}?job=a")
        page.get_by_role("button", name="Cancel").click()
        page.route("**/cancel", lambda route: (job.complete(), route.continue_()))
        page.get_by_role("button", name="Cancel the job").click()
        page.get_by_text("The job has ended.").wait_for()


# People


def test_the_keyboard_is_enough(hw, store, dashboard, page, names):
    for at in range(3):
        hw.reserve(f"Job {at}", id=f"job-{at}")
    page.goto(dashboard.address)
    eventually(lambda: len(names()) == 3)
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.querySelector('.name').textContent") == "Job 1"
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    eventually(lambda: said(page, "#job h1") == "Job 2")
    page.keyboard.press("c")
    page.get_by_role("button", name="Cancel the job").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Cancel the job").wait_for(state="hidden")
    page.keyboard.press("Escape")
    eventually(lambda: len(names()) == 3)
    page.keyboard.press("/")
    page.keyboard.type("job 0")
    eventually(lambda: names() == ["Job 0"])
    page.keyboard.press("?")
    assert page.get_by_role("dialog").count() == 0, "it is typed"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_cut_off_and_axe_has_nothing_to_say(hw, dashboard, chromium, scheme, width):
    context = chromium.new_context(
        color_scheme=scheme, viewport={"width": width, "height": 700}, bypass_csp=True
    )
    page = context.new_page()
    done(hw, "A name that is far too long for a telephone " * 4, scope="user/1")
    with hw.job("Running", id="a", stages={"One": 1, "Two": 1}) as job:  # noqa: SIM117 - a stage needs its job
        with job.stage("One", total=9, unit="rows") as stage:
            stage.advance(3, activity="x" * 400)
            job.message("x" * 400, level="warning")
            for address in ("", "?job=a", "?status=failed", "?scope=user/1"):
                page.goto(dashboard.address + address)
                page.locator(":is(.row, .facts dd, #none h2):visible").first.wait_for()
                page.wait_for_timeout(500)
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
                page.add_script_tag(path=AXE)
                found = page.evaluate("axe.run().then(({violations}) => violations)")
                assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
    context.close()


# Who is let in


def test_where_others_can_reach_it_a_token_is_asked_for(store, hw, page, context):
    done(hw, "Import")
    with served(store, "--host", "0.0.0.0") as dashboard:  # noqa: S104 - this is what it is about
        token = dashboard.address.partition("?token=")[2]
        port = re.search(r":(\d+)/", dashboard.address)[1]
        address = f"http://127.0.0.1:{port}/"
        page.goto(address)
        page.get_by_label("Token").fill("guess" * 5)
        page.get_by_role("button", name="Enter").click()
        page.get_by_label("Token").fill(token)
        page.get_by_role("button", name="Enter").click()
        page.get_by_role("link", name="Import").wait_for()
        assert page.url == address
        (cookie,) = context.cookies()
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Lax"
        assert token not in cookie["value"]
    assert token not in dashboard.complaints


def test_ctrl_c_ends_it_while_pages_are_open(store, hw, page):
    with working(STEPS, store) as worker, served(store) as dashboard:
        tell(worker, 1)
        with page.expect_response(lambda answer: "/events" in answer.url):
            page.goto(dashboard.address)
        page.locator(".row").wait_for()
        dashboard.send_signal(signal.SIGINT)
        assert dashboard.wait(10) == 0


def test_the_demo_prints_the_dashboards_address_and_leaves_it_up(store, page, tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "one").write_bytes(b"to be or not to be" * 1000)
    demo = program(SERVE, "demo", tmp_path / "files", "--serve", "--store", store, stderr=subprocess.PIPE)
    try:
        lines = []
        while not lines or "until Ctrl-C" not in lines[-1]:
            lines.append(demo.stdout.readline())
            assert lines[-1], demo.stderr.read()
        (address,) = re.findall(r"In a browser: (\S+)", "".join(lines))
        page.goto(address)
        eventually(lambda: page.title() == "✓ files under xz")
        page.goto("about:blank")
        demo.send_signal(signal.SIGINT)
        assert demo.wait(20) == 0
    finally:
        demo.kill()
        demo.communicate()

"""What the pages of docs/coming-from show of HTML and scripts runs as it stands there."""

import json
import re
from importlib.resources import files

import msgspec
import pytest
from tests.browser.door import HERE, STATIC

from headway.core.snapshot import Details, Snapshot
from headway.web.access import OWNER
from headway.web.celery_progress import answer

PAGES = HERE.parents[1] / "docs" / "coming-from"
ID = "Jx2cQ0mBv7mP4v0o8i7RjA"


def blocks(page):
    text = (PAGES / f"{page}.md").read_text()
    return re.findall(r"^```(html|js)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def example(page, containing):
    (found,) = [text for _, text in blocks(page) if containing in text]
    return found


@pytest.fixture
def show(door, page):
    door.file("/headway/headway.js", (STATIC / "headway.js").read_text())

    def show(html, script=None, **files):
        """The page of an example, without a policy, because one has a style of its own."""
        for path, text in files.items():
            door.file(f"/{path}.js", text)
        page.goto(door.page(html, csp=None, script=script))

    return show


def test_time_progress_stored_a_page_that_draws_the_id(door, show, page, shown):
    show(example("time-progress-stored", "randomUUID"), "/headway/headway.js")
    id = page.locator("[name=progress_id]").input_value()
    page.evaluate(
        "document.querySelector('form').addEventListener('submit', (event) => event.preventDefault())"
    )
    page.get_by_role("button", name="Import").click()
    shown().says("status", "waiting")
    door.tell(id, count=1, total=4)
    shown().says("percent", "25%")


def test_dancer2_the_end_is_told(door, show, page):
    door.tell("progress1", name="Copying", count=1, total=4)
    show(example("dancer2-plugin-progressstatus", "console.log"))
    with page.expect_console_message(lambda said: said.text == "Finished Copying: completed"):
        door.tell("progress1", "completed", name="Copying")


@pytest.mark.parametrize(
    ("name", "job"),
    [
        ("dancer2-plugin-progressstatus", "progress1"),
        ("laravel-job-progress", "save:12"),
        ("celery-progress", ID),
    ],
)
def test_an_element_is_enough(door, show, shown, name, job):
    door.tell(job, name="Copying", count=1, total=4)
    show(example(name, "<headway-progress"))
    shown().says("percent", "25%")


def test_celery_progress_its_own_page_stays_as_it_is(door, show, page):
    theirs = (files("celery_progress") / "static" / "celery_progress" / "celery_progress.js").read_text()
    done = Snapshot(id=ID, status="completed", count=10, total=10, details=Details(result=45))
    told = json.dumps(msgspec.to_builtins(answer(done, OWNER)))
    door.file(f"/celery-progress/{ID}/", told, "application/json")
    door.file("/static/celery_progress/celery_progress.js", theirs)
    show(example("celery-progress", "celery-result"), start=example("celery-progress", "initProgressBar"))
    page.get_by_text("Sum of all seconds is 45").wait_for()
    assert page.locator("#progress-bar").evaluate("bar => bar.style.width") == "100%"


def test_celery_progress_a_page_that_paints_it_itself(door, show, page):
    door.tell(ID, count=3, total=10)
    html = '<div id="progress-bar"></div><div id="progress-bar-message"></div>'
    show(html, "/own.js", own=example("celery-progress", "bar.style.width"))
    page.get_by_text("3 of 10 processed.").wait_for()
    assert page.locator("#progress-bar").evaluate("bar => bar.style.width") == "30%"


def test_every_example_is_tried():
    tried = {
        "time-progress-stored": 1,
        "dancer2-plugin-progressstatus": 2,
        "progressrus": 0,
        "laravel-job-progress": 1,
        "celery-progress": 4,
    }
    assert {page.stem: len(blocks(page.stem)) for page in PAGES.glob("*.md")} == tried

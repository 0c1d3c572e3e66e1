"""What docs/web/element.md shows runs as it stands there."""

import re

import pytest
from tests.browser.door import HERE, STATIC
from tests.processes import eventually

GUIDE = (HERE.parents[1] / "docs" / "web" / "element.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
ID = "Jx2cQ0mBv7mP4v0o8i7RjA"


def example(language, containing):
    (found,) = [text for kind, text in BLOCKS if kind == language and containing in text]
    return found


@pytest.fixture
def show(door, page):
    door.file("/headway/headway.js", (STATIC / "headway.js").read_text())
    door.tell(ID, scope="user/3421", name="Nightly report", count=1, total=4, elapsed=1.0)

    def show(html="", script=""):
        """The page of an example; its scripts stand in files, as the policy wants it."""
        inside = re.findall(r'<script type="module">(.*?)</script>', html, re.DOTALL)
        html = re.sub(r'<script type="module">.*?</script>', "", html, flags=re.DOTALL)
        door.file("/example.js", "\n".join([*inside, script]))
        head = '<script type="module" src="/example.js"></script>'
        page.goto(door.page(html, head=head, script="/headway/headway.js"))

    return show


def test_the_first_example(show, shown):
    show(example("html", "headway.js"))
    shown().says("percent", "25%")


def test_an_id_chosen_by_the_browser(door, show, page, shown):
    show(example("html", "randomUUID"))
    id = page.locator("#job").input_value()
    page.evaluate(
        "document.querySelector('form').addEventListener('submit', (event) => event.preventDefault())"
    )
    page.get_by_role("button", name="Import").click()
    shown().says("status", "waiting")
    door.tell(id, count=3, total=4)
    shown().says("percent", "75%")


def test_a_plain_progress(show, shown):
    show(example("html", "<label>"))
    shown().says("percent", "25%")
    assert shown().text("name") == "Nightly report"


def test_a_list(show, page, shown):
    show(example("html", "headway-list"))
    shown().says("percent", "25%")
    assert not page.get_by_text("Nothing is running.").is_visible()


def test_going_on_when_a_job_is_done(door, show, page, shown):
    show(example("html", "headway.js"), example("js", "headway-done"))
    shown().becomes("running")
    door.page("The report", path=f"/reports/{ID}", script=None)
    door.tell(ID, "completed", name="Nightly report")
    page.get_by_text("The report").wait_for()


def test_looks(door, show, page, shown):
    door.file("/example.css", example("css", "--headway-accent"), "text/css")
    show(example("html", "headway.js") + '<link rel="stylesheet" href="/example.css">')
    shown().becomes("running")
    assert not shown().part("detail").is_visible()
    colour = (
        "getComputedStyle(document.querySelector('headway-progress').shadowRoot.querySelector('[part=fill]'))"
    )
    assert page.evaluate(f"{colour}.backgroundColor") == "rgb(102, 51, 153)"


def test_phrases_of_other_languages(show, page, shown):
    bar = example("html", "headway.js").split("</script>")[1]
    show(f'<main lang="de">{bar}</main>', example("js", "Object.assign"))
    shown().says("status", "läuft")


def test_drawing_it_oneself(door, show, page):
    show(script=example("js", "describe"))
    eventually(lambda: page.title().startswith("25%") and page.title().endswith("Nightly report"))
    door.tell(ID, "completed", name="Nightly report")
    eventually(lambda: page.title() == "Nightly report: completed")


def test_every_example_is_tried():
    tried = {"html": 4, "js": 3, "css": 1, "ts": 1}
    assert {kind: [kind for kind, _ in BLOCKS].count(kind) for kind in tried} == tried
    assert {kind for kind, _ in BLOCKS} == tried.keys()

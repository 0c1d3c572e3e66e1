"""What screen readers are told, and when."""

import pytest
from tests.browser.door import HERE
from tests.processes import eventually

AXE = HERE / "node_modules" / "axe-core" / "axe.min.js"
BAR = '<headway-progress src="/headway/jobs/a" cancel></headway-progress>'
HEARS = """() => {
  window.heard = [];
  const spoken = document.querySelector("headway-progress").shadowRoot.querySelector("[role=status]");
  const all = {childList: true, subtree: true, characterData: true};
  new MutationObserver(() => heard.push(spoken.textContent)).observe(spoken, all);
}"""


def tree(page):
    """What Chromium gives to assistive technology: role, name and the rest of each node."""
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    for node in nodes:
        if not node["ignored"]:
            facts = {one["name"]: one["value"].get("value") for one in node.get("properties", ())}
            yield (
                node["role"]["value"],
                node.get("name", {}).get("value"),
                facts | {"value": node.get("value", {}).get("value")},
            )


def test_the_bar_has_a_role_a_name_and_a_value_in_words(door, page, shown):
    door.tell(
        "a",
        name="Import",
        count=1,
        total=4,
        elapsed=60.0,
        remaining=230.0,
        remaining_low=170.0,
        remaining_high=310.0,
    )
    page.goto(door.page(BAR))
    shown().becomes("running")
    (bar,) = [(name, facts) for role, name, facts in tree(page) if role == "progressbar"]
    assert bar[0] == "Import"
    assert shown().part("bar").get_attribute("aria-valuetext") == "25%, 1/4, 3–5 min left"
    assert (bar[1]["valuemin"], bar[1]["valuemax"]) == (0, 100)
    assert str(bar[1]["value"]) == "25"
    assert "Cancel Import" in [name for role, name, _ in tree(page) if role == "button"]


def test_it_speaks_at_states_and_quarters_only(door, page, shown):
    door.tell("a", "pending", name="Import")
    page.goto(door.page(BAR))
    shown().becomes("pending")
    page.evaluate(HEARS)
    for count in range(101):
        door.tell("a", name="Import", count=count, total=100)
        shown().says("percent", f"{min(99, count)}%")
    door.tell("a", "completed", name="Import", count=100, total=100)
    shown().becomes("completed")
    said = [words.split(",")[0] for words in page.evaluate("heard")]
    assert said == ["Import: 0%", "Import: 25%", "Import: 50%", "Import: 75%", "Import: 100%"]


def test_a_page_that_opens_is_not_talked_over(door, page, shown):
    door.tell("a", name="Import", count=60, total=100)
    page.goto(door.page(BAR))
    shown().says("percent", "60%")
    assert (
        page.evaluate(
            "document.querySelector('headway-progress').shadowRoot.querySelector('[role=status]').textContent"
        )
        == ""
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(door, page, scheme):
    page.emulate_media(color_scheme=scheme)
    for status in (
        "pending",
        "running",
        "stalled",
        "retrying",
        "completed",
        "failed",
        "cancelled",
        "stopped",
    ):
        facts = {"error": {"text": "No header."}} if status == "failed" else {"silent_for": 40.0}
        door.tell(status, status, name=f"Job {status}", count=2, total=4, activity="row 2", **facts)
    door.tell("unknown", name="Job unknown", count=2)
    ids = [
        "pending",
        "running",
        "stalled",
        "retrying",
        "completed",
        "failed",
        "cancelled",
        "stopped",
        "unknown",
        "nothing",
    ]
    bars = "".join(
        f'<headway-progress {extra} cancel src="/headway/jobs/{id}"></headway-progress>'
        for id in ids
        for extra in ("", "compact")
    )
    door.file("/page.css", "html{color-scheme:light dark;background:Canvas}", "text/css")
    list_ = '<headway-list src="/headway/jobs?scope=user/1">Nothing yet</headway-list>'
    head = '<link rel="stylesheet" href="/page.css">'
    page.goto(door.page(f"<main><h1>Jobs</h1>{bars}{list_}</main>", head=head))
    eventually(lambda: page.locator("[state=completed]").count() == 2)
    page.wait_for_timeout(1_500)  # words that fade in have faded in
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run()")
    told = [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]]
    assert told == []
    assert {one["id"] for one in found["passes"]} >= {
        "aria-progressbar-name",
        "color-contrast",
        "button-name",
    }


def test_the_button_is_reached_and_pressed_by_keyboard(door, page, shown):
    door.tell("a", name="Import", count=1, total=4)
    page.goto(door.page(BAR))
    shown().becomes("running")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    eventually(lambda: door.cancels == ["a"])

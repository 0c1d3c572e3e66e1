"""The browser says of a job what Python says, and says it in other languages."""

import json
import re

import pytest
from tests.browser.door import ELEMENT
from tests.golden import remaining
from tests.golden.words import FILE

NOON = "2026-11-24T12:00:00Z"

GOLDEN = json.loads(FILE.read_text())
TOLD = json.loads(remaining.FILE.read_text())
DESCRIBE = """async ([jobs, language, phrases, memory]) => {
  const {describe, words} = await import("/static/headway.js");
  Object.assign(words, phrases);
  return jobs.map((job) => describe(job, language, memory ?? {}));
}"""


@pytest.fixture
def describe(door, page):
    page.goto(door.page(""))

    def describe(jobs, language="en", phrases=None, memory=None):
        return page.evaluate(DESCRIBE, [jobs, language, phrases or {}, memory])

    return describe


def jobs(kind):
    return [GOLDEN["usual"] | said["job"] for said in GOLDEN[kind]]


def test_the_browser_says_what_python_says(describe):
    for said, wanted in zip(describe(jobs("jobs")), GOLDEN["jobs"], strict=True):
        assert said == wanted["says"], wanted["job"]


def test_the_browser_holds_words_of_time_left_as_python_does(describe):
    said = [said["left"] for said in describe(jobs("holding"), memory={})]
    assert said == [wanted["says"]["left"] for wanted in GOLDEN["holding"]]
    assert len(set(said)) < len(said) / 2


@pytest.mark.parametrize("story", TOLD["stories"])
def test_the_browser_tells_of_time_left_as_python_does(describe, story):
    moments = TOLD["stories"][story]
    shown = describe([TOLD["usual"] | moment["job"] for moment in moments], memory={})
    says = [{"left": one["left"], "worries": one["detail"]} for one in shown]
    wanted = [moment["says"] | {"worries": " · ".join(moment["says"]["worries"])} for moment in moments]
    assert says == wanted


def test_the_browser_says_ranges_of_all_widths_as_python_does(describe):
    shown = [one["left"] for said in TOLD["ranges"] for one in describe([TOLD["usual"] | said["job"]])]
    assert shown == [said["says"]["left"] for said in TOLD["ranges"]]


GUIDE = FILE.parents[2] / "docs" / "web" / "element.md"


def phrases():
    """The words of other languages, as the guide gives them."""
    block = re.search(r"Object\.assign\(words, (\{.*?\n\})\);", GUIDE.read_text(), re.DOTALL)[1]
    return json.loads(
        re.sub(r",(\s*})", r"\1", re.sub(r"^(\s*)(\w+):", r'\1"\2":', block, flags=re.MULTILINE))
    )


def said(describe, language, phrases=None, **facts):
    (one,) = describe([GOLDEN["usual"] | facts], language, phrases)
    return one


COUNTED = {"count": 5_210.5, "total": 12_400, "unit": "kg", "percent": 42, "fraction": 0.42}
LEFT = {"remaining": 230.0, "remaining_low": 170.0, "remaining_high": 310.0}


@pytest.mark.parametrize(
    ("language", "wanted"),
    [
        ("de", ["42 %", "5.210,5/12.400 kg", "in 4 Min.", "1 Min."]),
        ("ja", ["42%", "5,210.5/12,400 kg", "4 分後", "1 分"]),
        ("ar-EG", ["٤٢٪\u061c", "٥٬٢١٠٫٥/١٢٬٤٠٠ kg", "خلال ٤ دقائق", "١ د"]),  # noqa: RUF001
        ("fr", ["42 %", "5 210,5/12 400 kg", "dans 4 min", "1 min"]),
    ],
)
def test_numbers_and_times_are_said_in_any_language(describe, language, wanted):
    one = said(describe, language, **COUNTED, **LEFT)
    told = [re.sub(r"\s", " ", one[name]) for name in ("percent", "counts", "left", "elapsed")]
    assert told == wanted


SPOKEN = [
    ("de", "noch 3–5 Min.", "fehlgeschlagen, Versuch 2"),
    ("ja", "残り3～5 分", "失敗、2回目"),  # noqa: RUF001
    ("ar", "يتبقى 3–5 د", "فشل، المحاولة 2"),
]


@pytest.mark.parametrize(("language", "left", "state"), SPOKEN)
def test_the_guide_s_phrases_say_the_rest(describe, language, left, state):
    assert said(describe, language, phrases(), **LEFT)["left"] == left
    assert said(describe, language, phrases(), status="failed", attempt=2, ended_at=NOON)["state"] == state


def test_the_guide_s_phrases_leave_nothing_in_english(describe):
    script = "".join(file.read_text() for file in ELEMENT.glob("*.js"))
    spoken = set(re.findall(r'\bt\("([^"]*)"', script)) | set(
        re.findall(r'[?:] "([^"]*{}[^"]*)"', script)
    ) - {"{}"}
    for table in phrases().values():
        assert spoken <= table.keys()


@pytest.mark.parametrize(("language", "left"), [row[:2] for row in SPOKEN])
def test_an_element_says_time_left_in_the_language_of_where_it_stands(door, page, shown, language, left):
    door.tell("a", name="Import", count=1, total=4, elapsed=60.0, estimate_basis="run", **LEFT)
    page.goto(
        door.page(
            f'<main lang="{language}"><headway-progress src="/headway/jobs/a"></headway-progress></main>'
        )
    )
    page.evaluate("async (all) => Object.assign((await import('/static/headway.js')).words, all)", phrases())
    shown().says("status", left)


def test_an_element_speaks_the_language_of_where_it_stands(door, page, shown):
    door.tell("a", name="Bericht", count=5_210.5, total=12_400, unit="kg")
    bar = '<headway-progress src="/headway/jobs/a"></headway-progress>'
    page.goto(door.page(f'<main lang="de">{bar}</main>'))
    shown().becomes("running")
    assert shown().text("counts") == "5.210,5/12.400 kg"
    page.evaluate("document.querySelector('main').lang = 'en'")
    shown().says("counts", "5,210.5/12,400 kg")


def test_a_language_that_nobody_knows_is_no_fault(door, page, shown):
    door.tell("a", count=1, total=4)
    page.goto(door.page('<headway-progress src="/headway/jobs/a"></headway-progress>', lang="en_US.UTF-8"))
    shown().says("percent", "25%")

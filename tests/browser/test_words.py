"""The browser says of a job what Python says, and says it in other languages."""

import json

import pytest
from tests.golden.words import FILE

GOLDEN = json.loads(FILE.read_text())
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

"""Many jobs at once, as the dashboard lists them."""

import json

import pytest
from tests.processes import eventually

import headway
from headway.core.errors import InvalidValue
from headway.web.overview import Question, answer


@pytest.fixture
def hw():
    connected = headway.connect("memory://")
    yield connected
    connected.close()


def ask(hw, **question):
    return json.loads(answer(hw, Question(**question)))


def names(found):
    return [job["name"] for job in found["jobs"]]


def test_the_newest_come_first_a_page_at_a_time(hw):
    for at in range(120):
        hw.reserve(f"Job {at}")
    first = ask(hw)
    assert names(first) == [f"Job {at}" for at in range(119, 69, -1)]
    assert first["until"] == [first["jobs"][-1]["created_at"], first["jobs"][-1]["id"]]
    second = ask(hw, cursor=first["next"])
    third = ask(hw, cursor=second["next"])
    assert names(third) == [f"Job {at}" for at in range(19, -1, -1)]
    assert (third["next"], third["until"]) == (None, None)


def test_words_are_looked_for_in_all_that_people_read(hw):
    with hw.job("Nachtbericht", id="report-1", scope="user/3421", kind="reports") as job:
        job.activity = "Zeile 17 STRASSE"
        eventually(lambda: hw.get("report-1").activity)
        for text in ("nacht", "REPORT-1", "3421 nacht", "zeile strasse", "reports", ""):
            assert names(ask(hw, text=text)) == ["Nachtbericht"], text
    assert names(ask(hw, text="nacht tag")) == []


def test_a_search_stops_after_so_many_and_says_where_to_go_on(hw):
    hw.reserve("A needle")
    for at in range(450):
        hw.reserve(f"Job {at}")
    first = ask(hw, text="needle", searched=200)
    assert (names(first), first["until"][1]) == ([], hw.find(limit=200).jobs[-1].id)
    second = ask(hw, text="needle", searched=200, cursor=first["next"])
    third = ask(hw, text="needle", searched=200, cursor=second["next"])
    assert [names(second), names(third), third["next"]] == [[], ["A needle"], None]


def test_children_may_be_left_out_and_are_looked_past(hw):
    hw.reserve("Alone")
    with hw.job("Whole", id="whole") as whole:
        parts = [whole.child(f"Part {at}").start() for at in range(60)]
        eventually(lambda: ask(hw)["live"] == 62, 30)
        found = ask(hw, children=False)
        assert (names(found), found["live"], found["folded"]) == (["Whole", "Alone"], 2, True)
        assert len(names(ask(hw, children=False, parent="whole"))) == 50
        shown = ask(hw)
        assert ("Alone" in names(shown), shown["folded"]) == (False, False)
        for part in parts:
            part.complete()


def test_those_that_live_are_counted(hw):
    for at in range(3):
        hw.reserve(f"Job {at}", scope="user/1" if at else None)
    with hw.job("Done", scope="user/1"):
        pass
    assert (ask(hw)["live"], ask(hw)["more_live"]) == (3, False)
    assert ask(hw, scope="user/1", status=("completed",))["live"] == 2
    for at in range(200):
        hw.reserve(f"More {at}")
    assert (ask(hw)["live"], ask(hw)["more_live"]) == (200, True)


def test_a_failed_job_says_why_and_nothing_large_goes_along(hw):
    job = hw.job("Import", meta={"large": 1}).start()
    job.message("a message")
    job.fail(ZeroDivisionError())
    (job,) = ask(hw)["jobs"]
    assert job["error"]["type"] == "ZeroDivisionError"
    assert (job["messages"], job["meta"], job["result"]) == ([], None, None)


def test_a_cursor_of_nobodys_is_refused(hw):
    with pytest.raises(InvalidValue):
        ask(hw, cursor="nobody's")

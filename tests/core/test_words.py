import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from tests.golden import remaining as golden

from headway.core import words
from headway.core.snapshot import Children, Details, Error, Snapshot, Stage

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def running(**facts):
    return Snapshot(
        **{"id": "a", "status": "running", "started_at": NOON, "seen_at": NOON, "read_at": NOON, **facts}
    )


def ended(status, **facts):
    return running(**{"status": status, "ended_at": NOON, **facts})


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, None),
        (0, "<1 s"),
        (12.9, "12 s"),
        (60, "1 min"),
        (192, "3 min 12 s"),
        (3_600, "1 h"),
        (7_503, "2 h 5 min"),
        (100_800, "1 d 4 h"),
    ],
)
def test_a_duration_is_said_in_two_units_at_most(seconds, said):
    assert words.duration(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, None), (1, "just now"), (59, "59 s ago"), (61, "1 min ago"), (90_000, "1 d ago")],
)
def test_how_long_ago_is_said_in_one_unit(seconds, said):
    assert words.ago(seconds) == said


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (99_960, "100 kB"),
        (812_300, "812 kB"),
        (999_999, "1.0 MB"),
        (12_900_000, "12.9 MB"),
        (2**53 - 1, "9.0 PB"),
    ],
)
def test_bytes_are_said_as_sizes(amount, said):
    assert words.size(amount) == said


@pytest.mark.parametrize(
    ("count", "total", "unit", "said"),
    [
        (None, None, None, None),
        (None, 10, None, None),
        (1_842, None, "files", "1,842 files"),
        (5_210, 12_400, "rows", "5,210/12,400 rows"),
        (12, 10, None, "12/10"),
        (900_000, 61_300_000, "B", "0.9/61.3 MB"),
        (61_300_000, None, "B", "61.3 MB"),
        (2.5, 10, None, "2.50/10"),
        (0.5, 1, None, None),
        (3, 0, None, "3/0"),
    ],
)
def test_counts_are_said_with_their_unit_and_as_they_are(count, total, unit, said):
    assert words.counts(count, total, unit) == said


@pytest.mark.parametrize(
    ("low", "middle", "high", "said"),
    [
        (1, 2, 4, "a few seconds left"),
        (0, 0, 0, "a few seconds left"),
        (220, 240, 260, "about 4 min left"),
        (170, 230, 310, "3–5 min left"),
        (45, 80, 130, "45 s–2 min left"),
        (110, 500, 1_500, "over 2 min left"),
        (1, 8, 22, "up to 20 s left"),
        (0, 300, 900, None),
        (5_300, 5_400, 5_500, "about 1 h 30 min left"),
        (86_000, 90_000, 95_000, "about 1 d 1 h left"),
        (9e5, 1e9, 1e12, "over 10 d left"),
    ],
)
def test_time_left_is_as_coarse_as_the_estimate(low, middle, high, said):
    assert words.left(middle, low, high) == said


@given(st.floats(0, 1e9, allow_nan=False), st.floats(0, 20, exclude_min=True), st.floats(0, 20))
def test_any_estimate_can_be_said_and_none_has_seconds_in_a_figure_of_minutes(middle, below, above):
    said = words.left(middle, middle / (1 + below), middle * (1 + above))
    assert said is None or said.endswith(" left")
    assert said is None or not ("min" in said and " s" in said and "–" not in said)


seconds = st.one_of(st.none(), st.floats(0, 10), st.floats(0, 1e10))
felt = st.fixed_dictionaries(
    {
        "ranges": st.one_of(
            st.none(), st.tuples(*[st.floats(0, 100)] * 3), st.tuples(*[st.floats(0, 1e10)] * 3)
        ),
        "facts": st.fixed_dictionaries(
            dict.fromkeys(("elapsed", "usual", "patience", "idle_for", "rate"), seconds)
            | {"count": st.one_of(st.none(), st.integers(0, 9)), "initial": st.integers(0, 9)}
            | {"estimate_basis": st.sampled_from(["run", "history", "both"])}
            | {"status": st.sampled_from(["running", "stalled", "pending"])}
        ),
        "passes": st.floats(0, 1e4),
    }
)


@settings(max_examples=300, deadline=None)
@given(st.lists(felt, max_size=8))
def test_whatever_is_felt_of_a_job_the_words_for_it_hold_no_odd_number(moments):
    teller, now = words.TimeLeft(), 0.0
    for moment in moments:
        now += moment["passes"]
        left = dict(
            zip(
                ("remaining_low", "remaining", "remaining_high"), sorted(moment["ranges"] or ()), strict=False
            )
        )
        job = running(read_at=NOON + timedelta(seconds=now), seen_at=NOON, **left, **moment["facts"])
        said = [teller.words(job), *words.worries(job), words.rate(job.rate, 100), str(job.finish_at)]
        assert not re.search(r"nan|inf\b|e\+|-\d+ (s|min|h|d)\b", " ".join(filter(None, said))), said


def left_after(teller, seconds, remaining, low, high):
    now = NOON + timedelta(seconds=seconds)
    job = running(read_at=now, elapsed=60.0, remaining=remaining, remaining_low=low, remaining_high=high)
    return teller.words(job)


def test_the_shown_finish_stays_while_the_estimate_holds_it_for_likely():
    teller = words.TimeLeft()
    said = [left_after(teller, t, 100 - t + (t % 3), 90 - t, 112 - t) for t in range(0, 40, 3)]
    steps = [int(words_.split()[1]) for words_ in said if words_.endswith("s left")]
    assert steps == sorted(steps, reverse=True)


def test_the_words_stand_for_two_seconds_at_least():
    teller = words.TimeLeft()
    assert left_after(teller, 0, 100, 95, 105) == "about 1.5 min left"
    assert left_after(teller, 1, 1_000, 950, 1_050) == "about 1.5 min left"
    assert left_after(teller, 2.5, 1_000, 950, 1_050) == "about 17 min left"


def test_without_ground_nothing_is_said_of_time_left():
    teller = words.TimeLeft()
    assert teller.words(running(elapsed=60.0)) is None
    assert teller.words(running(elapsed=1.0, remaining=2.0)) is None, "a job of 3 s"
    assert teller.words(ended("completed", elapsed=60.0, remaining=0.0)) is None
    assert teller.words(running(status="stalled", elapsed=60.0, remaining=10.0)) is None


def test_a_hundred_percent_means_completed():
    assert words.percent(ended("completed")) == "100%"
    assert words.percent(running(count=12, total=10)) == "99%"
    assert words.percent(ended("failed", count=10, total=10)) == "99%"
    assert words.percent(running()) is None
    assert words.percent(Stage("a", count=10, total=10)) == "99%"
    assert words.percent(Stage("a", ended=True)) == "100%"


def test_silence_is_said_when_it_is_longer_than_a_heartbeat():
    assert words.worries(running(read_at=NOON + timedelta(seconds=7))) == []
    assert words.worries(running(read_at=NOON + timedelta(seconds=12))) == ["nothing heard for 12 s"]
    waiting = Snapshot(id="a", seen_at=NOON, read_at=NOON + timedelta(seconds=900))
    assert words.worries(waiting) == []


def test_a_standstill_is_said_when_it_is_longer_than_the_usual_gap():
    quick = {"elapsed": 100.0, "count": 1_000}
    slow = {"elapsed": 100.0, "count": 5}
    assert words.worries(running(idle_for=40.0, **quick)) == ["no progress for 40 s"]
    assert words.worries(running(idle_for=40.0, **slow)) == []
    assert words.worries(running(idle_for=140.0, **slow)) == ["no progress for 2 min 20 s"]
    assert words.worries(running(idle_for=4_000.0, elapsed=4_000.0)) == [], "it counts nothing"


def test_the_worker_knows_best_how_long_a_standstill_is_nothing_unusual():
    assert words.worries(running(idle_for=40.0, patience=10.0)) == ["no progress for 40 s"]
    assert words.worries(running(idle_for=40.0, patience=60.0, elapsed=100.0, count=1_000)) == []
    assert words.worries(running(idle_for=8.0, patience=1.0)) == []


def test_a_run_that_is_longer_than_usual_is_said_to_be():
    long = {"elapsed": 541.0, "usual": 360.0}
    assert words.worries(running(**long)) == ["longer than usual (usually 6 min)"]
    assert words.worries(running(elapsed=540.0, usual=360.0)) == []
    assert words.worries(running(elapsed=4.0, usual=0.1)) == [], "a job of seconds"
    assert words.worries(ended("completed", **long)) == []
    estimate = {"remaining": 36.0, "remaining_low": 30.0, "remaining_high": 45.0}
    past = running(**long, **estimate, estimate_basis="history")
    assert words.TimeLeft().words(past) is None, "all that is known of it is over"
    seen = running(**long, **estimate, estimate_basis="both")
    assert words.TimeLeft().words(seen) == "30–45 s left"


def test_the_golden_words_of_time_left_are_what_python_says():
    """The browser's tests read the same file; `python -m tests.golden.remaining` writes it."""
    assert json.loads(golden.FILE.read_text()) == json.loads(golden.spelled(golden.golden()))


def test_failed_items_and_children_are_counted():
    assert words.worries(running(failed_count=1)) == ["1 item failed"]
    assert words.worries(running(failed_count=1_200)) == ["1,200 items failed"]
    assert words.children(None) is None
    assert words.children(Children(10, 3, 1)) == "3 of 10 children ended, 1 failed"
    assert words.children(Children(1, 0, 0)) == "0 of 1 child ended"


def test_a_request_to_stop_shows_until_the_job_has_ended():
    assert words.state(running()) == "running"
    assert words.state(running(cancel="requested")) == "asked to stop"
    assert words.state(running(cancel="seen")) == "stopping"
    assert words.state(running(status="stalled", cancel="requested")) == "stalled"
    assert words.state(ended("completed", cancel="seen")) == "completed"
    assert words.state(ended("failed", attempt=2)) == "failed, attempt 2"


def test_the_reason_of_a_failure_is_its_text_else_the_exceptions_last_line():
    def failed(error):
        return words.reason(ended("failed", details=Details(error=error)))

    assert failed(Error(text="The file has no header.\n")) == "The file has no header. "
    assert failed(Error(type="KeyError", detail="Traceback\n  …\nKeyError: 'a'\n")) == "KeyError: 'a'"
    assert failed(Error(type="KeyError")) == "KeyError"
    assert failed(None) is None
    assert words.reason(running()) is None


def test_control_characters_and_directions_in_text_are_harmless():
    assert words.harmless("\x1b[31mred\x07\x9b2J") == "�[31mred��2J"
    assert words.harmless("one\r\ntwo\tthree\u2028four") == "one two three four"
    assert words.harmless("abc\u202etxt.exe\u2066") == "abctxt.exe"
    assert words.harmless("\udcff") == "�"
    assert words.harmless("[bold]x[/]") == "[bold]x[/]"
    assert words.harmless("顧客データ 🎉") == "顧客データ 🎉"


def test_what_terminals_measure_differently_is_taken_apart():
    assert words.harmless("👨\u200d👩\u200d👧") == "👨👩👧"
    assert words.harmless("❤\ufe0f👍🏽") == "❤👍"


@given(st.text())
def test_whatever_is_said_is_one_line_that_no_terminal_obeys(text):
    said = words.harmless(text)
    said.encode()
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in said)
    assert cell_len(said) == sum(map(cell_len, said))


def test_a_job_without_a_name_is_called_by_its_id():
    assert words.name(running(name="Import")) == "Import"
    assert words.name(running(name=" \u200b ")) == "a"
    assert words.name(running()) == "a"

import json
from datetime import UTC, datetime

from headway import board
from headway.board import Board, Shown
from headway.core.snapshot import Details, Error, Message, Snapshot, Stage

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def running(id="a", **facts):
    known = {"status": "running", "started_at": NOON, "seen_at": NOON, "read_at": NOON, "elapsed": 10.0}
    return Snapshot(id=id, **known | facts)


def test_clocks_run_on_between_two_words_until_the_job_is_stalled():
    jobs = Board()
    jobs.hear(running(lease=30.0, idle_for=0.0), at=100.0)
    (soon,) = jobs.at(112.0)
    assert (soon.snapshot.elapsed, soon.snapshot.silent_for) == (22.0, 12.0)
    assert board.job_row(soon).worries == ("nothing heard for 12 s",)
    (late,) = jobs.at(131.0)
    assert (late.snapshot.status, late.snapshot.elapsed) == ("stalled", 40.0)
    jobs.hear(running(), at=132.0)
    assert jobs.at(132.0)[0].snapshot.status == "running"


def test_an_ended_job_stands_still():
    jobs = Board()
    jobs.hear(running(status="completed", ended_at=NOON), at=0.0)
    assert jobs.at(1_000.0)[0].snapshot.elapsed == 10.0


def test_jobs_keep_the_order_in_which_they_appeared():
    jobs = Board()
    for id in ("c", "a", "b", "a"):
        jobs.hear(running(id), at=0.0)
    assert [shown.snapshot.id for shown in jobs.at(0.0)] == ["c", "a", "b"]


def test_what_happens_now_stands_under_the_stage_that_runs():
    stages = (Stage("Find", ended=True), Stage("Read", elapsed=3.0), Stage("Write"))
    drawn = board.rows(Shown(running(stages=stages, activity="a.txt")))
    assert [(row.name, row.activity) for row in drawn] == [
        ("a", ""),
        ("Find", ""),
        ("Read", "a.txt"),
        ("Write", ""),
    ]
    (alone,) = board.rows(Shown(running(activity="a.txt")))
    assert alone.activity == "a.txt"


def test_a_log_line_says_time_name_state_percent_counts_and_time_left():
    job = running(name="Import", count=5_210, total=12_400, unit="rows")
    assert board.line(Shown(job, "3–5 min left")) == (
        "2026-11-24T12:00:00Z  Import  running, 42%, 5,210/12,400 rows, 10 s, 3–5 min left"
    )


def test_a_log_line_of_a_failure_says_why():
    error = Details(error=Error("No header."))
    job = running(status="failed", ended_at=NOON, count=1, total=4, details=error)
    assert board.line(Shown(job)).endswith("  a  failed, 25%, 1/4, 10 s, No header.")


def test_json_is_one_line_of_harmless_ascii_that_means_the_same():
    name = "\x1b[2J\x7f\x9b \u202e顧客 🎉 \u2028"
    job = running(name=name, details=Details(messages=(Message(NOON, "a\nb"),), meta={"é": "ü"}))
    line = board.json_line(job)
    assert line.isascii()
    assert line.isprintable()
    frame = json.loads(line)
    assert frame["name"] == name
    assert frame["meta"] == {"é": "ü"}
    assert frame["messages"][0]["text"] == "a\nb"


def test_a_board_forgets_the_first_that_ended_when_it_is_full(monkeypatch):
    monkeypatch.setattr(board, "MOST", 2)
    jobs = Board()
    jobs.hear(running("a"), 0.0)
    jobs.hear(running("b", status="completed", ended_at=NOON), 0.0)
    jobs.hear(running("c"), 0.0)
    assert [shown.snapshot.id for shown in jobs.at(0.0)] == ["a", "c"]

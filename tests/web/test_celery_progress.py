"""Answers in celery-progress's form: what each status means to its script, and what an outage is."""

from datetime import UTC, datetime

import msgspec
import pytest

from headway.core.snapshot import Details, Error, Snapshot, Totals
from headway.web.access import OWNER, VIEWER, Grant
from headway.web.celery_progress import answer

NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUARTER = Totals(children=4, ended=1, weight=4.0, done=10_000.0)
FAILED = Details(error=Error(text=None, type="OSError", detail="OSError: disk is full"))


def told(grant=VIEWER, **facts):
    """What is sent of a job with these facts."""
    if facts.get("status") in {"completed", "failed", "cancelled", "stopped"}:
        facts["ended_at"] = NOW
    return msgspec.to_builtins(answer(Snapshot(id="one", **facts), grant))


@pytest.mark.parametrize(
    ("status", "state", "complete", "success", "percent"),
    [
        ("pending", "PENDING", False, None, 0),
        ("running", "PROGRESS", False, None, 40),
        ("stalled", "PROGRESS", False, None, 40),
        ("retrying", "RETRY", True, False, 40),
        ("completed", "SUCCESS", True, True, 100),
        ("failed", "FAILURE", True, False, 40),
        ("cancelled", "REVOKED", True, False, 40),
        ("stopped", "FAILURE", True, False, 40),
    ],
)
def test_only_what_has_completed_is_full(status, state, complete, success, percent):
    found = told(status=status, count=4, total=10)
    assert (found["state"], found["complete"], found["success"]) == (state, complete, success)
    assert found["progress"]["percent"] == percent


def test_what_nobody_knows_is_waited_for():
    found = msgspec.to_builtins(answer(None, VIEWER))
    assert (found["state"], found["complete"], found["progress"]["pending"]) == ("PENDING", False, True)


@pytest.mark.parametrize(
    ("facts", "state", "current", "total", "percent"),
    [
        ({}, "STARTED", 0, 100, 0),
        ({"total": 10}, "STARTED", 0, 100, 0),
        ({"count": 0, "total": 10}, "STARTED", 0, 100, 0),
        ({"count": 5}, "PROGRESS", 5, 0, 0),
        ({"count": 1, "total": 3}, "PROGRESS", 1, 3, 33.33),
        ({"totals": QUARTER, "total_weight": 4.0}, "PROGRESS", 25, 100, 25),
        ({"count": 12, "total": 10}, "PROGRESS", 12, 10, 99.99),
    ],
)
def test_a_bar_is_told_by_its_count_or_in_hundredths(facts, state, current, total, percent):
    found = told(status="running", **facts)
    work = found["progress"]
    assert (found["state"], work["current"], work["total"], work["percent"]) == (
        state,
        current,
        total,
        percent,
    )


def test_what_a_job_counted_stays_when_it_has_completed():
    assert told(status="completed", count=8, total=10)["progress"]["current"] == 8
    assert told(status="completed")["progress"]["current"] == 100


@pytest.mark.parametrize(
    ("grant", "shown"), [(OWNER, True), (Grant(also=frozenset({"result"})), True), (VIEWER, False)]
)
def test_a_result_is_for_those_who_may_see_it(grant, shown):
    found = told(grant, status="completed", details=Details(result={"rows": 3}))
    assert ("result" in found) is shown
    assert not shown or found["result"] == {"rows": 3}


def test_a_result_that_was_not_kept_is_none_at_all():
    assert "result" not in told(OWNER, status="completed", details=Details())


def test_an_exceptions_text_is_for_owners():
    facts = {"status": "failed", "attempt": 2, "details": FAILED}
    assert told(OWNER, **facts)["result"] == "OSError: disk is full"
    assert told(**facts)["result"] == "failed, attempt 2"
    assert told(status="failed", details=Details(error=Error(text="No space")))["result"] == "No space"


def test_a_retry_says_why_as_far_as_it_may():
    assert told(OWNER, status="retrying", details=FAILED)["result"]["message"] == "OSError: disk is full"
    assert told(status="retrying", details=FAILED)["result"]["message"] == "retrying, attempt 1"


def test_a_retry_says_in_how_many_seconds_where_that_is_known():
    assert told(status="retrying", retry_in=12.3)["result"]["next_retry_seconds"] == 13
    assert told(status="retrying")["result"]["next_retry_seconds"] == "Unknown"


def test_a_request_to_stop_and_a_silent_worker_are_described():
    assert told(status="running", activity="row 3")["progress"]["description"] == "row 3"
    asked = told(status="running", cancel="requested", activity="row 3")
    assert asked["progress"]["description"] == "asked to stop"
    silent = told(status="stalled", seen_at=datetime(2025, 12, 31, 23, 59, tzinfo=UTC), read_at=NOW)
    assert silent["progress"]["description"] == "nothing heard for 1 min"


def test_an_outage_is_an_answer_after_which_its_script_asks_again(serve, worker, store):
    _, client = serve()
    with worker.job("Import", scope="user/ann", total=10) as job:
        job.advance(3)
    ann = client("ann")
    assert ann.ask(f"celery-progress/{job.id}").json["state"] == "SUCCESS"
    store.failing = True
    reply = ann.ask(f"celery-progress/{job.id}")
    assert (reply.status, reply.json) == (200, {"state": "UNKNOWN", "complete": False, "success": None})
    assert ann.ask(f"jobs/{job.id}").status == 503
    store.failing = False
    assert ann.ask(f"celery-progress/{job.id}").json["state"] == "SUCCESS"


def test_nonsense_is_a_problem(serve):
    _, client = serve()
    assert client("ann").ask("celery-progress/%20").status == 400
    assert client("ann").ask("celery-progress").status == 404
    assert client("ann").ask("celery-progress/one", "POST").status == 405

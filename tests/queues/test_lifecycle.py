"""What the events of a queue mean, given the record: every event in every state."""

from datetime import UTC, datetime

import pytest

from headway.core.errors import Cancelled
from headway.core.snapshot import Snapshot, Totals
from headway.queues import lifecycle
from headway.queues.lifecycle import (
    NOTHING,
    Label,
    ending,
    identifier,
    in_words,
    merged,
    resolved,
    told,
    whole,
)

NOW = datetime(2026, 11, 25, tzinfo=UTC)
END = {
    "failed": "failed",
    "lost": "failed",
    "timed out": "failed",
    "expired": "failed",
    "terminated": "cancelled",
    "requeued": "retrying",
    "left": "stopped",
}


def record(status, worker="host:7:node", **facts):
    ended_at = NOW if status in {"completed", "failed", "cancelled", "stopped"} else None
    return Snapshot(id="job", status=status, attempt=3, worker=worker, ended_at=ended_at, **facts)


@pytest.mark.parametrize("event", [*END, "revoked"])
@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "stopped", None])
def test_nothing_that_is_told_changes_an_end_or_what_is_unknown(event, status):
    assert told(event, status and record(status)) == NOTHING


@pytest.mark.parametrize("event", END)
@pytest.mark.parametrize("status", ["pending", "retrying"])
def test_what_waits_ends_as_is_told_whoever_tells(event, status):
    deed = told(event, record(status), "another node")
    assert (deed.act, deed.attempt, deed.status) == ("end", 3, END[event])


@pytest.mark.parametrize("status", ["pending", "retrying"])
def test_a_revoked_task_that_waits_is_cancelled_so_that_it_never_starts(status):
    assert told("revoked", record(status)).act == "cancel"


@pytest.mark.parametrize("event", ["revoked", "expired"])
def test_what_is_told_of_a_task_before_its_start_does_not_touch_one_that_runs(event):
    assert told(event, record("running"), "node") == NOTHING


@pytest.mark.parametrize("event", ["failed", "lost", "timed out", "terminated", "requeued", "left"])
def test_what_runs_ends_when_its_own_node_says_so(event):
    assert told(event, record("running"), "node", gone=True).status == END[event]
    assert told(event, record("running"), "another") == NOTHING


@pytest.mark.parametrize("event", ["lost", "requeued"])
def test_a_process_that_lives_is_not_the_one_that_was_lost(event):
    assert told(event, record("running"), "node", gone=False) == NOTHING
    assert told(event, record("running"), "node", gone=None) != NOTHING


@pytest.mark.parametrize(
    ("error", "known", "end"),
    [
        (None, {}, "completed"),
        (ValueError(), {}, "failed"),
        (ValueError(), {"again": True}, "retrying"),
        (ValueError(), {"asked": True}, "cancelled"),
        (None, {"asked": True}, "completed"),
        (Cancelled("job"), {"cancelled": True, "again": True}, "cancelled"),
        (None, {"cancelled": True}, "cancelled"),
        (Cancelled("another"), {}, "failed"),
        (SystemExit(), {}, "stopped"),
        (SystemExit(), {"again": True}, "retrying"),
    ],
)
def test_an_attempt_ends_as_its_own_process_knows(error, known, end):
    assert ending(error, **known) == end


def made_of(members, ended, failed=0, cancel=None):
    totals = Totals(weight=float(members), children=members, ended=ended, failed=failed)
    return record("running", total_weight=3.0, totals=totals, cancel=cancel)


@pytest.mark.parametrize(
    ("job", "status", "bound", "ends"),
    [
        (None, "completed", False, None),
        (record("completed"), "completed", False, None),
        (made_of(3, 2), "completed", False, None),
        (made_of(3, 3), "completed", False, "completed"),
        (made_of(2, 2), "completed", False, None),  # the third has not begun
        (made_of(3, 3, 1), "completed", False, "failed"),
        (made_of(3, 1, 1), "failed", False, None),
        (made_of(3, 1, 1), "failed", True, "failed"),
        (made_of(3, 1), "completed", True, None),
        (made_of(3, 1, cancel="requested"), "cancelled", False, "cancelled"),
        (made_of(3, 2, cancel="requested"), "completed", False, None),
        (made_of(3, 3, cancel="requested"), "completed", False, "cancelled"),
    ],
)
def test_a_whole_ends_with_the_last_of_its_members_or_when_others_cannot_run(job, status, bound, ends):
    assert whole(job, status, bound=bound) == ends


def test_a_queues_id_is_the_jobs_where_it_can_be_one():
    uuid = "0b0f2e3c-7b3a-4a6c-9a39-0f6d2a6a1b11"
    assert identifier(uuid) == uuid
    assert identifier(10, "procrastinate:") == "procrastinate:10"
    assert identifier("daily report/ü") == "daily~20report~2f~c3~bc"
    assert identifier("a~20") != identifier("a ")
    assert identifier("_private").startswith("id")
    assert len(identifier("x" * 500)) == 200
    assert identifier("x" * 500) != identifier("x" * 501)


def test_later_options_are_stronger_and_unknown_ones_are_refused():
    assert merged({"name": "a", "result": True}, {"name": "b"}, False) == {
        "name": "b",
        "result": True,
        "report": False,
    }
    with pytest.raises(TypeError, match="nmae"):
        merged({"nmae": "a"})


def test_options_may_depend_on_the_tasks_arguments():
    options = {"total": len, "name": "Import"}
    assert resolved(options, ([1, 2],), {}) == {"total": 2, "name": "Import"}


def test_a_functions_name_is_put_in_words():
    assert in_words("shop.tasks.import_all_rows") == "Import all rows"


def test_a_label_crosses_a_queue_as_plain_data():
    from headway.queues.labels import packed, unpacked

    label = Label({"scope": "user/1"}, ("whole", 2), bound=True)
    assert unpacked(packed(label)) == label
    assert unpacked({"options": 3}) == unpacked(None) == Label()
    assert lifecycle.Label().options == {}

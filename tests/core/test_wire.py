"""Records as JSON: between versions, within limits, for viewers."""

import json
from datetime import UTC, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.core import snapshot as limits
from headway.core import wire
from headway.core.errors import InvalidValue
from headway.core.snapshot import Details, Error, Head, Message, Snapshot, Stage, Totals, as_read
from headway.testing.clock import START

PUBLIC = {
    "headway", "id", "version", "name", "status", "attempt", "fraction", "percent", "count", "total", "unit",
    "rate", "activity", "stages", "children", "failed_count", "initial", "elapsed", "remaining",
    "remaining_low", "remaining_high", "estimate_basis", "usual", "patience", "idle_for", "silent_for",
    "retry_in", "cancel", "cancellable", "error", "messages", "message_count", "created_at", "started_at",
    "ended_at", "read_at",
}  # fmt: skip
OWNED = {"scope", "parent", "kind", "worker", "meta", "result", "lease", "retention", "seen_at", "expires_at"}

EPOCH = START.replace(year=1970, tzinfo=None)

words = st.none() | st.text(st.characters(codec="utf-8"), max_size=20)
shares = st.none() | st.floats(0, 1e9)
counts = st.none() | st.integers(0, 2**53 - 1) | st.floats(0, 1e15)
stages = st.builds(
    Stage, name=st.text(st.characters(codec="utf-8"), max_size=5), weight=shares, count=counts, total=counts,
    unit=words, elapsed=shares, ended=st.booleans(),
)  # fmt: skip
records = st.builds(
    Snapshot, id=st.just("job"), name=words, kind=words, count=counts, total=counts, unit=words,
    activity=words,
    stages=st.lists(stages, max_size=4).map(tuple), total_weight=shares, weight=st.floats(0, 10),
    failed_count=st.integers(0, 99), initial=st.integers(0, 99), elapsed=shares, idle_for=shares, rate=shares,
    remaining=shares, remaining_low=shares, remaining_high=shares, worker=words,
    message_count=st.integers(0, 9),
    estimate_basis=st.sampled_from([None, "run", "history", "both"]),
)  # fmt: skip
data = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=8,
)
messages = st.builds(
    Message,
    at=st.datetimes(timezones=st.just(UTC), min_value=EPOCH),
    text=st.text(st.characters(codec="utf-8")),
)
details = st.builds(
    Details, messages=st.lists(messages, max_size=3).map(tuple), result=data, meta=data,
    error=st.none() | st.builds(Error, text=words, type=words, detail=words),
)  # fmt: skip


@given(records)
def test_facts_come_back_as_they_were(record):
    assert wire.decode_record(record.head, wire.encode_facts(record)) == record


@given(details)
def test_details_come_back_as_they_were(kept):
    assert wire.decode_details(wire.encode_details(kept)) == kept


def test_what_is_at_its_default_is_not_stored():
    assert wire.encode_facts(Snapshot(id="job")) == b"{}"
    assert wire.encode_details(Details()) == b"{}"
    assert wire.encode_facts(Snapshot(id="job", count=0, total=5)) == b'{"count":0,"total":5}'


def test_what_a_newer_version_adds_is_ignored():
    facts = b'{"count":3,"sparkle":{"a":[1]},"stages":[{"name":"x","glitter":true}],"format":7}'
    record = wire.decode_record(Head(id="job"), facts)
    assert (record.count, record.stages, record.format) == (3, (Stage("x"),), 7)
    later = (
        b'{"messages":[{"at":"2030-01-01T00:00:00Z","text":"a","level":"loud","by":"x"}],"error":{"code":5}}'
    )
    kept = wire.decode_details(later)
    assert Snapshot(id="job", details=kept).messages == (Message(START, "a", "info"),)
    assert kept.error == Error()


def test_what_an_older_version_left_out_has_its_default():
    assert wire.decode_record(Head(id="job"), "{}") == Snapshot(id="job")
    assert (
        wire.decode_details(b'{"messages":[{"at":"2030-01-01T00:00:00Z","text":"a"}]}').messages[0].level
        == "info"
    )
    assert wire.decode_details(None) == Details()


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b'{"count":"x"}', b'{"weight":null}', b"\xff\xfe"])
def test_what_is_damaged_reads_as_unknown(damaged):
    assert wire.decode_record(Head(id="job", attempt=3), damaged) == Snapshot(id="job", attempt=3)
    assert wire.decode_details(damaged) == Details()
    assert wire.decode_error(damaged) == Error()


def test_a_lone_surrogate_and_others_strings_are_stored_as_plain_text():
    class Safe(str):
        __slots__ = ()

    record = Snapshot(id="job", name=Safe("safe"), activity="a\ud800b", stages=(Stage("s\udfff"),))
    read = wire.decode_record(record.head, wire.encode_facts(record))
    assert (read.name, read.activity, read.stages[0].name) == ("safe", "a\ufffdb", "s\ufffd")
    assert wire.decode_details(wire.encode_details(Details(meta={"a\ud800": ["\ud800"]}))).meta == {
        "a\ufffd": ["\ufffd"]
    }


def test_a_next_attempt_begins_with_messages_and_meta():
    note = Message(START, "a")
    kept = wire.encode_details(Details((note,), Error("x"), 5, {"a": 1}))
    begun = wire.decode_details(wire.details_of_next_attempt(kept, None))
    assert begun == Details((note,), None, None, {"a": 1})
    begun = wire.decode_details(wire.details_of_next_attempt(kept, Details(meta={"b": 2})))
    assert begun == Details((note,), None, None, {"b": 2})
    assert wire.details_of_next_attempt(None, None) is None
    assert wire.details_of_next_attempt(None, Details(meta=1)) == b'{"meta":1}'


@given(
    records,
    st.sampled_from(["pending", "running", "retrying", "failed", "completed", "stopped", "odd"]),
    st.booleans(),
)
def test_a_frame_has_all_its_keys_always_and_is_one_line_of_json(record, status, owner):
    record = msgspec.structs.replace(record, status=status, seen_at=START)
    read = as_read(record, Totals(), START + timedelta(seconds=5))
    frame = wire.encode_frame(read, owner=owner)
    assert set(json.loads(frame)) == (PUBLIC | OWNED if owner else PUBLIC)
    assert b"\n" not in frame
    assert b"\r" not in frame


def test_viewers_see_no_secrets():
    error = Error("Safe.", "ValueError", "password=1234")
    note = Message(START, "found", "debug")
    record = Snapshot(
        id="job", status="failed", ended_at=START, run="RUN-TOKEN", scope="user/1", worker="host:1",
        parent="PARENT", details=Details((note,), error, None, {"key": "META"}),
    )  # fmt: skip
    frame = wire.encode_frame(record).decode()
    for secret in ("1234", "META", "RUN-TOKEN", "user/1", "host:1", "PARENT", "found", "ValueError"):
        assert secret not in frame
    assert json.loads(frame)["error"] == {"text": "Safe."}
    owned = wire.encode_frame(record, owner=True).decode()
    assert "RUN-TOKEN" not in owned
    assert json.loads(owned)["error"] == {"text": "Safe.", "type": "ValueError", "detail": "password=1234"}


def test_a_frame_shows_unknown_as_null_and_full_as_one():
    frame = wire.frame(as_read(Snapshot(id="job"), Totals(), START))
    assert [frame[key] for key in ("fraction", "percent", "count", "children", "error", "elapsed")] == [
        None
    ] * 6
    done = as_read(Snapshot(id="job", status="completed", ended_at=START), Totals(), START)
    assert [wire.frame(done)[key] for key in ("fraction", "percent", "remaining")] == [1.0, 100, 0.0]


def test_a_record_at_all_its_limits_stays_small():
    wide = "\U0001f600"
    stage = Stage(wide * limits.STAGE_NAME, 1.5, 2**53 - 1, 2**53 - 1, wide * limits.UNIT, 1e6, ended=True)
    record = Snapshot(
        id="a" * 200, name=wide * limits.NAME, kind=wide * limits.NAME, activity=wide * limits.ACTIVITY,
        unit=wide * limits.UNIT, worker=wide * limits.NAME, stages=(stage,) * limits.STAGES, count=2**53 - 1,
    )  # fmt: skip
    assert len(wire.encode_facts(record)) < 70_000
    assert (
        len(wire.encode_facts(Snapshot(id="job", name="Nightly report", count=5, total=9, elapsed=1.5))) < 80
    )


@given(
    st.datetimes(timezones=st.just(UTC), min_value=EPOCH),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:~@-]{0,199}", fullmatch=True),
)
def test_a_cursor_comes_back_as_it_was(created_at, id):
    cursor = wire.encode_cursor(created_at, id)
    assert wire.decode_cursor(cursor) == (created_at, id)
    assert cursor.isascii()
    assert "=" not in cursor


@given(
    st.text() | st.sampled_from(["", "e30", "WyJhIiwiYiJd", "WyIyMDMwLTAxLTAxVDAwOjAwOjAwIiwiYSJd", "W10"])
)
def test_any_other_cursor_is_refused(cursor):
    with pytest.raises(InvalidValue, match="cursor"):
        wire.decode_cursor(cursor)

import os
import queue
import signal
import time
from datetime import UTC, datetime

import pytest

from headway.core.errors import JobNotFound, StoreUnavailable
from headway.core.snapshot import Snapshot
from headway.following import STALLED, Feed, Following, follow

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def running(id="a", seen_at=NOON, **facts):
    known = {"status": "running", "started_at": NOON, "elapsed": 0.0, "read_at": NOON, "lease": 3_600.0}
    return Snapshot(id=id, seen_at=seen_at, **known | facts)


class News:
    """A watch that yields, or raises, what it was given, and then waits."""

    def __init__(self, *items):
        self.items = queue.SimpleQueue()
        self.closed = False
        for item in items:
            self.items.put(item)

    def __iter__(self):
        return self

    def __next__(self):
        item = self.items.get()
        if isinstance(item, Exception):
            raise item
        return item

    def close(self):
        self.closed = True
        self.items.put(StopIteration())


class Store:
    def __init__(self):
        self.records = {}
        self.away = False
        self.read_ids = []

    def read(self, ids):
        self.read_ids.append(list(ids))
        if self.away:
            raise StoreUnavailable("sqlite:///x", "it is on fire")
        return {id: self.records[id] for id in ids if id in self.records}


class Connected:
    def __init__(self, *watches):
        self.store = Store()
        self.watches = list(watches)
        self.watched = []

    def watch(self, *ids, **_options):
        self.watched.append(ids)
        return self.watches.pop(0)


class Remembering:
    def __init__(self):
        self.heard = []
        self.notices = []

    def hear(self, snapshot):
        self.heard.append(snapshot.id)

    def show(self, _shown, notices=()):
        self.notices = list(notices)

    def close(self):
        self.closed = True


def until(condition, step):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        step()


def test_a_feed_goes_on_with_the_others_when_a_record_is_gone():
    hw = Connected(News(running("a"), JobNotFound("b", 1.0)), News(running("a", step=2)))
    feed = Feed(lambda ids: hw.watch(*ids), ["a", "b"])
    taken = []
    until(lambda: len(taken) == 3, lambda: taken.extend(feed.take(0.1)))
    assert [item.id for item in taken] == ["a", "b", "a"]
    assert hw.watched == [("a", "b"), ("a",)]
    feed.close()


def test_what_breaks_the_watch_is_raised_where_it_is_waited_for():
    feed = Feed(lambda _ids: News(StoreUnavailable("x", "gone")), ["a"])
    with pytest.raises(StoreUnavailable):
        list(feed.take(30.0))


def test_a_job_that_seems_silent_is_read_again_before_it_is_accused(monkeypatch):
    hw = Connected(News(running()))
    with Following(hw, Remembering(), ["a"]) as following:
        until(lambda: following.board.get("a"), following.step)
        assert hw.store.read_ids == []
        clock = time.monotonic() + 7
        monkeypatch.setattr("headway.following.time.monotonic", lambda: clock)
        hw.store.records["a"] = running(elapsed=7.0)
        jobs = following.step()
        assert hw.store.read_ids == [["a"]]
        assert jobs["a"].silent_for == 0.0


def test_while_the_store_is_away_that_is_said_and_nobody_is_blamed_for_good(monkeypatch):
    hw, output = Connected(News(running())), Remembering()
    with Following(hw, output, ["a"]) as following:
        until(lambda: following.board.get("a"), following.step)
        clock = time.monotonic() + 7
        monkeypatch.setattr("headway.following.time.monotonic", lambda: clock)
        hw.store.away = True
        following.step()
        (notice,) = output.notices
        assert "the store does not answer" in notice
        assert "on fire" in notice
        clock += 3
        hw.store.away = False
        following.step()
        assert output.notices == []


def test_nobody_is_said_to_wait_for_a_job_that_was_heard_of_meanwhile():
    watch, output = News(), Remembering()
    with Following(Connected(watch), output, ["a"]) as following:
        following.awaited = ["a"]
        following.step()
        assert output.notices == ["waiting for a, nothing is known of it yet"]
        watch.items.put(running())
        until(lambda: output.heard, following.step)
        assert output.notices == []


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_is_seen_to_between_two_pictures_and_forgiven_as_often_as_asked():
    before = signal.getsignal(signal.SIGINT)
    with Following(Connected(News()), Remembering(), ["a"], forgiving=1) as following:
        os.kill(os.getpid(), signal.SIGINT)
        until(lambda: following.interrupts, following.step)
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            until(lambda: False, following.step)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_record_that_is_gone_decides_its_fate_and_not_that_of_the_others():
    ended = running("a", status="completed", ended_at=NOON)
    hw = Connected(News(ended, running("b"), JobNotFound("b", 1.0)))
    hw.watches.append(News())
    with Following(hw, Remembering(), ["a", "b"]) as following:
        assert follow(following, ["a", "b"], patience=60.0) == {"a": 0, "b": STALLED}

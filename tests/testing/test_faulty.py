"""A store that fails on command."""

import threading
import time

import pytest

from headway.core.errors import StoreUnavailable
from headway.stores.memory import MemoryStore
from headway.testing import Clock, FaultyStore
from headway.testing.store_scene import Worker, known


@pytest.fixture
def store():
    return FaultyStore(MemoryStore())


@pytest.fixture
def worker(store):
    worker = Worker(store)
    worker.claim()
    return worker


def test_a_failing_store_does_nothing_until_it_works_again(store, worker):
    store.failing = True
    for call in (
        worker.report,
        lambda: store.read(["job"]),
        store.find,
        store.sweep,
        lambda: store.listen().wait(0),
    ):
        with pytest.raises(StoreUnavailable):
            call()
    store.failing = False
    assert known(store).step == 0


def test_it_fails_as_often_as_it_is_told_to(store, worker):
    store.failing = 2
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            worker.report()
    assert worker.report().accepted


def test_a_lost_answer_is_of_work_that_was_done(store, worker):
    store.losing_answers = 1
    with pytest.raises(StoreUnavailable):
        worker.report(count=3)
    assert known(store).count == 3
    assert worker.beat().outcome == "heartbeat"


def test_what_is_repeated_changes_nothing_more(store, worker):
    store.repeating = True
    assert worker.report(count=3).outcome == "heartbeat"
    assert store.end("job", 1, "failed").outcome == "same"
    assert Worker(store, "other").claim(exclusive=True).attempt == 1


def test_a_hung_store_gives_up_after_its_patience_or_goes_on_when_it_is_let(store, worker):
    store.hanging, store.patience = True, 0.05
    with pytest.raises(StoreUnavailable):
        worker.report()
    store.patience = 30
    timer = threading.Timer(0.05, lambda: setattr(store, "hanging", False))
    timer.start()
    assert worker.report().accepted
    timer.join()


def test_a_slow_store_takes_longer(store, worker):
    store.delay = 0.05
    began = time.monotonic()
    worker.report()
    assert time.monotonic() - began >= 0.05


def test_it_knows_what_was_asked_of_it(store, worker):
    worker.report()
    store.close()
    assert store.calls == ["open", "write"]


def test_a_clock_moves_only_when_it_is_told_to():
    clock = Clock()
    before = clock()
    assert clock() == before
    assert (clock.advance(1.5) - before).total_seconds() == 1.5
    clock.now = before
    assert clock() == before

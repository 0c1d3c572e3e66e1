"""``null://`` switches reporting off."""

import time

import pytest

from headway.core.errors import InvalidValue
from headway.stores import open_store
from headway.testing.store_scene import Worker, at_once, part


@pytest.fixture
def store():
    return open_store("null://")


def test_it_accepts_everything_and_remembers_nothing(store):
    worker = Worker(store)
    opened = worker.claim(exclusive=True).opened
    assert (opened.status, opened.attempt, opened.run) == ("running", 1, "worker-1")
    assert opened.started_at
    assert worker.report(count=1).accepted
    answers = store.write([worker.record(step=9)], [part(worker, "hand")], ["job", "other"])
    assert {id: answer.outcome for id, answer in answers.items()} == {"job": "applied", "other": "heard"}
    assert answers["job"].details_version == 0
    assert Worker(store, run="2").claim(exclusive=True).attempt == 1
    assert store.read(["job"]) == {}
    assert store.find(scope="a").jobs == ()
    assert store.end("job", 1, "failed").outcome == store.request_cancel("job").outcome == "missing"
    assert (store.forget("job"), store.sweep(), store.history("kind")) == (False, 0, [])
    store.learn("kind", None)
    store.close()


def test_wrong_arguments_are_refused_as_by_any_store(store):
    for wrong in (
        lambda: store.find(limit=0),
        lambda: store.end("a", 1, "done"),
        lambda: Worker(store, run=None).claim(),
    ):
        with pytest.raises(InvalidValue):
            wrong()


def test_nothing_is_ever_heard_and_closing_ends_the_wait(store):
    subscription = store.listen()
    subscription.add(["job"], [None])
    Worker(store).claim()
    assert subscription.wait(0.01) == set()
    began = time.monotonic()
    at_once([lambda: subscription.wait(30), subscription.close])
    assert subscription.wait(30) == set()
    assert time.monotonic() - began < 10

"""What a store gets for free: a subscription that looks again and again."""

import pytest

from headway.stores.contract import Page, Polling
from headway.stores.memory import MemoryStore
from headway.testing import Clock
from headway.testing.store_contract import Listening
from headway.testing.store_scene import Worker


class Plain(MemoryStore):
    def listen(self):
        return Polling(self, every=0.01)


class TestPolling(Listening):
    @pytest.fixture
    def store(self):
        return Plain()


def test_changes_beyond_the_newest_page_are_heard_and_endings_pushed_off_it_are_no_changes():
    clock = Clock()
    store = Plain(clock=clock)
    workers = [Worker(store, f"job-{number}", scope="s") for number in range(250)]
    for worker in workers:
        worker.claim()
        clock.advance(1)
    subscription = store.listen()
    subscription.add(scopes=["s"])
    assert len(subscription.wait(0)) == 250
    workers[0].report(count=1)
    assert subscription.wait(0) == {"job-0"}
    for worker in workers:
        worker.report("completed")
    assert len(subscription.wait(0)) == 250
    Worker(store, "newest", scope="s").claim()
    assert subscription.wait(0) == {"newest"}
    store.forget("job-240")
    assert "job-240" in subscription.wait(0)
    assert subscription.wait(0) == set()


def test_a_page_is_a_sequence_of_jobs():
    worker = Worker(MemoryStore())
    opened = worker.claim().opened
    page = Page((opened,))
    assert (len(page), list(page), page[0], page.cursor) == (1, [opened], opened, None)

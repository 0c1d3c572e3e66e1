"""The folder store holds the contract: with hard links, without them, and by the file server's clock."""

import errno
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from headway.stores.files import FileStore, url_of
from headway.testing import Clock, StoreContract, StoreMachine


class Clocked(StoreContract):
    @pytest.fixture
    def clock(self):
        return Clock()

    @pytest.fixture
    def store(self, tmp_path, clock):
        store = FileStore(url_of(tmp_path / "jobs"), clock)
        yield store
        store.close()

    @pytest.fixture
    def another(self, store, clock):
        another = FileStore(store.url, clock)
        yield another
        another.close()


class TestFileStore(Clocked):
    pass


class TestFileStoreWithoutHardLinks(Clocked):
    @pytest.fixture(autouse=True)
    def no_links(self, monkeypatch):
        def refuse(*_, **__):
            raise OSError(errno.EPERM, "hard links are not to be had")

        monkeypatch.setattr(os, "link", refuse)


class TestFileStoreByTheServersClock(StoreContract):
    """The contract waits."""

    @pytest.fixture
    def store(self, tmp_path):
        store = FileStore(url_of(tmp_path / "jobs"))
        yield store
        store.close()

    @pytest.fixture
    def another(self, store):
        another = FileStore(store.url)
        yield another
        another.close()


class FolderMachine(StoreMachine):
    def make_store(self):
        self.folder = tempfile.TemporaryDirectory()
        return FileStore(url_of(Path(self.folder.name)), self.clock)

    def make_another(self, store):
        return FileStore(store.url, self.clock)

    def discard(self):
        super().discard()
        self.folder.cleanup()


def live(examples):
    lives = settings(
        max_examples=examples,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    run_state_machine_as_test(FolderMachine, settings=lives)


def test_every_life_goes_by_the_rules():
    live(30)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_very_many_lives_go_by_the_rules():
    live(2_000)

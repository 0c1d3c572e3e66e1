"""F11, F12: clocks that are wrong, or jump while a job runs."""

import os
import time
from contextlib import closing
from pathlib import Path

import pytest
from tests.faults.scene import LEASE, UNTIL_TOLD, begin_one, begun, told_to_end
from tests.servers.postgres import postgres
from tests.servers.redis import redis_server

import headway
from headway.stores.files import FileStore, url_of
from headway.stores.memory import MemoryStore
from headway.stores.sqlite import SQLiteStore
from headway.testing import Clock
from headway.testing.store_scene import Worker

HOUR = 3600


@pytest.fixture
def faked(tmp_path):
    """A process that is started from now on has a wrong clock, which can be set while it runs."""
    places = ("lib*/faketime/libfaketime.so.1", "lib/*/faketime/libfaketime.so.1")
    library = next((found for place in places for found in Path("/usr").glob(place)), None)
    if library is None:
        reason = "libfaketime is missing: make servers, or apt-get install libfaketime"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    setting = tmp_path / "clock"

    def set_to(seconds):
        fresh = tmp_path / "fresh"
        fresh.write_text(f"{seconds:+d}\n")
        fresh.replace(setting)

    set_to(0)
    setting.chmod(0o644)
    set_to.environment = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(setting),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
    return set_to


@pytest.fixture(params=[HOUR, pytest.param(-HOUR, marks=pytest.mark.nightly)], ids=["ahead", "behind"])
def wrong_worker(request, faked, monkeypatch, begin, address):
    """One whose clock is wrong by ``wrong`` seconds."""
    faked(request.param)
    with monkeypatch.context() as patched:
        for name, value in faked.environment.items():
            patched.setenv(name, value)
        worker = begun(begin(WRONG + UNTIL_TOLD, address, time.time() + request.param))
    worker.wrong = request.param
    return worker


WRONG = """
assert abs(time.time() - float(sys.argv[2])) < 60
import select  # libfaketime 0.9.10 breaks the system call by which Python sleeps
time.sleep = lambda seconds: select.select([], [], [], seconds)
"""


@pytest.mark.parametrize("engine", ["redis", "postgres", "files"], indirect=True)
def test_f11_a_worker_whose_clock_is_wrong_and_jumps_is_shown_as_any_other(hw, faked, wrong_worker):
    watch = hw.watch("one")
    began = time.monotonic()
    seen = [one for one, _ in zip(watch, range(3), strict=False)]
    faked(-wrong_worker.wrong)
    seen += [one for one, _ in zip(watch, range(3), strict=False)]
    watch.close()
    for one in seen:  # a busy machine may silence a worker for longer than its lease, but for no hour
        assert one.status == ("running" if one.silent_for <= LEASE else "stalled")
        assert one.silent_for < 60
    assert all((one.read_at - one.created_at).total_seconds() < time.monotonic() - began + 5 for one in seen)
    assert 0 < seen[-1].elapsed < time.monotonic() - began + 5
    counts = [one.count for one in seen]
    assert counts == sorted(set(counts))
    told_to_end(wrong_worker)
    assert hw.get("one").status == "completed"


@pytest.fixture(params=[redis_server, postgres], ids=["redis", "postgres"])
def wrong_server(request, faked):
    """A server whose clock can be set."""
    with request.param(environment=faked.environment) as server:
        yield server


def test_f12_a_server_whose_clock_jumps_accuses_nobody_and_versions_rise(
    faked, wrong_server, begin, viewed_by
):
    """An hour ahead is believed, as nobody can tell it from an hour of silence, until the worker speaks."""
    with closing(headway.connect(wrong_server.url)) as hw:
        worker = begin_one(begin, wrong_server.url)
        view = viewed_by(hw)
        view.shows(lambda one: one.count)
        for back in (-HOUR, -2 * HOUR):
            before = view.seen[-1]
            faked(back)
            view.shows(lambda one, before=before: one.count > before.count)
            time.sleep(0.7)
        assert {one.status for one in view.seen} == {"running"}
        before = view.seen[-1]
        faked(0)
        view.shows(lambda one: one.status == "running" and one.count > before.count)
        assert view.never_goes_back()
        told_to_end(worker)
        view.shows(lambda one: one.status == "completed")
        assert hw.get("one", details=True).meta == {"file": "a"}


class TestF12AStoreWhoseClockGoesBack:
    """Its own clock is the only one that it compares: an hour back, and on from there."""

    @pytest.fixture
    def clock(self):
        return Clock()

    @pytest.fixture(params=["memory", "sqlite", "files"])
    def store(self, request, clock, tmp_path):
        made = {
            "memory": lambda: MemoryStore(clock=clock),
            "sqlite": lambda: SQLiteStore(f"sqlite:///{tmp_path / 'jobs.db'}", clock),
            "files": lambda: FileStore(url_of(tmp_path / "jobs"), clock),
        }[request.param]()
        yield made
        made.close()

    def test_f12_versions_rise_nobody_is_accused_and_nothing_expires(self, store, clock):
        worker = Worker(store, lease=LEASE, retention=10.0)
        worker.claim()
        versions = [worker.report(count=1).version]
        kept = store.read(["job"])["job"].expires_at
        clock.advance(-HOUR)
        for count in range(2, 10):
            versions.append(worker.report(count=count).version)
            seen = store.read(["job"])["job"]
            assert (seen.status, seen.count, seen.silent_for) == ("running", count, 0)
            assert seen.expires_at >= kept
            assert store.sweep() == 0
            clock.advance(0.5)
        versions.append(store.request_cancel("job").version)
        versions.append(worker.report("cancelled", cancel="seen").version)
        assert versions == sorted(set(versions))
        assert [job.id for job in store.find()] == ["job"]
        seen = store.read(["job"])["job"]
        assert seen.elapsed is None or seen.elapsed >= 0

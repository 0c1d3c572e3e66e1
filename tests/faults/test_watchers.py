"""F17, F18, F25: watchers whose notices get lost, who are cut off, stopped, or behind a pooler."""

import signal
import time
from contextlib import closing

import pytest
from tests.faults.scene import SERVERS, begin_one, on, told_to_end
from tests.processes import eventually
from tests.servers.postgres import bouncer

import headway
from headway.client import Headway
from headway.stores import open_store
from headway.stores.contract import Subscription
from headway.testing import FaultyStore


class Deaf(Subscription):
    """Hears nothing, and does not know it."""

    def add(self, ids=(), scopes=()):
        pass

    def remove(self, ids=(), scopes=()):
        pass

    def wait(self, timeout):
        time.sleep(timeout)
        return set()

    def close(self):
        pass


class DeafStore(FaultyStore):
    def listen(self):
        return Deaf()


def test_f17_who_hears_no_notice_at_all_sees_everything_within_a_sweep(
    address, worker, viewed_by, monkeypatch
):
    monkeypatch.setattr("headway.live.SWEEP", 0.5)
    with closing(Headway(DeafStore(open_store(address)))) as hw:
        view = viewed_by(hw)
        for _ in range(3):
            now = hw.get("one").count
            view.shows(lambda one, now=now: one.count > now, 2)
        told_to_end(worker)
        view.shows(lambda one: one.status == "completed", 1.5)
        assert view.never_goes_back()


def cut_watchers_off(engine, server):
    """End the connections by which notices come; how many those were."""
    if engine == "redis":
        with server.client() as client:
            return client.client_kill_filter(_type="pubsub")
    ended = server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE %s OR query LIKE %s",
        "LISTEN%",
        "%pg_notify%",
    )
    return len(ended)


@on(*SERVERS)
def test_f17_who_is_cut_off_again_and_again_sees_everything(engine, hw, server, worker, viewed):
    view = viewed()
    view.shows(lambda one: one.count)
    cut = 0
    for _ in range(8):
        cut += cut_watchers_off(engine, server)
        now = view.seen[-1].count
        time.sleep(0.3)
    assert cut >= 2
    view.shows(lambda one: one.count > now)
    told_to_end(worker)
    view.shows(lambda one: one.status == "completed")
    assert hw.get("one").count == view.seen[-1].count
    assert view.never_goes_back()


WATCHES = """
for seen in hw.watch("one"):
    print(seen.version, seen.count, seen.status, flush=True)
"""


@pytest.fixture
def flood(engine, server, space):
    """More notices than a server keeps for one that does not read them."""

    def flood_redis():
        with server.client() as client:
            (channel,) = client.pubsub_channels(f"{space}*")
            eventually(lambda: client.publish(channel, b"x" * 10_000) == 0, every=0)  # it is cut off

    def flood_postgres():
        notice = f"pg_notify({space}.channel('id', 'one'), repeat('x', 7000) || number)"
        server.execute(f"SELECT {notice} FROM generate_series(1, 6000) number")  # noqa: S608 - names are ours

    return {"redis": flood_redis, "postgres": flood_postgres}[engine]


@on(*SERVERS)
def test_f18_who_was_stopped_while_too_much_happened_shows_the_newest_at_once(hw, worker, begin, flood):
    watcher = begin(WATCHES, hw.store.url)
    assert watcher.stdout.readline()
    assert watcher.stdout.readline()
    watcher.send_signal(signal.SIGSTOP)
    flood()
    now = hw.get("one")
    watcher.send_signal(signal.SIGCONT)
    began = time.monotonic()
    while int(watcher.stdout.readline().split()[0]) < now.version:
        pass
    assert time.monotonic() - began < 5
    fared = told_to_end(worker)
    out, errors = watcher.communicate(timeout=20)
    assert (watcher.returncode, errors) == (0, "")
    assert out.splitlines()[-1].split()[1:] == [str(int(fared.steps)), "completed"]


@on("postgres")
def test_f25_behind_a_pooler_that_loses_notices_everything_is_seen(server, space, begin, viewed_by, caplog):
    with bouncer(server) as pooler:
        url = f"{pooler.url}?schema={space}"
        worker = begin_one(begin, url)
        with closing(headway.connect(url)) as hw, caplog.at_level("WARNING", "headway"):
            view = viewed_by(hw)
            view.shows(lambda one: one.count)
            now = view.seen[-1].count
            view.shows(lambda one: one.count > now, 3)
            told_to_end(worker)
            view.shows(lambda one: one.status == "completed", 3)
            assert view.never_goes_back()
    assert len(caplog.records) == 1

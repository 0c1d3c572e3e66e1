"""F4, F5, F8, F9, F10: servers that die, hang, fail over, forget or refuse."""

import time
from contextlib import closing, contextmanager, suppress

import pytest
from tests.faults.scene import WORKER, begin_one, begun, comes_back, is_whole, on, read, told_to_end
from tests.processes import eventually
from tests.servers.redis import Cluster, RedisServer, Watched

import headway
from headway.core.errors import StoreUnavailable
from headway.core.pace import HEARTBEAT

pytestmark = pytest.mark.nightly  # minutes of waiting for heartbeats and failovers

BACK = HEARTBEAT + 3
"""Seconds within which a record is whole again: a heartbeat, and the longest pause after failures."""


@contextmanager
def paused(server):
    server.pause()
    try:
        yield
    finally:
        server.resume()


def test_f4_a_server_that_was_killed_gets_the_whole_record_back(hw, server, worker, viewed):
    view = viewed()
    before = view.shows(lambda one: one.count).version
    time.sleep(1)  # PostgreSQL writes progress to its disk five times a second
    server.kill()
    time.sleep(1)
    server.start()
    back = comes_back(hw, seconds=BACK)
    assert back.version > before
    view.shows(lambda one: one.version >= back.version, BACK)
    fared = told_to_end(worker)
    assert fared.was_not_disturbed()
    assert (fared.warnings, fared.dropped >= 1) == (1, True)
    view.shows(lambda one: one.status == "completed")
    assert hw.get("one").count == fared.steps
    assert view.never_goes_back()


@on("postgres")
def test_f4_details_that_were_lost_with_the_last_moments_of_a_server_come_back(hw, server, begin):
    """PostgreSQL acknowledges progress before it is on the disk."""
    worker = begin(SAYS_SOMETHING_LATER, hw.store.url)
    begun(worker)
    eventually(lambda: hw.get("one"))
    server.execute("CHECKPOINT")
    with slow_disk(server):
        worker.stdin.write("\n")
        worker.stdin.flush()
        eventually(lambda: hw.get("one").message_count)
        server.kill()
        server.start()
    assert eventually(lambda: hw.get("one").count == 1)
    assert eventually(lambda: hw.get("one", details=True).messages, 3)


SAYS_SOMETHING_LATER = """
with hw.job("Import", id="one", lease=2) as job:
    print("begun", flush=True)
    sys.stdin.readline()
    job.message("later")
    time.sleep(2)
    job.advance()
    time.sleep(60)
"""


@contextmanager
def slow_disk(server):
    """Nothing is written to it that need not be."""
    server.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
    server.execute("SELECT pg_reload_conf()")
    time.sleep(0.3)
    try:
        yield
    finally:
        server.execute("ALTER SYSTEM RESET wal_writer_delay")
        server.execute("SELECT pg_reload_conf()")


@pytest.mark.parametrize("seconds", [2.5, pytest.param(10, marks=pytest.mark.nightly)])
def test_f5_a_server_that_hangs_holds_nobody_up(hw, server, worker, viewed, seconds):
    view = viewed()
    view.shows(lambda one: one.count)
    with paused(server):
        time.sleep(seconds)
    now = hw.get("one").count
    view.shows(lambda one: one.count > now, BACK)
    fared = told_to_end(worker)
    assert fared.was_not_disturbed()
    assert (fared.warnings, fared.dropped >= 1) == (1, True)
    assert (hw.get("one").status, hw.get("one").count) == ("completed", fared.steps)
    assert view.never_goes_back()


def test_f5_an_end_waits_two_seconds_for_a_server_that_hangs_and_is_told_later(hw, address, server, begin):
    worker = begin(WORKER + ENDS_WHEN_TOLD, address)
    begun(worker)
    with paused(server):
        worker.stdin.write("\n")
        worker.stdin.flush()
        assert float(worker.stdout.readline()) < 2.3
    eventually(lambda: hw.get("one").ended, BACK)
    assert (hw.get("one").status, hw.get("one").count) == ("completed", 7)


ENDS_WHEN_TOLD = """
done = until_told()
with hw.job("Import", id="one") as job:
    print("begun", flush=True)
    job.advance(7)
    while not done():
        time.sleep(0.01)
    began = time.monotonic()
print(time.monotonic() - began, flush=True)
time.sleep(60)  # whoever exits at once has told all that could be told
"""


@pytest.fixture
def forgetting(engine, server, space):
    """The ways in which a server forgets."""
    if engine == "postgres":
        return [
            lambda: server.execute(f"DELETE FROM {space}.job"),  # noqa: S608 - its name is ours
            lambda: server.execute(f"DROP SCHEMA {space} CASCADE"),
        ]
    job = f"{space}:job:{{one}}"
    with server.client() as client:
        return [client.flushall, lambda: client.delete(job), lambda: client.expire(job, 0)]


def test_f9_what_was_evicted_is_whole_again(hw, server, worker, viewed, forgetting):
    view = viewed()
    view.shows(lambda one: one.count)
    for forget in forgetting:
        before = hw.get("one").version
        forget()
        back = eventually(lambda: (found := comes_back(hw)).version > before and found, BACK)  # noqa: B023
        view.shows(lambda one: one.version >= back.version)  # noqa: B023
    fared = told_to_end(worker)
    assert fared.was_not_disturbed()
    view.shows(lambda one: one.status == "completed")
    assert hw.get("one").count == fared.steps
    assert view.never_goes_back()


@contextmanager
def out_of_memory(server):
    with server.client() as client:
        client.config_set("maxmemory", "1")
        try:
            yield
        finally:
            client.config_set("maxmemory", "0")


@contextmanager
def a_replica(server):
    with server.client() as client, closing(RedisServer()) as other:
        client.replicaof("127.0.0.1", other.port)
        try:
            yield
        finally:
            client.replicaof("no", "one")


@contextmanager
def without_scripts(server):
    with server.client() as client:
        client.script_flush()
        yield


@contextmanager
def read_only(server):
    server.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    server.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        server.execute("ALTER SYSTEM RESET default_transaction_read_only", url=writing(server))
        server.execute("SELECT pg_reload_conf()")


def writing(server):
    return f"{server.url}?options=-c%20default_transaction_read_only%3Doff"


@contextmanager
def connections_ended(server):
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    for _ in range(5):
        server.execute(f"{end} AND backend_type = 'client backend'")
        time.sleep(0.1)
    yield


REFUSALS = [
    ("redis", out_of_memory),
    ("redis", a_replica),
    ("redis", without_scripts),
    ("postgres", read_only),
    ("postgres", connections_ended),
]


@pytest.mark.parametrize(
    ("engine", "refusing"),
    REFUSALS,
    indirect=["engine"],
    ids=[f"{engine}-{refusal.__name__}" for engine, refusal in REFUSALS],
)
def test_f10_a_server_that_refuses_is_survived(hw, server, worker, refusing):
    eventually(lambda: (found := read(hw)) and found.count)
    with refusing(server):
        time.sleep(2)
    back = comes_back(hw, seconds=BACK)
    eventually(lambda: (found := read(hw)) and found.count > back.count, BACK)
    fared = told_to_end(worker)
    assert fared.was_not_disturbed()
    assert fared.warnings <= 1
    if refusing is without_scripts:
        assert fared.dropped == 0
    assert (hw.get("one").status, hw.get("one").count) == ("completed", fared.steps)


@pytest.mark.nightly
def test_f10_a_server_that_loads_its_file_is_waited_for(begin):
    """``-LOADING`` is what it answers meanwhile."""
    options = (
        "appendonly yes",
        "appendfsync always",
        "key-load-delay 50000",
        "loading-process-events-interval-bytes 1024",
    )
    with closing(RedisServer("valkey", *options)) as server:
        with server.client() as client:
            client.set("ballast", "x" * 10)
        worker = begin_one(begin, server.url)
        hw = headway.connect(server.url)
        before = eventually(lambda: hw.get("one").count)
        server.kill()
        server.start()
        eventually(lambda: (found := read(hw)) and found.count > before, BACK)
        fared = told_to_end(worker)
        assert fared.was_not_disturbed()
        assert (hw.get("one").status, hw.get("one").count) == ("completed", fared.steps)
        hw.close()


@pytest.mark.nightly
def test_f8_a_primary_that_is_cut_off_is_replaced_and_watchers_go_on(begin, viewed_by):
    """The old one hangs; what was acknowledged by it in its last moments may be lost, and is told again."""
    with closing(Watched()) as watched:
        worker = begin_one(begin, watched.url)
        hw = headway.connect(watched.url)
        view = viewed_by(hw)
        before = view.shows(lambda one: one.count)
        watched.primary.pause()
        now = eventually(lambda: is_ahead(hw, before), 25, every=0.1)
        view.shows(lambda one: one.version > now.version, BACK)
        fared = told_to_end(worker)
        assert fared.was_not_disturbed()
        view.shows(lambda one: one.status == "completed")
        assert (hw.get("one").status, hw.get("one").count) == ("completed", fared.steps)
        assert view.never_goes_back()
        hw.close()


@pytest.mark.nightly
def test_f8_no_end_is_lost_in_a_failover_where_replicas_are_waited_for():
    """The replica is behind when the primary is lost: what it does not have was never acknowledged."""
    with closing(Watched()) as watched, closing(headway.connect(f"{watched.url}?replicas=1")) as hw:
        hw.job("First", id="first").start().complete()
        watched.replica.pause()
        hw.job("Second", id="second").start()
        with pytest.raises(StoreUnavailable, match="0 of 1 replicas"):
            hw.store.end("second", 1, "completed")
        watched.replica.resume()
        assert eventually(lambda: ended(hw.store, "second"))
        watched.primary.pause()
        eventually(lambda: read(hw, "second"), 25, every=0.1)
        assert (read(hw, "first").status, read(hw, "second").status) == ("completed", "completed")


def ended(store, id):
    with suppress(StoreUnavailable):
        return store.end(id, 1, "completed").accepted or store.read([id])[id].ended
    return False


def is_ahead(hw, before):
    found = read(hw)
    return found if found and found.count > before.count + 1000 else None


@pytest.mark.nightly
def test_f10_a_job_that_moves_to_another_server_of_a_cluster_is_followed(begin):
    """While it moves it is answered ``-ASK``, afterwards ``-MOVED``."""
    with closing(Cluster()) as cluster, closing(headway.connect(cluster.url)) as hw:
        worker = begin_one(begin, cluster.url)
        eventually(lambda: hw.get("one").count)
        move(cluster, "{one}")
        now = hw.get("one").count
        eventually(lambda: hw.get("one").count > now, BACK)
        assert is_whole(read(hw))
        fared = told_to_end(worker)
        assert fared.was_not_disturbed()
        assert (hw.get("one").status, hw.get("one").count) == ("completed", fared.steps)


def move(cluster, key):
    """Give a key's slot to another server, in the steps in which a Cluster does it."""
    clients = {server.port: server.client(decode_responses=True) for server in cluster.servers}
    first = next(iter(clients.values()))
    slot = first.execute_command("CLUSTER KEYSLOT", key)
    (_, _, (_, source, source_id, *_), *_) = next(
        one for one in first.execute_command("CLUSTER SLOTS") if one[0] <= slot <= one[1]
    )
    target = next(port for port in clients if port != source)
    target_id = clients[target].execute_command("CLUSTER MYID")
    clients[target].execute_command("CLUSTER SETSLOT", slot, "IMPORTING", source_id)
    clients[source].execute_command("CLUSTER SETSLOT", slot, "MIGRATING", target_id)
    time.sleep(1)
    while keys := clients[source].execute_command("CLUSTER GETKEYSINSLOT", slot, 100):
        clients[source].execute_command("MIGRATE", "127.0.0.1", target, "", 0, 5000, "KEYS", *keys)
        time.sleep(1)
    for client in clients.values():
        client.execute_command("CLUSTER SETSLOT", slot, "NODE", target_id)
        client.close()

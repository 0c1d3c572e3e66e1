"""Redis and Valkey under real faults: servers that die, hang, forget or refuse, networks, rights, forks."""

import logging
import os
import pickle
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.processes import eventually
from tests.servers.redis import Cluster, Watched, redis_server

import headway
from headway.core.errors import InvalidValue, StoreRefused, StoreUnavailable
from headway.core.snapshot import Error, Snapshot
from headway.stores import open_store, redis_servers
from headway.stores import redis as store_module
from headway.stores.contract import Polling, Profile
from headway.stores.redis import RedisStore
from headway.testing import FaultProxy
from headway.testing.store_scene import Worker, at_once, hears, known, part, told

SOON = 3.0
"""Half a second, and what a busy machine adds."""
PASSWORD = "correct-horse"  # noqa: S105 - of a server that lives as long as its test

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="servers are started as on POSIX")


@pytest.fixture(scope="module")
def shared():
    with redis_server() as server:
        yield server


@pytest.fixture
def server(shared):
    shared.clear()
    return shared


@pytest.fixture(scope="module")
def cluster():
    with closing(Cluster(replicas=True)) as cluster:
        yield cluster


@pytest.fixture
def store(server):
    with closing(open_store(server.url)) as store:
        yield store


@pytest.fixture
def worker(store):
    return Worker(store)


@pytest.fixture
def mortal():
    """A server that its test may kill."""
    with redis_server() as server:
        yield server


def refusal(url):
    """What a store that cannot be reached says."""
    with closing(open_store(url)) as store, pytest.raises(StoreUnavailable) as caught:
        store.read(["job"])
    return str(caught.value)


def refused(url):
    """What the server that a URL names says no to, when it is connected to."""
    with pytest.raises(StoreRefused) as caught:
        headway.connect(url)
    return str(caught.value)


@contextmanager
def stored_on(*options, engine="valkey"):
    """A server with these options, and a store on it."""
    with redis_server(engine, *options) as server, closing(open_store(server.url)) as store:
        yield server, store


@contextmanager
def far_from(server):
    """A network that fails on command, and a store behind it."""
    with FaultProxy("127.0.0.1", server.port) as proxy, closing(RedisStore(url_behind(proxy))) as store:
        yield proxy, store


def url_behind(proxy):
    """The URL of what lies behind a proxy."""
    return f"valkey://127.0.0.1:{proxy.port}"


def works(call):
    """Whether a call reaches its store."""
    try:
        call()
    except StoreUnavailable:
        return False
    return True


class TestUrls:
    @pytest.mark.parametrize(
        "url",
        [
            "redis://localhost/notes",
            "redis://localhost:port",
            "redis://one,two",
            "redis+sentinel://localhost",
            "redis+cluster://localhost/3",
            "redis://localhost?prefix=",
            "redis://localhost?prefix={a}",
            "redis://localhost?replicas=many",
            "redis+cluster://localhost?replicas=1",
            "redis://localhost?no_such_option=1",
            "redis://localhost?prefix=a&prefix=b",
        ],
    )
    def test_a_url_that_says_something_else_is_refused_at_once(self, url):
        with pytest.raises(InvalidValue):
            open_store(url)

    def test_a_refused_url_does_not_show_its_password(self):
        with pytest.raises(InvalidValue) as caught:
            open_store(f"redis://user:{PASSWORD}@localhost/notes")
        assert PASSWORD not in str(caught.value)

    def test_two_prefixes_on_one_server_are_two_stores(self, server):
        with (
            closing(open_store(server.url)) as one,
            closing(open_store(f"{server.url}?prefix=other")) as other,
        ):
            Worker(one).claim()
            assert not other.read(["job"])
            assert not other.find()

    def test_two_databases_of_one_server_are_two_stores(self, server):
        with closing(open_store(f"{server.url}/0")) as one, closing(open_store(f"{server.url}/1")) as other:
            Worker(one).claim()
            assert not other.read(["job"])

    def test_an_ipv6_address_and_several_hosts_are_understood(self):
        servers = redis_servers.Servers("redis+sentinel://[::1]:5000,10.0.0.1/progress/2")
        assert servers._hosts == [("::1", 5000), ("10.0.0.1", 26379)]
        assert (servers._service, servers._settings["db"]) == ("progress", 2)


class TestRefusals:
    """Each says what is wrong, and what to do."""

    def test_a_server_that_is_not_there(self):
        assert "Start the server" in refusal("redis://127.0.0.1:1")

    def test_a_wrong_password(self):
        with redis_server("valkey", f"requirepass {PASSWORD}") as server:
            said = refused(f"redis://:wrong-{PASSWORD}@127.0.0.1:{server.port}")
            assert "Correct the user or the password" in said
            assert PASSWORD not in said
            assert "Put the password into the URL" in refused(server.url)
            with closing(open_store(f"redis://:{PASSWORD}@127.0.0.1:{server.port}")) as store:
                assert Worker(store).claim().accepted

    def test_a_database_that_the_server_does_not_have(self, server):
        assert "Name a database that the server has" in refused(f"{server.url}/99")

    def test_encryption_to_a_plain_port(self, server):
        began = time.monotonic()
        url = server.url.replace("valkey://", "rediss://")
        assert "speaks no TLS" in refused(url)
        assert "without TLS" in refusal(url)
        assert time.monotonic() - began < SOON

    def test_a_replica(self):
        with closing(Watched()) as watched, closing(open_store(watched.replica.url)) as store:
            with pytest.raises(StoreUnavailable, match="It is a replica: name the primary"):
                Worker(store).claim()
            assert "It is a replica: name the primary" in refused(watched.replica.url)
            assert headway.connect(watched.replica.url, check=False).get("job") is None
            assert [one.what for one in store.diagnose() if one.level == "error"]

    def test_a_cluster_that_is_taken_for_one_server(self, cluster):
        said = {str(error) for error in map(claim_refused, [server.url for server in cluster.servers[:2]])}
        assert any(r"use redis+cluster://" in one for one in said)

    def test_one_server_that_is_taken_for_a_cluster(self, server):
        assert "It is no Cluster" in refused(server.url.replace("://", "+cluster://"))

    def test_a_service_that_no_sentinel_knows(self):
        with closing(Watched()) as watched:
            assert "correct the service" in refusal(watched.url.replace("/progress", "/unknown"))

    def test_a_server_that_is_out_of_memory(self):
        refused = pytest.raises(StoreUnavailable, match="raise its maxmemory")
        with stored_on("maxmemory 1mb") as (_, store), refused:
            Worker(store).claim()

    def test_a_user_without_rights_is_told_the_rule_and_with_it_can_do_everything(self, server):
        with server.client() as admin:
            admin.execute_command("ACL", "SETUSER", "worker", "reset", "on", f">{PASSWORD}", "+ping")
        url = f"valkey://worker:{PASSWORD}@127.0.0.1:{server.port}"
        said = refusal(url)
        rule = redis_servers.access_rule("headway")
        assert rule in said
        with server.client() as admin:
            admin.execute_command("ACL", "SETUSER", "worker", *rule.split())
        with closing(open_store(url)) as store:
            assert everything_works(store)

    def test_a_user_who_may_not_subscribe_polls_and_is_told_once(self, server, caplog):
        rule = redis_servers.access_rule("headway").replace("+@pubsub", "+publish")
        with server.client() as admin:
            admin.execute_command("ACL", "SETUSER", "deaf", "reset", "on", f">{PASSWORD}", *rule.split())
        with closing(open_store(f"valkey://deaf:{PASSWORD}@127.0.0.1:{server.port}")) as store:
            with caplog.at_level(logging.WARNING, "headway"):
                subscriptions = [store.listen(), store.listen()]
            assert all(isinstance(one, Polling) for one in subscriptions)
            assert len(caplog.records) == 1
            assert PASSWORD not in caplog.text
            assert [one.advice for one in store.diagnose() if "subscribe" in one.what]


def claim_refused(url):
    """Why a claim of some job was refused: not every job lies on every server."""
    with closing(open_store(url)) as store:
        for number in range(20):
            try:
                Worker(store, f"job-{number}").claim()
            except StoreUnavailable as error:
                return error
    return None


def everything_works(store):
    """Whether each verb does."""
    worker = Worker(store, scope="s")
    worker.claim()
    subscription = store.listen()
    subscription.add(["job"], ["s"])
    worker.report(count=3)
    told(store, part(worker, count=2))
    heard = hears(subscription, "job")
    subscription.close()
    store.request_cancel("job")
    store.end("job", 1, "failed", Error("no"))
    store.learn("kind", Profile(1.0, 2.0))
    found = len(store.find(scope="s")) == 1 and len(store.history("kind")) == 1
    return heard and found and store.sweep() == 0 and store.forget("job") and bool(store.diagnose())


class TestWeather:
    def test_a_batch_is_one_round_trip(self, server):
        with far_from(server) as (proxy, store):
            workers = [Worker(store, f"job-{number}") for number in range(20)]
            for worker in workers:
                worker.claim()
            before = proxy.round_trips
            records = [replace(worker.record(), step=1, count=1) for worker in workers]
            answers = store.write(records, [part(workers[0])], ["elsewhere"])
            assert proxy.round_trips - before == 1
            assert len(answers) == 21

    def test_a_record_that_is_damaged_holds_up_no_other(self, server, store):
        workers = [Worker(store, f"job-{number}") for number in range(3)]
        for worker in workers:
            worker.claim()
        with server.client() as client:
            client.hset("headway:job:{job-1}", "head", b"\xc1")
        with pytest.raises(StoreUnavailable, match="Bad data format"):
            store.write([replace(worker.record(), step=1, count=1) for worker in workers])
        assert [known(store, f"job-{number}").count for number in (0, 2)] == [1, 1]

    def test_a_new_connection_says_and_asks_nothing_besides(self, server):
        with server.client() as client, closing(open_store(server.url)) as store:
            client.config_resetstat()
            store.read(["job"])
            assert client.info("commandstats").keys() <= {
                f"cmdstat_{name}" for name in ("config|resetstat", "evalsha", "hmget", "script|load", "time")
            }

    def test_a_server_that_hangs_is_given_up_after_half_a_second(self, mortal):
        with closing(open_store(mortal.url)) as store:
            worker = Worker(store)
            worker.claim()
            mortal.pause()
            began = time.monotonic()
            with pytest.raises(StoreUnavailable):
                worker.report(count=1)
            assert time.monotonic() - began < SOON
            mortal.resume()
            assert worker.report(count=2).outcome == "applied"

    def test_a_server_that_was_restarted_empty_gets_the_whole_record_back(self, mortal):
        with closing(open_store(mortal.url)) as store:
            worker = Worker(store, scope="s")
            worker.claim()
            before = worker.report(count=1).version
            subscription = store.listen()
            subscription.add(["job"])
            mortal.kill()
            with pytest.raises(StoreUnavailable):
                worker.report(count=2)
            mortal.start()
            answer = worker.report(count=3)
            assert (answer.outcome, answer.details_version) == ("rebuilt", 0)
            assert answer.version > before
            assert [job.count for job in store.find(scope="s")] == [3]
            assert hears_after_a_loss(subscription, "job")
            subscription.close()

    def test_scripts_that_the_server_has_forgotten_are_loaded_again(self, server, store, worker):
        worker.claim()
        with server.client() as client:
            client.script_flush()
        assert worker.report(count=1).outcome == "applied"
        assert known(store).count == 1

    def test_a_server_with_a_file_loses_no_acknowledged_end_when_it_is_killed(self):
        with stored_on("appendonly yes", "appendfsync always") as (server, store):
            for number in range(20):
                worker = Worker(store, f"job-{number}")
                worker.claim()
                assert worker.report("completed").accepted
            server.kill()
            server.start()
            assert {job.status for job in store.find()} == {"completed"}
            assert len(store.find(status=["completed"])) == 20

    def test_answers_cut_anywhere_never_reach_the_next_caller(self, server):
        with far_from(server) as (proxy, store):
            worker = Worker(store)
            worker.claim()
            for count in range(1, 60):
                proxy.cut(count * 3)
                works(lambda count=count: worker.report(count=count))
                proxy.pass_on()
                assert known(store).id == "job"
                assert worker.report(count=count).accepted
            assert known(store).count == 59

    def test_a_failover_of_a_sentinel_is_followed(self):
        with closing(Watched()) as watched, closing(open_store(watched.url)) as store:
            worker = Worker(store)
            worker.claim()
            subscription = store.listen()
            subscription.add(["job"])
            watched.primary.kill()
            assert eventually(lambda: works(lambda: worker.report(count=5)), 20, every=0.05)
            assert known(store).count == 5
            assert hears_after_a_loss(subscription, "job")
            subscription.close()

    def test_a_thousand_reads_at_once_wait_for_their_turn(self, server, store, worker):
        worker.claim()
        read = at_once([lambda: store.read(["job"])] * 1000)
        assert all(found and "job" in found for found in read)
        with server.client() as client:
            assert int(client.info("clients")["connected_clients"]) < 20

    def test_no_connection_crosses_a_fork(self, store, worker):
        worker.claim()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            counts = [worker.report(count=count).outcome for count in range(100)]
            os.write(writing, pickle.dumps(set(counts)))
            os._exit(0)
        seen = {known(store).id for _ in range(100)}
        os.waitpid(child, 0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            assert pickle.loads(pipe.read()) == {"applied"}  # noqa: S301 - our own child wrote it
        assert seen == {"job"}


def hears_after_a_loss(subscription, id):
    """Whether a subscription that was cut off hears of a job in the end."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            if id in subscription.wait(0.2):
                return True
        except StoreUnavailable:
            time.sleep(0.05)
    return False


class TestFinding:
    def test_a_record_that_was_evicted_is_no_longer_found_and_its_place_is_cleared(
        self, server, store, worker
    ):
        worker.facts["scope"] = "s"
        worker.claim()
        with server.client() as client:
            client.delete("headway:job:{job}")
            assert not store.find(scope="s")
            assert client.keys("*{find}*") == []

    def test_places_that_were_evicted_are_given_again_with_the_next_change(self, server, store, worker):
        worker.facts["scope"] = "s"
        worker.claim()
        with server.client() as client:
            for key in client.keys("*{find}*"):
                client.delete(key)
        worker.report("completed")
        assert [job.id for job in store.find(scope="s", status=["completed"])] == ["job"]

    def test_parts_that_were_evicted_are_counted_anew(self, server, store, worker):
        worker.claim()
        told(store, part(worker, "one", count=5), part(worker, "two", count=7))
        with server.client() as client:
            client.delete("headway:parts:{job}")
        told(store, part(worker, "one", count=6))
        assert known(store).count == 6
        told(store, part(worker, "two", count=7))
        assert known(store).count == 13

    def test_finding_does_not_look_at_other_jobs(self, server, store):
        for number in range(300):
            Worker(store, f"other-{number}", scope="others").claim()
        for number in range(3):
            Worker(store, f"mine-{number}", scope="mine").claim()
        with server.client() as client:
            client.config_resetstat()
            assert len(store.find(scope="mine", status=["running"])) == 3
            calls = {name: row["calls"] for name, row in client.info("commandstats").items()}
        assert calls["cmdstat_zrevrangebyscore"] == 1
        assert calls["cmdstat_hmget"] <= 6

    def test_ids_of_one_moment_are_paged_without_gaps(self, server, store, worker):
        worker.claim()
        with server.client() as client:
            head = client.hget("headway:job:{job}", "head")
            for number in range(100, 140):
                id = f"j{number}"
                copy = {"head": head.replace(b"\xa3job", b"\xa4" + id.encode()), "facts": b"{}"}
                client.hset(f"headway:job:{{{id}}}", mapping=copy)
        for number in range(100, 140):
            store._look_after([f"j{number}"])
        ids, cursor = [], None
        while True:
            page = store.find(limit=7, cursor=cursor)
            ids += [job.id for job in page]
            cursor = page.cursor
            if cursor is None:
                break
        assert ids == sorted(ids, reverse=True)
        assert len(ids) == 41


class TestACluster:
    @pytest.fixture
    def store(self, cluster):
        cluster.clear()
        with closing(open_store(cluster.url)) as store:
            yield store

    def test_a_job_whose_opener_died_before_it_had_its_place_is_found_in_the_end(self, store, monkeypatch):
        monkeypatch.setattr(store_module, "WITHIN", 0)
        monkeypatch.setattr(RedisStore, "_tell_others", lambda *_: None)
        Worker(store, scope="s").claim()
        assert not store.find(scope="s")
        monkeypatch.undo()
        store.sweep()
        assert [job.id for job in store.find(scope="s")] == ["job"]

    def test_an_end_whose_place_was_not_given_is_not_shown_as_running(self, store, monkeypatch):
        worker = Worker(store)
        worker.claim()
        monkeypatch.setattr(RedisStore, "_tell_others", lambda *_: None)
        worker.report("completed")
        monkeypatch.undo()
        assert not store.find(status=["running"])
        assert [job.id for job in store.find(status=["completed"])] == ["job"]

    def test_a_failover_is_followed(self):
        with closing(Cluster(replicas=True)) as cluster, closing(open_store(cluster.url)) as store:
            workers = [Worker(store, f"job-{number}") for number in range(12)]
            for worker in workers:
                worker.claim()
            subscription = store.listen()
            subscription.add([worker.id for worker in workers], [None])
            cluster.servers[0].kill()
            records = [replace(worker.record(), step=1, count=5) for worker in workers]
            assert eventually(lambda: works(lambda: store.write(records)), 30, every=0.05)
            found = store.read([worker.id for worker in workers])
            assert [job.count for job in found.values()] == [5] * 12
            assert hears_after_a_loss(subscription, "job-3")
            subscription.close()


class TestWatching:
    def test_a_subscription_that_was_cut_off_reports_all_it_watches(self, server, store, worker):
        worker.facts["scope"] = "s"
        worker.claim()
        subscription = store.listen()
        subscription.add([], ["s"])
        with server.client() as client:
            client.client_kill_filter(_type="pubsub")
        worker.report(count=1)
        assert hears_after_a_loss(subscription, "job")
        subscription.close()

    def test_a_server_that_no_longer_answers_is_noticed(self, mortal, monkeypatch):
        monkeypatch.setattr(store_module, "PING", 0.2)
        monkeypatch.setattr(store_module, "ANSWERED", 0.3)
        with closing(open_store(mortal.url)) as store:
            worker = Worker(store)
            worker.claim()
            subscription = store.listen()
            subscription.add(["job"])
            mortal.pause()
            assert eventually(lambda: not works(lambda: subscription.wait(0.2)), 5, every=0.05)
            mortal.resume()
            worker.report(count=1)
            assert hears_after_a_loss(subscription, "job")
            subscription.close()

    def test_a_quiet_server_that_answers_is_believed(self, store, worker, monkeypatch):
        monkeypatch.setattr(store_module, "PING", 0.1)
        worker.claim()
        subscription = store.listen()
        subscription.add(["job"])
        for _ in range(10):
            assert subscription.wait(0.1) == set()
        worker.report(count=1)
        assert hears(subscription, "job")
        subscription.close()


class TestHealth:
    def test_a_server_that_drops_records_or_keeps_no_file_is_warned_of(self):
        options = ("maxmemory 100mb", "maxmemory-policy allkeys-lru")
        with redis_server("valkey", *options) as server, closing(open_store(server.url)) as store:
            warnings = [one for one in store.diagnose() if one.level == "warning"]
            assert any("allkeys-lru" in one.what and "noeviction" in one.advice for one in warnings)
            assert any("restart loses all records" in one.what for one in warnings)

    def test_a_server_that_keeps_all_is_well(self):
        with redis_server("valkey", "appendonly yes") as server, closing(open_store(server.url)) as store:
            findings = store.diagnose()
            assert [one.level for one in findings] == ["ok"]
            assert findings[0].what.startswith("Valkey 9")


def test_only_the_last_thousand_kinds_are_remembered(server, store):
    with server.client() as client:
        places = {f"kind-{number}": number for number in range(1000)}
        client.zadd("headway:{find}:kinds", places)
        client.rpush("headway:{find}:kind:kind-0", "{}")
        store.learn("newest", Profile(1.0, 1.0))
        assert client.zcard("headway:{find}:kinds") == 1000
        assert not store.history("kind-0")
        assert len(store.history("newest")) == 1


def test_an_id_never_reaches_into_another_key(store):
    assert store.read(["a}:x{b", "", "{", "ключ"]) == {}
    assert store.request_cancel("a}{b").outcome == "missing"
    assert not store.forget("}")


def test_a_head_of_a_newer_version_keeps_what_is_not_known_here(store):
    worker = Worker(store)
    worker.claim()
    assert store.write([Snapshot(id="job", run="worker-1", step=1, status="dreaming")])["job"].accepted
    assert known(store).status == "running"


def test_the_access_rule_of_the_docs_is_the_one_that_is_tested():
    page = Path(__file__).parents[2] / "docs" / "stores" / "redis.md"
    assert redis_servers.access_rule("headway") in page.read_text(encoding="utf-8")

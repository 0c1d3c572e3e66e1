# ruff: noqa: S608 - the statements are put together from names that the tests draw
"""PostgreSQL under real faults: servers that die or hang, networks, poolers, rights, forks, others' locks."""

import json
import logging
import secrets
import subprocess
import sys
import threading
import time
from contextlib import closing
from urllib.parse import quote

import psycopg
import pytest
from msgspec import to_builtins
from tests.processes import in_a_child, program
from tests.servers.postgres import bouncer, postgres

import headway
from headway.core.errors import InvalidValue, StoreRefused, StoreUnavailable
from headway.core.snapshot import Details
from headway.core.transitions import moment
from headway.core.wire import encode_cursor
from headway.stores.contract import Polling, Profile
from headway.stores.postgres import PostgresStore, _search
from headway.testing.proxy import FaultProxy
from headway.testing.store_scene import Worker, at_once, hears, known, part

SOON = 1.0
"""Half a second, and what a busy machine adds."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="servers are started as on POSIX")


@pytest.fixture(scope="module")
def server():
    with postgres() as server:
        yield server


@pytest.fixture(scope="module")
def mortal():
    """A server that a test may kill or pause; whoever does starts it again."""
    with postgres() as server:
        yield server


@pytest.fixture
def schema(server):
    name = f"test_{secrets.token_hex(4)}"
    yield name
    server.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")


@pytest.fixture
def make():
    """Make stores that are closed at the end."""
    made = []

    def store(url):
        made.append(PostgresStore(url))
        return made[-1]

    yield store
    for store in made:
        store.close()


@pytest.fixture
def store(server, schema, make):
    return make(f"{server.url}?schema={schema}")


@pytest.fixture
def mortal_store(mortal, make):
    return make(f"{mortal.url}?schema=test_{secrets.token_hex(4)}")


@pytest.fixture
def worker(store):
    return Worker(store)


@pytest.fixture
def network(server):
    with FaultProxy("127.0.0.1", server.port) as proxy:
        yield proxy


@pytest.fixture
def far(network, schema, make):
    """A store behind a network that fails on command."""
    return make(f"postgresql://postgres@127.0.0.1:{network.port}/postgres?schema={schema}")


def unavailable(call):
    """The error of a store that cannot be reached, which comes soon."""
    began = time.monotonic()
    with pytest.raises(StoreUnavailable) as caught:
        call()
    assert time.monotonic() - began < SOON
    return caught.value


def pages_read(server, statement, *rounds):
    """How many pages a statement looks at in its last round, and the text of its plan.

    In its first a new connection looks into the catalogues as well.
    """
    with psycopg.connect(server.url, autocommit=True) as connection:
        for values in rounds:
            explained = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", values)
            (found,) = explained.fetchone()
    plan = found[0]["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"], json.dumps(found)


class TestTheServerFails:
    def test_no_acknowledged_end_is_lost_when_it_is_killed(self, mortal, mortal_store):
        """Progress need not be on the disk, and what is only in the server's memory dies with it."""
        for _ in range(3):
            ended = []

            def work(ended=ended):
                while True:
                    worker = Worker(mortal_store, secrets.token_hex(8))
                    try:
                        worker.claim()
                        worker.report(count=1)
                        if worker.report("completed").accepted:
                            ended.append(worker.id)
                    except StoreUnavailable:
                        return

            workers = [threading.Thread(target=work) for _ in range(4)]
            for one in workers:
                one.start()
            time.sleep(0.3)
            mortal.kill()
            for one in workers:
                one.join()
            mortal.start()
            jobs = mortal_store.read(ended)
            assert len(ended) > 20
            assert {(id, jobs[id].status) for id in ended} == {(id, "completed") for id in ended}

    def test_a_server_that_was_started_again_is_used_again(self, mortal, mortal_store):
        worker = Worker(mortal_store)
        worker.claim()
        mortal.kill()
        error = unavailable(worker.report)
        assert isinstance(error.__cause__, psycopg.OperationalError)
        mortal.start()
        assert worker.report(count=2).accepted
        assert known(mortal_store).count == 2

    def test_a_restart_between_two_calls_is_not_noticed(self, mortal, mortal_store):
        worker = Worker(mortal_store)
        worker.claim()
        mortal.kill()
        mortal.start()
        assert worker.report(count=1).accepted

    def test_one_that_hangs_is_unavailable_soon_and_used_when_it_goes_on(self, mortal, mortal_store, make):
        worker = Worker(mortal_store)
        worker.claim()
        mortal.pause()
        try:
            unavailable(worker.beat)
            unavailable(worker.beat)
            unavailable(lambda: make(mortal.url).read(["job"]))
        finally:
            mortal.resume()
        assert worker.report(count=1).accepted

    def test_watchers_hear_after_a_restart_of_what_they_may_have_missed(self, mortal, mortal_store):
        Worker(mortal_store, scope="user/1").claim()
        subscription = mortal_store.listen()
        subscription.add(["gone"], ["user/1"])
        subscription.wait(0.2)
        mortal.kill()
        with pytest.raises(StoreUnavailable):
            subscription.wait(2)
        mortal.start()
        assert hears(subscription, "gone", "job")
        subscription.close()

    def test_on_a_standby_one_reads_and_watches_and_is_told_where_to_write(self, mortal, mortal_store):
        Worker(mortal_store).claim()
        mortal_store.close()
        mortal.close_down()
        signal_file = mortal.data / "standby.signal"
        signal_file.touch()
        mortal.start()
        try:
            assert known(mortal_store).status == "running"
            assert isinstance(mortal_store.listen(), Polling)
            assert "primary" in str(unavailable(lambda: mortal_store.request_cancel("job")))
            assert [one.what for one in mortal_store.diagnose() if one.level == "error"] == [
                "it is a standby and takes no writes"
            ]
        finally:
            mortal.close_down()
            signal_file.unlink()
            mortal.start()

    def test_a_network_that_swallows_everything_is_noticed_soon(self, far, network):
        worker = Worker(far)
        worker.claim()
        network.hang()
        assert "in time" in str(unavailable(worker.report))
        unavailable(worker.beat)
        network.pass_on()
        assert worker.beat().accepted

    def test_watchers_notice_a_network_that_hangs_and_hear_later_what_changed(
        self, store, far, network, monkeypatch
    ):
        monkeypatch.setattr("headway.stores.postgres.AGAIN", 0.1)
        near = Worker(store)
        near.claim()
        subscription = far.listen()
        subscription.add(["job"])
        subscription.wait(0.2)
        network.hang()
        near.report(count=1)
        with pytest.raises(StoreUnavailable):
            subscription.wait(5)
        network.pass_on()
        assert hears(subscription, "job")
        subscription.close()

    def test_a_listening_connection_that_went_deaf_is_replaced(self, store, worker, monkeypatch):
        """As behind a firewall that forgot it: nothing arrives, and nobody says so."""
        monkeypatch.setattr("headway.stores.postgres.AGAIN", 0.1)
        subscription = store.listen()
        subscription.add(["job"])
        subscription.wait(0.2)
        deaf = subscription._link
        deaf.execute("UNLISTEN *")
        worker.claim()
        assert hears(subscription, "job")
        assert subscription._link is not deaf
        subscription.close()

    @pytest.mark.parametrize("after", range(1, 200, 9))
    def test_an_answer_that_is_cut_off_is_never_taken_for_another(self, far, network, after):
        far.migrate()
        workers = [Worker(far, id, name=id) for id in ("a", "b")]
        for worker in workers:
            worker.claim()
        network.cut(after_bytes=after, times=1)
        with pytest.raises(StoreUnavailable):
            far.read(["a"], details=True)
        assert [known(far, id).name for id in ("b", "a")] == ["b", "a"]

    def test_one_of_several_hosts_is_enough(self, server, schema, make):
        store = make(f"postgresql://postgres@127.0.0.1:1,127.0.0.1:{server.port}/postgres?schema={schema}")
        assert Worker(store).claim().accepted


FIRST = """
import sys
from headway.stores import open_store
from headway.testing.store_scene import Worker
store = open_store(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print(Worker(store, sys.argv[2]).claim().outcome)
"""


class TestFirstUse:
    def test_twenty_processes_at_once_make_it_once(self, store):
        programs = [program(FIRST, store.url, f"job-{number}", stdin=subprocess.PIPE) for number in range(20)]
        assert [one.stdout.readline() for one in programs] == ["ready\n"] * 20
        for one in programs:
            one.stdin.write("\n")
            one.stdin.flush()
        assert [one.communicate(timeout=100)[0] for one in programs] == ["opened\n"] * 20
        assert len(store.find()) == 20

    def test_migrating_tells_whether_there_was_something_to_make(self, store, make):
        assert store.migrate() is True
        assert store.migrate() is False
        assert make(store.url).migrate() is False

    def test_schemas_hold_records_of_their_own(self, server, store, make):
        other = make(f"{server.url}?schema=Jobs_Of_Mine")
        Worker(store).claim()
        assert other.read(["job"]) == {}
        Worker(other).claim()
        assert server.execute('SELECT count(*) FROM "Jobs_Of_Mine".job') == [(1,)]
        subscription = other.listen()
        subscription.add(scopes=[None])
        subscription.wait(0)
        Worker(store, "elsewhere").claim()
        Worker(other, "here").claim()
        heard = set()
        while "here" not in heard:
            heard |= subscription.wait(5)
        assert "elsewhere" not in heard
        subscription.close()

    @pytest.mark.parametrize(
        "query",
        ["schema=", "schema=a%22b", "schema=a.b", "schema=a&schema=b", f"schema={'x' * 49}", "colour=red",
         "port=x%00"],
    )  # fmt: skip
    def test_a_url_that_says_something_odd_is_refused_at_once(self, query):
        with pytest.raises(InvalidValue, match="url="):
            PostgresStore(f"postgresql://user:secret@localhost/db?{query}")

    def test_records_of_a_newer_version_are_left_alone(self, server, store, schema, make):
        store.migrate()
        server.execute(
            f"CREATE OR REPLACE FUNCTION {schema}.layout() RETURNS integer LANGUAGE sql AS 'SELECT 99'"
        )
        error = unavailable(lambda: make(store.url).read(["job"]))
        assert "layout 99" in str(error)
        assert "Upgrade" in str(error)

    def test_a_schema_that_holds_something_else_is_left_as_it_is(self, server, store, schema):
        server.execute(f"CREATE SCHEMA {schema}")
        server.execute(f"CREATE TABLE {schema}.job AS SELECT 1 AS mine")
        assert "another" in str(unavailable(lambda: store.read(["job"])))
        assert server.execute(f"SELECT * FROM {schema}.job") == [(1,)]
        assert server.execute(
            f"SELECT count(*) FROM pg_proc WHERE pronamespace = '{schema}'::regnamespace"
        ) == [(0,)]

    def test_an_encoding_that_cannot_hold_all_text_is_said_so(self, server, make):
        server.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
        store = make(server.url.removesuffix("postgres") + "latin")
        found = {finding.level: finding for finding in store.diagnose()}
        assert "LATIN1" in found["error"].what
        assert "UTF8" in found["error"].advice
        assert "UTF8" in str(unavailable(lambda: Worker(store, name="夜").claim()))


class TestConnecting:
    """The server is asked at once; what it will say again is raised, what may pass is not."""

    @pytest.mark.parametrize(
        ("odd", "told"),
        [
            ("//nobody@", "Correct user and database"),
            ("/nowhere", "Correct user and database"),
            ("?sslmode=require", "The server speaks no TLS"),
            ("?options=-c%20default_transaction_read_only%3Don", "name the primary"),
        ],
    )
    def test_a_wrong_setting_is_said_at_once(self, server, store, schema, odd, told):
        url = server.url
        if odd.startswith("//"):
            url = url.replace("//postgres@", odd)
        elif odd.startswith("/"):
            url = url.removesuffix("/postgres") + odd
        else:
            store.migrate()
            url += f"{odd}&schema={schema}"
        with pytest.raises(StoreRefused, match=told):
            headway.connect(url)

    def test_a_wrong_password_is_said_at_once_and_not_shown(self, server, schema):
        server.execute(f"CREATE ROLE {schema} SUPERUSER LOGIN PASSWORD 'right'")
        rules = server.data / "pg_hba.conf"
        admitted = rules.read_text()
        rules.write_text(f"host all {schema} 127.0.0.1/32 scram-sha-256\n{admitted}")
        server.execute("SELECT pg_reload_conf()")
        try:
            for user in (schema, f"{schema}:wr0ng"):
                with pytest.raises(StoreRefused, match="password") as caught:
                    headway.connect(server.url.replace("postgres@", f"{user}@", 1))
                assert "wr0ng" not in str(caught.value)
            url = server.url.replace("postgres@", f"{schema}:right@", 1)
            headway.connect(f"{url}?schema={schema}").close()
        finally:
            rules.write_text(admitted)
            server.execute("SELECT pg_reload_conf()")
            server.execute(f"DROP OWNED BY {schema}; DROP ROLE {schema}")

    def test_a_server_that_is_away_may_come_back(self):
        headway.connect("postgresql://postgres@127.0.0.1:1/postgres").close()


class TestRights:
    @pytest.fixture
    def guest(self, server, schema, make):
        """A store of somebody who may make nothing."""
        server.execute(f"CREATE ROLE {schema}_guest LOGIN")
        server.execute("REVOKE CREATE ON DATABASE postgres FROM PUBLIC")
        yield make(f"{server.url.replace('//postgres', f'//{schema}_guest')}?schema={schema}")
        server.execute(f"DROP OWNED BY {schema}_guest; DROP ROLE {schema}_guest")

    def test_who_may_not_make_tables_is_told_what_the_owner_should_do(self, guest, store, server, schema):
        advice = str(unavailable(lambda: guest.read(["job"])))
        assert "headway migrate" in advice
        assert "GRANT" in advice
        store.migrate()
        assert "GRANT" in str(unavailable(lambda: guest.read(["job"])))
        server.execute(f"GRANT USAGE ON SCHEMA {schema} TO {schema}_guest")
        server.execute(
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {schema}_guest"
        )
        worker = Worker(guest)
        worker.claim()
        worker.report("completed", details=Details(result=1))
        guest.learn("import", Profile(1.0, 1))
        assert known(guest, details=True).result == 1
        assert guest.migrate() is False
        assert guest.forget("job")

    def test_who_may_only_read_can_read(self, guest, worker, server, schema):
        worker.claim()
        server.execute(f"GRANT USAGE ON SCHEMA {schema} TO {schema}_guest")
        server.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {schema}_guest")
        assert known(guest).status == "running"
        assert len(guest.find()) == 1
        unavailable(lambda: guest.request_cancel("job"))
        assert known(guest).cancel is None
        with pytest.raises(StoreRefused, match="GRANT"):
            headway.connect(guest.url)
        with closing(headway.connect(guest.url, check=False)) as hw:
            assert hw.get("job").status == "running"


class TestSecrets:
    SECRET = "s3cret@/ß"  # noqa: S105 - of a server that lives as long as these tests

    def test_a_password_is_shown_nowhere(self, server, schema, make, caplog):
        host = f"postgres:{quote(self.SECRET, safe='')}@127.0.0.1"
        for url in (
            f"postgresql://{host}:1/postgres?schema={schema}",
            f"postgresql://{host}:{server.port}/nowhere?schema={schema}",
            f"postgresql://postgres@127.0.0.1:1/postgres?password={quote(self.SECRET, safe='')}",
        ):
            store = make(url)
            assert store.url == url
            error = unavailable(lambda store=store: store.read(["job"]))
            for text in (repr(store), str(error), repr(error), caplog.text):
                assert self.SECRET not in text
                assert quote(self.SECRET, safe="") not in text

    @pytest.mark.parametrize(
        "url",
        ["user:s3cret@host/db?colour=red", "user:x@host/db?password=s3cret&colour=red", "user:s3cret@h/%00",
         "user:x@s3cret@host/db", "user:x/s3cret@host/db", "user:x?s3cret@host/db", "user:x#s3cret@host/db"],
    )  # fmt: skip
    def test_one_in_a_url_that_is_refused_is_not_shown_either(self, url):
        with pytest.raises(InvalidValue) as caught:
            PostgresStore(f"postgresql://{url}")
        assert "s3cret" not in str(caught.value)
        assert caught.value.__cause__ is None


class TestOtherPrograms:
    def test_a_users_own_open_transaction_hides_no_progress_and_takes_none_back(self, server, worker, make):
        worker.claim()
        with psycopg.connect(server.url) as mine:
            mine.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
            mine.execute("CREATE TABLE mine (x int)")
            worker.report(count=5)
            assert known(make(worker.store.url)).count == 5
            mine.rollback()
        assert known(worker.store).count == 5

    def test_a_record_that_somebody_holds_is_unavailable_soon(self, server, schema, worker):
        worker.claim()
        with psycopg.connect(server.url) as mine:
            mine.execute(f"SELECT * FROM {schema}.job FOR UPDATE")
            assert "Another transaction" in str(unavailable(worker.report))
            assert known(worker.store).status == "running"
            swept = worker.store.sweep()
        assert swept == 0
        assert worker.beat().accepted
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        assert server.execute(waiting) == [(0,)]

    def test_batches_in_any_order_never_wait_for_each_other_in_a_circle(self, store, make):
        workers = [Worker(store, f"job-{number}") for number in range(30)]
        for worker in workers:
            worker.claim()
        handles = [make(store.url) for _ in range(4)]

        def report(handle, order):
            for step in range(1, 20):
                records = [one.record(step=step, count=step) for one in workers[::order]]
                answers = handle.write(records)
                assert {answer.accepted or answer.outcome == "late" for answer in answers.values()} == {True}
            return True

        calls = [lambda h=handle, o=(-1) ** place: report(h, o) for place, handle in enumerate(handles)]
        assert at_once(calls) == [True] * 4
        assert {job.count for job in store.find()} == {19}

    def test_a_server_that_takes_no_writes_says_so(self, server, worker, schema, make):
        worker.claim()
        store = make(f"{server.url}?schema={schema}&options=-c%20default_transaction_read_only%3Don")
        assert known(store).status == "running"
        assert "primary" in str(unavailable(lambda: store.request_cancel("job")))
        assert "error" in {finding.level for finding in store.diagnose()}


class TestForks:
    def test_a_child_uses_connections_of_its_own(self, store, worker):
        worker.claim()
        assert in_a_child(lambda: known(store).status) == "running"
        assert in_a_child(store.close) is None
        assert worker.report(count=1).accepted
        assert known(store).count == 1

    def test_a_child_may_go_on_with_a_subscription_and_its_parent_too(self, store, worker):
        worker.claim()
        subscription = store.listen()
        subscription.add(["job"])
        subscription.wait(0.1)
        mine = subscription._link
        assert in_a_child(lambda: hears(subscription, "job"))
        assert in_a_child(subscription.close) is None
        worker.report(count=1)
        assert hears(subscription, "job")
        assert subscription._link is mine
        subscription.close()


class TestNotices:
    def test_they_arrive(self, store, worker):
        subscription = store.listen()
        assert not isinstance(subscription, Polling)
        subscription.add(["job"])
        assert subscription.wait(0) == set()
        worker.claim()
        began = time.monotonic()
        assert subscription.wait(5) == {"job"}
        assert time.monotonic() - began < SOON
        worker.report("completed")
        assert subscription.wait(5) == {"job"}
        assert subscription.wait(0.2) == set()
        subscription.close()

    def test_where_they_do_not_they_are_not_waited_for_and_that_is_said_once(
        self, server, schema, make, caplog
    ):
        with bouncer(server) as pooler:
            store = make(f"{pooler.url}?schema={schema}")
            with caplog.at_level(logging.WARNING):
                subscriptions = [store.listen() for _ in range(2)]
            assert [type(one) for one in subscriptions] == [Polling, Polling]
            assert caplog.text.count("PgBouncer") == 1
            subscriptions[0].add(["job"])
            Worker(store).claim()
            assert hears(subscriptions[0], "job")
            warnings = [one for one in store.diagnose() if one.level == "warning" and "notices" in one.what]
            assert len(warnings) == 1
            store.close()

    def test_whose_connection_was_ended_looks_again(self, server, store, worker):
        worker.claim()
        subscription = store.listen()
        subscription.add(["job"])
        subscription.wait(0.1)
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'headway'"
        )
        assert hears(subscription, "job")
        worker.report(count=1)
        assert hears(subscription, "job")
        subscription.close()

    def test_a_watcher_that_began_without_a_server_finds_it_later(self, mortal, mortal_store):
        Worker(mortal_store).claim()
        mortal.kill()
        subscription = mortal_store.listen()
        subscription.add(["job"])
        with pytest.raises(StoreUnavailable):
            subscription.wait(0.2)
        mortal.start()
        assert hears(subscription, "job")
        subscription.close()


@pytest.fixture(scope="module")
def full(server):
    """100,000 ended jobs, of few users and many, and a handful of others."""
    schema = f"test_{secrets.token_hex(4)}"
    store = PostgresStore(f"{server.url}?schema={schema}")
    Worker(store, "model", scope="user/many").claim()
    Worker(store, "another", scope="user/other").claim()
    store.end("model", 1, "completed")
    store.end("another", 1, "failed")
    for number in range(20):
        scope = "user/few" if number % 2 else "user/many"
        worker = Worker(store, f"one-{number}", scope=scope, lease=0.001, parent="parent")
        worker.claim()
        if number % 3 == 0:
            worker.report("failed")
    names = [
        name
        for (name,) in server.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 "
            "AND attgenerated = '' AND attname NOT IN ('id', 'created_at')",
            f"{schema}.job",
        )
    ]
    server.execute(
        f"INSERT INTO {schema}.job (id, created_at, {', '.join(names)}) "
        f"SELECT id || '-' || number, created_at - 100000000 + number, {', '.join(names)} "
        f"FROM {schema}.job, generate_series(1, 50000) AS number WHERE id IN ('model', 'another')"
    )
    server.execute(f"VACUUM ANALYZE {schema}.job")
    yield schema
    store.close()
    server.execute(f"DROP SCHEMA {schema} CASCADE")


class TestMany:
    def test_ten_thousand_parts_add_up_and_each_costs_the_same(self, server, store, schema, worker):
        worker.claim()
        parts = [part(worker, f"hand-{number}", count=number) for number in range(10_000)]
        for first in range(0, 10_000, 2_000):
            store.write([], parts[first : first + 2_000])
        assert known(store).count == sum(range(10_000))
        assert store.write([], [part(worker, "one-more", count=1)])["job"].outcome == "full"
        server.execute(f"ANALYZE {schema}.part")
        told = [
            [{"id": "job", "parts": [to_builtins(part(worker, "hand-5", count=count))]}] for count in (6, 7)
        ]
        statement = f"SELECT * FROM {schema}.write(%s::jsonb, '{{}}')"
        pages, _ = pages_read(server, statement, *[[json.dumps(one)] for one in told])
        assert known(store).count == sum(range(10_000)) + 2
        assert pages < 100

    @pytest.mark.parametrize(
        "search",
        [
            {},
            {"status": ["failed"]},
            {"status": ["stalled"]},
            {"status": ["running", "failed", "pending"]},
            {"scope": "user/few"},
            {"scope": "user/many"},
            {"scope": "user/many", "status": ["failed"]},
            {"parent": "parent"},
            {"parent": "parent", "scope": "user/few", "status": ["failed"]},
            {"scope": "user/many", "cursor": encode_cursor(moment(10**15), "x")},
        ],
        ids=str,
    )
    def test_the_cost_of_finding_grows_with_the_answer(self, server, full, search):
        given = {"scope": None, "parent": None, "status": (), "cursor": None} | search
        statement, values = _search(f'"{full}"', *given.values(), limit=51)
        pages, plan = pages_read(server, statement, values, values)
        assert pages < 500, plan

    def test_progress_writes_no_index(self, server, store, schema, worker):
        """An update that touches no indexed column stays within its page, and needs no vacuum."""
        worker.claim()
        for count in range(100):
            worker.report(count=count)
        store.close()  # then its server process counts
        deadline = time.monotonic() + 5
        counted = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = %s::regclass"
        while (found := server.execute(counted, f"{schema}.job"))[0][0] < 100 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert found == [(100, 100)]


class TestHealth:
    def test_a_good_one_is_told_by_its_version(self, store):
        found = store.diagnose()
        assert found[0].what.startswith("PostgreSQL 1")
        assert {one.level for one in found if "fsync" not in one.what} == {"ok"}  # off in tests

    @pytest.mark.parametrize(
        ("option", "told"),
        [("synchronous_commit=off", "ends"), ("default_transaction_read_only=on", "no writes")],
    )
    def test_what_endangers_records_is_said(self, store, make, option, told):
        store.migrate()
        other = make(f"{store.url}&options={quote('-c ' + option)}")
        assert [one for one in other.diagnose() if told in one.what and one.level != "ok" and one.advice]

    def test_a_server_without_room_is_said(self, server, store):
        store.migrate()
        with_room = store.diagnose()
        held = [psycopg.connect(server.url) for _ in range(90)]
        try:
            found = store.diagnose()
        finally:
            for one in held:
                one.close()
        assert [one.what for one in found if "connections left" in one.what]
        assert not [one.what for one in with_room if "connections left" in one.what]

    def test_one_that_is_gone_raises(self, mortal, mortal_store):
        mortal.kill()
        try:
            unavailable(mortal_store.diagnose)
        finally:
            mortal.start()


def test_a_report_of_progress_is_one_round_trip(far, network):
    workers = [Worker(far, f"job-{number}") for number in range(10)]
    for worker in workers:
        worker.claim()
    before = network.round_trips
    far.write([worker.record(step=1, count=1) for worker in workers], [part(workers[0], count=1)], ["other"])
    assert network.round_trips - before == 1


def test_the_kinds_that_were_learnt_last_are_kept(store, monkeypatch):
    monkeypatch.setattr("headway.stores.postgres.KINDS", 5)
    for kind in (*range(8), 3):
        store.learn(f"kind-{kind}", Profile(1.0, 1))
    assert [kind for kind in range(8) if store.history(f"kind-{kind}")] == [3, 4, 5, 6, 7]

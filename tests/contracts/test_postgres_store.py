"""PostgreSQL holds the one contract: with a clock that can be set, by its own, and behind PgBouncer."""

import secrets

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.servers.postgres import bouncer, postgres

from headway.stores.postgres import PostgresStore
from headway.testing import StoreContract, StoreMachine


@pytest.fixture(scope="module")
def server():
    with postgres() as server:
        yield server


@pytest.fixture(scope="module")
def pooler(server):
    with bouncer(server) as pooler:
        yield pooler


@pytest.fixture
def schema(server):
    name = f"test_{secrets.token_hex(4)}"
    yield name
    server.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")


class ServerClock:
    """The server's clock as our functions read it, set by replacing the one that reads it."""

    def __init__(self, server, schema):
        self.server = server
        self.schema = schema
        self.ahead = 0

    def advance(self, seconds):
        self.ahead += round(seconds * 1_000_000)
        self.server.execute(
            f"CREATE OR REPLACE FUNCTION {self.schema}.clock() RETURNS bigint LANGUAGE sql AS "  # noqa: S608
            f"'SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + {self.ahead}'"
        )


class OnAServer(StoreContract):
    @pytest.fixture(autouse=True)
    def busy(self, monkeypatch):
        """Whoever builds on a busy machine is not to take it for a server that hangs."""
        monkeypatch.setattr("headway.stores.postgres.TIMEOUT", 5.0)

    @pytest.fixture
    def store(self, server, schema):
        store = PostgresStore(f"{server.url}?schema={schema}")
        yield store
        store.close()

    @pytest.fixture
    def another(self, store):
        another = PostgresStore(store.url)
        yield another
        another.close()


class TestPostgresStore(OnAServer):
    @pytest.fixture
    def clock(self, server, schema):
        PostgresStore(f"{server.url}?schema={schema}").migrate()
        return ServerClock(server, schema)


class TestPostgresStoreBehindPgBouncer(OnAServer):
    """By its own clock: the contract waits."""

    @pytest.fixture
    def store(self, pooler, schema):
        store = PostgresStore(f"{pooler.url}?schema={schema}")
        yield store
        store.close()


def test_random_lives_of_jobs_go_by_the_rules(server, monkeypatch):
    monkeypatch.setattr("headway.stores.postgres.TIMEOUT", 5.0)

    class Machine(StoreMachine):
        settable = False

        def make_store(self):
            self.schema = f"test_{secrets.token_hex(4)}"
            return PostgresStore(f"{server.url}?schema={self.schema}")

        def _send_parts(self, parts):
            """One step of a reporter says one thing: here a batch is merged first, and then compared."""
            said = {(part.job, part.attempt, part.key, part.run, part.step): part for part in parts}
            super()._send_parts(list(said.values()))

        def discard(self):
            super().discard()
            server.execute(f"DROP SCHEMA IF EXISTS {self.schema} CASCADE")

    lives = settings(
        max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(Machine, settings=lives)

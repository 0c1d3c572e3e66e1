"""Redis and Valkey hold the store contract: alone, behind a Sentinel, in a Cluster."""

from contextlib import closing

import pytest
from tests.servers.redis import Cluster, Watched, redis_server

from headway.stores import open_store
from headway.testing import StoreContract


@pytest.fixture(scope="module")
def redis():
    with redis_server("redis") as server:
        yield server


@pytest.fixture(scope="module")
def valkey():
    with redis_server("valkey") as server:
        yield server


@pytest.fixture(scope="module")
def cluster():
    with closing(Cluster()) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def watched():
    with closing(Watched()) as watched:
        yield watched


class OnServers(StoreContract):
    """By the servers' clock: the contract waits."""

    @pytest.fixture
    def store(self, servers):
        servers.clear()
        with closing(open_store(servers.url)) as store:
            yield store

    @pytest.fixture
    def another(self, store):
        with closing(open_store(store.url)) as another:
            yield another


class TestRedis(OnServers):
    @pytest.fixture
    def servers(self, redis):
        return redis


class TestValkey(OnServers):
    @pytest.fixture
    def servers(self, valkey):
        return valkey


class TestACluster(OnServers):
    @pytest.fixture
    def servers(self, cluster):
        return cluster


class TestBehindASentinel(OnServers):
    @pytest.fixture
    def servers(self, watched):
        return watched

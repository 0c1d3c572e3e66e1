"""What several queues' tests share."""

from contextlib import closing

import pytest
from tests.servers.rabbitmq import rabbitmq
from tests.servers.redis import redis_server


@pytest.fixture(scope="session")
def rabbit():
    with rabbitmq() as server:
        yield server


@pytest.fixture(scope="module")
def queue(request, tmp_path_factory):
    """The module's ``QUEUE``, on a server and with a store of its own."""
    store = f"sqlite:///{tmp_path_factory.mktemp('store') / 'headway.db'}"
    with redis_server("valkey") as server, closing(request.module.QUEUE(server, store)) as queue:
        yield queue


@pytest.fixture(scope="module")
def line(queue):
    """Where a worker of the module's queue listens."""
    line = queue.new_line()
    with queue.worker(line):
        yield line

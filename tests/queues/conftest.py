"""What several queues' tests share."""

import pytest
from tests.servers.rabbitmq import rabbitmq


@pytest.fixture(scope="session")
def rabbit():
    with rabbitmq() as server:
        yield server


@pytest.fixture(scope="module")
def line(queue):
    """Where a worker of the module's queue listens."""
    line = queue.new_line()
    with queue.worker(line):
        yield line

"""What several queues' tests share."""

import pytest
from tests.servers.rabbitmq import rabbitmq


@pytest.fixture(scope="session")
def rabbit():
    with rabbitmq() as server:
        yield server

import pytest


@pytest.fixture
def store(tmp_path):
    """A store of its own."""
    return f"sqlite:///{tmp_path / 'jobs.db'}"

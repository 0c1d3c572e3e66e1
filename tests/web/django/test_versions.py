"""The same tests with the other versions of Django that this Python runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from uv import find_uv_bin

ROOT = Path(__file__).parents[3]
TESTS = ["tests/web/django", "tests/contracts/test_django_doors.py"]
NEEDED = [
    "gunicorn",
    "itsdangerous",
    "psutil",
    "pytest>=9",
    "pytest-asyncio",
    "pytest-timeout",
    "uv",
    "uvicorn",
]
NEWER = pytest.mark.skipif(sys.version_info < (3, 12), reason="this Django needs Python 3.12")
OLDER = pytest.mark.skipif(sys.version_info >= (3, 13), reason="this Django knows no Python newer than 3.12")


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "version",
    [
        pytest.param("4.2", marks=OLDER),
        "5.2",
        pytest.param("6.0", marks=NEWER),
        pytest.param("6.1", marks=NEWER),
    ],
)
def test_this_version_of_django_serves_as_well(tmp_path, version):
    python = tmp_path / "env" / "bin" / "python"
    kept = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    for command in (
        [find_uv_bin(), "venv", "--python", sys.executable, tmp_path / "env"],
        [find_uv_bin(), "pip", "install", "--python", python, "-e", ROOT, f"django~={version}.0", *NEEDED],
        [python, "-m", "pytest", "-q", *TESTS],
    ):
        done = subprocess.run(command, cwd=ROOT, env=kept, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-5_000:] + done.stderr[-2_000:]

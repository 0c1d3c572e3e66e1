"""tqdm's own tests, from its source distribution, run against our subclass and against the patched class."""

import os
import re
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest
from tests.programs.scene import environment, jobs

from headway.programs import inside

pytestmark = [pytest.mark.timeout(600), pytest.mark.nightly]

LEFT_OUT = {
    "tests_perf.py": "asserts on short times, which a shared machine does not keep; bench/ measures instead",
    "test_external_write": "deletes the lock from the class itself; a subclass draws under its base's lock",
}
"""What is not run, and why; the second only against the subclass."""


@pytest.fixture(scope="session")
def suite(tmp_path_factory):
    """The tests of the installed version; with its index out of reach there are none."""
    folder = tmp_path_factory.mktemp("tqdm")
    package = f"tqdm=={version('tqdm')}"
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "tqdm", package]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode and "CI" not in os.environ:
        pytest.skip(f"{package} cannot be fetched: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    unpacked = next(folder.glob("tqdm-*/"))
    (folder / "run").mkdir()
    for name in ("tests", "pyproject.toml"):
        (unpacked / name).rename(
            folder / "run" / name
        )  # away from tqdm's own code: the installed one is tested
    return folder / "run"


def passed(suite, store, *options, **variables):
    """How many passed, were skipped and failed."""
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o"]
    words += ["addopts=-W error --asyncio-mode=strict", "--ignore", "tests/tests_perf.py", *options]
    done = subprocess.run(
        words,
        cwd=suite,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
        env=environment(store, **variables),
    )
    assert done.stdout.strip(), done.stderr
    found = dict.fromkeys(("passed", "skipped", "failed", "error"), 0)
    found |= {word: int(count) for count, word in re.findall(r"(\d+) (\w+)", done.stdout.splitlines()[-1])}
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    return {word: found[word] for word in ("passed", "skipped", "failed", "error")}


@pytest.fixture(scope="session")
def real(suite, tmp_path_factory):
    """What tqdm itself passes here."""
    return passed(suite, f"sqlite:///{tmp_path_factory.mktemp('real') / 'jobs.db'}")


def test_our_subclass_passes_what_tqdm_passes(suite, real, store):
    here = str(Path(__file__).parent)
    options = ("-p", "substitute", "--deselect", "tests/tests_tqdm.py::test_external_write")
    ours = passed(suite, store, *options, PYTHONPATH=here)
    assert ours == real | {"passed": real["passed"] - 1}
    assert real["passed"] > 150
    assert jobs(store), "the tests did not run against our subclass"


def test_the_class_that_unmodified_programs_get_passes_them_all(suite, real, store):
    assert passed(suite, store, PYTHONPATH=inside.folder()) == real
    assert jobs(store), "the tests did not run against the patched class"

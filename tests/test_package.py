"""The wheel as a user gets it: built, and installed in environments of its own."""

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from uv import find_uv_bin

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

pytestmark = pytest.mark.timeout(600)


def run(*command, **variables):
    return subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=os.environ | variables,
    )


def uv(*command):
    done = run(find_uv_bin(), "--quiet", *command)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    uv("build", "--wheel", "--out-dir", folder, ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def install(wheel, tmp_path_factory):
    """Install the wheel with these extras; returns the bin folder of its environment."""

    def with_extras(extras):
        environment = tmp_path_factory.mktemp("environment") / "venv"
        uv("venv", "--python", sys.executable, environment)
        uv("pip", "install", "--python", environment, f"headway{extras} @ {wheel.as_uri()}")
        return environment / "bin"

    return with_extras


@pytest.fixture(scope="session")
def bare(install):
    return install("")


@pytest.fixture(scope="session")
def with_cli(install):
    return install("[cli]")


def test_the_wheel_holds_the_whole_package_its_types_and_its_licence(wheel):
    package = ROOT / "src"
    sources = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in names if name.startswith("headway/")} == sources
    assert "headway/py.typed" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_package_knows_its_version(bare):
    done = run(bare / "python", "-I", "-c", "import headway; print(headway.__version__)")
    assert (done.stdout.strip(), done.stderr) == (PROJECT["version"], "")


IMPORTED = """
import sys, sysconfig, json
before = set(sys.modules)
from headway import job, track
site = tuple({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
new = set(sys.modules) - before
files = {name: getattr(sys.modules[name], "__file__", None) or "" for name in new}
installed = {name.partition(".")[0] for name, file in files.items() if file.startswith(site)}
print(json.dumps([sorted(installed), sorted({"asyncio", "sqlite3", "socket"} & new)]))
"""


def test_import_brings_msgspec_alone_and_no_asyncio_sqlite3_or_socket(bare):
    done = run(bare / "python", "-I", "-c", IMPORTED)
    assert done.stderr == ""
    installed, forbidden = json.loads(done.stdout)
    assert set(installed) <= {"headway", "msgspec"}
    assert forbidden == []


def test_without_its_extra_the_command_says_what_to_install(bare):
    done = run(bare / "headway")
    assert done.returncode == 2
    assert 'pip install "headway[cli]"' in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_with_its_extra_the_command_gives_help(with_cli):
    done = run(with_cli / "headway", "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_with_its_extra_the_command_lists_an_empty_store(with_cli, store):
    done = run(with_cli / "headway", "list", HEADWAY_STORE=store)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_its_extra_the_drop_in_says_what_to_install(bare):
    done = run(bare / "python", "-I", "-c", "import headway.tqdm")
    assert done.returncode == 1
    assert 'this needs tqdm: pip install "headway[tqdm]"' in done.stderr


def test_a_program_is_run_as_a_job_from_the_wheel_alone(install, store, tmp_path):
    folder = install("[cli,tqdm]")
    (tmp_path / "train.py").write_text("import tqdm\nfor x in tqdm.tqdm(range(3)): pass\n")
    done = run(folder / "headway", "run", "--id", "t", tmp_path / "train.py", HEADWAY_STORE=store)
    assert done.returncode == 0, done.stderr
    listed = run(folder / "headway", "list", "--json", HEADWAY_STORE=store)
    assert '"count":3,"total":3' in listed.stdout

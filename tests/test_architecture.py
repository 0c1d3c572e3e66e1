"""The rooms and arrows of ARCHITECTURE.md: who may import what, and what happens on import (nothing)."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "headway"
FILES = {
    file.relative_to(SOURCE).as_posix(): ast.parse(file.read_text()) for file in sorted(SOURCE.rglob("*.py"))
}
EVERYTHING = {"core", "threads", "chance", "stores", "worker", "live", "client", "__init__"}

# A room is a folder, or a file of its own; it may import itself and the rooms that stand here.
ARROWS = {
    "core": set(),
    "threads": set(),
    "chance": set(),
    "stores": {"core", "threads", "chance"},
    "worker": {"core", "threads", "chance", "stores"},
    "live": {"core", "threads", "stores"},
    "board": {"core"},
    "terminal": {"core", "board"},
    "client": {"core", "threads", "stores", "worker", "live"},
    "queues": {"core", "threads", "worker", "stores", "client"},
    "mirrored": {"worker", "client"},
    "tqdm": {"core", "worker", "mirrored"},
    "programs": {"core", "threads", "worker", "client", "mirrored", "tqdm"},
    "following": {"core", "board", "terminal", "live", "client"},
    "web": {"core", "threads", "chance", "stores", "live", "client", "__init__"},
    "__init__": {"core", "stores", "worker", "client"},
    "demo": EVERYTHING,
    "doctor": {"core", "stores"},
    "cli": EVERYTHING | {"board", "terminal", "following", "demo", "doctor", "web", "programs"},
    "__main__": {"cli"},
    "testing": EVERYTHING | {"queues", "web"},
}
# What is not of the standard library has one home, and so has a driver that is.
HOMES = {
    "random": {"chance.py"},
    "msgspec": {"core", "stores", "worker", "queues", "client.py", "web", "testing"},
    "sqlite3": {"stores/sqlite.py"},
    "redis": {"stores/redis_servers.py"},
    "psycopg": {"stores/postgres.py"},
    "celery": {"queues/celery.py"},
    "rq": {"queues/rq.py"},
    "huey": {"queues/huey.py"},
    "dramatiq": {"queues/dramatiq.py"},
    "arq": {"queues/arq.py"},
    "taskiq": {"queues/taskiq.py"},
    "saq": {"queues/saq.py"},
    "procrastinate": {"queues/procrastinate.py"},
    "platformdirs": {"client.py"},
    "click": {"cli.py"},
    "rich": {"terminal.py", "programs/rich.py"},
    "itsdangerous": {"web/links.py"},
    "pydantic": {"web/fastapi.py"},
    "django": {"web/django", "queues/django_tasks.py"},
    "asgiref": {"web/django"},
    "tqdm": {"tqdm"},
    "sitecustomize": {"programs/startup/sitecustomize.py"},
    "pytest": {"testing"},
    "psutil": {"testing"},
    "hypothesis": {"testing"},
}
IMPURE = {
    "asyncio", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets", "select",
    "signal", "socket",
    "sqlite3", "subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid", "weakref",
}  # fmt: skip
CONNECTS = {"asyncio", "concurrent.futures", "logging", "multiprocessing", "socket", "sqlite3", "threading"}
VAGUE = {"utils", "util", "helpers", "common", "base", "misc", "contrib", "shared", "tools"}
THEIR_NAMES = {"tqdm/contrib/__init__.py", "tqdm/contrib/concurrent.py"}
"""One import is all that a user of tqdm changes, so our modules are called as tqdm's."""
STARTS = {"programs/startup/sitecustomize.py"}
"""Imported by Python as it starts, on PYTHONPATH's word, to do what it does."""
OTHERS_WORDS = {"task", "progressbar", "backend", "percentage", "eta", "subtask", "phase", "step_name", "tag"}

each_file = pytest.mark.parametrize("name", FILES)


def room_of(name):
    return name.split("/")[0].removesuffix(".py")


def imports(name):
    """The modules that a file imports, also inside functions."""
    for node in ast.walk(FILES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            inside = [f"headway.{alias.name}" for alias in node.names]
            yield from inside if node.module == "headway" else ["." * node.level + (node.module or "")]


@each_file
def test_a_room_imports_only_what_its_arrows_reach(name):
    parts = [module.split(".") for module in imports(name)]
    assert [] not in parts, "relative imports hide arrows"
    reached = {
        part[1] if len(part) > 1 and part[1] in ARROWS else "__init__"
        for part in parts
        if part[0] == "headway"
    }
    assert room_of(name) in ARROWS, "a new room: give it its arrows here and in ARCHITECTURE.md"
    assert reached <= ARROWS[room_of(name)] | {room_of(name)}


@each_file
def test_what_is_not_of_the_standard_library_has_one_home(name):
    for package in {module.split(".")[0] for module in imports(name)}:
        if package in HOMES or package not in sys.stdlib_module_names | {"headway"}:
            named_after_it = {name} if name.split("/")[-1] == f"{package}.py" else set()
            places = {name, room_of(name), *(folder.as_posix() for folder in Path(name).parents)}
            assert places & HOMES.get(package, named_after_it), package


@pytest.mark.parametrize("name", [name for name in FILES if room_of(name) == "core"])
def test_the_core_is_pure(name):
    assert not {module.split(".")[0] for module in imports(name)} & IMPURE
    nodes = list(ast.walk(FILES[name]))
    assert not {node.attr for node in nodes if isinstance(node, ast.Attribute)} & {"now", "utcnow", "today"}
    assert not {node.id for node in nodes if isinstance(node, ast.Name)} & {"open", "print", "input"}


def test_the_arrows_lead_one_way():
    def reached(room):
        return set().union(*({near} | reached(near) for near in ARROWS[room]))

    assert not [room for room in ARROWS if room in reached(room)]
    assert not [room for room in ARROWS if "testing" in reached(room)]


@each_file
def test_names_say_something_in_our_words(name):
    assert name in THEIR_NAMES or not VAGUE & set(name.removesuffix(".py").split("/"))
    for node in FILES[name].body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_"):
            assert not OTHERS_WORDS & set(node.name.lower().split("_")), node.name


@pytest.mark.parametrize("name", [name for name in FILES if room_of(name) == "queues"])
def test_what_a_queue_means_is_said_once_and_its_own_files_only_translate(name):
    shared = {"queues/lifecycle.py", "queues/clerk.py"}
    assert name in shared or len((SOURCE / name).read_text().splitlines()) <= 120


@each_file
def test_no_lock_of_the_standard_library_is_held_while_something_is_worked_out(name):
    """That of `functools.cached_property` is one for all objects before Python 3.12, and forks copy it."""
    assert not re.search(r"functools.*cached_property", (SOURCE / name).read_text()) or name == "threads.py"


@each_file
def test_importing_a_module_does_nothing(name):
    """At its top stand definitions: no thread, no connection, no warning, no file."""
    calls = [
        node for node in FILES[name].body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    ]
    assert [ast.unparse(node) for node in calls] == (["_begin()"] if name in STARTS else [])


def test_importing_headway_loads_nothing_that_connects_or_runs():
    code = "import json, sys, msgspec; old = set(sys.modules); from headway import job, track; "
    command = [sys.executable, "-c", code + "print(json.dumps([*set(sys.modules) - old]))"]
    done = subprocess.run(command, capture_output=True, check=True, env={"PYTHONPATH": str(SOURCE.parent)})
    loaded = set(json.loads(done.stdout))
    assert not loaded & CONNECTS
    assert not {module.split(".")[0] for module in loaded} & (HOMES.keys() - {"msgspec"})

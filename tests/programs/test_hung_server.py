"""Programs whose server hangs, from the start, midway or at the end: it takes connections and says nothing.

It stays so until the program has gone, so a program that waited for it would not end here.
"""

import sys

import pytest
from tests.programs.scene import finish, headway_run, run, script, seen_live, start
from tests.servers.redis import RedisServer

from headway.programs import inside

pytestmark = pytest.mark.timeout(240)

PROGRAM = """
    import sys, time
    from {module} import tqdm
    for x in tqdm(range(100_000), desc="Loop"):
        if x == 50_000 and "midway" in sys.argv:
            print("midway", flush=True)
            input()
    for name in "more", "bars":
        for x in tqdm(range(3), desc=name):
            pass
    if "end" in sys.argv:
        print("end", flush=True)
        input()
    print("all of it", flush=True)
    sys.exit(7)
"""


@pytest.fixture(scope="module")
def server():
    server = RedisServer()
    yield server
    server.close()


@pytest.fixture
def paused(server):
    """Has the server hang until the test is over."""
    yield server.pause
    server.resume()


def words(how, path, *arguments):
    return {
        "the import": (sys.executable, path, *arguments),
        "the variable": (sys.executable, path, *arguments),
        "run": headway_run(path, *arguments),
        "run --": headway_run("--", sys.executable, path, *arguments),
    }[how]


def program(how, tmp_path):
    text = PROGRAM.format(module="headway.tqdm" if how == "the import" else "tqdm")
    variables = {"PYTHONPATH": inside.folder()} if how == "the variable" else {}
    return script(tmp_path, text), variables


rare = pytest.mark.nightly
CASES = [
    pytest.param(how, when, marks=[] if (how, when) in {("run", "start"), ("run --", "midway")} else rare)
    for how in ("the import", "the variable", "run", "run --")
    for when in ("start", "midway", "end")
]


@pytest.mark.parametrize(("how", "when"), CASES)
def test_a_server_that_hangs_keeps_no_program_from_its_own_end(how, when, server, paused, tmp_path):
    path, variables = program(how, tmp_path)
    if when == "start":
        paused()
        status, out, errors = run(words(how, path), server.url, variables=variables)
    else:
        running = start(words(how, path, when), server.url, variables=variables, stdin=-1)
        assert running.stdout.readline() == f"{when}\n".encode()
        paused()
        running.stdin.write(b"\n")
        running.stdin.flush()
        status, out, errors = finish(running)
    assert (status, out) == (7, b"all of it\n")
    assert b"100%" in errors
    assert b"Traceback" not in errors


@pytest.mark.parametrize("how", ["run", pytest.param("run --", marks=rare)])
def test_a_signal_ends_a_program_while_its_server_hangs(how, server, paused, tmp_path):
    path, _ = program(how, tmp_path)
    running = start(words(how, path, "midway"), server.url, stdin=-1, start_new_session=True)
    assert running.stdout.readline() == b"midway\n"
    paused()
    running.terminate()
    assert finish(running)[0] == -15


def test_a_program_whose_server_hung_for_a_while_is_reported_to_its_end(server, tmp_path):
    path, _ = program("run", tmp_path)
    server.clear()
    running = start(headway_run("--id", "a", path, "midway", "end"), server.url, stdin=-1)
    assert running.stdout.readline() == b"midway\n"
    server.pause()
    running.stdin.write(b"\n")
    running.stdin.flush()
    assert running.stdout.readline() == b"end\n"
    server.resume()
    live = seen_live(server.url, lambda job: job.count == 3)
    assert (live.name, live.status) == ("train.py", "running")
    running.stdin.write(b"\n")
    running.stdin.flush()
    assert finish(running)[0] == 7
    ended = seen_live(server.url, lambda job: job.ended)
    assert (ended.status, ended.count) == ("failed", 3)

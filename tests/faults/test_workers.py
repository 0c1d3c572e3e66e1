"""F1, F13, F14, F29: workers that are killed, forked, doubled, asleep, or hold the interpreter."""

import os
import random
import signal
import subprocess
import sys
from contextlib import suppress
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from tests.faults.scene import LEASE, SERVERS, SOON, begun, on
from tests.processes import TELLS, eventually, kill_at_random
from tests.servers import free_port

CROWD = 10
"""How many workers there are at a time."""

pytestmark = pytest.mark.nightly  # minutes of waiting for heartbeats and failovers


@pytest.mark.parametrize(
    "kills", [4, pytest.param(200, marks=[pytest.mark.nightly, pytest.mark.timeout(900)])]
)
def test_f1_a_worker_killed_anywhere_shows_and_nothing_acknowledged_is_missing(
    hw, address, begin, viewed, kills
):
    chance = random.Random(kills)
    for batch in range(0, kills, CROWD):
        ids = [f"job-{number}" for number in range(batch, min(batch + CROWD, kills))]
        workers = {id: begin(TELLS, address, id) for id in ids}
        views = {id: viewed(id) for id in ids}
        for view in views.values():
            view.shows(lambda one: one.status == "running", 30)
        kill_at_random(workers, hw, chance)
        for view in views.values():
            view.shows(lambda one: one.status == "stalled", LEASE + SOON)
            silence = next(one.silent_for for one in view.seen if one.status == "stalled")
            assert silence < LEASE + SOON
            assert view.never_goes_back()
            view.close()


@on(*SERVERS)
def test_f13_no_connection_is_shared_with_a_child_that_was_forked(address, begin):
    worker = begin("""
    import psutil
    def mine():
        return {(line.laddr, line.raddr) for line in psutil.Process().net_connections("tcp")}
    with hw.job("parent", id="parent") as job:
        hw.get("parent")
        before = mine()
        assert before
        def child():
            with hw.job("child", scope="children") as own:
                own.advance()
                hw.get("parent")
                assert hw.find(scope="children")
            assert not before & mine(), (before, mine())
            os._exit(0)
        for _ in range(10):
            pid = os.fork()
            if pid == 0:
                try:
                    child()
                finally:
                    os._exit(1)
            job.advance()
            assert os.waitpid(pid, 0)[1] == 0
        assert {one.status for one in hw.find(scope="children")} == {"completed"}
    print(hw.get("parent").count)
    """, address)  # fmt: skip
    out, errors = worker.communicate(timeout=60)
    assert (worker.returncode, errors) == (0, "")
    assert out == "10\n"


PRELOADED = """
import os
from urllib.parse import parse_qs

import psutil

import headway

hw = headway.connect(os.environ["ADDRESS"])
boot = hw.job("boot", id="boot", total=10**9).start()
boot.advance()
hw.get("boot")
loaded_in = os.getpid()


def mine():
    return {(line.laddr, line.raddr) for line in psutil.Process().net_connections("tcp") if line.raddr}


inherited = mine()
assert inherited


def application(environ, start_response):
    id = parse_qs(environ["QUERY_STRING"])["id"][0]
    with hw.job("request", id=id, scope="requests") as job:
        job.advance()
        seen = hw.get("boot").status
    shared = len(inherited & mine()) if os.getpid() != loaded_in else "not forked"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{seen} {shared} {os.getpid()}".encode()]
"""


@on(*SERVERS)
def test_f13_an_app_that_gunicorn_loaded_before_it_forked_shares_no_connection(hw, address, tmp_path):
    (tmp_path / "preloaded.py").write_text(PRELOADED)
    port = free_port()
    command = f"-m gunicorn --preload --workers 2 --bind 127.0.0.1:{port} --log-level warning preloaded"
    server = subprocess.Popen(
        [sys.executable, *command.split()],
        cwd=tmp_path,
        env=os.environ | {"ADDRESS": address, "PYTHONPATH": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
    )

    def ask(id):
        with suppress(URLError), urlopen(f"http://127.0.0.1:{port}/?id={id}", timeout=30) as answer:
            return answer.read().decode().split()
        return None

    try:
        answers = [
            eventually(lambda: ask("first") or server.poll(), 60),
            *(ask(f"job-{number}") for number in range(40)),
        ]
        assert {tuple(answer[:2]) for answer in answers} == {("running", "0")}
        assert len({answer[2] for answer in answers}) == 2
        assert [one.status for one in hw.find(scope="requests", limit=100)] == ["completed"] * 41
    finally:
        server.terminate()
        errors = server.communicate(timeout=30)[1]
    assert "Traceback" not in errors
    assert hw.get("boot").count == 1


def test_f14_a_zombie_that_wakes_up_changes_nothing(hw, address, begin):
    zombie = begin("""
with hw.job("Import", id="one", total=10**9, lease=2) as job:
    print("begun", flush=True)
    while not job._entry.over:
        job.advance()
        time.sleep(0.001)
    print("superseded", flush=True)
    job.fail("by the zombie")
""", address)  # fmt: skip
    begun(zombie)
    eventually(lambda: hw.get("one").count)
    zombie.send_signal(signal.SIGSTOP)
    eventually(lambda: hw.get("one").status == "stalled", LEASE + SOON)
    with hw.job("Import", id="one", total=10, lease=LEASE, exclusive=True) as second:
        second.advance(3)
        zombie.send_signal(signal.SIGCONT)
        assert zombie.stdout.readline() == "superseded\n"
        zombie.communicate(timeout=20)
        seen = eventually(lambda: (found := hw.get("one")).count == 3 and found)
        assert (seen.status, seen.attempt) == ("running", 2)
    seen = hw.get("one", details=True)
    assert (seen.status, seen.attempt, seen.count, seen.error) == ("completed", 2, 3, None)


@pytest.mark.parametrize("hog", [1, pytest.param(20, marks=pytest.mark.nightly)])
def test_f29_native_code_that_holds_the_interpreter_is_no_dead_worker(address, begin, viewed, hog):
    """For half of its lease: a heartbeat may just have been due when it began."""
    worker = begin("""
    import ctypes
    with hw.job("Import", id="one", lease=float(sys.argv[2])) as job:
        job.advance()
        time.sleep(1)
        ctypes.PyDLL(None).usleep(int(float(sys.argv[3]) * 1e6))
        job.advance()
    """, address, 2 * hog, hog)  # fmt: skip
    view = viewed()
    view.shows(lambda one: one.status == "completed", hog + 20)
    assert worker.wait(10) == 0
    assert "stalled" not in {one.status for one in view.seen}
    assert view.never_goes_back()

"""Whatever happens to the store or to the process, the job's own loop runs on and the record heals.

Real processes, a real SQLite file.
"""

import os
import random
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from tests.processes import TELLS, eventually, kill_at_random, run, start

import headway

LEASE = 2
KILLS = 20

WORK = """
import logging
warned = []
class Handler(logging.Handler):
    def emit(self, record):
        if record.levelno >= logging.WARNING:
            warned.append(record)
logging.getLogger("headway").addHandler(Handler())
def work(seconds, id="one"):
    until = time.monotonic() + seconds
    steps, longest = 0, 0.0
    with hw.job("Import", id=id, total=10**9, lease=2) as job:
        print("begun", flush=True)
        while True:
            began = time.thread_time()
            job.advance()
            longest = max(longest, time.thread_time() - began)
            steps += 1
            if not steps % 1000:
                if time.monotonic() > until:
                    break
                time.sleep(0.001)
    return steps, longest
"""


def path_of(url):
    return Path(url.removeprefix("sqlite:///"))


@pytest.mark.timeout(240)
def test_a_killed_worker_shows_and_loses_nothing_that_was_acknowledged(tmp_path):
    """Killed at random points, twenty times, all at once: what each told last, and what is read then."""
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    chance = random.Random(1)
    hw = headway.connect(url)
    for batch in range(0, KILLS, 5):
        workers = {f"job{number}": start(TELLS, url, f"job{number}") for number in range(batch, batch + 5)}
        for id in workers:
            eventually(lambda id=id: hw.get(id), 20)
        killed = kill_at_random(workers, hw, chance)
        for id in workers:
            eventually(lambda id=id: hw.get(id).status == "stalled", LEASE + 2)
            assert time.monotonic() - killed[id] < LEASE + 3
            assert hw.get(id).silent_for >= LEASE
    restarted = """
    for id in sys.argv[2:]:
        with hw.job("Import", id=id, lease=2) as job:
            assert job.attempt == 2
    """
    ids = [f"job{number}" for number in range(KILLS)]
    assert run(restarted, url, *ids)[0] == 0
    assert {(hw.get(id).status, hw.get(id).attempt) for id in ids} == {("completed", 2)}
    with closing(sqlite3.connect(path_of(url))) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    hw.close()


def test_sigterm_without_a_handler_leaves_a_job_that_stalls(hw, url):
    process = start(WORK + "work(60)", url)
    eventually(lambda: hw.get("one"))
    process.terminate()
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGTERM
    eventually(lambda: hw.get("one").status == "stalled", LEASE + 2)


def test_sigterm_with_a_handler_that_exits_stops_the_job(hw, url):
    process = start(WORK + "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\nwork(60)", url)
    eventually(lambda: hw.get("one"))
    process.terminate()
    _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (5, "")
    assert hw.get("one").status == "stopped"


def test_headway_installs_no_signal_handler(url):
    code, _out, errors = run("""
    def handlers(): return [signal.getsignal(number) for number in signal.valid_signals()]
    before = handlers(), sys.excepthook, threading.excepthook
    with hw.job("Import"):
        pass
    assert before == (handlers(), sys.excepthook, threading.excepthook)
    """, url)  # fmt: skip
    assert (code, errors) == (0, "")


# The store


def outcome(process, seconds=60):
    out, errors = process.communicate(timeout=seconds)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    return out.splitlines()


def report(seconds):
    """A worker, and what it says at its end: steps, longest step, warnings, dropped writes, memory grown."""
    return (
        WORK
        + f"""
def memory():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
with hw.job("warm", id="warm"):
    pass
before = memory()
steps, longest = work({seconds})
print(steps, longest, len(warned), hw.dropped_writes, memory() - before)
"""
    )


def checked(line, *, warnings=1):
    steps, longest, warned, dropped, grown = map(float, line.split())
    assert steps > 10_000  # one step that waits for the store takes half a second: none did
    assert longest < 0.1
    assert warned == warnings
    assert dropped >= warnings
    assert grown < 16 * 2**20


@pytest.mark.parametrize("seconds", [2.5, pytest.param(10, marks=pytest.mark.nightly)])
def test_a_database_that_another_program_locks_for_seconds(hw, url, seconds):
    process = start(report(seconds + 1.5), url)
    eventually(lambda: hw.get("one"))
    other = sqlite3.connect(path_of(url), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    time.sleep(seconds)
    other.execute("ROLLBACK")
    other.close()
    checked(outcome(process)[-1])
    assert hw.get("one").status == "completed"


def test_a_database_that_is_deleted_while_it_is_used(hw, url):
    process = start(report(3), url)
    eventually(lambda: hw.get("one"))
    for path in path_of(url).parent.glob("jobs.db*"):
        path.unlink()
    seen = eventually(lambda: hw.get("one"))
    assert (seen.name, seen.attempt, seen.status) == ("Import", 1, "running")
    steps, _, _, _, _ = outcome(process)[-1].split()
    assert (hw.get("one").status, hw.get("one").count) == ("completed", int(steps))


@pytest.mark.parametrize("what", ["jobs.db*", "jobs.db"])
def test_a_database_that_is_corrupted_while_it_is_used(hw, url, what):
    process = start(report(3), url)
    eventually(lambda: hw.get("one"))
    hw.store.close()
    for path in path_of(url).parent.glob(what):
        with path.open("r+b") as file:
            file.seek(100)  # by its header it is known as ours
            file.write(os.urandom(max(0, path.stat().st_size - 100)))

    def readable():  # SQLite may notice at the next read from the file only, by whomever
        try:
            return hw.get("one")
        except headway.HeadwayError:
            return None

    seen = eventually(lambda: (found := readable()) and found.name and found)
    assert (seen.status, seen.attempt) == ("running", 1)
    steps, longest, *_ = outcome(process)[-1].split()
    assert float(longest) < 0.1
    seen = eventually(readable)
    assert (seen.status, seen.count) == ("completed", int(steps))


def test_a_database_that_cannot_be_written(hw, url, tmp_path):
    for folder in [tmp_path, *tmp_path.parents][:-2]:
        folder.chmod(0o755)
    forbid = """
import logging
with hw.job("before", id="before"):
    pass
hw.store.close()
folder = os.path.dirname(sys.argv[1][10:])
for name in os.listdir(folder):
    os.chmod(os.path.join(folder, name), 0o444)
os.chmod(folder, 0o555)
if os.getuid() == 0:
    os.setuid(65534)
"""
    try:
        script = forbid + report(2).replace('with hw.job("warm", id="warm"):', "if True:")
        checked(outcome(start(script, url))[-1])
    finally:
        tmp_path.chmod(0o755)
        for path in tmp_path.iterdir():
            path.chmod(0o644)
    assert hw.get("before").status == "completed"
    assert hw.get("one") is None


def test_a_full_disk(hw, url):
    """A limit on the size of files stands for it; room is made while the job runs."""
    script = (
        WORK
        + """
import resource
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
with hw.job("warm", id="warm"):
    limit(os.path.getsize(sys.argv[1][10:] + "-wal"))
threading.Timer(3, lambda: limit(resource.RLIM_INFINITY)).start()
steps, longest = work(2)
print(steps, longest, len(warned), hw.dropped_writes, 0)
"""
    )
    checked(outcome(start(script, url))[-1])
    assert hw.get("one").status == "completed"


def test_a_store_that_is_away_at_the_start(url):
    path = path_of(url)
    path.mkdir()
    process = start(report(3), url)
    assert process.stdout.readline() == "begun\n"
    path.rmdir()
    checked(outcome(process)[-1])
    hw = headway.connect(url)
    assert hw.get("one").status == "completed"
    hw.close()


@pytest.mark.timeout(180)
def test_fifty_processes_write_to_one_database(hw, url):
    script = """
    for _ in range(3):
        with hw.job("Import", scope="all", total=1000) as job:
            for _ in job.track(range(1000)):
                pass
    print(hw.dropped_writes)
    """
    processes = [start(script, url) for _ in range(50)]
    results = [process.communicate(timeout=150) for process in processes]
    assert [process.returncode for process in processes] == [0] * 50, results
    page = hw.find(scope="all", limit=200)
    assert [path.name for path in path_of(url).parent.glob("*damaged*")] == []
    assert {(one.status, one.count) for one in page} == {("completed", 1000)}
    assert len(page) == 150

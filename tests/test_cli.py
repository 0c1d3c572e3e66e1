import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from tests.emulator import PATIENCE, Terminal
from tests.emulator import headway as command

import headway
from headway.core.estimate import Profile
from headway.core.snapshot import Snapshot
from headway.following import CANCELLED, COMPLETED, FAILED, STALLED, fate

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def url(url, monkeypatch):
    monkeypatch.setenv("HEADWAY_STORE", url)
    return url


def run(*arguments, timeout=PATIENCE, **variables):
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"} | variables,
    )


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, condition
        time.sleep(0.02)


WORKER = """
import sys, time, headway
with headway.job(sys.argv[2], id=sys.argv[1], total=100, lease=float(sys.argv[3])) as job:
    while True:
        job.advance(0.01)
        time.sleep(0.01)
"""


@contextmanager
def worker(hw, id, name="Working", lease=30.0):
    """A job in a process of its own that goes on until it is asked to stop, or killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, id, name, str(lease)], stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: hw.get(id) is not None)
        yield process
    finally:
        process.kill()
        process.wait()


def complete(hw, id, name="Done", **options):
    with hw.job(name, id=id, **options) as job:
        job.complete()


def fail(hw, id):
    hw.job("Failing", id=id).start().fail("no header")


def stop(hw, id):
    hw.job("Left", id=id).start().stop()


# watch


@pytest.mark.parametrize(("end", "status"), [(complete, COMPLETED), (fail, FAILED), (stop, CANCELLED)])
def test_watch_exits_as_the_job_ended(hw, end, status):
    end(hw, "a")
    done = run("watch", "a")
    assert (done.returncode, done.stderr) == (status, "")


def test_watch_exits_as_the_worst_of_several(hw):
    complete(hw, "a")
    fail(hw, "b")
    stop(hw, "c")
    assert run("watch", "a", "c").returncode == CANCELLED
    assert run("watch", "c", "b", "a").returncode == FAILED


def test_watch_shows_the_whole_of_a_running_job_in_lines_for_logs(hw):
    with hw.job("Import", id="a", total=100) as job:
        watcher = subprocess.Popen(
            command("watch", "a"), stdout=subprocess.PIPE, encoding="utf-8", env=os.environ
        )
        lines = [watcher.stdout.readline()]
        job.advance(55)
        lines.append(watcher.stdout.readline())
        job.complete()
        lines += watcher.communicate(timeout=PATIENCE)[0].splitlines()
    assert [line.split()[2].rstrip(",") for line in lines] == ["running", "running", "completed"]
    assert " 55%, 55/100" in lines[1]
    assert watcher.returncode == COMPLETED


def test_watch_waits_for_a_job_that_is_not_known_yet(hw):
    watcher = subprocess.Popen(command("watch", "later"), stdout=subprocess.PIPE, encoding="utf-8")
    assert "waiting for later" in watcher.stdout.readline()
    complete(hw, "later")
    assert "completed" in watcher.communicate(timeout=PATIENCE)[0]
    assert watcher.returncode == COMPLETED


def test_watch_gives_up_what_does_not_appear_within_the_patience(hw):
    complete(hw, "a")
    done = run("watch", "nobody", "a", "--patience", "0.5")
    assert done.returncode == STALLED
    assert "no job nobody" in done.stderr


def test_watch_gives_up_what_is_stalled_for_longer_than_the_patience(hw):
    with worker(hw, "a", lease=1.0) as process:
        process.kill()
        done = run("watch", "a", "--patience", "0.5")
    assert done.returncode == STALLED
    assert "stalled" in done.stdout
    assert "job a is stalled" in done.stderr


def test_a_stalled_job_is_given_up_only_after_the_patience():
    from datetime import UTC, datetime, timedelta

    now = datetime.now(UTC)

    def silent(seconds, status="stalled"):
        seen = now - timedelta(seconds=seconds)
        return Snapshot(id="a", status=status, lease=30.0, seen_at=seen, read_at=now)

    assert fate(silent(80), 60) is None
    assert fate(silent(91), 60) == STALLED
    assert fate(silent(900, "pending"), 60) is None
    assert fate(None, 60) is None
    assert fate(None, 60, lost=True) == STALLED


def test_watch_without_anything_watches_what_is_live(hw):
    complete(hw, "old", name="Old")
    with hw.job("Now", id="now") as job:
        watcher = subprocess.Popen(command("watch"), stdout=subprocess.PIPE, encoding="utf-8")
        assert "Now  running" in watcher.stdout.readline()
        job.complete()
        out, _ = watcher.communicate(timeout=PATIENCE)
    assert watcher.returncode == COMPLETED
    assert "Old" not in out


def test_watch_with_nothing_live_says_how_to_start_something(store):
    done = run("watch")
    assert done.returncode == 0
    assert "Nothing is running." in done.stdout
    assert "headway demo" in done.stdout
    assert "headway.track(" in done.stdout


def test_watch_all_shows_new_jobs_until_it_is_interrupted(hw):
    watcher = subprocess.Popen(command("watch", "--all"), stdout=subprocess.PIPE, encoding="utf-8")
    with hw.job("First", id="a"):
        assert "First" in watcher.stdout.readline()
    with hw.job("Second", id="b", scope="s"):
        while "Second" not in watcher.stdout.readline():
            pass
        watcher.send_signal(signal.SIGINT)
        watcher.communicate(timeout=PATIENCE)
        assert watcher.returncode == 130
        assert hw.get("b").status == "running"


def test_watch_scope_shows_the_jobs_of_that_scope_alone(hw):
    complete(hw, "b", name="Other", scope="t")
    watcher = subprocess.Popen(command("watch", "--scope", "s"), stdout=subprocess.PIPE, encoding="utf-8")
    complete(hw, "a", name="Mine", scope="s")
    seen = ""
    while "Mine" not in seen:
        seen += watcher.stdout.readline()
    watcher.terminate()
    watcher.communicate(timeout=PATIENCE)
    assert watcher.returncode == 143
    assert "Other" not in seen


def test_watch_json_is_a_line_for_each_change_and_the_last_is_the_end(hw):
    with hw.job("顧客 \x1b[2J", id="a", total=10) as job:
        watcher = subprocess.Popen(command("watch", "a", "--json"), stdout=subprocess.PIPE)
        frames = [json.loads(watcher.stdout.readline())]
        job.advance(5)
        frames.append(json.loads(watcher.stdout.readline()))
        job.complete(result={"rows": 5})
        out, _ = watcher.communicate(timeout=PATIENCE)
    assert out.isascii()
    frames += map(json.loads, out.splitlines())
    assert [frame["count"] for frame in frames] == [0, 5, 5]
    assert frames[-1]["status"] == "completed"
    assert frames[-1]["result"] == {"rows": 5}
    assert watcher.returncode == COMPLETED


def test_ctrl_c_leaves_watching_and_stops_nothing(hw):
    with worker(hw, "a"), Terminal(*command("watch", "a")) as screen:
        screen.until("Working")
        screen.type(b"\x03")
        assert screen.ended() == 130
        assert "Traceback" not in screen.text
        assert screen.screen.cursor.hidden is False
        assert hw.get("a").cancel is None


def test_a_terminal_shows_a_dead_worker_second_by_second(hw):
    with worker(hw, "a", lease=10.0) as process, Terminal(*command("watch", "a"), width=60) as screen:
        screen.until("Working")
        process.kill()
        screen.until("nothing heard for 8 s")
        screen.until("nothing heard for 9 s")
        screen.until(lambda text: "stalled" in text and "nothing heard for 11 s" in text)


def test_an_idle_but_living_worker_is_not_accused(hw):
    slow = hw.job("Slow item", id="a", total=2, lease=7.0)
    with slow, Terminal(*command("watch", "a"), width=60) as screen:
        screen.until("Slow item")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            screen._read(0.1)
            assert "nothing heard" not in screen.text
            assert "stalled" not in screen.text


def test_several_bars_and_their_stages_at_once_at_thirty_columns(hw):
    hw.reserve("顧客データの取り込み", id="b", total=3)
    job = hw.job("Import", id="a", stages={"Read": 1, "Write": 3})
    terminal = Terminal(*command("watch", "a", "b"), width=30, height=12)
    with job, job.stage("Read"), terminal as screen:
        text = screen.until(lambda text: "顧" in text and "● Read" in text)
    assert [line.split()[:2] for line in text.splitlines()[:3]] == [
        ["●", "Import"],
        ["●", "Read"],
        ["○", "Write"],
    ]
    assert text.splitlines()[3].startswith("○ 顧")


# list


def test_list_shows_the_newest_first(hw):
    complete(hw, "first", name="First")
    fail(hw, "second")
    done = run("list")
    assert (done.returncode, done.stderr) == (0, "")
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["STATUS", "NAME", "DONE", "COUNT", "STARTED", "TOOK", "ID"]
    assert [line.split()[-1] for line in lines] == ["second", "first"]
    assert lines[1].split()[:4] == ["✓", "completed", "First", "100%"]
    assert lines[0].split()[:3] == ["✗", "failed", "Failing"]


def test_list_chooses_by_scope_and_status(hw):
    complete(hw, "a", scope="s")
    complete(hw, "b")
    fail(hw, "c")
    assert ids(run("list", "--json", "--scope", "s")) == ["a"]
    assert ids(run("list", "--json", "--status", "failed")) == ["c"]
    assert ids(run("list", "--json", "--status", "failed", "--status", "completed")) == ["c", "b", "a"]
    assert run("list", "--status", "nonsense").returncode == 2


def ids(done):
    return [json.loads(line)["id"] for line in done.stdout.splitlines()]


def test_list_says_when_there_are_more_and_can_show_all(hw):
    for at in range(25):
        hw.reserve("Waiting", id=f"job-{at}")
    assert len(ids(run("list", "--json"))) == 20
    assert "There are more" in run("list").stderr
    assert len(ids(run("list", "--json", "--all"))) == 25
    assert len(ids(run("list", "--json", "--limit", "7"))) == 7


def test_an_empty_list_says_how_to_start(store):
    done = run("list")
    assert done.returncode == 0
    assert "No jobs here yet." in done.stdout
    assert "headway demo" in done.stdout
    assert run("list", "--json").stdout == ""
    assert "No such jobs." in run("list", "--scope", "s").stdout


# cancel


SLOW_TAIL = tuple(round(min(point * 9_000 / 32, 9_000 + (point - 32) * 1_000 / 32)) for point in range(1, 65))


def test_history_shows_what_is_known_and_forgets_it(hw):
    done = run("history", "Import")
    assert (done.returncode, done.stdout) == (1, "Import: nothing is known yet; completed runs teach\n")
    for seconds in (380.0, 372.0, 360.0):
        hw.store.learn(
            "Import", Profile(seconds, 1_000, SLOW_TAIL, None, {"Load\x1b[2J": 300.0, "Save": 60.0})
        )
    done = run("history", "Import")
    assert (done.returncode, done.stdout.splitlines()) == (
        0,
        [
            "Import: 3 runs, usually 6 min 12 s",
            "         6 min  for 1,000",
            "    6 min 12 s  for 1,000",
            "    6 min 20 s  for 1,000",
            "  half of the work is usually done after 28% of the time",
            "  stages: Load\ufffd[2J 5 min, Save 1 min",
        ],
    )
    lines = [json.loads(line) for line in run("history", "Import", "--json").stdout.splitlines()]
    assert [line["seconds"] for line in lines] == [380, 372, 360]
    assert lines[0]["done"] == list(SLOW_TAIL)
    done = run("history", "Import", "--forget")
    assert (done.returncode, done.stdout) == (0, "Import: is forgotten\n")
    assert hw.store.history("Import") == []
    done = run("history", "Import", "--forget")
    assert (done.returncode, done.stdout) == (1, "Import: nothing was known\n")


def test_history_knows_what_a_run_has_left(hw):
    with hw.job("Report") as job:
        job.message("no counts")
    wait_until(lambda: hw.store.history("Report"))
    done = run("history", "Report")
    assert (done.returncode, done.stdout.splitlines()) == (
        0,
        ["Report: 1 run, usually <1 s", "          <1 s"],
    )


def test_cancel_says_what_happened_to_each(hw):
    complete(hw, "done")
    hw.reserve("Waiting", id="waiting")
    with worker(hw, "busy"):
        asked = run("cancel", "busy")
        assert (asked.returncode, asked.stdout) == (0, "busy was asked to stop\n")
        wait_until(lambda: hw.get("busy").status == "cancelled")
    pending = run("cancel", "waiting")
    assert (pending.returncode, pending.stdout) == (0, "waiting is cancelled\n")
    with hw.job("Final", id="final") as final:
        final.cancellable = False
        wait_until(lambda: not hw.get("final").cancellable)
        refused = run("cancel", "nobody", "done", "final")
    assert refused.returncode == 1
    assert refused.stderr.splitlines() == [
        "headway: no job nobody is known here",
        "headway: job done has ended already: completed",
        "headway: job final is past its point of no return, and cannot be stopped any more",
    ]


# Every command


@pytest.mark.parametrize("arguments", [("list",), ("watch", "a"), ("cancel", "a"), ("demo",)])
@pytest.mark.parametrize("url", ["nonsense", "foo://x", "sqlite:////proc/none/jobs.db"])
def test_a_store_that_cannot_be_used_is_one_clear_line(arguments, url):
    done = run(*arguments, "--store", url)
    assert done.returncode == 4
    (line,) = done.stderr.splitlines()
    assert line.startswith("headway: ")
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments", [("watch", "-x"), ("watch", "bad id"), ("cancel",), ("cancel", "\x1b[2J"), ("frobnicate",)]
)
def test_wrong_usage_exits_with_2(store, arguments):
    done = run(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr


def test_store_and_its_variable_name_the_same(hw, store):
    complete(hw, "a")
    named = run("list", "--json", "--store", store, HEADWAY_STORE="memory://")
    assert ids(named) == ids(run("list", "--json")) == ["a"]


def test_version_and_help(store):
    assert run("--version").stdout == f"headway {headway.__version__}\n"
    helped = run("--help").stdout
    assert [line.split()[0] for line in helped.split("Commands:\n")[1].splitlines()] == [
        "cancel",
        "demo",
        "doctor",
        "history",
        "list",
        "migrate",
        "pipe",
        "run",
        "serve",
        "watch",
    ]


def test_doctor_finds_a_good_store_well_and_leaves_nothing_in_it(hw):
    done = run("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    levels = [line.split()[0] for line in done.stdout.splitlines()[1:]]
    assert set(levels) == {"ok"}
    assert "SQLite" in done.stdout
    assert len(hw.find()) == 0


def test_doctor_says_what_is_wrong_and_exits_with_4(tmp_path):
    (tmp_path / "file").write_text("")
    done = run("doctor", f"sqlite:///{tmp_path / 'file' / 'jobs.db'}")
    assert done.returncode == 4
    assert done.stdout.splitlines()[1].startswith("error ")


def test_migrate_says_whether_there_was_something_to_make(store):
    done = run("migrate", store)
    assert (done.returncode, done.stdout) == (0, "there was nothing to make\n")


@pytest.mark.parametrize("arguments", ["list", "list --json", "watch --all", "watch --all --json"])
def test_a_closed_pipe_ends_quietly(hw, arguments):
    for at in range(400):
        hw.reserve("Waiting " * 20, id=f"job-{at}")
    words = " ".join(command(*arguments.split(), *(["--all"] if "list" in arguments else [])))
    piped = subprocess.run(
        ["bash", "-c", f"{words} | head -1"],
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
    assert len(piped.stdout.splitlines()) == 1
    assert piped.stderr == ""


def test_an_output_without_unicode_gets_what_it_can_take(hw):
    complete(hw, "a", name="顧客 – données")
    for arguments in (("list",), ("watch", "a"), ("list", "--json")):
        done = run(*arguments, PYTHONIOENCODING="ascii", LC_ALL="C", PYTHONUTF8="0")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.isascii()


def test_names_cannot_give_orders_to_the_terminal(hw):
    complete(hw, "a", name="\x1b]0;title\x07\x1b[2J[bold red]x[/]\u202egpj.exe\x9b31m")
    for arguments in (("list",), ("watch", "a")):
        with Terminal(*command(*arguments), NO_COLOR="1", width=120) as screen:
            screen.ended()
            assert "[bold red]x[/]gpj.exe" in screen.text
            assert b"\x1b]" not in screen.written
            assert "\u202e" not in screen.written.decode()


BLOCKED = """
import sys
sys.modules["{0}"] = None
from headway.__main__ import main
main()
"""


@pytest.mark.parametrize("package", ["click", "rich"])
def test_without_its_packages_the_command_says_what_to_install(package):
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED.format(package)],
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 2
    assert done.stderr == f'this needs {package}: pip install "headway[cli]"\n'


def test_serve_says_what_it_cannot_do(store):
    taken = socket.create_server(("127.0.0.1", 0))
    port = str(taken.getsockname()[1])
    for arguments, status, said in (
        (("memory://",), 4, "one process only"),
        (("nonsense://x",), 4, "no store answers"),
        (("--token", "short"), 2, "at least 16 characters"),
        (("--port", port), 2, "cannot listen there"),
        (("--host", "203.0.113.9"), 2, "203.0.113.9:8430"),
    ):
        done = run("serve", *arguments)
        assert (done.returncode, said in done.stderr) == (status, True), done.stderr
        assert done.stderr.count("\n") == 1
    taken.close()

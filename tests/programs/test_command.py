"""`headway run -- any command`, with real ones."""

import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest
from tests.emulator import Terminal
from tests.processes import eventually
from tests.programs.scene import PATIENCE, finish, headway_run, jobs, one_job, run, script, seen_live, start

import headway

pytestmark = pytest.mark.timeout(240)


def shell(text, *options):
    return headway_run(*options, "--", "sh", "-c", text)


def test_the_last_line_and_percentages_are_seen_live(store):
    text = "printf 'start\\n'; for i in 10 20 30; do printf '\\r%s%% of it' $i; sleep 0.5; done; sleep 600"
    process = start(shell(text), store)
    live = seen_live(store, lambda job: job.percent == 30)
    assert (live.name, live.activity, live.count, live.total) == ("sh", "30% of it", 30, 100)
    process.terminate()
    finish(process)


def test_the_terminals_own_sequence_moves_the_bar(store):
    process = start(shell("printf '\\033]9;4;1;62\\007working\\n'; sleep 600"), store)
    live = seen_live(store, lambda job: job.percent == 62)
    assert live.activity == "working"
    process.terminate()
    finish(process)


ENDS = {
    "true": (0, "completed", None),
    "exit 3": (3, "failed", "exit status 3"),
    "kill -9 $$": (-9, "failed", "killed by SIGKILL"),
    "kill -11 $$": (-11, "failed", "killed by SIGSEGV"),
    "kill -6 $$": (-6, "failed", "killed by SIGABRT"),
    "kill -15 $$": (-15, "stopped", None),
    "kill -1 $$": (-1, "stopped", None),
    "kill -2 $$": (-2, "stopped", None),
}


@pytest.mark.parametrize("text", ENDS)
def test_the_commands_fate_is_ours_and_the_job_says_what_happened(text, store):
    status, end, why = ENDS[text]
    assert run(shell(text), store)[0] == status
    job = one_job(store)
    assert (job.status, job.error and job.error.text) == (end, why)


def test_a_command_that_does_not_exist_or_cannot_be_executed_is_a_failed_job(store, tmp_path):
    (tmp_path / "plain").write_text("true")
    missing = run(headway_run("--", "no-such-command-anywhere"), store)
    plain = run(headway_run("--", tmp_path / "plain"), store)
    folder = run(headway_run("--", tmp_path), store)
    assert (missing[0], plain[0], folder[0]) == (127, 126, 126)
    assert b"there is no such command" in missing[2]
    for job in jobs(store):
        error = headway.connect(store).get(job.id, details=True).error
        assert job.status == "failed"
        assert "no such command" in error.text or "cannot be executed" in error.text


def test_a_script_without_a_first_line_runs_as_shells_run_it(store, tmp_path):
    path = tmp_path / "run"
    path.write_text("echo $1; exit 7\n")
    path.chmod(0o755)
    assert run(headway_run("--", path, "given"), store)[:2] == (7, b"given\n")


def test_output_and_input_pass_unchanged_binary_as_well(store, tmp_path):
    data = os.urandom(300_000) + b"\r\n\x00\xff\x1b[31m"
    (tmp_path / "in").write_bytes(data)
    with (tmp_path / "in").open("rb") as source:
        status, out, errors = run(shell("tee /dev/stderr"), store, stdin=source)
    assert (status, out, errors) == (0, data, data)


def test_one_stream_for_output_and_errors_keeps_their_order(store):
    import subprocess

    text = "for i in 1 2 3 4 5; do echo out $i; echo error $i >&2; done"
    _, out, _ = run(shell(text), store, stderr=subprocess.STDOUT)
    assert out.decode().split("\n")[:-1] == [f"{word} {i}" for i in range(1, 6) for word in ("out", "error")]


def test_arguments_that_look_like_ours_are_the_commands(store):
    status, out, _ = run(headway_run("--name", "N", "echo", "--name", "x", "--", "-m"), store)
    assert (status, out) == (0, b"--name x -- -m\n")
    assert one_job(store).name == "N"


@pytest.mark.parametrize("last", [0, 9])
def test_cancelling_terminates_the_command(last, store):
    process = start(
        shell(f"trap 'echo bye; exit {last}' TERM; echo up; while :; do sleep 0.05; done", "--id", "c"), store
    )
    assert process.stdout.readline() == b"up\n"
    assert headway.connect(store).cancel("c")
    status, out, _ = finish(process)
    assert (status, out) == (last, b"bye\n")
    assert one_job(store).status == "cancelled"


def test_one_that_does_not_listen_is_killed_after_the_grace_time(store):
    process = start(
        shell("trap '' TERM; echo up; while :; do sleep 0.05; done", "--id", "d", "--grace", "0.5"), store
    )
    assert process.stdout.readline() == b"up\n"
    began = time.monotonic()
    assert headway.connect(store).cancel("d")
    assert finish(process)[0] == -signal.SIGKILL
    assert time.monotonic() - began >= 0.5
    assert one_job(store).status == "cancelled"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGINT])
def test_signals_are_passed_on(number, store):
    text = f"trap 'echo got; exit 5' {number.name[3:]}; echo up; while :; do sleep 0.05; done"
    process = start(shell(text), store, start_new_session=True)
    assert process.stdout.readline() == b"up\n"
    process.send_signal(number)
    assert finish(process)[:2] == (5, b"got\n")


def test_in_a_terminal_the_command_has_a_terminal_of_the_same_size(store):
    size = "import os; print(os.get_terminal_size(1))"
    text = f"test -t 0 && test -t 1 && test -t 2 && stty size </dev/tty; {sys.executable} -c '{size}'"
    with Terminal(*shell(text), width=77, height=21, HEADWAY_STORE=store) as terminal:
        assert terminal.ended() == 0, terminal.text
        assert "21 77" in terminal.text
        assert "columns=77, lines=21" in terminal.text
    assert one_job(store).status == "completed"


def test_a_terminal_shows_a_commands_output_character_by_character(store):
    text = "printf 'a\\tb\\r\\n'; printf '\\033[31mred\\033[0m\\n' >&2; printf 'no end'"
    written = []
    for words in (("sh", "-c", text), shell(text)):
        with Terminal(*words, HEADWAY_STORE=store) as terminal:
            assert terminal.ended() == 0
            written.append(terminal.written)
    assert written[0] == written[1]


def test_ctrl_c_reaches_the_command_once_and_stops_the_job(store):
    with Terminal(*shell("echo ready; sleep 600"), HEADWAY_STORE=store) as terminal:
        terminal.until("ready")
        terminal.type(b"\x03")
        assert terminal.ended() == -signal.SIGINT
    assert one_job(store).status == "stopped"


def test_what_reads_us_may_leave_as_it_may_without_us(store):
    process = start(headway_run("--", "yes"), store)
    assert process.stdout.read(2) == b"y\n"
    process.stdout.close()
    process.stdout = None
    status, _, _ = finish(process)
    assert status == -signal.SIGPIPE
    assert one_job(store).error.text == "killed by SIGPIPE"


def test_what_a_command_leaves_running_is_not_waited_for(store):
    process = start(shell("sleep 600 & echo $!"), store)
    left = int(process.stdout.readline())
    assert process.wait(timeout=PATIENCE) == 0
    os.kill(left, signal.SIGKILL)
    finish(process)


FLOODS = {
    "without line ends for ever": "import sys\nwhile True: sys.stdout.write('x' * 65536)",
    "escape codes for ever": "import sys\nwhile True: sys.stdout.write('\\x1b[31m\\x1b]0;t' * 9000)",
    "lines for ever": "import sys\nwhile True: sys.stdout.write('line 12%\\n' * 9000)",
}


@pytest.mark.parametrize("flood", FLOODS)
def test_memory_stays_flat_whatever_is_printed(flood, store, tmp_path):
    path = script(tmp_path, FLOODS[flood])
    with Path(os.devnull).open("wb") as nowhere:
        process = start(headway_run("--id", "f", "--", sys.executable, path), store, stdout=nowhere)
        seen_live(store, lambda job: job.status == "running")
        ours = psutil.Process(process.pid)
        time.sleep(1)
        before, written = ours.memory_info().rss, ours.io_counters().write_chars
        eventually(lambda: ours.io_counters().write_chars - written > 300_000_000, PATIENCE)
        assert ours.memory_info().rss - before < 8_000_000
        assert headway.connect(store).cancel("f")
        assert finish(process)[0] == -signal.SIGTERM
    assert one_job(store).status == "cancelled"

"""`headway pipe < in > out`."""

import os
import signal
import subprocess

import pytest
from tests.emulator import headway as command
from tests.programs.scene import finish, one_job, run, seen_live, start

import headway

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "in"
    path.write_bytes(os.urandom(700_000))
    return path


def test_a_files_size_is_the_total_and_what_flows_is_unchanged(store, data):
    with data.open("rb") as source:
        status, out, errors = run(command("pipe"), store, stdin=source)
    assert (status, out, errors) == (0, data.read_bytes(), b"")
    job = one_job(store)
    assert (job.status, job.count, job.total, job.unit) == ("completed", 700_000, 700_000, "B")


def test_of_a_file_that_is_read_on_the_rest_is_the_total(store, data):
    with data.open("rb") as source:
        os.lseek(source.fileno(), 100_000, os.SEEK_SET)
        _, out, _ = run(command("pipe"), store, stdin=source)
    assert len(out) == one_job(store).total == 600_000


def test_lines_are_counted_with_a_size_that_was_given(store):
    process = start(command("pipe", "--lines", "--size", "4", "--name", "Rows"), store, stdin=subprocess.PIPE)
    process.stdin.write(b"one\ntwo\nthree")
    process.stdin.flush()
    live = seen_live(store, lambda job: job.count == 2)
    assert (live.name, live.total, live.unit, live.percent) == ("Rows", 4, "lines", 50)
    out, _ = process.communicate(b"\nfour\n", timeout=60)
    assert out == b"one\ntwo\nthree\nfour\n"
    assert one_job(store).status == "completed"


def test_a_cancel_stops_the_flow(store):
    process = start(command("pipe", "--id", "p"), store, stdin=subprocess.PIPE)
    process.stdin.write(b"x")
    process.stdin.flush()
    seen_live(store, lambda job: job.count == 1)
    assert headway.connect(store).cancel("p")
    process.wait(timeout=60)  # its input is still open
    status, _, errors = finish(process)
    assert (status, b"was cancelled" in errors) == (1, True)
    assert one_job(store).status == "cancelled"


def test_nobody_who_reads_on_stops_the_job(store):
    process = start(["sh", "-c", f"yes | {' '.join(command('pipe'))} | head -1"], store)
    assert finish(process)[:2] == (0, b"y\n")
    assert one_job(store).status == "stopped"


def test_ctrl_c_stops_it(store):
    process = start(command("pipe"), store, stdin=subprocess.PIPE)
    seen_live(store, lambda job: job.status == "running")
    process.send_signal(signal.SIGINT)
    assert finish(process)[0] == 130
    assert one_job(store).status == "stopped"


def test_what_cannot_be_read_is_a_failure(store, tmp_path):
    with (tmp_path / "write only").open("wb") as source:
        status, _, errors = run(command("pipe"), store, stdin=source)
    assert (status, b"cannot be copied" in errors) == (1, True)
    assert one_job(store).status == "failed"

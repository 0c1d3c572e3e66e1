import lzma
import os
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from tests.emulator import PATIENCE, Terminal
from tests.emulator import headway as command

from headway import cli, demo
from headway.demo import File

pytestmark = [pytest.mark.timeout(180), pytest.mark.skipif(os.name != "posix", reason="signals")]


@pytest.fixture
def url(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path / 'state' / 'jobs.db'}"
    monkeypatch.setenv("HEADWAY_STORE", url)
    return url


@pytest.fixture
def folder(tmp_path):
    """Some files, two of them awkward, and what is no file."""
    folder = tmp_path / "some files"
    (folder / "below").mkdir(parents=True)
    (folder / "a.txt").write_text("to be or not to be " * 5_000)
    (folder / "below" / "empty").touch()
    (folder / os.fsdecode(b"below/\xff\x1b[2J\xe9.bin")).write_bytes(os.urandom(10_000))
    (folder / "loop").symlink_to(folder)
    (folder / "link").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe")
    return folder


@pytest.fixture
def large(tmp_path):
    """What takes longer than any test wants to wait."""
    folder = tmp_path / "large"
    folder.mkdir()
    (folder / "one file").write_bytes(os.urandom(4_000_000) * 25)
    return folder


def run(*arguments, **variables):
    return subprocess.run(
        command("demo", *arguments),
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"} | variables,
    )


def measured(hw, folder, seconds=60.0):
    """The worker's part, here."""
    with hw.job(id="here", **demo.options(folder)) as job:
        job.complete(demo.measure(job, folder, seconds))
    return hw.get("here", details=True)


def only_job(hw):
    (job,) = hw.find()
    return hw.get(job.id, details=True)


# What is measured


def test_every_regular_file_is_measured_and_nothing_else(hw, folder):
    job = measured(hw, folder)
    assert job.status == "completed"
    assert job.failed_count == 0
    assert [(stage.name, stage.count, stage.total, stage.unit) for stage in job.stages] == [
        ("Find files", 3, None, "files"),
        ("Compress", 105_000, 105_000, "B"),
    ]
    result = job.result
    assert (result["files"], result["bytes_before"]) == (3, 105_000)
    assert 10_000 < result["bytes_after"] < 12_000


def test_a_file_comes_out_as_small_as_xz_makes_it(hw, folder):
    text = (folder / "a.txt").read_bytes()
    for path in (folder / "below").iterdir():
        path.unlink()
    result = measured(hw, folder).result
    by_xz = len(lzma.compress(text, format=lzma.FORMAT_XZ, preset=result["level"]))
    assert abs(result["bytes_after"] - by_xz) < 100


def test_an_empty_folder_is_measured_too(hw, tmp_path):
    (tmp_path / "nothing").mkdir()
    job = measured(hw, tmp_path / "nothing")
    assert demo.summary(job.result) == ["0 files, 0 B, 0 B under xz"]


def test_what_cannot_be_read_is_a_failed_item_with_a_message(hw, folder, monkeypatch):
    readable = demo.opened

    def refusing(file):
        if file.path.endswith("a.txt"):
            raise PermissionError(13, "Permission denied", file.path)
        return readable(file)

    monkeypatch.setattr(demo, "opened", refusing)
    job = measured(hw, folder)
    assert job.status == "completed"
    assert job.failed_count == 1
    assert [(m.level, m.text) for m in job.messages] == [("warning", "cannot read a.txt: Permission denied")]
    assert job.stages[1].count == job.stages[1].total == 105_000


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_folder_that_may_not_be_listed_is_a_failed_item(hw, folder):
    (folder / "below").chmod(0)
    assert measured(hw, folder).failed_count == 1


def test_a_file_that_became_something_else_is_not_opened(folder):
    for name in ("pipe", "link"):
        with pytest.raises(OSError):
            demo.opened(File(str(folder / name), 10))


def test_a_file_that_vanished_shrank_or_grew_leaves_the_count_exact(hw, folder, monkeypatch):
    plan = demo.planned

    def meanwhile(found, seconds):
        (folder / "a.txt").write_bytes(b"short")
        (folder / "below" / "empty").write_bytes(b"not empty any longer")
        return plan(found, seconds)

    monkeypatch.setattr(demo, "planned", meanwhile)
    job = measured(hw, folder)
    assert job.stages[1].count == job.stages[1].total == 105_000


def test_the_best_level_is_taken_that_is_quick_enough(folder, monkeypatch):
    found = [File(str(folder / "a.txt"), 1_000_000)] * 100
    monkeypatch.setattr(demo, "_pace", lambda _sample, level: level / 1e7)
    assert demo.planned(found, 100.0) == (6, found)
    assert demo.planned(found, 40.0) == (3, found)
    assert demo.planned(found, 10.0) == (1, found)


def test_a_share_is_even_fits_the_time_and_is_owned_up_to(monkeypatch):
    found = [File(f"/{n}", n * 1_000) for n in range(1_000)]
    monkeypatch.setattr(demo, "_pace", lambda *_: 1e-6)
    plan = demo.planned(found, 100.0)
    assert plan.level == 1
    assert 190 <= len(plan.files) <= 210
    before = sum(file.size for file in plan.files)
    assert before == pytest.approx(499_500_000 / 5, rel=0.01)
    said = demo.summary(
        {
            "files": len(plan.files),
            "bytes_before": before,
            "bytes_after": before // 2,
            "files_found": 1_000,
            "bytes_found": 499_500_000,
            "level": 1,
        },
        failed=2,
    )
    assert "1,000 files, 500 MB" in said[1]
    assert said[2] == "2 items could not be read."


# What one sees


def test_the_demo_runs_to_its_end_and_says_what_to_type_next(hw, folder):
    done = run(folder)
    assert done.returncode == 0, done.stderr
    job = only_job(hw)
    assert "some files under xz  completed, 100%" in done.stdout
    assert "3 files, 105 kB, 1" in done.stdout
    assert "\x1b" not in done.stdout
    *_, heading, to_list, to_watch = done.stdout.splitlines()
    assert heading == "Type next:"
    elsewhere = {name: value for name, value in os.environ.items() if name != "HEADWAY_STORE"}
    for line in (to_list, to_watch):
        pasted = subprocess.run(
            ["bash", "-c", line],
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=PATIENCE,
            env=elsewhere,
        )
        assert pasted.returncode == 0, pasted.stderr
        assert "some files under xz" in pasted.stdout
    assert job.id in to_watch


def test_the_default_is_pythons_own_library():
    assert (demo.standard_library() / "os.py").exists()


@pytest.mark.parametrize("path", ["/nowhere", __file__])
def test_a_path_that_is_no_folder_is_an_error_before_anything_starts(hw, path):
    done = run(path)
    assert done.returncode == 2
    assert path in done.stderr
    assert len(hw.find()) == 0


def test_a_store_in_memory_is_refused_as_nobody_else_would_see_it(folder):
    done = run(folder, "--store", "memory://")
    assert done.returncode == 4
    assert "one process only" in done.stderr


def the_job(text):
    return next((line for line in text.splitlines() if " under xz" in line), "")


def test_within_a_large_file_progress_moves_and_ctrl_c_stops_the_job(hw, large):
    with Terminal(*command("demo", large, "--seconds", "100")) as screen:
        screen.until(lambda text: "one file" in text and "/100 MB" in text)
        screen.until(lambda text: any(f" {n}%" in the_job(text) for n in range(2, 100)))
        screen.type(b"\x03")
        asked = time.monotonic()
        screen.until("cancelled")
        assert time.monotonic() - asked < 10
        assert screen.ended() == 2
        assert "Type next:" in screen.text
        assert "Traceback" not in screen.text
    assert only_job(hw).status == "cancelled"


def test_a_second_ctrl_c_leaves_at_once_and_the_job_stops_by_itself(hw, large):
    with Terminal(*command("demo", large, "--seconds", "100")) as screen:
        screen.until("one file")
        worker = int(only_job(hw).worker.rpartition(":")[2])
        os.kill(worker, signal.SIGSTOP)
        screen.type(b"\x03")
        screen.until("Asked to stop.")
        screen.type(b"\x03")
        assert screen.ended() == 130
        assert "Traceback" not in screen.text
        os.kill(worker, signal.SIGCONT)
    deadline = time.monotonic() + PATIENCE
    while not only_job(hw).ended:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert only_job(hw).status == "cancelled"


def test_when_the_worker_is_killed_the_terminal_says_so_and_ends(hw, large):
    with Terminal(*command("demo", large, "--seconds", "100"), width=60) as screen:
        screen.until("one file")
        os.kill(int(only_job(hw).worker.rpartition(":")[2]), signal.SIGKILL)
        screen.until("nothing heard for 8 s")
        screen.until("nothing heard for 12 s")
        assert screen.ended() == 3
        assert "stalled" in screen.text
        assert "was killed by SIGKILL without an end of its job" in " ".join(screen.text.split())
        assert "Type next:" in screen.text


def test_a_worker_that_cannot_start_is_not_waited_for(hw, folder, monkeypatch):
    start = subprocess.Popen

    def dying(command, **options):
        return start([sys.executable, "-c", "import sys; sys.exit('no such \\33[2J thing')"], **options)

    monkeypatch.setattr(subprocess, "Popen", dying)
    done = CliRunner().invoke(cli.command, ["demo", str(folder)])
    assert done.exit_code == 3
    assert "the worker process exited with 1 without an end of its job" in done.stderr
    assert "it said: no such �[2J thing" in done.stderr
    assert only_job(hw).status == "cancelled"


def test_without_xz_the_demo_says_so(store, folder, monkeypatch):
    monkeypatch.setattr(demo, "possible", lambda: False)
    done = CliRunner().invoke(cli.command, ["demo", str(folder)])
    assert done.exit_code == 1
    assert "built without xz" in done.stderr

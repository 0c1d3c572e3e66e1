"""What can be tried of Windows elsewhere: an interpreter without what only POSIX has, and that says so."""

import subprocess
import sys
from pathlib import PureWindowsPath

import pytest
from tests.programs.scene import finish, jobs, one_job, script, start

from headway.programs.command import STOPPED_BY_CTRL_C, fate, leave_as
from headway.stores import files, sqlite

pytestmark = pytest.mark.timeout(240)

ELSEWHERE = """
import os, select, shutil, signal, subprocess, sys, types
import asyncio, click, multiprocessing.util, pathlib, platformdirs, psycopg, sqlite3
import rich.console, rich.progress, tqdm.auto
for name in ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"):
    sys.modules[name] = None
gone = {
    os: "fork forkpty getuid geteuid getpgrp killpg openpty register_at_fork setsid sysconf tcgetpgrp uname",
    signal: "SIGHUP SIGKILL SIGQUIT SIGUSR1 SIGUSR2 SIGWINCH SIGPIPE SIGSTOP SIGCONT SIGCHLD setitimer",
    select: "poll epoll",
}
for module, names in gone.items():
    for name in names.split():
        delattr(module, name)
def no_select(*_):
    raise OSError(10038, "not a socket")
select.select = no_select
shutil._winapi = types.SimpleNamespace(NeedCurrentDirectoryForExePath=lambda _: True)
sys.platform = "win32"
"""


def elsewhere(text, store, *arguments, **options):
    return start([sys.executable, "-c", ELSEWHERE + text, *map(str, arguments)], store, **options)


COMMAND = "from headway.__main__ import main; sys.exit(main())"


def command(store, *arguments, **options):
    return elsewhere(COMMAND, store, *arguments, **options)


def test_every_module_that_needs_no_framework_can_be_imported(store):
    status, out, errors = finish(
        elsewhere(
            """
import importlib, pkgutil, headway
others = ("headway.web.", "headway.queues.", "headway.testing.")
for found in pkgutil.walk_packages(headway.__path__, "headway."):
    if not found.name.startswith(others):
        importlib.import_module(found.name)
print("all")
""",
            store,
        )
    )
    assert (status, out) == (0, b"all\n"), errors.decode()


@pytest.mark.parametrize("kind", ["sqlite", "file"])
def test_a_store_in_files_keeps_a_job_and_the_terminal_lists_it(kind, tmp_path):
    url = f"{kind}:///{tmp_path}/kept"
    text = 'import headway\nfor x in headway.track(range(3), "Import"): pass\n'
    status, _, errors = finish(elsewhere(text, url))
    assert status == 0, errors.decode()
    assert (one_job(url).status, one_job(url).count) == ("completed", 3)
    status, out, errors = finish(command(url, "list"))
    assert (status, b"Import" in out) == (0, True), errors.decode()


def test_a_program_is_run_and_its_bars_are_stages(store, tmp_path):
    path = script(tmp_path, "import sys, tqdm\nfor x in tqdm.tqdm(range(5)): pass\nsys.exit(3)")
    assert finish(command(store, "run", path))[0] == 3
    assert (one_job(store).status, one_job(store).count) == ("failed", 5)


def test_a_commands_output_passes_through_a_pipe(store, tmp_path):
    status, out, errors = finish(command(store, "run", "--", sys.executable, "-c", "print('half', '50%')"))
    assert (status, out.split()) == (0, [b"half", b"50%"]), errors.decode()
    assert (one_job(store).status, one_job(store).activity) == ("completed", "half 50%")
    assert finish(command(store, "run", "--", "no-such-command-anywhere"))[0] == 127
    (tmp_path / "plain").write_text("no program")
    (tmp_path / "plain").chmod(0o755)
    assert finish(command(store, "run", "--", tmp_path / "plain"))[0] == 126
    assert [job.status for job in jobs(store)] == ["completed", "failed", "failed"]


def test_a_pipe_is_counted_without_being_waited_for(store):
    process = command(store, "pipe", stdin=subprocess.PIPE)
    assert process.communicate(b"one\ntwo\n", timeout=60)[0] == b"one\ntwo\n"
    assert (process.returncode, one_job(store).count) == (0, 8)


def test_ctrl_c_is_told_by_an_exit_status():
    assert fate(STOPPED_BY_CTRL_C, asked=False) == ("stopped", "")
    assert fate(STOPPED_BY_CTRL_C, asked=True) == ("cancelled", "")
    with pytest.raises(SystemExit) as left:
        leave_as(STOPPED_BY_CTRL_C)
    assert left.value.code & 0xFFFFFFFF == STOPPED_BY_CTRL_C


def test_a_program_is_asked_to_stop_by_an_imitated_ctrl_c(store):
    text = """
from headway.programs.program import _ask_to_stop
import threading
threading.Timer(0.2, _ask_to_stop, ["SIGINT"]).start()
try:
    for _ in range(600):
        import time; time.sleep(0.05)
except KeyboardInterrupt:
    print("interrupted")
"""
    assert finish(elsewhere(text, store))[1] == b"interrupted\n"


class There(PureWindowsPath):
    """A path of Windows, already absolute."""

    def expanduser(self):
        return self

    def absolute(self):
        return self


PATHS = {
    r"C:\app\jobs": ("sqlite:///C:/app/jobs", "file:///C:/app/jobs"),
    r"D:\my jobs\50%#é": ("sqlite:///D:/my jobs/50%25%23%C3%A9", "file:///D:/my jobs/50%25%23%C3%A9"),
    r"\\server\share\jobs": ("sqlite://///server/share/jobs", "file:////server/share/jobs"),
}


@pytest.mark.parametrize("path", PATHS)
def test_a_url_names_a_path_with_a_drive_or_a_server_and_the_path_the_url(path, monkeypatch):
    for module, url in zip((sqlite, files), PATHS[path], strict=True):
        monkeypatch.setattr(module, "Path", There)
        monkeypatch.setattr(sys, "platform", "win32")
        assert module.url_of(There(path)) == url
        assert str(module.path_of(url)) == path

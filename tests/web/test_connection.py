"""Clients of WSGI servers that stop reading, or leave: each holds a thread, and soon lets go of it."""

import socket

import pytest
from tests.processes import eventually
from tests.servers.web import web_server

import headway
from headway.testing.web_client import Client
from headway.web.connection import Connection

SERVERS = {"gunicorn-gthread": "wsgi", "gunicorn-gevent": "wsgi", "waitress": "wsgi", "flask": "flask"}
"""Those that show their connections, and the door that each serves."""
ASK = b"GET /progress/events?id=%b HTTP/1.1\r\nHost: x\r\nX-User: ann\r\n\r\n"


@pytest.fixture(scope="module", params=SERVERS)
def site(request, tmp_path_factory):
    """A server with room for one stream, which waits a second for its reader; and the verbs."""
    store = f"sqlite:///{tmp_path_factory.mktemp('site') / 'jobs.db'}"
    hw = headway.connect(store, pace=headway.Pace(seconds=0.05))
    with web_server(request.param, SERVERS[request.param], store, STREAMS="1", PATIENCE="1") as server:
        yield server, hw
    hw.close()


def begun(server, job):
    """A stream of which its client has read the first event; None where there was no room."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    line.connect(("127.0.0.1", server.port))
    line.sendall(ASK % job.id.encode())
    read = b""
    while b"event: " not in read:
        read += line.recv(100)
    if b"event: job" in read:
        return line
    line.close()
    return None


def there_is_room(who, job):
    with who.stream(f"id={job.id}") as stream:
        return next(iter(stream)).name == "job"


def test_a_client_that_stops_reading_makes_room_for_others(site):
    server, hw = site
    ann = Client(server.url, "ann")
    with hw.job("Import", scope="user/ann", total=10**6) as job, eventually(lambda: begun(server, job)):
        assert not there_is_room(ann, job)

        def room_after_news():
            job.advance(activity=f"{job.count} {'x' * 200}")
            assert ann.ask(f"jobs/{job.id}").status == 200
            return there_is_room(ann, job)

        eventually(room_after_news, seconds=30)


def test_a_client_that_leaves_makes_room_before_anything_is_sent_to_it(site):
    server, hw = site
    ann = Client(server.url, "ann")
    with hw.job("Import", scope="user/ann") as job:
        with eventually(lambda: begun(server, job)):
            assert not there_is_room(ann, job)
        eventually(lambda: there_is_room(ann, job), seconds=5)  # it says that it is alive after 10


def test_what_a_connection_was_told_holds_again_afterwards():
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as client:
        client.connect(listening.getsockname())
        with listening.accept()[0] as line:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 7_000)
            connection = Connection(line)
            connection.hold()
            assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
            connection.release()
            assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 7_000
        assert connection.gone


def test_a_connection_that_is_not_tcp_is_left_as_it_is():
    line, client = socket.socketpair()
    with line:
        connection = Connection(line)
        connection.hold()
        assert not connection.gone
        client.close()
        assert connection.gone
        connection.release()

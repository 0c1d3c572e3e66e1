"""Many streams on one listener, and what goes wrong with them."""

import socket
import time
from contextlib import ExitStack

import msgspec
import psutil
import pytest
from tests.processes import eventually, start
from tests.servers.web import web_server

import headway
from headway.testing.web_client import Client

UNREAD = b"GET /progress/events?id=%b HTTP/1.1\r\nHost: x\r\nX-User: crowd\r\n\r\n"


def streams_of(door):
    return sum(len(loop.broadcast.streams) for loop in door._loops.values())


def test_a_client_that_leaves_is_let_go(serve, worker):
    door, who = serve()
    with worker.job("Import", scope="user/ann") as job:
        with who("ann").stream(f"id={job.id}") as stream:
            stream.until(status="running")
            assert streams_of(door) == 1
        eventually(lambda: streams_of(door) == 0)
        hub = door.door.hub
        eventually(lambda: not hub._running)


def test_many_watchers_cost_one_read_a_change(serve, worker, store):
    _, who = serve()
    with worker.job("Import", scope="user/ann", total=10) as job, ExitStack() as stack:
        streams = [stack.enter_context(who("ann").stream(f"id={job.id}")) for _ in range(60)]
        for stream in streams:
            stream.until(status="running")
        before = store.calls.count("read")
        job.advance(5)
        for stream in streams:
            stream.until(count=5)
        assert store.calls.count("read") - before <= 4


def test_a_storm_of_clients_that_come_back_reads_each_job_a_few_times(serve, worker, store):
    _, who = serve()
    jobs = [worker.reserve("Import", scope="user/ann").id for _ in range(20)]
    with ExitStack() as stack:
        before = store.calls.count("read")
        for number in range(200):
            stream = stack.enter_context(who("ann").stream(f"id={jobs[number % 20]}"))
            stream.until(status="pending")
        assert store.calls.count("read") - before <= 60


def test_a_silent_stream_says_that_it_is_alive(serve, worker):
    _, who = serve(heartbeat=0.3)
    job = worker.reserve("Import", scope="user/ann")
    with who("ann").stream(f"id={job.id}") as stream:
        stream.until(status="pending")
        assert [stream._answer.readline() for _ in range(4)] == [b": alive\n", b"\n"] * 2


def test_an_old_stream_ends_and_the_client_comes_back(serve, worker):
    _, who = serve(lifetime=0.5)
    job = worker.reserve("Import", scope="user/ann")
    with who("ann").stream(f"id={job.id}") as stream:
        bye = stream.named("bye")
        assert (bye.json["reason"], bye.id) == ("later", None)


def test_who_is_put_off_holds_no_connection(serve):
    _, who = serve(streams=0)
    with who("ann").stream("id=one") as stream:
        assert stream.named("bye").json["reason"] == "full"
        assert stream.headers["connection"] == "close"


def test_a_worker_that_falls_silent_shows_and_so_does_its_return(serve, store):
    import signal

    _, who = serve()
    process = start("""
    with hw.job("Import", id="one", scope="user/ann", lease=1) as job:
        sys.stdin.read()
    """, store.url, stdin=-1)  # fmt: skip
    try:
        with who("ann").stream("id=one") as stream:
            stream.until(status="running")
            process.send_signal(signal.SIGSTOP)
            stream.until(status="stalled")
            process.send_signal(signal.SIGCONT)
            stream.until(status="running")
            process.stdin.close()
            stream.until(status="completed")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def test_a_store_that_is_away_costs_time_and_never_the_truth(serve, worker, store):
    _, who = serve(heartbeat=0.3)
    job = worker.job("Import", scope="user/ann", total=10).start()
    with who("ann").stream(f"id={job.id}") as stream:
        stream.until(status="running")
        store.failing = True
        reply = who("ann").ask(f"jobs/{job.id}")
        assert (reply.status, reply.json["type"]) == (503, "urn:headway:store-unavailable")
        assert int(reply.headers["retry-after"]) >= 1
        with who("ann").stream("id=another") as other:
            assert other.status == 200
            assert other.named("bye").json["reason"] == "later"
        assert stream._answer.readline() == b": alive\n"
        job.complete()
        store.failing = False
        stream.until(status="completed")


def test_a_hanging_store_holds_up_nobody_but_who_asks(serve, worker, store):
    _, who = serve(heartbeat=0.3)
    with worker.job("Import", scope="user/ann") as job, who("ann").stream(f"id={job.id}") as stream:
        stream.until(status="running")
        store.hanging = True
        assert stream._answer.readline() == b": alive\n"
        assert who().ask("openapi.json").status == 200
        assert who("ann").ask(f"jobs/{job.id}").status == 503
        store.hanging = False


def test_notices_that_never_come_are_made_up_for(serve, worker, store, monkeypatch):
    """F17: the subscription is deaf, and the sweep finds what changed."""
    monkeypatch.setattr("headway.live.SWEEP", 0.3)
    real = store.listen

    def deaf():
        subscription = real()
        subscription.wait = lambda timeout: time.sleep(timeout) or set()
        return subscription

    monkeypatch.setattr(store, "listen", deaf)
    _, who = serve()
    job = worker.job("Import", scope="user/ann", total=10).start()
    with who("ann").stream(f"id={job.id}") as stream:
        stream.until(status="running")
        job.advance(5)
        stream.until(count=5)
        job.complete()
        stream.until(status="completed")


def test_a_client_that_does_not_read_is_given_up(serve, worker, monkeypatch):
    monkeypatch.setattr("headway.web.asgi.PATIENCE", 0.5)
    door, who = serve()
    with worker.job("Import", scope="user/crowd") as job:
        host, port = who().host.split(":")
        with socket.create_connection((host, int(port))) as line:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            path = UNREAD.replace(b"/progress", b"") % job.id.encode()
            line.sendall(path)
            eventually(lambda: streams_of(door) == 1)
            deadline = time.monotonic() + 60
            (loop,) = door._loops.values()
            hot = worker.get(job.id)
            while streams_of(door) and time.monotonic() < deadline:
                hot = msgspec.structs.replace(
                    hot, version=hot.version + 1, activity="x" * 500, name="y" * 200
                )
                loop._loop.call_soon_threadsafe(loop.broadcast.learn, {job.id: hot})
                time.sleep(0.0005)
            assert streams_of(door) == 0


SERVERS = [
    ("uvicorn", "asgi", 500),
    ("hypercorn", "asgi", 500),
    ("hypercorn", "fastapi", 100),
    ("hypercorn", "django-asgi", 100),
    ("granian", "asgi", 500),
    ("granian", "django-asgi", 100),
    ("gunicorn-gevent", "wsgi", 500),
    ("gunicorn-gthread", "wsgi", 20),
]
CUT = [
    ("daphne", "asgi", 500),
    ("granian-wsgi", "wsgi", 10),
    ("waitress", "wsgi", 20),
    ("flask", "flask", 90),
    ("runserver", "django", 90),
]
"""These do not say that they are to stop: they end, or cut their streams."""
OPTIONS = {"granian-wsgi": ("--workers-kill-timeout", "3")}


@pytest.mark.parametrize(("server", "app", "many"), SERVERS + CUT)
def test_a_server_that_is_told_to_stop_is_not_held_up_by_streams(server, app, many, store):
    """F21."""
    hw = headway.connect(store.url)
    options, room = OPTIONS.get(server, ()), {"STREAMS": str(many), "PER_CLIENT": str(many)}
    with (
        web_server(server, app, store.url, *options, **room) as running,
        hw.job("Import", scope="user/crowd") as job,
        ExitStack() as stack,
    ):
        crowd = Client(running.url, "crowd")
        streams = [stack.enter_context(crowd.stream(f"id={job.id}")) for _ in range(many)]
        for stream in streams:
            stream.until(status="running")
        assert running.terminate() < 5
        if (server, app, many) in SERVERS:
            assert streams[0].named("bye").json["reason"] == "later"
    hw.close()


@pytest.mark.nightly
def test_clients_that_never_read_cost_no_memory_and_slow_nobody(tmp_path):
    """F19."""
    store = f"sqlite:///{tmp_path / 'jobs.db'}"
    hw = headway.connect(store, pace=headway.Pace(seconds=0.05))
    with (
        web_server("uvicorn", "asgi", store, PER_CLIENT="1000") as running,
        hw.job("Import", scope="user/crowd", total=10**6) as job,
        ExitStack() as stack,
    ):
        for _ in range(100):
            line = stack.enter_context(socket.create_connection(("127.0.0.1", running.port)))
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            line.sendall(UNREAD % job.id.encode())
        stream = stack.enter_context(Client(running.url, "crowd").stream(f"id={job.id}"))
        stream.until(status="running")
        process = psutil.Process(running.process.pid)
        before, late = process.memory_info().rss, []
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            job.advance()
            began, wanted = time.monotonic(), job.count
            while next(iter(stream)).json["count"] < wanted:
                pass
            late.append(time.monotonic() - began)
        assert process.memory_info().rss - before < 20 * 2**20
        assert sorted(late)[len(late) // 2] < 1.0
    hw.close()


@pytest.mark.nightly
def test_more_streams_than_granian_takes_in_leave_it_able_to_answer(tmp_path):
    """F23."""
    store = f"sqlite:///{tmp_path / 'jobs.db'}"
    hw = headway.connect(store)
    with (
        web_server("granian", "asgi", store, PER_CLIENT="2000") as running,
        hw.job("Import", scope="user/crowd") as job,
        ExitStack() as stack,
    ):
        crowd = Client(running.url, "crowd")
        reasons = []
        for _ in range(1_100):
            stream = stack.enter_context(crowd.stream(f"id={job.id}"))
            reasons.append(next(iter(stream)).name)
        assert reasons.count("job") == 900
        assert reasons.count("bye") == 200
        assert crowd.ask(f"jobs/{job.id}").status == 200
    hw.close()

"""What a process has open to a server."""

import os
import socket
import threading
import time
from contextlib import ExitStack

import pytest
from tests.processes import eventually

from headway.core.errors import InvalidValue, StoreUnavailable
from headway.stores import connections
from headway.stores.connections import Connections, split_options, without_secrets
from headway.threads import Bell


class Line:
    """A connection to nobody: two ends of a pair of sockets."""

    made = 0

    def __init__(self):
        Line.made += 1
        self.near, self.far = socket.socketpair()
        self.closed = False

    def close(self):
        self.closed = True
        self.near.close()
        self.far.close()

    def sockets(self):
        return [self.near.fileno()]


@pytest.fixture
def lines():
    Line.made = 0
    made = Connections(Line, "line://", limit=2)
    yield made
    made.close()


def test_a_connection_is_used_again(lines):
    with lines.borrow() as first:
        pass
    with lines.borrow() as second:
        assert second is first
    assert Line.made == 1


def test_two_calls_at_once_have_two_connections(lines):
    with lines.borrow() as first, lines.borrow() as second:
        assert first is not second


def test_a_connection_on_which_a_call_failed_is_never_used_again(lines):
    with pytest.raises(KeyError), lines.borrow() as broken:
        raise KeyError
    assert broken.closed
    with lines.borrow() as fresh:
        assert fresh is not broken


def test_a_connection_that_the_server_closed_is_replaced(lines):
    with lines.borrow() as first:
        pass
    first.far.close()
    with lines.borrow() as second:
        assert second is not first
    assert first.closed


def test_a_connection_with_an_answer_that_nobody_read_is_replaced(lines):
    with lines.borrow() as first:
        first.far.send(b"late")
    with lines.borrow() as second:
        assert second is not first


def test_a_call_waits_for_a_connection(lines):
    def work():
        for _ in range(20):
            with lines.borrow():
                time.sleep(0.001)

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert Line.made == 2


def test_a_call_that_waits_too_long_gets_a_clear_error(lines, monkeypatch):
    monkeypatch.setattr(connections, "PATIENCE", 0.1)
    with (
        lines.borrow(),
        lines.borrow(),
        pytest.raises(StoreUnavailable, match="all 2 connections"),
        lines.borrow(),
    ):
        pass
    with lines.borrow():
        pass


def test_callers_that_wait_are_served_in_the_order_in_which_they_came(lines):
    served = []

    def work(place):
        with lines.borrow():
            served.append(place)
            time.sleep(0.001)

    threads = [threading.Thread(target=work, args=[place]) for place in range(50)]
    with lines.borrow(), lines.borrow():
        for waiting, thread in enumerate(threads, start=1):
            thread.start()
            assert eventually(lambda waiting=waiting: len(lines._line) == waiting, 10)
    for thread in threads:
        thread.join(20)
    turns = [served.index(place) for place in range(50)]
    assert all(abs(turn - place) <= 1 for place, turn in enumerate(turns))  # two at once


def test_a_place_that_is_given_to_a_caller_just_as_it_gives_up_is_not_lost(lines, monkeypatch):
    others = ExitStack()
    others.enter_context(lines.borrow())
    others.enter_context(lines.borrow())

    def give_up_too_late(bell, timeout):
        others.close()
        return False

    with monkeypatch.context() as patch:
        patch.setattr(Bell, "wait_in_callers_thread", give_up_too_late)
        with pytest.raises(StoreUnavailable), lines.borrow():
            pass
    with lines.borrow(), lines.borrow():
        pass


def test_a_connection_that_cannot_be_made_leaves_its_place(monkeypatch):
    def refuse():
        raise ConnectionRefusedError

    made = Connections(refuse, "line://", limit=1)
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError), made.borrow():
            pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_closes_its_copies_and_the_parents_go_on(lines):
    with lines.borrow() as used, lines.borrow():
        pass
    near = used.near.fileno()
    pid = os.fork()
    if pid == 0:
        try:
            os.fstat(near)
        except OSError:
            with lines.borrow() as own:
                os._exit(0 if own is not used else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    with lines.borrow() as again:
        again.near.send(b"still here")
        assert again.far.recv(99) == b"still here"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis://:secret@host/0", "redis://:***@host/0"),
        ("postgresql://me:s@cret@a,b/db?sslmode=require", "postgresql://me:***@a,b/db?sslmode=require"),
        ("redis://host?password=secret&db=1", "redis://host?password=***&db=1"),
        (
            "redis+sentinel://me@host/main?sentinel_password=secret",
            "redis+sentinel://me@host/main?sentinel_password=***",
        ),
        ("redis://[half", "redis://…"),
        ("sqlite:////var/lib/app/jobs.db", "sqlite:////var/lib/app/jobs.db"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url, shown):
    assert without_secrets(url) == shown


def test_options_of_ours_are_taken_out_of_a_url():
    assert split_options("a://h/0?x=1&prefix=p&y=2", ["prefix"]) == ("a://h/0?x=1&y=2", {"prefix": "p"})
    assert split_options("a://h/0", ["prefix"]) == ("a://h/0", {})


def test_an_option_that_stands_there_twice_is_refused_without_telling_secrets():
    with pytest.raises(InvalidValue) as caught:
        split_options("a://u:secret@h/0?x=1&x=2", ["prefix"])
    assert "secret" not in str(caught.value)

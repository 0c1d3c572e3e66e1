"""Loops that count by themselves: nothing is lost, nothing is late, and nothing of ours runs per item."""

# ruff: noqa: PT012 - what is told to raise is a loop, with its body

import gc
import sys
import threading
import tracemalloc
from collections import deque
from itertools import islice, pairwise

import pytest

from headway.worker.loop import AsyncLoop, Loop

MARKS = (0, 1, 1023, 1024, 1025)
LENGTH = 3000
HUGE = range(2**70, 2**70 + LENGTH)


def generated(items):
    yield from items


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / "lines"
    path.write_text("".join(f"{number}\n" for number in range(LENGTH)))
    with path.open() as file:
        yield file


SOURCES = {
    "list": lambda: list(range(LENGTH)),
    "tuple": lambda: tuple(range(LENGTH)),
    "range": lambda: range(LENGTH),
    "range backwards": lambda: range(LENGTH, 0, -1),
    "huge range": lambda: HUGE,
    "generator": lambda: generated(range(LENGTH)),
    "dict": lambda: dict.fromkeys(range(LENGTH)),
    "dict values": lambda: dict.fromkeys(range(LENGTH), 7).values(),
    "set": lambda: set(range(LENGTH)),
    "deque": lambda: deque(range(LENGTH)),
    "map": lambda: map(str, range(LENGTH)),
    "text": lambda: "x" * LENGTH,
}


class Watched:
    """A loop, how it ended, and what it had done by then."""

    def __init__(self, iterable, weight=None):
        self.ends = []
        self.loop = Loop()
        self.loop.load = weight and sum(map(weight, iterable))
        self.items = self.loop.over(iterable, lambda _: None, self.end, weight)

    def end(self, how):
        self.ends.append((how, self.loop.completed()))
        if how == "cancelled":
            raise TimeoutError


@pytest.fixture(params=SOURCES.values(), ids=SOURCES.keys())
def source(request):
    return request.param


def test_all_items_come_in_order(source):
    watched = Watched(source())
    assert list(watched.items) == list(source())
    assert watched.ends == [("ran out", LENGTH)]


def test_the_position_is_exact_in_the_body(source):
    watched = Watched(source())
    for place, _ in enumerate(watched.items):
        if place in {*MARKS, LENGTH - 1}:
            assert watched.loop.completed() == place
    assert watched.loop.completed() == LENGTH


def test_the_lines_of_a_file_are_counted(lines):
    watched = Watched(lines)
    for place, line in enumerate(watched.items):
        assert line == f"{place}\n"
        if place in {*MARKS, LENGTH - 1}:
            assert watched.loop.completed() == place
    assert watched.ends == [("ran out", LENGTH)]


@pytest.mark.parametrize("place", [*MARKS, LENGTH - 1])
def test_a_break_is_seen_at_once(source, place):
    watched = Watched(source())
    for at, _ in enumerate(watched.items):
        if at == place:
            break
    watched.items = None
    assert watched.ends == [("left", place)]


def test_an_exception_in_the_body_is_seen(source):
    watched = Watched(source())
    items, watched.items = watched.items, None

    def work():
        for at, _ in enumerate(iterator.pop()):
            if at == 5:
                raise KeyError

    iterator = [items]
    del items
    with pytest.raises(KeyError):
        work()
    gc.collect()
    assert watched.ends == [("left", 5)]


def test_a_return_is_seen():
    watched = Watched([1, 2, 3])
    iterator = [watched.items]
    watched.items = None

    def work():
        for item in iterator.pop():
            if item == 2:
                return item
        return None

    assert work() == 2
    assert watched.ends == [("left", 1)]


def test_an_exception_of_the_source_goes_through():
    def source():
        yield from range(1500)
        raise KeyError

    watched = Watched(source())
    seen = []
    with pytest.raises(KeyError):
        seen.extend(watched.items)
    watched.items = None
    gc.collect()
    assert watched.ends == [("left", 1500)]


@pytest.mark.parametrize("empty", [[], (), range(0), {}, iter(()), generated(())])
def test_an_empty_source_runs_out(empty):
    watched = Watched(empty)
    assert list(watched.items) == []
    assert watched.ends == [("ran out", 0)]


def test_a_loop_that_is_never_begun_never_ends(source):
    watched = Watched(source())
    watched.items = None
    assert watched.ends == []


def test_it_goes_where_iterators_go():
    assert list(zip(Watched("ab").items, Watched(range(9)).items, strict=False)) == [("a", 0), ("b", 1)]
    first, *rest = Watched([1, 2, 3]).items
    assert (first, rest) == (1, [2, 3])
    assert [(a, b) for a in Watched([1, 2]).items for b in Watched("xy").items] == [
        (1, "x"), (1, "y"), (2, "x"), (2, "y"),
    ]  # fmt: skip
    assert sum(islice(Watched(range(100)).items, 4)) == 6


def test_a_list_may_grow_and_shrink_in_the_loop():
    items = list(range(10))
    watched = Watched(items)
    seen = []
    for item in watched.items:
        seen.append(item)
        if item < 5:
            items.append(item + 10)
    assert seen == [*range(10), *range(10, 15)]
    assert watched.ends == [("ran out", 15)]
    items = list(range(10))
    watched = Watched(items)
    for item in watched.items:
        assert watched.loop.completed() <= 10
        if item == 3:
            del items[6:]
    assert watched.ends == [("ran out", 6)]


def test_a_generator_is_closed_when_the_loop_is_left():
    closed = []

    def source():
        try:
            yield from range(10)
        finally:
            closed.append(True)

    watched = Watched(source())
    for _ in watched.items:
        break
    watched.items = None
    assert closed == [True]


def test_a_loop_that_has_ended_keeps_nothing_of_its_source():
    class Thing:
        pass

    alive = []
    things = [Thing() for _ in range(3)]

    from weakref import ref

    alive = [ref(thing) for thing in things]
    watched = Watched(things)
    for _ in watched.items:
        pass
    watched.items = None
    del things, _
    assert [one() for one in alive] == [None] * 3
    assert watched.loop.completed() == 3


def test_memory_is_bounded():
    watched = Watched(iter(range(200_000)))
    tracemalloc.start()
    try:
        for _ in watched.items:
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 * 1024


def calls_per_item(iterable, length):
    """How often Python code ran, by name of the function, in a loop of C over the items."""
    ran = []
    items = Watched(iterable).items
    gc.collect()  # loops of other tests end now, not below
    gc.disable()
    sys.setprofile(lambda frame, event, _: ran.append(frame.f_code.co_name) if event == "call" else None)
    try:
        deque(items, maxlen=0)
    finally:
        sys.setprofile(None)
        gc.enable()
    return {name: ran.count(name) for name in set(ran) if ran.count(name) > length / 500}


@pytest.mark.parametrize(
    "name", ["list", "tuple", "range", "huge range", "dict", "dict values", "set", "deque", "text"]
)
def test_no_python_code_runs_per_item(name):
    iterable = SOURCES[name]()
    assert calls_per_item(iterable, LENGTH) == {}


def test_around_a_generator_no_python_code_runs_but_its_own():
    def numbers():
        yield from range(LENGTH)

    assert calls_per_item(numbers(), LENGTH) == {"numbers": LENGTH + 1}


def test_around_an_iterator_that_may_be_slow_one_expression_runs():
    assert calls_per_item(iter(range(LENGTH)), LENGTH) == {"<genexpr>": LENGTH + 1}


@pytest.mark.parametrize("wrap", [generated, iter, lambda source: map(int, source)])
def test_while_the_source_is_slow_all_items_show_as_done(wrap):
    waiting, go_on = threading.Event(), threading.Event()

    def slow():
        yield from range(3)
        waiting.set()
        assert go_on.wait(10)
        yield 3

    watched = Watched(wrap(slow()))
    thread = threading.Thread(target=deque, args=(watched.items, 0))
    watched.items = None
    thread.start()
    assert waiting.wait(10)
    assert watched.loop.completed() == 3
    go_on.set()
    thread.join(10)
    assert watched.loop.completed() == 4


def test_items_may_weigh_differently():
    watched = Watched([1, 5, 10], weight=lambda item: item)
    seen = []
    seen += [(item, watched.loop.completed(), watched.loop.weighed) for item in watched.items]
    assert seen == [(1, 0, (0, 0)), (5, 1, (1, 1)), (10, 2, (2, 6))]
    assert watched.ends == [("ran out", 3)]
    assert watched.loop.weighed == (3, 16)


def test_a_weighed_loop_that_is_left_counts_what_was_done():
    watched = Watched([1, 5, 10], weight=lambda item: item)
    for item in watched.items:
        if item == 10:
            break
    watched.items = None
    assert watched.ends == [("left", 2)]
    assert watched.loop.weighed == (2, 6)


# Cancelling


def test_a_cancel_before_the_loop_begins_ends_it_at_once(source):
    watched = Watched(source())
    watched.loop.cancel()
    with pytest.raises(TimeoutError):
        next(watched.items)
    assert watched.ends == [("cancelled", 0)]


@pytest.mark.parametrize("place", MARKS)
def test_a_cancel_ends_the_loop_at_the_next_item(source, place):
    watched = Watched(source())
    seen = 0
    with pytest.raises(TimeoutError):
        for at, _ in enumerate(watched.items):
            seen += 1
            if at == place:
                thread = threading.Thread(target=watched.loop.cancel)
                thread.start()
                thread.join()
    assert seen == place + 1
    assert watched.ends == [("cancelled", place + 1)]


def test_a_weighed_loop_can_be_cancelled():
    watched = Watched([1, 5, 10], weight=lambda item: item)
    with pytest.raises(TimeoutError):
        for item in watched.items:
            if item == 5:
                watched.loop.cancel()
    assert watched.ends == [("cancelled", 2)]


def read(loop, seen, until):
    while not until.is_set():
        seen.append(loop.completed())


def test_readers_never_see_the_position_go_backwards_or_out_of_range(hasty):
    for make in (lambda: range(200_000), lambda: iter(range(200_000)), lambda: generated(range(200_000))):
        watched, done, seen = Watched(make()), threading.Event(), []
        reader = threading.Thread(target=read, args=(watched.loop, seen, done))
        reader.start()
        for _ in watched.items:
            pass
        done.set()
        reader.join()
        assert all(0 <= one <= 200_000 for one in seen)
        assert all(after - before >= -1 for before, after in pairwise(seen))
        assert watched.ends == [("ran out", 200_000)]


def test_every_cancel_at_a_random_moment_is_heard_and_no_item_is_out_of_order(hasty):
    for round_ in range(120):
        make = (lambda: range(10**8), lambda: iter(range(10**8)), lambda: generated(range(10**8)))[round_ % 3]
        watched, seen = Watched(make()), -1
        canceller = threading.Thread(target=watched.loop.cancel)
        canceller.start()
        with pytest.raises(TimeoutError):
            for item in watched.items:
                assert item == seen + 1
                seen = item
        canceller.join()
        ((how, count),) = watched.ends
        assert how == "cancelled"
        assert abs(count - (seen + 1)) <= 1


def test_a_cancel_against_the_end_never_spoils_the_count(hasty):
    for length in (1, 1024, 1025) * 100:
        watched = Watched(iter(range(length)))
        canceller = threading.Thread(target=watched.loop.cancel)
        canceller.start()
        try:
            for _ in watched.items:
                pass
        except TimeoutError:
            pass
        canceller.join()
        how, count = watched.ends[0]
        assert count == watched.loop.completed()
        assert how == "cancelled" or count == length


# Asynchronous loops


class Numbers:
    """An asynchronous iterator that is no generator."""

    def __init__(self, until, error=None):
        self.at, self.until, self.error = 0, until, error

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.at == self.until:
            raise self.error or StopAsyncIteration
        self.at += 1
        return self.at - 1


async def numbers(until, error=None):
    for number in range(until):
        yield number
    if error:
        raise error


@pytest.fixture(params=[Numbers, numbers], ids=["iterator", "generator"])
def asynchronous(request):
    return request.param


def over(source):
    ends, place = [], []

    def end(how):
        ends.append((how, place[0].completed()))
        if how == "cancelled":
            raise TimeoutError

    return AsyncLoop(source, place.append, end), place, ends


@pytest.mark.asyncio
async def test_an_asynchronous_loop_that_ran_out_is_told_from_one_that_was_left(asynchronous):
    loop, place, ends = over(asynchronous(5))
    seen = []
    async for item in loop:
        assert place[0].completed() == item
        seen.append(item)
    del loop
    assert seen == list(range(5))
    assert ends == [("ran out", 5)]


@pytest.mark.asyncio
async def test_a_break_of_an_asynchronous_loop_is_seen(asynchronous):
    loop, _place, ends = over(asynchronous(5))
    async for item in loop:
        if item == 3:
            break
    del loop
    assert ends == [("left", 3)]


@pytest.mark.asyncio
async def test_an_asynchronous_source_that_raises_did_not_run_out(asynchronous):
    loop, _place, ends = over(asynchronous(3, KeyError()))
    with pytest.raises(KeyError):
        async for _ in loop:
            pass
    del loop
    gc.collect()
    assert ends == [("left", 3)]


@pytest.mark.asyncio
async def test_an_asynchronous_loop_hears_a_cancel_at_the_next_item(asynchronous):
    loop, place, ends = over(asynchronous(5))
    with pytest.raises(TimeoutError):
        async for item in loop:
            if item == 2:
                place[0].cancel()
    assert ends == [("cancelled", 3)]


@pytest.mark.asyncio
async def test_an_asynchronous_loop_in_a_cycle_keeps_its_count_when_it_is_collected(asynchronous):
    loop, _place, ends = over(asynchronous(5))
    cycle = [loop]
    cycle.append(cycle)
    for _ in range(3):
        await loop.__anext__()
    del loop, cycle
    gc.collect()
    assert ends == [("left", 2)]


@pytest.mark.asyncio
async def test_an_asynchronous_loop_that_is_never_begun_never_ends(asynchronous):
    loop, place, ends = over(asynchronous(5))
    del loop
    assert (place, ends) == ([], [])

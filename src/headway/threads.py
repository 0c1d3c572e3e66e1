"""Where we run: locks, bells and threads of the operating system, also where gevent has replaced them.

gevent turns threads into greenlets and locks into cooperative ones.  What reports progress must run on when
the loop does not yield, so it needs the originals, looked up when they are used: a program may be patched
after headway was imported.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor

T = TypeVar("T")


class Lock(Protocol):
    """A lock of the operating system."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002 - it is CPython's
        """Take it; whether that was possible in time."""

    def release(self) -> None:
        """Let go of it."""

    def __enter__(self) -> bool: ...
    def __exit__(self, *error: object) -> None: ...


def native(module: str, name: str) -> Any:
    """The original of something that gevent may have replaced."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None:
        return monkey.get_original(module, name)
    return getattr(sys.modules.get(module) or importlib.import_module(module), name)


def patched() -> bool:
    """Whether threads here are greenlets, so that nobody may wait on a lock of the operating system."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def lock() -> Lock:
    """A lock of the operating system."""
    made: Lock = native("_thread", "allocate_lock")()
    return made


def reentrant_lock() -> Lock:
    """The same, which its holder may take again, as in a signal handler or a ``__del__``."""
    made: Lock = native("_thread", "RLock")()
    return made


def ident() -> int:
    """Which thread of the operating system this is."""
    number: int = native("_thread", "get_ident")()
    return number


def start(run: Callable[[], None]) -> None:
    """Run a function in a thread of its own that does not keep the process alive.

    Raises:
        RuntimeError: The interpreter is shutting down, or there are too many threads.
    """
    # Whichever thread imports this first is the main one for it, and the interpreter's exit waits for that.
    importlib.import_module("threading")
    native("_thread", "start_new_thread")(run, ())


class cached_property(Generic[T]):  # noqa: N801 - as the standard library calls it
    """What is worked out once for an object, as Python does it from 3.12 on: without a lock.

    Before, `functools` holds one lock for all objects meanwhile.  A child that is forked in such a moment
    has the lock, but nobody in it who would let go of it.
    """

    def __init__(self, work_out: Callable[[Any], T]) -> None:
        self._work_out = work_out
        self.__doc__ = work_out.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type | None = None) -> T:
        value = instance.__dict__[self._name] = self._work_out(instance)
        return value


class Bell:
    """Wakes one waiting thread; a ring that nobody waits for is kept, several count as one."""

    def __init__(self) -> None:
        self._lock = lock()
        self._lock.acquire()

    def ring(self) -> None:
        """Wake whoever waits, or whoever waits next."""
        try:
            self._lock.release()
        except RuntimeError:  # it has rung already
            return

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for a ring in a thread made by `start`, at most ``timeout`` seconds; whether it rang."""
        return self._lock.acquire(timeout=-1 if timeout is None else max(0.0, timeout))

    def wait_in_callers_thread(self, timeout: float | None = None) -> bool:
        """Wait in whichever thread the user called us from; greenlets beside it run on."""
        if not patched():
            return self.wait(timeout)
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._lock.acquire(blocking=False):
            if deadline is not None and time.monotonic() >= deadline:
                return False
            time.sleep(0.002)  # gevent's own
        return True


class Hops:
    """Runs blocking calls for coroutines, in a few threads of its own that nobody else can fill."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._pid = os.getpid()

    async def run(self, call: Callable[[], T]) -> T:
        """What the call returns, or raises."""
        import asyncio  # only programs that use it pay for it
        from concurrent.futures import ThreadPoolExecutor

        if self._pool is None or self._pid != os.getpid():  # a child after a fork has no threads
            self._pool, self._pid = ThreadPoolExecutor(4, thread_name_prefix="headway"), os.getpid()
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def close(self) -> None:
        """Let the threads end."""
        if self._pool is not None:
            self._pool.shutdown(wait=False)
            self._pool = None

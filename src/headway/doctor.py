"""Is a store well?  It is asked what it knows of itself, and then used like any other job would use it."""

from __future__ import annotations

import time
from contextlib import suppress
from secrets import token_hex
from statistics import median
from typing import TYPE_CHECKING

from headway.core.errors import StoreUnavailable
from headway.core.snapshot import Snapshot
from headway.stores.contract import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headway.stores.contract import Store, Subscription

TRIPS = 20
"""How many round trips are timed."""
SLOW = 0.05
"""Seconds beyond which a round trip is worth a word: an end waits for a few of them."""
PATIENCE = 3.0
"""Seconds for which the notice of a change is waited for."""


def examine(store: Store) -> Iterator[Finding]:
    """What there is to know, one finding at a time; an error is the last one."""
    try:
        yield from store.diagnose()
        yield _round_trip(store)
        yield from _life(store)
    except StoreUnavailable as error:
        yield Finding("error", str(error))


def _round_trip(store: Store) -> Finding:
    took = []
    for _ in range(TRIPS):
        began = time.perf_counter()
        store.read(["headway-doctor"])
        took.append(time.perf_counter() - began)
    what = (
        f"a read takes {_milliseconds(median(took))}, the slowest of {TRIPS} took {_milliseconds(max(took))}"
    )
    if median(took) > SLOW:
        return Finding("warning", what, "run the store nearer to its workers")
    return Finding("ok", what)


def _life(store: Store) -> Iterator[Finding]:
    """A job that begins, is heard of, ends and is forgotten."""
    id = f"headway-doctor-{token_hex(4)}"
    record = Snapshot(id=id, name="headway doctor", run=token_hex(8), status="running", retention=60.0)
    subscription = store.listen()
    try:
        subscription.add([id])
        subscription.wait(0)
        began = time.perf_counter()
        opened = store.open(record)
        heard = _hears(subscription, id)
        after = time.perf_counter() - began
        ended = store.end(id, opened.attempt, "completed")
    finally:
        subscription.close()
        with suppress(StoreUnavailable):
            store.forget(id)
    if opened.accepted and ended.accepted:
        yield Finding("ok", "a job was begun, ended and forgotten")
    else:
        outcomes = f"{opened.outcome}, {ended.outcome}"
        yield Finding(
            "error", f"a job could not be begun and ended ({outcomes})", "look whether it takes writes"
        )
    yield _notice(heard=heard, after=after, polling=subscription.polls)


def _hears(subscription: Subscription, id: str) -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if id in subscription.wait(0.1):
            return True
    return False


def _notice(*, heard: bool, after: float, polling: bool) -> Finding:
    if not heard:
        advice = "watchers still look again every few seconds, so what they show is late"
        return Finding("warning", f"no notice of a change arrived within {PATIENCE:g} s", advice)
    how = "by looking again and again" if polling else "by notice"
    return Finding("ok", f"a change is heard of after {_milliseconds(after)}, {how}")


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms"

"""How often each client may do something: so much at once, and one more each second."""

from __future__ import annotations

import time

from headway import threads

COUNTED = 10_000
"""How many clients are counted."""


class Buckets:
    """So much for each client.

    Args:
        most: How often at once.
    """

    def __init__(self, most: int) -> None:
        self._most = float(most)
        self._left: dict[str, tuple[float, float]] = {}
        self._lock = threads.lock()

    def spend(self, who: str) -> float:
        """Take one; 0, or the seconds until there is one."""
        with self._lock:
            left, now = self._now(who)
            wait = 0.0 if left >= 1 else 1 - left
            self._left.pop(who, None)
            self._left[who] = (left if wait else left - 1, now)
            if len(self._left) > COUNTED:
                del self._left[next(iter(self._left))]
            return wait

    def wait(self, who: str) -> float:
        """The seconds until there is one, without taking it."""
        with self._lock:
            return max(0.0, 1 - self._now(who)[0])

    def _now(self, who: str) -> tuple[float, float]:
        now = time.monotonic()
        left, at = self._left.get(who, (self._most, now))
        return min(self._most, left + now - at), now

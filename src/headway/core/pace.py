"""Which updates are worth telling: by time, and if wished by steps or percent as well."""

from __future__ import annotations

from msgspec import Struct

from headway.core.errors import InvalidValue
from headway.core.fraction import FULL

HEARTBEAT = 5.0
"""Seconds after which an idle job says that it is alive."""


class Pace(Struct, frozen=True):
    """How often progress is published.  First states, changes of status and ends always go out at once.

    Attributes:
        seconds: At most one update in so many seconds, 0.05 to 10.
        steps: And only after so many steps more, where it is given.
        percent: And only after so many percent more, where it is given.
    """

    seconds: float = 0.5
    steps: float | None = None
    percent: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be kept."""
        if not 0.05 <= self.seconds <= 10:
            raise InvalidValue("seconds", self.seconds, "a pace is one update in 0.05 to 10 seconds")
        for name in ("steps", "percent"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise InvalidValue(name, value, "this must be more than 0")

    def due(self, steps: float | None, grid: int | None, silent_for: float) -> bool:
        """Whether a changed job is worth an update.

        Args:
            steps: Steps since the last update; None when the job does not count.
            grid: Progress since the last update in ten-thousandths; None when that is unknown.
            silent_for: Seconds since the last update.
        """
        if silent_for >= HEARTBEAT:
            return True
        if self.steps is not None and steps is not None and abs(steps) < self.steps:
            return False
        return not (self.percent is not None and grid is not None and abs(grid) < self.percent * FULL / 100)

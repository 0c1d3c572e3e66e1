"""The life of a job as a table: what each event makes of each state, for tests of rules and of stores.

A cell says ``outcome``, or ``outcome status attempt`` where the record changes; the attempt before is 1.
``stalled`` is running and silent past its lease; ``asked`` is running with a cancel requested; ``committed``
is running past its point of no return; ``unspent`` is cancelled before anybody ran it.
"""

from __future__ import annotations

STATES = (
    "none", "pending", "running", "asked", "committed", "stalled", "retrying", "failed", "completed",
    "stopped", "cancelled", "unspent",
)  # fmt: skip
LIVE = ("pending", "running", "asked", "committed", "stalled", "retrying")
ENDED = ("failed", "completed", "stopped", "cancelled", "unspent")
ENDS = ("completed", "failed", "stopped", "cancelled")


def _row(**cells: str) -> dict[str, str]:
    """A row; ``live`` and ``ended`` stand for the states that are not named themselves."""
    live, ended = cells.pop("live", None), cells.pop("ended", None)
    shared = dict.fromkeys(LIVE, live) | dict.fromkeys(ENDED, ended) | cells
    return {state: cell for state, cell in shared.items() if cell is not None}


_CLAIM = _row(
    none="opened running 1", pending="opened running 1", live="opened running 2", ended="opened running 2",
    unspent="cancelled",
)  # fmt: skip

TABLE: dict[str, dict[str, str]] = {
    "create": _row(none="opened pending 1", live="exists", ended="exists"),
    "reserve": _row(
        none="opened pending 1", live="held", stalled="opened pending 2", ended="opened pending 2"
    ),
    "claim": _CLAIM,
    "claim alone": _CLAIM | dict.fromkeys(("running", "asked", "committed"), "held"),
    "report": _row(none="rebuilt running 1", live="applied running 1", retrying="ended", ended="ended"),
    "annotate": _row(none="rebuilt pending 1", pending="applied pending 1"),
    "retry": _row(
        none="rebuilt retrying 1", live="applied retrying 1", asked="applied cancelled 1", retrying="same",
        ended="ended",
    ),
    "retry told": _row(
        none="missing", live="applied retrying 1", asked="applied cancelled 1", retrying="same",
        ended="ended",
    ),
    "ask": _row(
        none="missing", live="applied cancelled 1", running="applied running 1", asked="same",
        committed="no return", ended="ended",
    ),
    "sweep": _row(live="nothing", ended="nothing"),
    "sweep much later": _row(live="dropped", ended="dropped"),
}  # fmt: skip
"""What becomes of each event in each state; "annotate" is a report of the creator, before any claim."""

for _end in ENDS:
    _same = {state: "same" for state in ENDED if state == _end or (state, _end) == ("unspent", "cancelled")}
    TABLE[_end] = _row(none=f"rebuilt {_end} 1", live=f"applied {_end} 1", ended="ended") | _same
    TABLE[f"{_end} told"] = TABLE[_end] | {"none": "missing"}

CELLS = [(event, state, cell) for event, row in TABLE.items() for state, cell in row.items()]

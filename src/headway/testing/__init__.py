"""For your own tests: faults on command, a clock that you set, and what every store must hold.

`FaultyStore` and `FaultProxy` fail on command, `Clock` is set by you, `History` checks what workers and
readers were answered at the same time.  A store of your own is held to `StoreContract` and `StoreMachine`,
a door of your own to `WebContract`.

`StoreContract` and `WebContract` need pytest, `StoreMachine` hypothesis; the others need neither.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from headway.testing.clock import Clock
from headway.testing.faulty import FaultyStore
from headway.testing.history import History
from headway.testing.proxy import FaultProxy

if TYPE_CHECKING:
    from headway.testing.state_machine import StoreMachine
    from headway.testing.store_contract import StoreContract
    from headway.testing.web_contract import WebContract

__all__ = [
    "Clock",
    "FaultProxy",
    "FaultyStore",
    "History",
    "StoreContract",
    "StoreMachine",
    "WebContract",
]

_LATER = {
    "StoreContract": "headway.testing.store_contract",
    "StoreMachine": "headway.testing.state_machine",
    "WebContract": "headway.testing.web_contract",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "StoreContract":
        import pytest

        pytest.register_assert_rewrite("headway.testing.store_contract", "headway.testing.store_scene")
    if name == "WebContract":
        import pytest

        pytest.register_assert_rewrite("headway.testing.web_contract")
    return getattr(import_module(_LATER[name]), name)

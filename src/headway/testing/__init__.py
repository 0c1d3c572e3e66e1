"""For your own tests: faults on command, a clock that you set, and what every store must hold.

`FaultyStore` and `FaultProxy` fail on command, `Clock` is set by you, `History` checks what workers and
readers were answered at the same time.  A store of your own is held to `StoreContract` and `StoreMachine`, a
door to `WebContract`, a task queue to `QueueContract`.

The contracts need pytest (`QueueContract` psutil as well), `StoreMachine` hypothesis; the others need none of
them.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from headway.testing.clock import Clock
from headway.testing.faulty import FaultyStore
from headway.testing.history import History
from headway.testing.proxy import FaultProxy

if TYPE_CHECKING:
    from headway.testing.queue_contract import QueueContract
    from headway.testing.state_machine import StoreMachine
    from headway.testing.store_contract import StoreContract
    from headway.testing.web_contract import WebContract

__all__ = [
    "Clock",
    "FaultProxy",
    "FaultyStore",
    "History",
    "QueueContract",
    "StoreContract",
    "StoreMachine",
    "WebContract",
]

_LATER = {
    "QueueContract": "headway.testing.queue_contract",
    "StoreContract": "headway.testing.store_contract",
    "StoreMachine": "headway.testing.state_machine",
    "WebContract": "headway.testing.web_contract",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name.endswith("Contract"):
        import pytest

        modules = [_LATER[name], *(["headway.testing.store_scene"] if name == "StoreContract" else [])]
        pytest.register_assert_rewrite(*(module for module in modules if module not in sys.modules))
    return getattr(import_module(_LATER[name]), name)

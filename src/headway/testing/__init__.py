"""For your own tests: a store that fails on command, a clock that you set, and what every store must hold.

`StoreContract` needs pytest; the others do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.testing.clock import Clock
from headway.testing.faulty import FaultyStore

if TYPE_CHECKING:
    from headway.testing.store_contract import StoreContract

__all__ = ["Clock", "FaultyStore", "StoreContract"]


def __getattr__(name: str) -> object:
    if name != "StoreContract":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import pytest

    pytest.register_assert_rewrite("headway.testing.store_contract", "headway.testing.store_scene")
    from headway.testing.store_contract import StoreContract

    return StoreContract

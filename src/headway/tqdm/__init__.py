"""tqdm as you know it, and whoever wants to sees the same bar from elsewhere.

    from headway.tqdm import tqdm, trange

The class is a subclass of the real one: the bar in the terminal or notebook is exactly tqdm's.  The outermost
bar is a job, or inside a job a stage of it; bars within it are its stages.
"""

from __future__ import annotations

from typing import Any

from headway.core.errors import MissingPackage

try:
    from tqdm import std
except ModuleNotFoundError as error:
    raise MissingPackage("tqdm", "tqdm") from error

from headway.tqdm.reported import Reported

__all__ = ["tqdm", "trange"]


class tqdm(Reported, std.tqdm):  # noqa: N801 - tqdm's own name
    """`tqdm.tqdm`, reported."""


def trange(*args: int, **options: Any) -> tqdm:
    """``tqdm(range(*args), **options)``."""
    return tqdm(range(*args), **options)

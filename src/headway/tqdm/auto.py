"""`tqdm.auto`, reported: a notebook's bar in a notebook, else a terminal's; for ``async for`` too."""

from __future__ import annotations

from typing import Any

from tqdm import auto

from headway.tqdm.reported import Reported

__all__ = ["tqdm", "trange"]


class tqdm(Reported, auto.tqdm):  # noqa: N801 - tqdm's own name
    """`tqdm.auto.tqdm`, reported."""


def trange(*args: int, **options: Any) -> tqdm:
    """``tqdm(range(*args), **options)``."""
    return tqdm(range(*args), **options)

"""`tqdm.asyncio`, reported."""

from __future__ import annotations

from typing import Any

from tqdm import asyncio

from headway.tqdm.reported import Reported

__all__ = ["tarange", "tqdm", "tqdm_asyncio", "trange"]


class tqdm_asyncio(Reported, asyncio.tqdm_asyncio):  # noqa: N801 - tqdm's own name
    """`tqdm.asyncio.tqdm`, reported."""


def tarange(*args: int, **options: Any) -> tqdm_asyncio:
    """``tqdm(range(*args), **options)``."""
    return tqdm_asyncio(range(*args), **options)


tqdm = tqdm_asyncio
trange = tarange

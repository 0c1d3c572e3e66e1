"""`tqdm.contrib.concurrent`, reported: maps over threads and processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tqdm.contrib import concurrent

from headway.tqdm.auto import tqdm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["process_map", "thread_map"]


def thread_map(function: Callable[..., Any], *iterables: Iterable[Any], **options: Any) -> list[Any]:
    """``list(map(function, *iterables))`` on threads."""
    found: list[Any] = concurrent.thread_map(function, *iterables, **{"tqdm_class": tqdm, **options})
    return found


def process_map(function: Callable[..., Any], *iterables: Iterable[Any], **options: Any) -> list[Any]:
    """``list(map(function, *iterables))`` on processes."""
    found: list[Any] = concurrent.process_map(function, *iterables, **{"tqdm_class": tqdm, **options})
    return found

"""Celery's canvas: the tasks of a group, a chord or a chain as shares of one job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headway.queues.labels import packed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from headway.queues.clerk import Clerk


def label(clerk: Clerk, canvas: Any, name: str, options: Mapping[str, Any]) -> str:
    """Begin a job for the whole, and label each of its tasks as a share of it; the job's id."""
    shares = list(members(canvas))
    whole, attempt = clerk.open_whole(name, len(shares), **options)
    for signature, bound in shares:
        label = packed(clerk.share_of(whole, attempt, bound=bound))
        signature.set(headers={**(signature.options.get("headers") or {}), "headway": label})
    return whole


def members(canvas: Any, *, bound: bool = False) -> Iterator[tuple[Any, bool]]:
    """All tasks of a canvas, and whether others will not run if it fails."""
    inside = getattr(canvas, "tasks", None)
    if inside is None:
        yield canvas, bound
        return
    body = getattr(canvas, "body", None)
    for position, signature in enumerate(inside):
        follows = canvas.task == "celery.chain" and position < len(inside) - 1
        yield from members(signature, bound=bound or follows or body is not None)
    if body is not None:
        yield from members(body, bound=bound)

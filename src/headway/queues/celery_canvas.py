"""Celery's canvas: the tasks of a group, a chord or a chain as shares of one job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headway.queues.labels import packed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headway.queues.clerk import Clerk


class Canvas:
    """Sends several tasks as one job."""

    def __init__(self, clerk: Clerk) -> None:
        self._clerk = clerk

    def fan_out(self, canvas: Any, name: str, **options: Any) -> tuple[str, Any]:
        """Send a group, chord, chain or any mixture of them as one job, of which each task is a share.

        Args:
            canvas: The signature.
            name: What people call the whole.
            **options: As for `headway.job`.

        Returns:
            The job's id, which is a group's own, and what ``canvas.apply_async()`` returns.
        """
        shares = list(members(canvas))
        whole, attempt = self._clerk.open_whole(name, len(shares), **options)
        for signature, bound in shares:
            label = packed(self._clerk.share_of(whole, attempt, bound=bound))
            signature.set(headers={**(signature.options.get("headers") or {}), "headway": label})
        ids = {"task_id": whole} if canvas.task == "celery.group" else {}
        return whole, canvas.apply_async(**ids)


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

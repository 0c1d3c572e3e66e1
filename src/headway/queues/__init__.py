"""Who runs the job: one file a task queue, named after it, and what they share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headway.queues.labels import enqueueing as enqueueing
    from headway.queues.labels import reported as reported


def __getattr__(name: str) -> Any:
    """A name on its first use: importing a room imports nothing else."""
    if name in {"enqueueing", "reported"}:
        from headway.queues import labels

        return getattr(labels, name)
    raise AttributeError(f"module 'headway.queues' has no attribute {name!r}")

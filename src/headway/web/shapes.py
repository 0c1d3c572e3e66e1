"""What is answered, as types: `openapi` describes them, FastAPI shows them, TypeScript has them by hand.

`headway.core.wire` writes them; a test holds that both have the same names.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0)]
Count = int | float
Status = Literal[
    "waiting", "pending", "running", "retrying", "stalled", "completed", "failed", "cancelled", "stopped"
]


class Stage(Struct):
    """A share of a job's bar."""

    name: str
    weight: float | None
    fraction: Share | None
    count: Count | None
    total: Count | None
    unit: str | None
    elapsed: Seconds | None
    ended: bool


class Children(Struct):
    """How its child jobs fare."""

    count: int
    ended: int
    failed: int


class Reason(Struct):
    """Why a job failed or is tried again; type and detail for owners only."""

    text: str | None
    type: str | UnsetType | None = UNSET
    detail: str | UnsetType | None = UNSET


class Message(Struct):
    """A line worth keeping."""

    at: datetime
    text: str
    level: str


class Job(Struct, kw_only=True):
    """A job as it is now.

    All but the last keys are always there, null when unknown; those are for owners, and ``result`` and
    ``meta`` for viewers who may see them.  ``waiting``: nothing is known of the id yet.
    """

    headway: int
    id: str
    version: int
    name: str | None
    status: Status
    attempt: int
    fraction: Share | None
    percent: Annotated[int, Meta(ge=0, le=100)] | None
    count: Count | None
    total: Count | None
    unit: str | None
    rate: float | None
    activity: str | None
    stages: list[Stage]
    children: Children | None
    failed_count: int
    initial: Count
    elapsed: Seconds | None
    remaining: Seconds | None
    remaining_low: Seconds | None
    remaining_high: Seconds | None
    estimate_basis: Literal["run", "history", "both"] | None
    usual: Seconds | None
    patience: Seconds | None
    idle_for: Seconds | None
    silent_for: Seconds | None
    retry_in: Seconds | None
    cancel: Literal["requested", "seen"] | None
    cancellable: bool
    error: Reason | None
    messages: list[Message]
    message_count: int
    created_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    read_at: datetime | None
    scope: str | UnsetType | None = UNSET
    parent: str | UnsetType | None = UNSET
    kind: str | UnsetType | None = UNSET
    worker: str | UnsetType | None = UNSET
    meta: Any | UnsetType = UNSET
    result: Any | UnsetType = UNSET
    lease: Seconds | UnsetType = UNSET
    retention: Seconds | UnsetType = UNSET
    seen_at: datetime | UnsetType | None = UNSET
    expires_at: datetime | UnsetType | None = UNSET


class Jobs(Struct):
    """Some jobs, newest first; ``next`` is the cursor of the next page, null after the last."""

    headway: int
    jobs: list[Job]
    next: str | None
    read_at: datetime | None


class CeleryWork(Struct, kw_only=True):
    """How far a job is, as celery-progress says it; ``total`` is 0 where it is not known."""

    pending: bool = False
    current: Count = 0
    total: Count = 100
    percent: Annotated[float, Meta(ge=0, le=100)] = 0
    description: str = ""


class CeleryRetry(Struct):
    """Why a job is tried again, and in how many seconds."""

    message: str
    next_retry_seconds: Count | str = "Unknown"


class CeleryProgress(Struct, kw_only=True):
    """A job as celery-progress says it; without ``progress`` while the store is away."""

    state: Literal["UNKNOWN", "PENDING", "STARTED", "PROGRESS", "RETRY", "SUCCESS", "FAILURE", "REVOKED"]
    complete: bool = False
    success: bool | None = None
    progress: CeleryWork | UnsetType = UNSET
    result: Any | UnsetType = UNSET
    attempt: int | UnsetType = UNSET


class Problem(Struct, omit_defaults=True):
    """Problem details (RFC 9457).

    Attributes:
        type: Names the kind of problem for programs.
        title: Names it for people.
        detail: What to do about it.
        job_status: Where a job cannot be cancelled: its status.
    """

    type: str
    title: str
    status: int
    detail: str
    job_status: str | None = None

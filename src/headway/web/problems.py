"""What is answered when something is wrong: problem details (RFC 9457), the same for the same wrong."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from headway.web.exchange import PRIVATE, Response
from headway.web.shapes import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headway.core.errors import InvalidValue
    from headway.core.snapshot import Snapshot

TYPE = "application/problem+json"


def _answer(
    status: int, kind: str, title: str, detail: str, *headers: tuple[str, str], **more: Any
) -> Response:
    body = msgspec.json.encode(Problem(f"urn:headway:{kind}", title, status, detail, **more))
    return Response(status, [("Content-Type", TYPE), *PRIVATE, *headers], body)


def unknown_job() -> Response:
    """Not known, or not theirs: nobody can tell which."""
    return _answer(404, "unknown", "Nothing here", "No such job is known here, or it is not yours to see.")


def no_such_page() -> Response:
    """No route of ours."""
    return _answer(404, "no-such-page", "No such page", "Known are jobs, jobs/ID, jobs/ID/cancel and events.")


def wrong_method(allowed: Sequence[str]) -> Response:
    """A route of ours, asked in another way."""
    methods = ", ".join(allowed)
    return _answer(405, "wrong-method", "Wrong method", f"Allowed: {methods}.", ("Allow", methods))


def invalid(error: InvalidValue) -> Response:
    """A parameter that means nothing."""
    reason = str(error).partition(": ")[2]
    return _answer(400, "invalid", "Not understood", f"{error.field}: {reason}")


def nothing_asked() -> Response:
    """A stream of nothing."""
    return _answer(400, "invalid", "Not understood", "Name jobs by id=…, or all of a scope by scope=….")


def too_many(most: int) -> Response:
    """A stream of too much."""
    return _answer(400, "invalid", "Not understood", f"A stream watches at most {most} ids; use a scope.")


def cross_site() -> Response:
    """Another site's page, or a form that cannot prove that it is not."""
    detail = "Send it from a page of this site, or with Content-Type: application/json."
    return _answer(403, "cross-site", "Not from here", detail)


def unproven(reason: str) -> Response:
    """A page that did not prove, the way its framework demands it, that it is one of this site."""
    return _answer(403, "cross-site", "Not from here", f"Send this site's CSRF token.  {reason}".strip())


def may_not_cancel() -> Response:
    """A viewer."""
    return _answer(403, "may-not-cancel", "Not yours to stop", "You may see this job, but not stop it.")


def cannot_be_cancelled(job: Snapshot) -> Response:
    """It has ended, or is past its point of no return."""
    detail = "The job has ended." if job.ended else "The job is past the point where it can be stopped."
    return _answer(409, "too-late", "Too late to stop", detail, job_status=job.status)


def too_often(seconds: float) -> Response:
    """Too many cancels, or wrong tokens."""
    wait = str(max(1, math.ceil(seconds)))
    return _answer(429, "too-often", "Too often", f"Try again in {wait} s.", ("Retry-After", wait))


def unavailable() -> Response:
    """The store is away."""
    detail = "The progress of jobs cannot be read just now. The jobs themselves go on."
    return _answer(503, "store-unavailable", "Try again soon", detail, ("Retry-After", "5"))

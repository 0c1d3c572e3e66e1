"""What a page that the server draws may show of a job, by the same policy as what is asked for later."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from asgiref.sync import async_to_sync

from headway.web.access import Target
from headway.web.django.access import Asking, in_event_loop
from headway.web.django.apps import config
from headway.web.door import as_verdict
from headway.web.exchange import Ask, Request
from headway.web.view import View, looked_at

if TYPE_CHECKING:
    from django.http import HttpRequest

    from headway.core.snapshot import Snapshot


def seen_by(request: HttpRequest, id: str, token: str = "") -> Snapshot | None:
    """A job as whoever asks may see it; None where they may not, or where nothing is known of it.

    Raises:
        StoreUnavailable: The store cannot be read.
    """
    asked = Request(
        method="GET",
        path=f"jobs/{id}",
        query=urlencode({"token": token}) if token else "",
        client=request.META.get("REMOTE_ADDR", ""),
        native=request,
    )
    return _looked(asked, id).snapshot


def _looked(asked: Request, id: str) -> View:
    door = config().door
    talk = looked_at(id)
    outcome: Any = None
    while True:
        try:
            want = talk.send(outcome)
        except StopIteration as ended:
            view: View = ended.value
            return view
        outcome = _grant(asked, want) if isinstance(want, Ask) else door.read(want)  # type: ignore[arg-type]  # it asks or reads


def _grant(asked: Request, want: Ask) -> Any:
    for policy in config().door.policies:
        grant = as_verdict(_verdict(policy, asked, want), want.action)
        if grant is not None:
            return grant
    return None


def _verdict(policy: Any, asked: Request, want: Ask) -> Any:
    """A template that is drawn in an event loop can ask no coroutine function."""
    if not isinstance(policy, Asking):
        return policy.grant(asked, want.action, want.job)
    if not inspect.iscoroutinefunction(policy.function):
        return policy.function(asked.native, want.action, want.job)
    if in_event_loop():
        return None
    return async_to_sync(policy.function)(asked.native, want.action, want.job)


def may_view(request: HttpRequest, job: Snapshot) -> bool:
    """Whether whoever asks may see a job that was read already."""
    asked = Request(method="GET", path=f"jobs/{job.id}", native=request)
    return _grant(asked, Ask("view", Target(job.id, job.scope, job))) is not None

"""Who may see what, by Django's users; and how functions of yours are asked, whichever server runs them.

``"ACCESS": "owner"`` lets everybody see and cancel the jobs whose scope is theirs:

    headway.job("Import", scope=scope_of(request.user))
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync, sync_to_async
from django.db import close_old_connections

from headway.web.access import OWNER, VIEWER, Grant

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
    from django.http import HttpRequest

    from headway.web.access import Action, Asked, Target, Verdict
    from headway.web.exchange import Request


def scope_of(user: AbstractBaseUser | AnonymousUser) -> str:
    """The scope of a user's own jobs: ``user/`` and the primary key."""
    return f"user/{user.pk}"


def owner(request: HttpRequest, action: Action, job: Target) -> Verdict:
    """A user may see, list and cancel the jobs of the own scope.

    Of what is not known yet users are shown that it is waited for: a page may draw an id and show its bar
    before the work has begun.
    """
    user = request.user
    if not user.is_authenticated or not user.is_active:
        return None
    if job.scope == scope_of(user):
        return Grant(owner=True, cancel=True, who=scope_of(user))
    return VIEWER if action == "view" and job.snapshot is None else None


def staff(request: HttpRequest, action: Action, job: Target) -> Verdict:  # noqa: ARG001 - a policy's
    """Staff may see all with the permission ``headway.view_job``, and cancel with ``headway.cancel_job``."""
    user = request.user
    if not (user.is_active and getattr(user, "is_staff", False) and may(user, "view_job")):
        return None
    may_cancel = may(user, "cancel_job")
    if action == "cancel":
        return OWNER if may_cancel else None
    return Grant(owner=True, cancel=may_cancel, who=scope_of(user))


def may(user: AbstractBaseUser | AnonymousUser, what: str) -> bool:
    """Whether a user has a permission: ``view_job`` or ``cancel_job``."""
    has_perm: Callable[[str], bool] | None = getattr(user, "has_perm", None)
    return has_perm is not None and has_perm(f"headway.{what}")


def in_event_loop() -> bool:
    """Whether an event loop runs here, so that nothing may block."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class Asking:
    """A function of yours, asked where Django wants it: in the request's own thread.

    There Django sees to the connections of the ORM.  A stream gives them back as soon as it has its answer,
    because it would hold them for minutes.
    """

    def __init__(self, function: Asked) -> None:
        self.function = function

    def grant(self, request: Request, action: Action, job: Target) -> Any:
        """A verdict, or in an event loop an awaitable of one."""
        if in_event_loop():
            return self._asked(request, action, job)
        if inspect.iscoroutinefunction(self.function):
            return async_to_sync(self._asked)(request, action, job)
        return self._answer(request, action, job)

    async def _asked(self, request: Request, action: Action, job: Target) -> Verdict:
        if inspect.iscoroutinefunction(self.function):
            answer: Awaitable[Verdict] = self.function(request.native, action, job)
        else:
            answer = sync_to_async(self._answer)(request, action, job)
        return await answer

    def _answer(self, request: Request, action: Action, job: Target) -> Any:
        try:
            return self.function(request.native, action, job)
        finally:
            if lasts(request):
                close_old_connections()


def lasts(request: Request) -> bool:
    """Whether a request may take longer than a moment: a stream, or one that asks to be held."""
    return request.path == "events" or "wait" in request.header("prefer")

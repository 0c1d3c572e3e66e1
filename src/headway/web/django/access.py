"""Who may see what, by Django's users; and how functions of yours are asked, whichever server runs them.

``"ACCESS": "owner"`` lets everybody see and cancel the jobs whose scope is theirs:

    headway.job("Import", scope=scope_of(request.user))
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync, sync_to_async

from headway.web.access import OWNER, VIEWER, Grant
from headway.web.django.connections import close_all, give_back, lasts

if TYPE_CHECKING:
    from collections.abc import Callable

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

    There Django sees to the connections of the ORM; streams give them back at once.
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
            ask: Any = self.function
        else:
            ask = sync_to_async(self.function)
        try:
            verdict: Verdict = await ask(request.native, action, job)
        finally:
            if lasts(request):
                await give_back()
        return verdict

    def _answer(self, request: Request, action: Action, job: Target) -> Any:
        try:
            return self.function(request.native, action, job)
        finally:
            if lasts(request):
                close_all()

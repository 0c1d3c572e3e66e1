"""What ``manage.py check`` says of headway: what would fail at the first request, and what only later."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core import checks
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string

import headway.client
from headway.core.errors import HeadwayError
from headway.stores.connections import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Found = list[checks.CheckMessage]

AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
CSRF = "django.middleware.csrf.CsrfViewMiddleware"


def register_all() -> None:
    """Let Django run them."""
    for check in (access, names_of_users, which_store, mounted, csrf):
        checks.register(check, "headway")
    for check in (shared_store, streams, middleware):
        checks.register(check, "headway", deploy=True)


def store() -> Any:
    """What ``HEADWAY["STORE"]`` says, None where nothing does."""
    given = getattr(settings, "HEADWAY", None)
    return given.get("STORE") if isinstance(given, dict) else None


def access(**_: Any) -> Found:
    """E001: it is not said who may see what, or the settings mean nothing."""
    from headway.web.django import settings as ours

    try:
        ours.named_policies()
    except HeadwayError as error:
        hint = 'Most projects want HEADWAY = {"STORE": …, "ACCESS": "owner"}.'
        return [checks.Error(str(error), hint=hint, id="headway.E001")]
    return []


def names_of_users(**_: Any) -> Found:
    """E002: a policy asks for the user, and nothing says who that is."""
    named = _settings().get("ACCESS")
    several = named if isinstance(named, (list, tuple)) else [named]
    if not {"owner", "staff"} & {one for one in several if isinstance(one, str)}:
        return []
    if _has_middleware(AUTHENTICATION):
        return []
    text = "HEADWAY['ACCESS'] asks for request.user, and no middleware sets it."
    return [checks.Error(text, hint=f"Add {AUTHENTICATION!r} to MIDDLEWARE.", id="headway.E002")]


def which_store(**_: Any) -> Found:
    """W001: no store is named.  W002: two are.  W003: it is in this process's memory."""
    named, environment = store(), os.environ.get("HEADWAY_STORE")
    if named is None and not environment:
        url = without_secrets(headway.client.default_url())
        text = f"No store is named: jobs are read from {url}, which workers under another user do not write."
        return [checks.Warning(text, hint="Set HEADWAY['STORE'] or HEADWAY_STORE.", id="headway.W001")]
    if isinstance(named, str) and environment and named != environment:
        text = (
            f"Pages read {without_secrets(named)}, as HEADWAY['STORE'] says, and jobs report to "
            f"{without_secrets(environment)}, as HEADWAY_STORE says."
        )
        return [checks.Warning(text, hint="Name one of them.", id="headway.W002")]
    if str(named or environment).startswith("memory:"):
        text = "The store is in this process's memory: no other process sees its jobs."
        return [checks.Warning(text, hint="Use sqlite:///, redis:// or postgresql://.", id="headway.W003")]
    return []


def mounted(**_: Any) -> Found:
    """W004: nothing of it can be reached."""
    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    try:
        reverse("headway:jobs")
    except NoReverseMatch:
        hint = 'Add path("progress/", include("headway.web.django.urls")) to your urlpatterns.'
        return [checks.Warning("headway is installed and not mounted.", hint=hint, id="headway.W004")]
    return []


def csrf(**_: Any) -> Found:
    """W005: pages get no token to prove with that a cancel is theirs."""
    if _has_middleware(CSRF):
        return []
    text = "Cancels are refused: without CsrfViewMiddleware no page is given a CSRF token."
    return [checks.Warning(text, hint=f"Add {CSRF!r} to MIDDLEWARE.", id="headway.W005")]


# With --deploy


def shared_store(**_: Any) -> Found:
    """W006: a file of SQLite serves one machine and one user."""
    url = store() or os.environ.get("HEADWAY_STORE") or headway.client.default_url()
    if not str(url).startswith("sqlite:"):
        return []
    file = without_secrets(str(url))
    text = f"{file} is a file: web server and workers must run on one machine, as one user."
    hint = "If they do not, use redis:// or postgresql://; if they do, silence this check."
    return [checks.Warning(text, hint=hint, id="headway.W006")]


def streams(**_: Any) -> Found:
    """W007: streams were asked for, and a server of threads is to give them."""
    wanted = _settings().get("STREAMS")
    if not wanted or getattr(settings, "ASGI_APPLICATION", None):
        return []
    text = f"HEADWAY['STREAMS'] is {wanted}, and under WSGI each stream holds a thread for minutes."
    hint = "Serve by ASGI, use gevent workers, or leave it out: then a quarter of the threads may stream."
    return [checks.Warning(text, hint=hint, id="headway.W007")]


def middleware(**_: Any) -> Found:
    """W008: under ASGI, middleware that knows no coroutines costs each request a thread."""
    if not getattr(settings, "ASGI_APPLICATION", None):
        return []
    blocking = [path for path in settings.MIDDLEWARE if not _is_async(path)]
    if not blocking:
        return []
    text = f"Under ASGI a request that is held takes a thread, because of {', '.join(blocking)}."
    hint = "Streams do not.  Make the middleware async_capable, or move it where it does not see headway."
    return [checks.Warning(text, hint=hint, id="headway.W008")]


def _settings() -> dict[str, Any]:
    given = getattr(settings, "HEADWAY", None)
    return given if isinstance(given, dict) else {}


def _has_middleware(path: str) -> bool:
    """Whether it, or something that is one, is there."""
    wanted = import_string(path)
    return any(isinstance(one, type) and issubclass(one, wanted) for one in _middleware())


def _middleware() -> Sequence[Callable[..., Any]]:
    return [import_string(path) for path in settings.MIDDLEWARE]


def _is_async(path: str) -> bool:
    return bool(getattr(import_string(path), "async_capable", False))

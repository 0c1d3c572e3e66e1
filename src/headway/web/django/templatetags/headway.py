"""Tags for templates: ``{% load headway %}``.

    {% headway_script %}                                  once on the page, in its head
    {% headway_progress job.id cancel="Stop it?" %}       a bar
    {% headway_list %}                                    all bars of whoever is logged in

A bar is painted by the server first, so it stands there before any script runs, and without one, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django import template
from django.apps import apps
from django.middleware.csrf import get_token
from django.templatetags.static import static
from django.urls import reverse
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from headway.core import arguments
from headway.core.errors import StoreUnavailable
from headway.web import page
from headway.web.django.access import scope_of
from headway.web.django.painting import seen_by

if TYPE_CHECKING:
    from django.http import HttpRequest

register = template.Library()

SCRIPT = "headway.js"


@register.simple_tag(takes_context=True)
def headway_script(context: template.Context, nonce: str | None = None) -> SafeString:
    """The module that brings the bars to life.

    Args:
        context: The template's.
        nonce: For a content security policy with nonces; by default that of Django 6 or of django-csp.
    """
    found = nonce if nonce is not None else _nonce(context)
    attributes = {"type": "module", "src": script_address(), "nonce": None if found is None else str(found)}
    return format_html("<script{}></script>", _attributes(attributes))


@register.simple_tag(takes_context=True)
def headway_progress(
    context: template.Context,
    job: Any,
    *,
    cancel: str | bool = False,
    token: str = "",
    compact: bool = False,
    label: str = "",
    transport: str = "",
    poll: str | float = "",
) -> SafeString:
    """A bar.

    What whoever asks may not see by your policy is shown as waited for.

    Args:
        context: The template's.
        job: A job, a snapshot or an id; it need not have begun.
        cancel: Offer to cancel; a text is the question that is asked before.
        token: A signed link's.
        compact: In one line.
        label: What to call it where its own name will not do.
        transport: ``auto``, ``sse`` or ``poll``.
        poll: Seconds between two questions where it polls.
    """
    id = arguments.identifier(getattr(job, "id", job))
    address = reverse("headway:job", args=[id]) + (f"?{urlencode({'token': token})}" if token else "")
    request = _request(context)
    attributes = {
        "src": address,
        "cancel": cancel,
        "csrf": get_token(request) if cancel is not False and request is not None else None,
        "compact": compact,
        "aria-label": label or None,
        "transport": transport or None,
        "poll": poll or None,
    }
    return format_html(
        '<headway-progress{}>{}<noscript><a href="{}">Follow it</a></noscript></headway-progress>',
        _attributes(attributes),
        _painted(request, id, token),
        address,
    )


@register.simple_tag(takes_context=True)
def headway_list(
    context: template.Context,
    scope: str | None = None,
    *,
    cancel: str | bool = False,
    token: str = "",
    compact: bool = False,
) -> SafeString:
    """All bars of a scope, and new ones as they begin.

    Args:
        context: The template's.
        scope: Whose; by default those of whoever is logged in.
        cancel: As for `headway_progress`.
        token: As for `headway_progress`.
        compact: As for `headway_progress`.
    """
    request = _request(context)
    if scope is None and request is not None:
        scope = scope_of(request.user)
    asked = {"scope": scope or "", **({"token": token} if token else {})}
    attributes = {
        "src": f"{reverse('headway:jobs')}?{urlencode(asked)}",
        "cancel": cancel,
        "csrf": get_token(request) if cancel is not False and request is not None else None,
        "compact": compact,
    }
    return format_html("<headway-list{}></headway-list>", _attributes(attributes))


def script_address() -> str:
    """Where the module is: among the static files, or below the mount where those are not used."""
    if apps.is_installed("django.contrib.staticfiles"):
        return static(f"headway/{SCRIPT}")
    return reverse("headway:file", args=[SCRIPT])


def _painted(request: HttpRequest | None, id: str, token: str) -> SafeString:
    """The same as without JavaScript."""
    try:
        snapshot = None if request is None else seen_by(request, id, token)
    except StoreUnavailable:  # a page is not lost for a bar
        snapshot = None
    return mark_safe(page.fragment(id, snapshot))  # noqa: S308 - it escapes what jobs say


def _attributes(given: dict[str, Any]) -> SafeString:
    """As they stand in a tag: True has no value, False and None are left out."""
    bare = [(name,) for name, value in given.items() if value is True]
    valued = [(name, escape(value)) for name, value in given.items() if value not in {True, False, None}]
    return format_html_join("", ' {}="{}"', valued) + format_html_join("", " {}", bare)


def _request(context: template.Context) -> HttpRequest | None:
    found: HttpRequest | None = getattr(context, "request", None) or context.get("request")
    return found


def _nonce(context: template.Context) -> Any:
    """It counts as absent only where it is None: Django's is false until it was used."""
    found = context.get("csp_nonce")
    return found if found is not None else getattr(_request(context), "csp_nonce", None)

"""Where things are, below wherever you include this; the names are those of the namespace ``headway``.

    path("progress/", include("headway.web.django.urls"))

Under WSGI a view is a function, under ASGI a coroutine function: a URL is resolved where it will be answered,
so each time it is asked whether an event loop runs there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import URLPattern
from django.urls.resolvers import RoutePattern

from headway.web.django import views
from headway.web.django.access import in_event_loop

if TYPE_CHECKING:
    from django.urls import ResolverMatch

app_name = "headway"


class _Pattern(URLPattern):
    """Hands the whole rest of a path to the view of the server's kind."""

    def resolve(self, path: str) -> ResolverMatch | None:
        match = super().resolve(path)
        if match is not None:
            match.func = views.carry_in_loop if in_event_loop() else views.carry
            match.kwargs = {"inside": self.default_args["above"] + path}
        return match


def pattern(route: str, name: str, above: str = "") -> URLPattern:
    """A URL that the door answers.

    Args:
        route: Where it is, below the place of its list.
        name: What it is called.
        above: Where that list is, below the door's own place.
    """
    kinds: dict[str, Any] = {"name": name, "is_endpoint": True}
    return _Pattern(RoutePattern(route, **kinds), views.carry, {"above": above}, name)


urlpatterns = [
    pattern("jobs", "jobs"),
    pattern("jobs/<str:id>", "job"),
    pattern("jobs/<str:id>/cancel", "cancel"),
    pattern("events", "events"),
    pattern("<path:name>", "file"),
]

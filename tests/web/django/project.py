"""A Django project in one file: its settings, URLs, views, and what servers serve of it.

``HEADWAY_STORE``, ``DATABASE``, ``STREAMS`` and ``PER_CLIENT`` in the environment set it up.
"""

import os
import sys
from pathlib import Path

from headway.testing.web_client import LINKS, ByName
from headway.web.exchange import Request

NAME = __name__ if __name__ != "__main__" else "tests.web.django.project"

# Settings

SECRET_KEY = "for the tests of Django's door only"  # noqa: S105 - it says so
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
TIME_ZONE = "UTC"
ROOT_URLCONF = NAME
WSGI_APPLICATION = f"{NAME}.wsgi"
ASGI_APPLICATION = f"{NAME}.asgi"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DATABASE", ":memory:"),
        "ATOMIC_REQUESTS": True,
    }
}
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "headway.web.django",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "/static/"


def by_name(request, action, job):
    """The contract's `ByName`, as a function of a Django project: it is asked with Django's request."""
    asked = Request(method="GET", path="", headers={"x-user": request.headers.get("X-User", "")})
    return ByName().grant(asked, action, job)


HEADWAY = {
    "STORE": os.environ.get("HEADWAY_STORE", "memory://django"),
    "ACCESS": [by_name, LINKS, "owner", "staff", "links"],
    "STREAMS_PER_CLIENT": int(os.environ.get("PER_CLIENT", "4")),
}
if "STREAMS" in os.environ:
    HEADWAY["STREAMS"] = int(os.environ["STREAMS"])

# URLs and views

if not os.environ.get("DJANGO_SETTINGS_MODULE"):
    os.environ["DJANGO_SETTINGS_MODULE"] = NAME


def blocking(get_response):
    """Middleware that knows no coroutines."""

    def answer(request):
        return get_response(request)

    return answer


PAGE = """<!doctype html><html lang="en">{% load headway %}
<head><title>Imports</title>{% headway_script %}</head>
<body>
{% if id %}{% headway_progress id cancel="Stop it?" %}{% else %}{% headway_list cancel=True %}{% endif %}
</body></html>"""


def bar(request, id=None):
    from django.http import HttpResponse
    from django.template import RequestContext, Template

    response = HttpResponse(Template(PAGE).render(RequestContext(request, {"id": id})))
    response["Content-Security-Policy"] = (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "require-trusted-types-for 'script'"
    )
    return response


def log_in(request, name):
    """As nobody may do outside of tests."""
    from django.contrib.auth import login
    from django.contrib.auth.models import User
    from django.http import HttpResponse

    login(request, User.objects.get(username=name))
    return HttpResponse(name)


def __getattr__(name):
    """Made at first use: Django must have read the settings above."""
    if name == "urlpatterns":
        from django.contrib import admin
        from django.contrib.staticfiles import views
        from django.urls import include, path

        return [
            path("admin/", admin.site.urls),
            path("progress/", include("headway.web.django.urls")),
            path("bar/<str:id>", bar),
            path("bars", bar),
            path("log-in/<str:name>", log_in),
            path("static/<path:path>", views.serve, {"insecure": True}),
        ]
    if name == "wsgi":
        from django.core.wsgi import get_wsgi_application

        return get_wsgi_application()
    if name == "asgi":
        from django.core.asgi import get_asgi_application

        return get_asgi_application()
    raise AttributeError(name)


if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    sys.path.insert(0, str(Path(__file__).parents[3]))
    execute_from_command_line(sys.argv)

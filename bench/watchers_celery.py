"""What the bench of watchers sets beside headway: celery-progress's view, in Django, polled.

``HEADWAY_STORE`` is the result backend's URL.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import django
from celery import Celery
from celery_progress.backend import ProgressRecorder
from celery_progress.views import get_progress
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

if TYPE_CHECKING:
    from collections.abc import Callable

celery = Celery(backend=os.environ["HEADWAY_STORE"])
celery.set_default()  # in all threads
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="for the bench only")  # noqa: S106
django.setup()


def reads(_: HttpRequest) -> HttpResponse:
    """Each question reads the backend: nobody counts."""
    return HttpResponse("0")


urlpatterns: list[Any] = [path("jobs/<str:task_id>", get_progress), path("reads", reads)]


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
    """Django's own, made at the first request: the writer needs none."""
    global _served  # noqa: PLW0603 - once a process
    _served = _served or get_wsgi_application()
    return _served(environ, start_response)


_served: Any = None


def _nothing(_: Any) -> None:
    """The work of a task."""


def recorder(id: str) -> Callable[[int, str], object]:
    """What a task tells of its progress: its count, and a text."""
    task = celery.task(_nothing, bind=True, name=id)
    task.push_request(id=id)
    return lambda count, text: ProgressRecorder(task).set_progress(count, 10**6, text)

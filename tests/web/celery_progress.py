"""A Django project with Celery, whose pages run celery-progress's own script, and ask it or us.

Its tasks do what a test pushes into a list of the broker's: ``3/10`` is told by celery-progress's recorder,
``retry 1``, ``fail``, ``ignore`` and ``done`` are ways to end.  As a Celery app it is
``tests.web.celery_progress``; as what servers serve, the maker of that name in `tests.web.application`.
"""

import os

import redis
from celery import Celery, group, shared_task
from celery.exceptions import Ignore
from celery_progress.backend import ProgressRecorder

from headway.queues import celery as headway_celery
from headway.web.access import Grant

os.environ.setdefault("DJANGO_SETTINGS_MODULE", __name__)
BROKER = os.environ["BROKER"]
OURS, THEIRS, DOORS = "celery-progress", "theirs", "progress"

# Django's settings

SECRET_KEY = "for the tests of celery-progress's pages only"  # noqa: S105 - it says so
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = __name__
INSTALLED_APPS = ["django.contrib.staticfiles", "celery_progress", "headway.web.django"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
STATIC_URL = "/static/"
HEADWAY = {"STORE": os.environ["HEADWAY_STORE"], "ACCESS": "tests.web.celery_progress.may_see"}


def may_see(request, action, job):
    """Everybody may view, results as well; what is for owners alone is not shown."""
    return Grant(also=frozenset({"result"})) if action == "view" else None


# The tasks

app = Celery("site", broker=BROKER, backend=BROKER)
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport_options={"polling_interval": 0.05},
    worker_prefetch_multiplier=1,
)
reports = headway_celery.install(app, HEADWAY["STORE"], lease=3.0, result=True)
app.set_default()


class OverloadedError(Exception):
    """What makes a task fail."""


@shared_task(bind=True, name="site.told")
def told(self, lines):
    """Do what the list says."""
    recorder = ProgressRecorder(self)
    words = redis.Redis.from_url(BROKER, socket_timeout=None)
    while True:
        verb, _, rest = words.blpop([lines], timeout=300)[1].decode().partition(" ")
        if verb == "done":
            return {"imported": rest}
        if verb == "fail":
            raise OverloadedError(rest)
        if verb == "retry":
            raise self.retry(exc=OverloadedError("too much"), countdown=float(rest), max_retries=1)
        if verb == "ignore":
            raise Ignore
        current, _, total = verb.partition("/")
        recorder.set_progress(int(current), int(total), description=rest)


# What is served

PAGE = """<!doctype html><html lang="en"><title>Import</title>{% load static %}<link rel="icon" href="data:,">
<div><div id="progress-bar" style="background-color: #68a9ef; width: 0%">&nbsp;</div></div>
<div id="progress-bar-message"></div>{% if result %}<div id="celery-result"></div>{% endif %}
<script src="{% static 'celery_progress/celery_progress.js' %}"></script>
<script>
document.addEventListener("DOMContentLoaded", () => {
  const show = (element, result) => { element.textContent = "Imported: " + result.imported; };
  const options = {pollInterval: 100, onResult: document.getElementById("celery-result") ? show : undefined};
  CeleryProgressBar.initProgressBar("{{ url }}", options);
});
</script></html>"""


def sent(request):
    """Send a task that does what its line says, or a group of them; its id."""
    from django.http import HttpResponse

    tasks = [told.s(line) for line in request.GET.getlist("line")]
    if len(tasks) == 1:
        return HttpResponse(tasks[0].delay().id)
    return HttpResponse(reports.fan_out(group(tasks), "All countries")[1].id)


def shown(request, kind, id):
    """A page that asks ours, theirs, or ours about a group."""
    from django.http import HttpResponse
    from django.template import Context, Template
    from django.urls import reverse

    names = {"ours": "celery_progress:task_status", "group": "celery_progress:group_status"}
    url = f"/{THEIRS}/{id}/" if kind == "theirs" else reverse(names[kind], args=[id])
    return HttpResponse(Template(PAGE).render(Context({"url": url, "result": "result" in request.GET})))


def __getattr__(name):
    """Made at first use: Django must have read the settings above."""
    if name == "urlpatterns":
        from celery_progress.views import get_progress
        from django.contrib.staticfiles import views
        from django.urls import include, path

        return [
            path(f"{OURS}/", include("headway.web.django.celery_progress")),
            path(f"{THEIRS}/<str:task_id>/", get_progress),
            path(f"{DOORS}/", include("headway.web.django.urls")),
            path("sent", sent),
            path("shown/<str:kind>/<str:id>", shown),
            path("static/<path:path>", views.serve, {"insecure": True}),
        ]
    raise AttributeError(name)

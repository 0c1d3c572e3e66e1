"""The settings of a Django project with django-rq."""

import os

SECRET_KEY = "tests only"  # noqa: S105
INSTALLED_APPS = ["django_rq", "headway.web.django"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}}
RQ_QUEUES = {
    name: {"HOST": "127.0.0.1", "PORT": os.environ["PORT"]} for name in ("forked", "spawned", "committed")
}
RQ = {"QUEUE_CLASS": "headway.queues.django_rq.Queue", "WORKER_CLASS": "headway.queues.rq.Worker"}
HEADWAY = {"STORE": os.environ["STORE"], "ACCESS": "whoever_knows_the_id"}

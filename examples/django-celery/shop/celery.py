"""The Celery app, which reports its tasks."""

import os

from celery import Celery
from django.conf import settings

from headway.queues import celery as headway_celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")

app = Celery("shop")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
headway_celery.install(app, settings.HEADWAY["STORE"])

"""The settings of a Django project whose tasks are those of the contract."""

import os
from importlib.util import find_spec

from headway.testing.queue_bodies import LEASE, store_under_test

TASKS_MODULE = "django.tasks" if find_spec("django.tasks") else "django_tasks"
"""Django 6's own, or the backport."""

SECRET_KEY = "tests only"  # noqa: S105
USE_TZ = True
INSTALLED_APPS = ["django_tasks_db", "headway.queues.django_tasks.App"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["DATABASE"],
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
    }
}
TASKS = {
    "default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": []},
    "immediate": {"BACKEND": f"{TASKS_MODULE}.backends.immediate.ImmediateBackend", "QUEUES": []},
}
HEADWAY = {"STORE": store_under_test(), "TASKS": {"lease": LEASE, "result": True}}

"""Django's settings, headway's and Celery's."""

import os

REDIS_URL = os.environ["REDIS_URL"]

HEADWAY = {"STORE": REDIS_URL, "ACCESS": "shop.access.visitors_own"}
CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True  # headway keeps what people are shown

SECRET_KEY = os.environ.get("SECRET_KEY", "only good for an example on your own machine")
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = ["django.contrib.sessions", "headway.web.django", "shop"]
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"  # so that no database is needed
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]

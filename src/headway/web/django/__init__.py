"""The door for Django: an app with settings, URLs, template tags, checks and a list in the admin.

    INSTALLED_APPS = [..., "headway.web.django"]
    HEADWAY = {"STORE": "redis://localhost/0", "ACCESS": "owner"}

    path("progress/", include("headway.web.django.urls"))

    {% load headway %} {% headway_script %} {% headway_progress job.id %}

It serves under WSGI and under ASGI.  `headway.web.django.settings` says what ``HEADWAY`` may hold.
"""

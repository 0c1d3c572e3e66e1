"""The applications that real servers serve in the tests: each door once, mounted at /progress.

``DOOR`` in the environment says which one ``tests.web.application:application`` is, ``PATIENCE`` for how many
seconds a WSGI door waits for who does not read.
"""

import os

from headway.testing.web_client import ACCESS

STORE = os.environ.get("HEADWAY_STORE", "memory://web")
SETTINGS = {"streams_per_client": int(os.environ.get("PER_CLIENT", "4"))} | (
    {"streams": int(os.environ["STREAMS"])} if "STREAMS" in os.environ else {}
)


def mounted(inner):
    """An ASGI application at /progress, as Starlette and others mount it."""

    async def outer(scope, receive, send):
        if scope["type"] == "http" and scope["path"].startswith("/progress/"):
            scope = {**scope, "root_path": "/progress"}
        await inner(scope, receive, send)

    return outer


def mounted_wsgi(inner):
    """A WSGI application at /progress."""

    def outer(environ, start_response):
        path = environ["PATH_INFO"].removeprefix("/progress")
        return inner({**environ, "SCRIPT_NAME": "/progress", "PATH_INFO": path}, start_response)

    return outer


def make_asgi():
    from headway.web.asgi import app

    return mounted(app(ACCESS, STORE, **SETTINGS))


def make_wsgi():
    from headway.web.wsgi import app

    return mounted_wsgi(app(ACCESS, STORE, **SETTINGS))


def make_starlette():
    from starlette.applications import Starlette
    from starlette.routing import Mount

    from headway.web.starlette import routes

    return Starlette(routes=[Mount("/progress", routes=routes(ACCESS, STORE, **SETTINGS))])


def make_fastapi():
    from fastapi import FastAPI

    from headway.web.fastapi import router

    app = FastAPI()
    app.include_router(router(ACCESS, STORE, **SETTINGS), prefix="/progress")
    return app


def make_flask():
    from flask import Flask

    from headway.web.flask import Headway

    app = Flask(__name__)
    Headway(app, access=ACCESS, store=STORE, **SETTINGS)
    return app


def make_django():
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.web.django.project"
    from tests.web.django.project import wsgi

    return wsgi


def make_django_asgi():
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.web.django.project"
    from tests.web.django.project import asgi

    return asgi


def make_celery_progress():
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.web.celery_progress"
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()


MAKERS = {
    "asgi": make_asgi,
    "wsgi": make_wsgi,
    "starlette": make_starlette,
    "fastapi": make_fastapi,
    "flask": make_flask,
    "django": make_django,
    "django-asgi": make_django_asgi,
    "celery-progress": make_celery_progress,
}
if "PATIENCE" in os.environ:
    from headway.web import connection

    connection.PATIENCE = float(os.environ["PATIENCE"])
application = MAKERS[os.environ["DOOR"]]()

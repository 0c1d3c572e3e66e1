"""The app: what a Django project has of headway."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig, apps
from django.core.signals import setting_changed
from django.utils.functional import cached_property

from headway.web import asgi, wsgi

if TYPE_CHECKING:
    from headway.web.door import Door

DOORS = ("door", "blocking", "looping")


class HeadwayConfig(AppConfig):
    """Holds the door, made at the first request as ``settings.HEADWAY`` says.

    Django looks for static files and templates in the folder of an app.  Ours are shared by all doors, so it
    looks one folder higher.
    """

    name = "headway.web.django"
    label = "headway"
    verbose_name = "Jobs"
    path = str(Path(__file__).parents[1])
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """This process and its children report to the store of the settings, if not told otherwise."""
        from headway.web.django import checks

        checks.register_all()
        setting_changed.connect(self._forget, dispatch_uid="headway")
        store = checks.store()
        if isinstance(store, str):
            os.environ.setdefault("HEADWAY_STORE", store)

    @cached_property
    def door(self) -> Door:
        """The store, and who may see what.

        Raises:
            AccessMissing: ``settings.HEADWAY`` does not say who may see what.
            InvalidValue: It says something that means nothing.
        """
        from headway.web.django import settings

        return settings.door()

    @cached_property
    def blocking(self) -> wsgi.App:
        """What carries answers under WSGI."""
        return wsgi.App(self.door)

    @cached_property
    def looping(self) -> asgi.App:
        """What carries answers under ASGI."""
        return asgi.App(self.door)

    def _forget(self, *, setting: str, **_: Any) -> None:
        """A test has changed the settings."""
        if setting in {"HEADWAY", "SECRET_KEY", "SECRET_KEY_FALLBACKS"}:
            for name in DOORS:
                self.__dict__.pop(name, None)


def config() -> HeadwayConfig:
    """This project's headway.

    Raises:
        LookupError: ``headway.web.django`` is not in ``INSTALLED_APPS``.
    """
    found = apps.get_app_config("headway")
    assert isinstance(found, HeadwayConfig)  # noqa: S101 - the label is ours
    return found

"""What ``settings.HEADWAY`` says, read once and turned into a door.

    HEADWAY = {
        "STORE": "redis://localhost/0",     # where jobs are kept; also where this project's own jobs report
        "ACCESS": "owner",                  # or "staff", "links", "whoever_knows_the_id", a function,
    }                                       # its dotted path, or a list of these

``TASKS`` is for `headway.queues.django_tasks`, which reports Django's own tasks.

The fields of `headway.web.exchange.Settings` may be there as well, in capitals, as ``"ORIGINS"``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import django
from django.conf import settings
from django.utils.module_loading import import_string

from headway.core.errors import InvalidValue
from headway.web.access import AccessMissing, whoever_knows_the_id
from headway.web.django.access import Asking, owner, staff
from headway.web.django.links import Links
from headway.web.door import Door
from headway.web.exchange import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from headway.web.access import Policy

POLICIES: dict[str, Callable[[], Any]] = {
    "owner": lambda: owner,
    "staff": lambda: staff,
    "links": Links,
    "whoever_knows_the_id": lambda: whoever_knows_the_id,
}
"""The policies that have a name."""
UNNOTICED = 30.0
"""Seconds for which a stream lives before Django 5, which under ASGI does not see that a client has gone."""
APART = {"STORE", "ACCESS", "TASKS"}
"""What is no field of `headway.web.exchange.Settings`."""
KNOWN = {*APART, *(name.upper() for name in Settings.__struct_fields__)}


def given() -> dict[str, Any]:
    """``settings.HEADWAY``; empty where there is none.

    Raises:
        InvalidValue: It is no dictionary, or has a key that means nothing.
    """
    found = getattr(settings, "HEADWAY", {})
    if not isinstance(found, dict):
        raise InvalidValue("HEADWAY", found, "it is a dictionary")
    for name in found:
        if name not in KNOWN:
            raise InvalidValue(f"HEADWAY[{name!r}]", found[name], f"known are {', '.join(sorted(KNOWN))}")
    return found


def named_policies() -> list[Any]:
    """What ``ACCESS`` names, imported.

    Raises:
        AccessMissing: There is no ``ACCESS``.
        InvalidValue: A name is neither one of ours nor a dotted path to a function or a policy.
    """
    access = given().get("ACCESS")
    several = access if isinstance(access, (list, tuple)) else [access]
    if access is None or not several:
        raise AccessMissing
    return [_named(one) for one in several]


def _named(policy: Any) -> Any:
    if isinstance(policy, str):
        policy = POLICIES[policy]() if policy in POLICIES else _imported(policy)
    if not callable(policy) and not hasattr(policy, "grant"):
        raise InvalidValue("HEADWAY['ACCESS']", policy, "it is a function or has a method grant")
    return policy


def _imported(path: str) -> Any:
    try:
        return import_string(path)
    except ImportError as error:
        names = ", ".join(map(repr, POLICIES))
        reason = f"it is {names}, or the dotted path of a function of yours; {error}"
        raise InvalidValue("HEADWAY['ACCESS']", path, reason) from error


def door() -> Door:
    """A door as the settings say.

    Raises:
        AccessMissing: It was not said who may see what.
        InvalidValue: A setting means nothing.
    """
    policies: list[Policy] = [one if hasattr(one, "grant") else Asking(one) for one in named_policies()]
    rest = {name.lower(): value for name, value in given().items() if name not in APART}
    if "origins" in rest:
        rest["origins"] = tuple(rest["origins"])
    if django.VERSION < (5, 0):
        rest.setdefault("lifetime", UNNOTICED)
    return Door(policies, given().get("STORE"), rest)

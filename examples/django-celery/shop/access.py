"""Who may see which import: the visitor who started it.

In a project with users, ``HEADWAY["ACCESS"] = "owner"`` and ``scope_of(request.user)`` do the same.
"""

import secrets

from headway.web.access import OWNER


def scope_of(request):
    """The scope of a visitor's imports."""
    return "visitor/" + request.session.setdefault("visitor", secrets.token_hex(8))


def visitors_own(request, action, job):
    """What headway's pages ask before they show, list or cancel a job."""
    return OWNER if job.scope == scope_of(request) else None

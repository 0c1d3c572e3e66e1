"""Jobs in Django's admin: a list to read, filter and cancel from, and a page for each.

Whoever has the permission ``headway.view_job`` sees all jobs, and may cancel with ``headway.cancel_job``.
Bars move by themselves where your policy lets the same user see the job (``"staff"`` does).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, path, reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.timezone import localtime

from headway.core import words
from headway.core.errors import InvalidValue, StoreUnavailable
from headway.core.snapshot import ENDED, UNENDED, Snapshot
from headway.stores.contract import Page
from headway.web import page
from headway.web.django.access import may
from headway.web.django.apps import config
from headway.web.django.models import Job
from headway.web.django.painting import may_view
from headway.web.django.templatetags.headway import script_address

if TYPE_CHECKING:
    from datetime import datetime

    from django.urls import URLPattern

    Admin = admin.ModelAdmin[Job]
else:
    Admin = admin.ModelAdmin  # Django's has no brackets

STATUSES = (*UNENDED, *sorted(ENDED))
NOTHING = Page(())


@admin.register(Job)
class JobAdmin(Admin):
    """What the admin shows of jobs."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's
        """Jobs are begun by programs."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:  # noqa: ARG002 - Django's
        """Jobs are changed by their workers."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:  # noqa: ARG002 - Django's
        """Records go by themselves when their time is over."""
        return False

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        """Whether whoever asks may ask jobs to stop."""
        return may(request.user, "cancel_job")

    def get_urls(self) -> list[URLPattern]:
        """The list, and a page for each job."""
        wrap = self.admin_site.admin_view
        return [
            path("", wrap(self.changelist_view), name="headway_job_changelist"),
            path("<str:object_id>/", wrap(self.job_view), name="headway_job_change"),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list; a POST asks the chosen ones to stop."""
        self._admit(request)
        if request.method == "POST":
            self._cancel(request, request.POST.getlist("id"))
            return HttpResponseRedirect(request.get_full_path())
        return self._drawn(request, "jobs", self._listed(request) | (extra_context or {}))

    def job_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """One job; a POST asks it to stop."""
        self._admit(request)
        if request.method == "POST":
            self._cancel(request, [object_id])
            return HttpResponseRedirect(request.get_full_path())
        try:
            found = config().door.hw.get(object_id, details=True)
        except InvalidValue as error:
            raise Http404 from error
        except StoreUnavailable as error:
            self.message_user(request, str(error), messages.ERROR)
            return self._drawn(request, "job", {"title": object_id})
        if found is None:
            raise Http404
        shown = {
            "title": words.name(found),
            "job": found,
            "row": _row(request, found),
            "facts": _facts(found),
        }
        return self._drawn(request, "job", shown)

    def _admit(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _cancel(self, request: HttpRequest, ids: list[str]) -> None:
        if not self.has_cancel_permission(request):
            raise PermissionDenied
        try:
            asked = sum(config().door.hw.cancel(id) for id in ids)
        except (StoreUnavailable, InvalidValue) as error:
            self.message_user(request, str(error), messages.ERROR)
            return
        refused = len(ids) - asked
        if asked:
            self.message_user(request, f"Asked to stop: {asked}.", messages.SUCCESS)
        if refused:
            why = "They have ended, or are past their point of no return."
            self.message_user(request, f"Not asked: {refused}.  {why}", messages.WARNING)

    def _listed(self, request: HttpRequest) -> dict[str, Any]:
        status = [one for one in request.GET.getlist("status") if one in STATUSES]
        scope, cursor = request.GET.get("scope") or None, request.GET.get("cursor") or None
        found = NOTHING
        try:
            found = config().door.hw.find(scope=scope, status=status, cursor=cursor)
        except (StoreUnavailable, InvalidValue) as error:
            self.message_user(request, str(error), messages.ERROR)
        kept = [("status", one) for one in status] + ([("scope", scope)] if scope else [])
        return {
            "title": "Jobs",
            "rows": [_row(request, job) for job in found],
            "statuses": [(one, one in status) for one in STATUSES],
            "scope": scope or "",
            "older": urlencode([*kept, ("cursor", found.cursor)]) if found.cursor else "",
            "newest": urlencode(kept) if cursor else None,
        }

    def _drawn(self, request: HttpRequest, template: str, shown: dict[str, Any]) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.model._meta,  # noqa: SLF001 - the admin's own templates ask for it
            "script": script_address(),
            "may_cancel": self.has_cancel_permission(request),
            **shown,
        }
        return TemplateResponse(request, f"headway/{template}.html", context)


def _row(request: HttpRequest, job: Snapshot) -> dict[str, Any]:
    return {
        "job": job,
        "name": words.name(job),
        "address": reverse("admin:headway_job_change", args=[job.id]),
        "bar": _bar(request, job),
        "elapsed": words.duration(job.elapsed) or "",
    }


def _bar(request: HttpRequest, job: Snapshot) -> SafeString:
    """Painted; alive where this user may see it outside the admin, too."""
    painted = mark_safe(page.fragment(job.id, job))  # noqa: S308 - it escapes what jobs say
    try:
        address = reverse("headway:job", args=[job.id])
    except NoReverseMatch:
        return painted
    if not may_view(request, job):
        return painted
    return format_html('<headway-progress src="{}">{}</headway-progress>', address, painted)


def _facts(job: Snapshot) -> list[tuple[str, str]]:
    """What is known of a job and not in its bar."""
    known = {
        "Id": job.id,
        "Scope": job.scope,
        "Kind": job.kind,
        "Status": words.state(job),
        "Attempt": job.attempt,
        "Created": _moment(job.created_at),
        "Started": _moment(job.started_at),
        "Ended": _moment(job.ended_at),
        "Took": words.duration(job.elapsed),
        "Worker": job.worker,
        "Parent": job.parent,
        "Failed items": job.failed_count or None,
    }
    facts = [(name, words.harmless(f"{value}")) for name, value in known.items() if value is not None]
    if job.details is None:
        return facts
    error = job.error.detail or job.error.text if job.error else None
    large = {"Error": error, "Meta": job.details.meta, "Result": job.details.result}
    return facts + [(name, _readable(value)) for name, value in large.items() if value not in (None, {})]


def _moment(at: datetime | None) -> str | None:
    return None if at is None else date_format(localtime(at), "DATETIME_FORMAT")


def _readable(value: Any) -> str:
    if isinstance(value, str):
        return value
    return msgspec.json.format(msgspec.json.encode(value)).decode()

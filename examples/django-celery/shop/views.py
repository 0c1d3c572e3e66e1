"""A page with all imports, and one for each."""

import csv

from django.http import Http404
from django.shortcuts import redirect, render

import headway
from headway.queues import enqueueing
from shop.access import scope_of
from shop.tasks import import_customers

SAMPLE = [f"Customer {n},{'' if n % 10 == 0 else f'customer{n}@example.com'}" for n in range(1, 201)]


def imports(request):
    """Start an import, and see all that this visitor started."""
    scope = scope_of(request)
    if request.method == "POST":
        file = request.FILES.get("customers")
        lines = file.read().decode().splitlines() if file else ["name,email", *SAMPLE]
        with enqueueing(scope=scope):
            task = import_customers.delay(list(csv.DictReader(lines)))
        return redirect("import", task.id)
    return render(request, "shop/imports.html", {"scope": scope})


def show(request, id):
    """One import: how far it has got, and what came of it."""
    job = headway.get(id, details=True)
    if job is None or job.scope != scope_of(request):
        raise Http404
    return render(request, "shop/import.html", {"job": job})

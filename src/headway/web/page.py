"""A job as plain HTML, for pages without JavaScript and for htmx.

The whole page refreshes itself until the job has ended.  The fragment asks htmx for its successor until then;
without htmx those attributes do nothing.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from headway.core import words

if TYPE_CHECKING:
    from headway.core.snapshot import Snapshot

REFRESH = 2
"""Seconds after which the page, or the fragment, asks again."""


def whole(id: str, job: Snapshot | None) -> str:
    """A page of its own."""
    again = "" if job is not None and job.ended else f'<meta http-equiv="refresh" content="{REFRESH}">\n'
    name = _text(id if job is None else words.name(job))
    percent = "" if job is None else words.percent(job) or ""
    title = f"{percent} {name}".strip()
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"{again}<title>{title}</title>\n</head>\n<body>\n<main>\n{fragment(id, job)}\n"
        "</main>\n</body>\n</html>\n"
    )


def fragment(id: str, job: Snapshot | None, here: str = "") -> str:
    """An element that shows the job.

    Args:
        id: The job's id.
        job: The job; None while it is waited for.
        here: Where the fragment is to be asked for again; empty where somebody else sees to that.
    """
    status = "waiting" if job is None else job.status
    name = id if job is None else words.name(job)
    again = "" if (job is not None and job.ended) or not here else _again(here)
    lines = [
        f'<div class="headway" data-status="{escape(status)}"{again}>',
        f"<p><strong><bdi>{_text(name)}</bdi></strong> <span>{_text(_state(job))}</span></p>",
        _bar(name, job),
        f"<p>{_text(_line(job))}</p>",
        "</div>",
    ]
    return "\n".join(lines)


def _again(here: str) -> str:
    joint = "&" if "?" in here else "?"
    address = escape(f"{here}{joint}format=fragment")
    return f' hx-get="{address}" hx-trigger="load delay:{REFRESH}s" hx-swap="outerHTML"'


def _bar(name: str, job: Snapshot | None) -> str:
    value = None if job is None else job.fraction
    shown = "" if value is None else f' value="{value:g}"'
    ended = job is not None and job.ended
    words_of_it = "" if job is None else words.percent(job) or ""
    if value is None and ended:
        return ""
    return f'<progress max="1"{shown} aria-label="{_text(name)}">{words_of_it}</progress>'


def _state(job: Snapshot | None) -> str:
    return "waiting" if job is None else words.state(job)


def _line(job: Snapshot | None) -> str:
    if job is None:
        return "It has not started yet."
    error = job.error
    said = [
        words.percent(job),
        words.counts(job.count, job.total, job.unit),
        None if job.ended else words.harmless(job.activity or ""),
        _left(job),
        words.harmless(error.text) if error and error.text else None,
        *words.worries(job),
    ]
    return " · ".join(one for one in said if one)


def _left(job: Snapshot) -> str | None:
    if job.ended or None in (job.remaining, job.remaining_low, job.remaining_high):
        return None
    return words.left(job.remaining, job.remaining_low, job.remaining_high)  # type: ignore[arg-type]  # just looked


def _text(text: str) -> str:
    return escape(text, quote=True)

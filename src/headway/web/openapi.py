"""The protocol, described once as OpenAPI 3.1: the paths stand here, the bodies are generated from types."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from headway.core.snapshot import ENDED, UNENDED
from headway.web.shapes import CeleryProgress, Job, Jobs, Problem

SHAPES = (Job, Jobs, CeleryProgress, Problem)
JSON, PROBLEM, HTML, SSE = "application/json", "application/problem+json", "text/html", "text/event-stream"
ID = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._:~@-]{0,199}$"}
TEXT = {"type": "string"}
SCOPE = {"type": "string", "minLength": 1, "maxLength": 200}


class Path(Struct, frozen=True):
    """One thing that can be asked.

    Attributes:
        template: Its path below the mount.
        name: What it is called.
        shape: What it answers as JSON, or None.
        answers: Which statuses mean what; bodies of 4xx and 5xx are problems.
    """

    template: str
    method: str
    name: str
    summary: str
    parameters: tuple[dict[str, Any], ...]
    shape: type | None
    answers: dict[int, str]
    types: tuple[str, ...] = (JSON,)

    def operation(self) -> dict[str, Any]:
        """As OpenAPI has it."""
        return {
            "operationId": self.name,
            "summary": self.summary,
            "parameters": list(self.parameters),
            "responses": {str(status): self._answer(status, means) for status, means in self.answers.items()},
        }

    def _answer(self, status: int, means: str) -> dict[str, Any]:
        answer: dict[str, Any] = {"description": means}
        if status >= 400:
            answer["content"] = {PROBLEM: {"schema": _reference(Problem)}}
        elif status in {200, 202}:
            json = _reference(self.shape) if self.shape else TEXT
            answer["content"] = {type_: {"schema": json if type_ == JSON else TEXT} for type_ in self.types}
        return answer


def _parameter(name: str, place: str, schema: dict[str, Any], means: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "schema": schema,
        "description": means,
    }


def _many(schema: dict[str, Any], most: int = 100) -> dict[str, Any]:
    return {"type": "array", "items": schema, "maxItems": most}


_THIS = _parameter("id", "path", ID, "The job's id.")
_TOKEN = _parameter("token", "query", TEXT, "A signed link's token, where access is by links.")
_UNKNOWN = {404: "Not known, or not yours: nobody can tell which.", 503: "The store is away."}
_INVALID = {400: "Not understood."}
_HEADER = {"type": "string"}
PATHS = (
    Path(
        "jobs/{id}",
        "GET",
        "get_job",
        "A job as it is now; with Prefer: wait=N and If-None-Match, as soon as it has changed",
        (
            _THIS,
            _TOKEN,
            _parameter("format", "query", {"enum": ["json", "page", "fragment"]}, "JSON, or HTML."),
            _parameter("If-None-Match", "header", _HEADER, "The ETag of what you have."),
            _parameter(
                "Prefer", "header", _HEADER, "wait=N: hold the answer for up to N seconds, at most 30."
            ),
        ),
        Job,
        {200: "The job, or that it is waited for.", 304: "It has not changed.", **_INVALID, **_UNKNOWN},
        (JSON, HTML),
    ),
    Path(
        "jobs",
        "GET",
        "find_jobs",
        "Jobs, newest first",
        (
            _parameter("scope", "query", SCOPE, "Only those of this scope."),
            _parameter(
                "status",
                "query",
                _many({"enum": [*UNENDED, *sorted(ENDED)]}, 8),
                "Only those that read so; several are alternatives.",
            ),
            _parameter(
                "limit", "query", {"type": "integer", "minimum": 1, "maximum": 200}, "At most so many."
            ),
            _parameter("cursor", "query", TEXT, "The `next` of the page before."),
            _TOKEN,
        ),
        Jobs,
        {200: "A page.", **_INVALID, **_UNKNOWN},
    ),
    Path(
        "jobs/{id}/cancel",
        "POST",
        "cancel_job",
        "Ask a job to stop",
        (_THIS,),
        Job,
        {
            202: "Recorded.",
            403: "From another site, or you may only view.",
            409: "It has ended, or is past its point of no return.",
            429: "Too often.",
            **_INVALID,
            **_UNKNOWN,
        },
    ),
    Path(
        "events",
        "GET",
        "stream_events",
        "A stream of events: job (data: a Job), gone (data: {id}) and bye (data: {reason, retry})",
        (
            _parameter("id", "query", _many(ID), "Which jobs."),
            _parameter("scope", "query", _many(SCOPE), "All jobs of which scopes."),
            _parameter("format", "query", {"enum": ["html"]}, "HTML fragments in messages without a name."),
            _parameter("Last-Event-ID", "header", _HEADER, "The id of the last event that you saw."),
            _TOKEN,
        ),
        None,
        {
            200: "The stream.",
            204: "There is nothing to come for: all has ended, or this server has no streams.",
            **_INVALID,
            404: _UNKNOWN[404],
        },
        (SSE,),
    ),
    Path(
        "celery-progress/{id}",
        "GET",
        "get_celery_progress",
        "A job in the form that celery-progress's script asks for; 200 also while the store is away",
        (_THIS, _TOKEN),
        CeleryProgress,
        {200: "The job, or that it is waited for.", **_INVALID, 404: _UNKNOWN[404]},
    ),
    Path(
        "celery-progress/g/{id}",
        "GET",
        "get_celery_group_progress",
        "The same, where its script asks for a group",
        (_THIS, _TOKEN),
        CeleryProgress,
        {200: "The job, or that it is waited for.", **_INVALID, 404: _UNKNOWN[404]},
    ),
)


def description(base: str = "") -> dict[str, Any]:
    """The description, for a mount at this path."""
    from headway import __version__

    _, components = msgspec.json.schema_components(SHAPES, ref_template="#/components/schemas/{name}")
    paths: dict[str, Any] = {}
    for path in PATHS:
        paths.setdefault(f"/{path.template}", {})[path.method.lower()] = path.operation()
    return {
        "openapi": "3.1.0",
        "info": {"title": "headway", "version": __version__, "summary": "How far jobs have got"},
        "servers": [{"url": base or "."}],
        "paths": paths,
        "components": {"schemas": components},
    }


def document() -> bytes:
    """The description as JSON."""
    return msgspec.json.encode(description())


def _reference(shape: type) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{shape.__name__}"}

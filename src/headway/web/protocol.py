"""What may be asked of headway over HTTP, and what is answered.  No I/O, no clock, no framework.

`Protocol.answer` is a conversation: it yields what it wants done (`Ask`, `Read`, `Find`, `Cancel`, `Join`,
`Listen`, `Start`, `Send`), a door does it and sends the outcome back, and at the end returns a `Response`,
or None where `Start` and `Send` have given it already.  So blocking and asynchronous doors answer alike.

Three decisions stand here and nowhere else:

1. **What somebody may not see answers like what does not exist.**  Of an id that may not be seen, or is not
   known, the policy is asked once more as if nothing were known; that alone decides the answer: *waiting*
   where it admits the id, 404 where it does not.
2. **Overload and outages never answer a stream with 4xx or 5xx,** because browsers do not come back from
   those: 200, a long ``retry:`` and the end.
3. **A cancel must come from a page of ours**: a browser says so by ``Sec-Fetch-Site`` or ``Origin``,
   everybody else by a JSON content type or an ``Authorization`` header, which no form can send.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import msgspec

from headway.core import arguments, wire
from headway.core.errors import InvalidValue, StoreUnavailable
from headway.core.snapshot import ENDED, UNENDED, Snapshot
from headway.stores.contract import LARGEST_PAGE, PAGE, Page
from headway.web import celery_progress, page, problems
from headway.web.access import Grant, Target
from headway.web.exchange import (
    HTML,
    JSON,
    PRIVATE,
    SNIFFING,
    Ask,
    Cancel,
    File,
    Find,
    Heard,
    Join,
    Listen,
    Read,
    Request,
    Response,
    Settings,
    Spend,
    Static,
)
from headway.web.frames import UNKNOWN, encode
from headway.web.stream import MOST, Conversation, put_off
from headway.web.view import Part, View, looked_at, with_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from headway.web.exchange import Talk

LONGEST = 30.0
"""Seconds for which a request may ask to be held."""
PAGE_POLICY = ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'self'; form-action 'self'")


class Protocol:
    """Decides every answer."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()

    def answer(self, request: Request) -> Talk:
        """The conversation about one request."""
        try:
            found = yield from self._answer(request)
        except StoreUnavailable:
            found = problems.unavailable()
        except InvalidValue as error:
            found = problems.invalid(error)
        if found is not None:
            found.headers += self.sharing(request)
            if request.method == "HEAD":
                found.body = b""
        return found

    def _answer(self, request: Request) -> Talk:
        methods = self._methods(request.path.split("/"))
        if not methods:
            return problems.no_such_page()
        if request.method == "OPTIONS":
            allowed = ", ".join(methods)
            return Response(204, [("Allow", allowed), *self._preflight(request, allowed)])
        if request.method not in methods:
            return problems.wrong_method(list(methods))
        return (yield from methods[request.method](request))

    def _methods(self, path: list[str]) -> dict[str, Callable[[Request], Talk]]:  # noqa: PLR0911 - a table
        """What a path can be asked."""
        match path:
            case ["jobs"]:
                return _read_only(self._list)
            case ["jobs", id]:
                return _read_only(lambda request: self._job(request, arguments.identifier(id)))
            case ["jobs", id, "cancel"]:
                return {"POST": lambda request: self._cancel(request, arguments.identifier(id))}
            case ["celery-progress", id] | ["celery-progress", "g", id]:
                return _read_only(lambda _: self._celery_progress(arguments.identifier(id)))
            case ["events"]:
                return _read_only(self._events)
            case [name]:
                return _read_only(lambda request: self._file(request, name))
            case _:
                return {}

    # One job

    def _job(self, request: Request, id: str) -> Talk:
        form = _form(request)
        view = yield from looked_at(id)
        if view.refused:
            return problems.unknown_job()
        etag = view.etag
        wanted = request.header("if-none-match")
        held = 0.0
        wait = _seconds_to_wait(request.header("prefer"))
        unchanged = _matches(wanted, etag) or (not wanted and etag == UNKNOWN)
        if wait and unchanged and form == "json" and request.method == "GET":
            held, view = yield from self._held(request, view, wait)
            if view.refused:
                return problems.unknown_job()
        headers = [("ETag", view.etag), *PRIVATE]
        if held:
            headers.append(("Preference-Applied", f"wait={held:g}"))
        if _matches(wanted, view.etag) and form == "json":
            return Response(304, headers)
        if form == "json":
            return Response(200, [("Content-Type", JSON), *headers], view.frame())
        here = f"{request.base}/jobs/{quote(id)}" + _with_token(request)
        drawn = page.whole(id, view.snapshot) if form == "page" else page.fragment(id, view.snapshot, here)
        return Response(200, [("Content-Type", HTML), PAGE_POLICY, *headers], drawn.encode())

    def _held(self, request: Request, view: View, wait: float) -> Part[tuple[float, View]]:
        """Wait until the job would answer otherwise; the seconds that were promised, 0 when they were not."""
        known = yield Join((view.id,), (), view.who(request))
        if known is None:
            return 0.0, view
        etag = view.etag
        heard: Heard = yield Listen(0)
        deadline = heard.now + wait
        while True:
            view = yield from looked_at(view.id)
            over = heard.closing or heard.left or heard.now >= deadline
            if view.refused or view.etag != etag or over:
                return wait, view
            heard = yield Listen(deadline - heard.now)

    def _celery_progress(self, id: str) -> Talk:
        try:
            view = yield from looked_at(id)
        except StoreUnavailable:
            told = celery_progress.OUTAGE
        else:
            if view.grant is None:
                return problems.unknown_job()
            told = celery_progress.answer(view.snapshot, view.grant)
        return Response(200, [("Content-Type", JSON), *PRIVATE], msgspec.json.encode(told))

    # Many jobs

    def _list(self, request: Request) -> Talk:
        scope = arguments.scope(request.one("scope"))
        grant: Grant | None = yield Ask("list", Target(scope=scope))
        if grant is None:
            return problems.unknown_job()
        find = Find(scope, _statuses(request), _limit(request), request.one("cursor"))
        found: Page = yield find
        jobs = yield from with_errors(found.jobs)
        read_at = max((job.read_at for job in jobs if job.read_at), default=None)
        lean = msgspec.structs.replace(grant, also=grant.also - {"messages"})
        frames = [msgspec.Raw(encode(job, lean)) for job in jobs]
        body = {"headway": wire.FORMAT, "jobs": frames, "next": found.cursor, "read_at": read_at}
        return Response(200, [("Content-Type", JSON), *PRIVATE], msgspec.json.encode(body))

    # Streams

    def _events(self, request: Request) -> Talk:
        if request.method == "HEAD" or not request.streams:
            return Response(204, [*PRIVATE])
        ids = tuple(dict.fromkeys(map(arguments.identifier, request.given("id"))))
        scopes = tuple(dict.fromkeys(arguments.scope(one or None) for one in request.given("scope")))
        if not ids and not scopes:
            return problems.nothing_asked()
        if len(ids) > MOST:
            return problems.too_many(MOST)
        stream = Conversation(self.settings, request, ids, scopes, self.sharing(request))
        try:
            return (yield from stream.talk())
        except StoreUnavailable:  # it did not begin
            return put_off(request, "later", self.settings.busy / 6)

    # Cancel

    def _cancel(self, request: Request, id: str) -> Talk:
        if not self.is_own_page(request):
            return problems.cross_site()
        seconds: float = yield Spend(request.client)
        if seconds:
            return problems.too_often(seconds)
        view = yield from looked_at(id)
        if view.snapshot is None:
            return problems.unknown_job()
        may = yield Ask("cancel", Target(id, view.snapshot.scope, view.snapshot))
        return (yield from self._cancelled(request, view)) if may else problems.may_not_cancel()

    def _cancelled(self, request: Request, view: View) -> Talk:
        recorded: bool = yield Cancel(view.id)
        after: dict[str, Snapshot] = yield Read((view.id,), details=True)
        view.snapshot = after.get(view.id)
        if view.snapshot is None:
            return problems.unknown_job()
        if not recorded:
            return problems.cannot_be_cancelled(view.snapshot)
        location = f"{request.base}/jobs/{quote(view.id)}"
        return Response(202, [("Content-Type", JSON), ("Location", location), *PRIVATE], view.frame())

    def is_own_page(self, request: Request) -> bool:
        """Whether a request that changes something comes from a page of this site, or from no page at all."""
        origin, site = request.header("origin"), request.header("sec-fetch-site")
        if request.vouched or (origin and origin in self.settings.origins):
            return True
        if site:
            return site in {"same-origin", "none"}
        if origin:
            own = urlsplit(origin)
            return own.scheme in {"http", "https"} and own.netloc == request.header("host")
        plain = request.header("content-type").partition(";")[0].strip().lower()
        return plain == JSON or bool(request.header("authorization"))

    # Other sites

    def sharing(self, request: Request) -> list[tuple[str, str]]:
        """The headers by which a page of another site may read the answer, where that was allowed."""
        origin = request.header("origin")
        if origin not in self.settings.origins:
            return []
        return [
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Allow-Credentials", "true"),
            ("Access-Control-Expose-Headers", "ETag, Preference-Applied, Retry-After, Location"),
        ]

    def _preflight(self, request: Request, methods: str) -> list[tuple[str, str]]:
        if request.header("origin") not in self.settings.origins:
            return []
        headers = "Authorization, Content-Type, If-None-Match, Prefer, Last-Event-ID"
        return [
            ("Access-Control-Allow-Methods", methods),
            ("Access-Control-Allow-Headers", headers),
            ("Access-Control-Max-Age", "600"),
        ]

    # Files

    def _file(self, request: Request, name: str) -> Talk:
        found: Static | None = yield File(name)
        if found is None:
            return problems.no_such_page()
        packed = _takes_gzip(request)
        etag = f'"{found.digest}.gz"' if packed else f'"{found.digest}"'
        headers = [("ETag", etag), ("Cache-Control", "no-cache"), ("Vary", "Accept-Encoding"), SNIFFING]
        if _matches(request.header("if-none-match"), etag):
            return Response(304, headers)
        headers.append(("Content-Type", found.type))
        if not packed:
            return Response(200, headers, found.body)
        return Response(200, [*headers, ("Content-Encoding", "gzip")], found.packed)


# What requests say


def _read_only(ask: Callable[[Request], Talk]) -> dict[str, Callable[[Request], Talk]]:
    return {"GET": ask, "HEAD": ask}


def _form(request: Request) -> str:
    """``json``, ``page`` or ``fragment``: what was asked for outright, else what a browser prefers."""
    named = request.one("format")
    if named in {"json", "page", "fragment"}:
        return named
    if named is not None:
        raise InvalidValue("format", named, "a job is shown as json, page or fragment")
    accepted = request.header("accept").lower()
    html, json = accepted.find("text/html"), accepted.find(JSON)
    return "page" if html >= 0 and (json < 0 or html < json) else "json"


def _seconds_to_wait(prefer: str) -> float:
    """What a client prefers to wait (RFC 7240), at most `LONGEST`."""
    for preference in prefer.split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        value = value.strip().strip('"')
        if name.strip().lower() == "wait" and value.isdecimal() and value.isascii():
            return min(float(value[:6]), LONGEST)
    return 0.0


def _takes_gzip(request: Request) -> bool:
    """Whether a client said so, and did not say that it would rather not."""
    for one in request.header("accept-encoding").lower().split(","):
        name, _, quality = one.partition(";")
        if name.strip() == "gzip":
            return quality.strip() not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


def _matches(wanted: str, etag: str) -> bool:
    """Whether ``If-None-Match`` names the ETag, compared weakly."""
    tags = {tag.strip().removeprefix("W/") for tag in wanted.split(",")}
    return etag.removeprefix("W/") in tags or ("*" in tags and etag != UNKNOWN)


def _statuses(request: Request) -> tuple[str, ...]:
    known = {*UNENDED, *ENDED}
    for status in request.given("status"):
        if status not in known:
            raise InvalidValue("status", status, f"a status is one of {', '.join(sorted(known))}")
    return tuple(request.given("status"))


def _limit(request: Request) -> int:
    given = request.one("limit")
    if given is None:
        return PAGE
    if not (given.isascii() and given.isdecimal() and 1 <= int(given[:6]) <= LARGEST_PAGE):
        raise InvalidValue("limit", given, f"a page has 1 to {LARGEST_PAGE} jobs")
    return int(given)


def _with_token(request: Request) -> str:
    return "".join(f"?token={quote(token)}" for token in request.given("token")[-1:])

"""What may be asked of headway over HTTP, and what is answered.  No I/O, no clock, no framework.

`Protocol.answer` is a conversation: it yields what it wants done (`Ask`, `Read`, `Find`, `Cancel`, `Join`,
`Listen`, `Start`, `Send`), a door does it and sends the outcome back, and at the end returns a `Response`, or None
where `Start` and `Send` have given it already.  So blocking and asynchronous doors answer alike.

Three decisions stand here and nowhere else:

1. **What somebody may not see answers like what does not exist.**  Of an id that may not be seen, or is not
   known, the policy is asked once more as if nothing were known; that alone decides the answer: *waiting*
   where it admits the id, 404 where it does not.
2. **Overload and outages never answer a stream with 4xx or 5xx,** because browsers do not come back from
   those: 200, a long ``retry:`` and the end.
3. **A cancel must come from a page of ours**: a browser says so by ``Sec-Fetch-Site`` or ``Origin``, everybody
   else by a JSON content type or an ``Authorization`` header, which no form can send.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qs, quote, urlsplit

import msgspec
from msgspec import Struct, field

from headway.core import arguments, wire
from headway.core.errors import InvalidValue, StoreUnavailable
from headway.core.snapshot import ENDED, UNENDED, Snapshot
from headway.stores.contract import LARGEST_PAGE, PAGE, Page
from headway.web import page, problems
from headway.web.access import Action, Grant, Target

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

MOST = 100
"""How many ids one stream may watch, and how many jobs of scopes it shows at once."""
LONGEST = 30.0
"""Seconds for which a request may ask to be held."""
UNKNOWN = 'W/"0"'
"""The ETag of a job that is not known."""
END = "end"
"""The id of the event after which there is nothing to come back for."""
FINISHED = ENDED | {"gone"}

JSON = "application/json"
HTML = "text/html; charset=utf-8"
SSE = "text/event-stream; charset=utf-8"
PRIVATE = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
)
VARY = ("Vary", "Accept, Authorization, Cookie, Origin")
UNBUFFERED = (("Cache-Control", "no-store, no-transform"), ("X-Accel-Buffering", "no"))
PAGE_POLICY = ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'self'; form-action 'self'")


class Settings(Struct, frozen=True, kw_only=True):
    """How a door is set up.

    Attributes:
        streams: How many streams and held requests a process serves at once; None: what its server can bear.
        streams_per_client: Of these, how many under one name or address.
        heartbeat: Seconds of silence after which a stream says that it is alive.
        lifetime: Seconds after which a stream ends and the client comes back; up to a half more, by chance.
        retry: Seconds until a client comes back, twice that at most.
        busy: The same, when there are too many.
        cancels: How many cancels a client may send at once; one more each second.
        origins: Other sites, as ``https://app.example``, whose pages may read and cancel.
    """

    streams: int | None = None
    streams_per_client: int = 200
    heartbeat: float = 15.0
    lifetime: float = 300.0
    retry: float = 1.0
    busy: float = 30.0
    cancels: int = 10
    origins: tuple[str, ...] = ()


class Request(Struct, kw_only=True):
    """What somebody asks.

    Attributes:
        method: As ``GET``.
        path: Below the mount, without a slash at its start.
        query: What is behind the question mark.
        headers: By lower-case names.
        client: The client's address.
        base: The path of the mount, without a slash at its end.
        scheme: ``http`` or ``https``.
        native: What the framework calls a request: handed to your function.
        streams: Whether this server can send a stream.
        chance: A number drawn at random, 0 to 1.
        vouched: Whether the framework has made sure that a page of its own sent it.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    client: str = ""
    base: str = ""
    scheme: str = "http"
    native: Any = None
    streams: bool = True
    chance: float = 0.5
    vouched: bool = False

    @property
    def parameters(self) -> dict[str, list[str]]:
        """The query, taken apart."""
        return parse_qs(self.query, keep_blank_values=True)

    def given(self, name: str) -> list[str]:
        """All values of a parameter."""
        return self.parameters.get(name, [])

    def one(self, name: str) -> str | None:
        """The last value of a parameter; None where it is not given or empty."""
        found = self.given(name)
        return (found[-1] or None) if found else None

    def header(self, name: str) -> str:
        """A header, by its lower-case name; empty where it was not sent."""
        return self.headers.get(name, "")


class Response(Struct):
    """What is answered."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""


# What the protocol wants a door to do


class Ask(Struct):
    """Ask the policies; gives a `Grant` or None."""

    action: Action
    job: Target


class Read(Struct):
    """Read jobs: from memory where they are watched, else from the store; gives snapshots by id."""

    ids: tuple[str, ...]
    details: bool = False


class Find(Struct):
    """Find a page of jobs; gives a `Page`."""

    scope: str | None
    status: tuple[str, ...] = ()
    limit: int = PAGE
    cursor: str | None = None


class Cancel(Struct):
    """Ask a job and its children to stop; gives whether that was recorded."""

    id: str


class Spend(Struct):
    """Count a cancel; gives the seconds until the client may send one, 0 when now."""

    who: str


class Join(Struct):
    """Listen from now on; gives what is known of the ids, or None when there are too many listeners."""

    ids: tuple[str, ...]
    scopes: tuple[str | None, ...]
    who: str


class Listen(Struct):
    """Wait for a change, at most so many seconds; gives `Heard`."""

    seconds: float


class Start(Struct):
    """Send the head of an answer that goes on."""

    status: int
    headers: list[tuple[str, str]]


class Send(Struct):
    """Send some of its body."""

    body: bytes


class File(Struct):
    """Read a file that we bring; gives `Static` or None."""

    name: str


class Static(Struct, frozen=True):
    """A file that we bring."""

    body: bytes
    type: str
    etag: str


Want: TypeAlias = Ask | Read | Find | Cancel | Spend | Join | Listen | Start | Send | File
if TYPE_CHECKING:
    Talk: TypeAlias = Generator[Want, Any, Response | None]


# News


class News:
    """A state of a job, encoded once for all who may see the same.

    Attributes:
        snapshot: The job; None when it is gone.
        at: When it was heard of, by the process's clock.
    """

    __slots__ = ("_encoded", "at", "id", "look", "snapshot")

    def __init__(self, id: str, snapshot: Snapshot | None, at: float = 0.0) -> None:
        self.id = id
        self.snapshot = snapshot
        self.at = at
        self.look = None if snapshot is None else (snapshot.version, snapshot.status)
        self._encoded: dict[tuple[Any, ...], bytes] = {}

    def event(self, grant: Grant, form: str) -> bytes:
        """What a stream is sent."""
        key = (grant.owner, grant.also, form)
        if key not in self._encoded:
            self._encoded[key] = self._event(grant, form)
        return self._encoded[key]

    def _event(self, grant: Grant, form: str) -> bytes:
        if self.snapshot is None:
            return _html_event(page.fragment(self.id, None)) if form == "html" else _gone(self.id)
        if form == "html":
            return _html_event(page.fragment(self.id, self.snapshot))
        data = encode(self.snapshot, grant)
        return b"event: job\nid: %d\ndata: %b\n\n" % (self.snapshot.version, data)


class Heard(Struct):
    """What came of listening.

    Attributes:
        changed: The newest state of each job that changed.
        now: The process's clock.
        closing: Whether the server is about to stop.
        left: Whether the client has gone.
    """

    changed: dict[str, News]
    now: float
    closing: bool = False
    left: bool = False


# The answers


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
            self._share(request, found.headers)
            if request.method == "HEAD":
                found.body = b""
        return found

    def _answer(self, request: Request) -> Talk:
        match request.path.split("/"):
            case ["jobs"]:
                handlers = {"GET": self._list}
            case ["jobs", id]:
                handlers = {"GET": lambda asked: self._job(asked, arguments.identifier(id))}
            case ["jobs", id, "cancel"]:
                handlers = {"POST": lambda asked: self._cancel(asked, arguments.identifier(id))}
            case ["events"]:
                handlers = {"GET": self._events}
            case [name]:
                handlers = {"GET": lambda asked: self._file(asked, name)}
            case _:
                return problems.no_such_page()
        if "GET" in handlers:
            handlers["HEAD"] = handlers["GET"]
        if request.method in handlers:
            return (yield from handlers[request.method](request))
        if request.method == "OPTIONS":
            return Response(204, [("Allow", ", ".join(handlers)), *self._preflight(request, handlers)])
        return problems.wrong_method(sorted(handlers))

    # One job

    def _job(self, request: Request, id: str) -> Talk:
        form = _form(request)
        view = yield from self._view(request, id, details=True)
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
        headers = [("ETag", view.etag), *PRIVATE, VARY]
        if held:
            headers.append(("Preference-Applied", f"wait={held:g}"))
        if _matches(wanted, view.etag) and form == "json":
            return Response(304, headers)
        if form == "json":
            return Response(200, [("Content-Type", JSON), *headers], view.frame())
        here = f"{request.base}/jobs/{quote(id)}" + _with_token(request)
        drawn = page.whole(id, view.snapshot) if form == "page" else page.fragment(id, view.snapshot, here)
        return Response(200, [("Content-Type", HTML), PAGE_POLICY, *headers], drawn.encode())

    def _held(self, request: Request, view: View, wait: float) -> Generator[Want, Any, tuple[float, View]]:
        """Wait until the job would answer otherwise; the seconds that were promised, 0 when they were not."""
        known = yield Join((view.id,), (), view.who(request))
        if known is None:
            return 0.0, view
        etag = view.etag
        heard: Heard = yield Listen(0)
        deadline = heard.now + wait
        while True:
            view = yield from self._view(request, view.id, details=True)
            over = heard.closing or heard.left or heard.now >= deadline
            if view.refused or view.etag != etag or over:
                return wait, view
            heard = yield Listen(deadline - heard.now)

    def _view(self, request: Request, id: str, *, details: bool = False) -> Generator[Want, Any, View]:
        found: dict[str, Snapshot] = yield Read((id,), details)
        return (yield from self._seen(id, found.get(id)))

    def _seen(self, id: str, snapshot: Snapshot | None) -> Generator[Want, Any, View]:
        """What may be seen of an id: always two questions, where the first is not answered by a grant."""
        if snapshot is not None:
            grant = yield Ask("view", Target(id, snapshot.scope, snapshot))
            if grant is not None:
                return View(id, grant, snapshot)
        else:
            yield Ask("view", Target(id))
        return View(id, (yield Ask("view", Target(id))), None)

    # Many jobs

    def _list(self, request: Request) -> Talk:
        scope = arguments.scope(request.one("scope"))
        grant: Grant | None = yield Ask("list", Target(scope=scope))
        if grant is None:
            return problems.unknown_job()
        find = Find(scope, _statuses(request), _limit(request), request.one("cursor"))
        found: Page = yield find
        jobs = yield from self._with_errors(found.jobs)
        read_at = max((job.read_at for job in jobs if job.read_at), default=None)
        lean = msgspec.structs.replace(grant, also=grant.also - {"messages"})
        frames = [msgspec.Raw(encode(job, lean)) for job in jobs]
        body = {"headway": wire.FORMAT, "jobs": frames, "next": found.cursor, "read_at": read_at}
        return Response(200, [("Content-Type", JSON), *PRIVATE, VARY], msgspec.json.encode(body))

    def _with_errors(self, jobs: Iterable[Snapshot]) -> Generator[Want, Any, list[Snapshot]]:
        """The same jobs; those that failed with the reason."""
        jobs = list(jobs)
        failed = tuple(job.id for job in jobs if job.status in {"failed", "retrying"})
        found: dict[str, Snapshot] = (yield Read(failed, details=True)) if failed else {}
        return [found.get(job.id, job) for job in jobs]

    # Streams

    def _events(self, request: Request) -> Talk:
        if request.method == "HEAD" or not request.streams:
            return Response(204, [*PRIVATE, VARY])
        ids = tuple(dict.fromkeys(map(arguments.identifier, request.given("id"))))
        scopes = tuple(dict.fromkeys(arguments.scope(one or None) for one in request.given("scope")))
        if not ids and not scopes:
            return problems.nothing_asked()
        if len(ids) > MOST:
            return problems.too_many(MOST)
        stream = _Conversation(self, request, ids, scopes)
        try:
            return (yield from stream.talk())
        except StoreUnavailable:
            return self.later(request, "later", self.settings.busy / 6)

    def later(self, request: Request, reason: str, seconds: float) -> Response:
        """A stream that ends at once, so that the client comes back later."""
        wait = _milliseconds(seconds, request.chance)
        body = b"retry: %d\n\n" % wait + _bye(reason, wait)
        return Response(200, [("Content-Type", SSE), *PRIVATE[1:], *UNBUFFERED, VARY], body)

    # Cancel

    def _cancel(self, request: Request, id: str) -> Talk:
        if not self.is_own_page(request):
            return problems.cross_site()
        seconds: float = yield Spend(request.client)
        if seconds:
            return problems.too_often(seconds)
        view = yield from self._view(request, id, details=True)
        if view.snapshot is None:
            return problems.unknown_job()
        may = yield Ask("cancel", Target(id, view.snapshot.scope, view.snapshot))
        if may is None:
            return problems.may_not_cancel()
        recorded: bool = yield Cancel(id)
        after: dict[str, Snapshot] = yield Read((id,), details=True)
        view.snapshot = after.get(id)
        if view.snapshot is None:
            return problems.unknown_job()
        if not recorded:
            return problems.cannot_be_cancelled(view.snapshot)
        headers = [("Content-Type", JSON), ("Location", f"{request.base}/jobs/{quote(id)}"), *PRIVATE, VARY]
        return Response(202, headers, view.frame())

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

    def _share(self, request: Request, headers: list[tuple[str, str]]) -> None:
        origin = request.header("origin")
        if origin and origin in self.settings.origins:
            headers += [
                ("Access-Control-Allow-Origin", origin),
                ("Access-Control-Allow-Credentials", "true"),
                ("Access-Control-Expose-Headers", "ETag, Preference-Applied, Retry-After, Location"),
            ]

    def _preflight(self, request: Request, methods: Iterable[str]) -> list[tuple[str, str]]:
        if request.header("origin") not in self.settings.origins:
            return []
        allowed = "Authorization, Content-Type, If-None-Match, Prefer, Last-Event-ID"
        return [
            ("Access-Control-Allow-Methods", ", ".join(methods)),
            ("Access-Control-Allow-Headers", allowed),
            ("Access-Control-Max-Age", "600"),
        ]

    # Files

    def _file(self, request: Request, name: str) -> Talk:
        found: Static | None = yield File(name)
        if found is None:
            return problems.no_such_page()
        headers = [("ETag", found.etag), ("Cache-Control", "no-cache"), PRIVATE[1]]
        if _matches(request.header("if-none-match"), found.etag):
            return Response(304, headers)
        return Response(200, [("Content-Type", found.type), *headers], found.body)


class View(Struct):
    """What somebody may see of one id: the job, that it is waited for (no snapshot), or nothing (no grant)."""

    id: str
    grant: Grant | None
    snapshot: Snapshot | None

    @property
    def refused(self) -> bool:
        """Whether not even the id is theirs."""
        return self.grant is None

    @property
    def etag(self) -> str:
        """Of what is shown."""
        return etag_of(self.snapshot)

    @property
    def status(self) -> str:
        """As it is shown."""
        if self.refused:
            return "gone"
        return "waiting" if self.snapshot is None else self.snapshot.status

    def who(self, request: Request) -> str:
        """Under which name it is counted."""
        return (self.grant.who if self.grant else None) or request.client

    def frame(self) -> bytes:
        """The job as JSON."""
        if self.snapshot is None or self.grant is None:
            return msgspec.json.encode(wire.waiting_frame(self.id))
        return encode(self.snapshot, self.grant)


class _Conversation:
    """One stream."""

    def __init__(
        self, protocol: Protocol, request: Request, ids: tuple[str, ...], scopes: tuple[str | None, ...]
    ) -> None:
        self.protocol = protocol
        self.request = request
        self.ids = ids
        self.scopes = scopes
        self.form = "html" if request.one("format") == "html" else "json"
        self.grants: dict[str, tuple[str | None, Grant | None]] = {}
        self.scope_grants: dict[str | None, Grant] = {}
        self.shown: dict[str, tuple[int, str] | None] = {}
        self.open = set(ids)

    def talk(self) -> Talk:
        """From the first byte to the last."""
        for scope in self.scopes:
            grant: Grant | None = yield Ask("list", Target(scope=scope))
            if grant is None:
                return problems.unknown_job()
            self.scope_grants[scope] = grant
        found: dict[str, Snapshot] = (yield Read(self.ids)) if self.ids else {}
        views = []
        for id in self.ids:
            views.append((yield from self._look_at(id, found.get(id))))
        if not self.scopes and all(view.refused for view in views):
            return problems.unknown_job()
        if self._has_seen_all(views):
            return Response(204, [*PRIVATE, VARY])
        known = yield Join(self.ids, self.scopes, self._who(views))
        settings = self.protocol.settings
        if known is None:
            return self.protocol.later(self.request, "full", settings.busy)
        jobs = yield from self._jobs_of_scopes()
        wait = _milliseconds(settings.retry, self.request.chance)
        yield Start(200, [("Content-Type", SSE), *PRIVATE[1:], *UNBUFFERED, VARY])
        yield Send(b"retry: %d\n\n" % wait + self._first(views, jobs))
        yield from self._go_on(known)
        return None

    def _go_on(self, known: dict[str, News]) -> Generator[Want, Any, None]:
        settings, chance = self.protocol.settings, self.request.chance
        heard: Heard = yield Listen(0)
        heard.changed = known | heard.changed
        ends_at = heard.now + min(settings.lifetime * (1 + chance / 2), self._seconds())
        beat_at = heard.now + settings.heartbeat
        while True:
            events = yield from self._events_of(heard.changed)
            if not self.open and not self.scopes:
                yield Send(events + self._bye("ended"))
                return
            if heard.left:
                return
            if heard.closing or heard.now >= ends_at:
                reason = "later" if heard.closing or not self._expires() else "expired"
                yield Send(events + self._bye(reason))
                return
            if not events and heard.now >= beat_at:
                events = b": alive\n\n"
            if events:
                yield Send(events)
                beat_at = heard.now + settings.heartbeat
            heard = yield Listen(min(beat_at, ends_at) - heard.now)

    def _events_of(self, changed: dict[str, News]) -> Generator[Want, Any, bytes]:
        events = []
        for id, news in changed.items():
            view = yield from self._look_at(id, news.snapshot)
            if self._is_news(view):
                events.append(self._event(view, news))
        return b"".join(events)

    def _look_at(self, id: str, snapshot: Snapshot | None) -> Generator[Want, Any, View]:
        """What this client may see of a job, asked again where its scope is another."""
        if snapshot is not None and (grant := self._grant_by_scope(snapshot)) is not None:
            return View(id, grant, snapshot)
        scope = None if snapshot is None else snapshot.scope
        if id in self.grants and snapshot is not None and self.grants[id][0] == scope:
            grant = self.grants[id][1]
            if grant is not None:
                return View(id, grant, snapshot)
        if id not in self.ids:
            return View(id, None, None)
        view = yield from self.protocol._seen(id, snapshot)
        if view.snapshot is not None:
            self.grants[id] = (scope, view.grant)
        return view

    def _grant_by_scope(self, snapshot: Snapshot) -> Grant | None:
        if snapshot.scope is not None and snapshot.scope in self.scope_grants:
            return self.scope_grants[snapshot.scope]
        return self.scope_grants.get(None)

    def _jobs_of_scopes(self) -> Generator[Want, Any, list[Snapshot]]:
        """Those that live, and the newest of the others."""
        jobs: dict[str, Snapshot] = {}
        for scope in self.scopes:
            live: Page = yield Find(scope, UNENDED, MOST)
            newest: Page = yield Find(scope, (), MOST)
            jobs |= {job.id: job for job in (*live, *newest)}
        return (yield from self.protocol._with_errors(list(jobs.values())[:MOST]))

    def _first(self, views: list[View], jobs: list[Snapshot]) -> bytes:
        """All at once; the newest last, so that its version is what the client brings back."""
        named = {view.id for view in views}
        for job in jobs:
            if job.id not in named and (grant := self._grant_by_scope(job)) is not None:
                views.append(View(job.id, grant, job))
        views.sort(key=lambda view: view.snapshot.version if view.snapshot else 0)
        return b"".join(
            self._event(view, News(view.id, view.snapshot)) for view in views if self._is_news(view)
        )

    def _is_news(self, view: View) -> bool:
        """Whether the client has not been sent this state."""
        look = None if view.snapshot is None else (view.snapshot.version, view.snapshot.status)
        if self.shown.get(view.id) == look and (view.id in self.shown or view.id not in self.ids):
            return False
        self.shown.pop(view.id, None)
        self.shown[view.id] = look
        if len(self.shown) > LARGEST_PAGE + len(self.ids):
            del self.shown[next(iter(self.shown))]
        return True

    def _event(self, view: View, news: News) -> bytes:
        if view.status in FINISHED:
            self.open.discard(view.id)
        if view.snapshot is not None and view.grant is not None:
            return news.event(view.grant, self.form)
        return self._event_without_job(view)

    def _event_without_job(self, view: View) -> bytes:
        if self.form == "html":
            return _html_event(page.fragment(view.id, None))
        if view.refused or view.id not in self.ids:
            return _gone(view.id)
        return b"event: job\ndata: %b\n\n" % view.frame()

    def _has_seen_all(self, views: list[View]) -> bool:
        """Whether the client was sent the end of all it asks for, and need not come back."""
        last = self.request.header("last-event-id")
        if self.scopes or not last or any(view.status not in FINISHED for view in views):
            return False
        one = views[0].snapshot if len(views) == 1 else None
        return last == END or (one is not None and last == str(one.version))

    def _who(self, views: list[View]) -> str:
        grants = [*self.scope_grants.values(), *(view.grant for view in views if view.grant)]
        return next((grant.who for grant in grants if grant.who), self.request.client)

    def _seconds(self) -> float:
        grants = [*self.scope_grants.values(), *(grant for _, grant in self.grants.values() if grant)]
        return min((grant.seconds for grant in grants if grant.seconds is not None), default=float("inf"))

    def _expires(self) -> bool:
        return self._seconds() < self.protocol.settings.lifetime * (1 + self.request.chance / 2)

    def _bye(self, reason: str) -> bytes:
        if self.form == "html":
            return b"event: close\ndata: %b\n\n" % reason.encode() if reason == "ended" else b""
        return _bye(reason, _milliseconds(self.protocol.settings.retry, self.request.chance))


# Frames


def encode(snapshot: Snapshot, grant: Grant) -> bytes:
    """A job as JSON, as far as a grant goes."""
    return wire.encode_frame(snapshot, owner=grant.owner, also=grant.also)


def etag_of(snapshot: Snapshot | None) -> str:
    """What tells two states of a job apart: its version, and whether it has stalled."""
    if snapshot is None:
        return UNKNOWN
    return f'W/"{snapshot.version}.stalled"' if snapshot.status == "stalled" else f'W/"{snapshot.version}"'


def _gone(id: str) -> bytes:
    return b"event: gone\ndata: %b\n\n" % msgspec.json.encode({"id": id})


def _bye(reason: str, retry: int) -> bytes:
    last = b"id: %b\n" % END.encode() if reason == "ended" else b""
    return b"event: bye\n%bdata: %b\n\n" % (last, msgspec.json.encode({"reason": reason, "retry": retry}))


def _html_event(fragment: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in fragment.splitlines())
    return f"{lines}\n".encode()


# What requests say


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


def _milliseconds(seconds: float, chance: float) -> int:
    return int(1000 * seconds * (1 + chance))

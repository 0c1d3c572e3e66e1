"""One stream of a client, from its first byte to its last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.core.snapshot import UNENDED, Snapshot
from headway.web import page, problems
from headway.web.access import Target
from headway.web.exchange import (
    PRIVATE,
    SSE,
    UNBUFFERED,
    Ask,
    Find,
    Heard,
    Join,
    Listen,
    Read,
    Recheck,
    Request,
    Response,
    Send,
    Settings,
    Start,
)
from headway.web.frames import END, News, bye, gone, html_event
from headway.web.view import FINISHED, Part, View, seen, with_errors

if TYPE_CHECKING:
    from headway.stores.contract import Page
    from headway.web.access import Grant
    from headway.web.exchange import Talk

MOST = 100
"""How many ids one stream may watch, and how many jobs of scopes it shows at once."""
REMEMBERED = 1_000
"""Of how many jobs of its scopes a stream remembers what it has sent."""
INFINITY = float("inf")
HEAD = (("Content-Type", SSE), *UNBUFFERED)


def put_off(request: Request, reason: str, seconds: float) -> Response:
    """A stream that ends at once, so that the client comes back later; meanwhile it holds no connection."""
    wait = _milliseconds(seconds, request.chance)
    head = [*HEAD, ("Connection", "close")] if request.hangs_up else [*HEAD]
    return Response(200, head, b"retry: %d\n\n" % wait + bye(reason, wait))


class Conversation:
    """What is said on one stream."""

    def __init__(
        self,
        settings: Settings,
        request: Request,
        ids: tuple[str, ...],
        scopes: tuple[str | None, ...],
        headers: list[tuple[str, str]],
    ) -> None:
        self.settings = settings
        self.request = request
        self.ids = ids
        self.scopes = scopes
        self.headers = headers
        self.form = "html" if request.one("format") == "html" else "json"
        self.grants: dict[str, tuple[str | None, Grant]] = {}
        self.scope_grants: dict[str | None, Grant] = {}
        self.shown: dict[str, tuple[int, str] | None] = {}
        self.open = set(ids)
        self.holds_for = INFINITY

    def talk(self) -> Talk:
        """From the first byte to the last."""
        if not (yield from self._may_list()):
            return problems.unknown_job()
        found: dict[str, Snapshot] = (yield Read(self.ids)) if self.ids else {}
        views = []
        for id in self.ids:
            view = yield from self._look_at(id, found.get(id))
            views.append(view)
        if not self.scopes and all(view.refused for view in views):
            return problems.unknown_job()
        if self._has_seen_all(views):
            return Response(204, [*PRIVATE])
        granted = self._granted(views)
        self.holds_for = min((one.seconds for one in granted if one.seconds is not None), default=INFINITY)
        who = next((one.who for one in granted if one.who), self.request.client)
        known = yield Join(self.ids, self.scopes, who)
        if known is None:
            return put_off(self.request, "full", self.settings.busy)
        views += yield from self._jobs_of_scopes()
        yield Start(200, [*HEAD, *self.headers])
        retry = _milliseconds(self.settings.retry, self.request.chance)
        yield Send(b"retry: %d\n\n" % retry + self._first(views))
        if self.scopes:
            yield Recheck(tuple(view.id for view in views))
        yield from self._go_on(known)
        return None

    def _may_list(self) -> Part[bool]:
        for scope in self.scopes:
            grant: Grant | None = yield Ask("list", Target(scope=scope))
            if grant is None:
                return False
            self.scope_grants[scope] = grant
        return True

    def _go_on(self, known: dict[str, News]) -> Part[None]:
        heard: Heard = yield Listen(0)
        changed = known | heard.changed
        ends_at = heard.now + min(self._lifetime, self.holds_for)
        beat_at = heard.now + self.settings.heartbeat
        while not heard.left:
            events = yield from self._events_of(changed)
            end = self._end(heard, ends_at)
            if end:
                yield Send(events + self._bye(end))
                return
            if not events and heard.now >= beat_at:
                events = b": alive\n\n"
            if events:
                yield Send(events)
                beat_at = heard.now + self.settings.heartbeat
            heard = yield Listen(min(beat_at, ends_at) - heard.now)
            changed = heard.changed

    def _end(self, heard: Heard, ends_at: float) -> str | None:
        """Why the stream is to end now."""
        if not self.open and not self.scopes:
            return "ended"
        if heard.closing:
            return "later"
        if heard.now >= ends_at:
            return "expired" if self.holds_for < self._lifetime else "later"
        return None

    def _events_of(self, changed: dict[str, News]) -> Part[bytes]:
        events = []
        for id, news in changed.items():
            grant = self._grant_of(news.snapshot)
            view = View(id, grant, news.snapshot) if grant else (yield from self._look_at(id, news.snapshot))
            if self._is_news(view):
                events.append(self._event(view, news))
        return events[0] if len(events) == 1 else b"".join(events)

    def _look_at(self, id: str, snapshot: Snapshot | None) -> Part[View]:
        """What this client may see of a job, asked again where its scope is another."""
        known = self._grant_of(snapshot)
        if known is not None:
            return View(id, known, snapshot)
        if id not in self.ids:
            return View(id, None, None)
        view = yield from seen(id, snapshot)
        if view.snapshot is not None and view.grant is not None:
            self.grants[id] = (view.snapshot.scope, view.grant)
        return view

    def _grant_of(self, snapshot: Snapshot | None) -> Grant | None:
        """What is known to have been granted."""
        if snapshot is None:
            return None
        by_scope = self._grant_by_scope(snapshot) if self.scope_grants else None
        if by_scope is not None:
            return by_scope
        scope, grant = self.grants.get(snapshot.id, (None, None))
        return grant if scope == snapshot.scope else None

    def _grant_by_scope(self, snapshot: Snapshot) -> Grant | None:
        if snapshot.scope is not None and snapshot.scope in self.scope_grants:
            return self.scope_grants[snapshot.scope]
        return self.scope_grants.get(None)

    def _jobs_of_scopes(self) -> Part[list[View]]:
        """Those that live, and the newest of the others."""
        jobs: dict[str, Snapshot] = {}
        for scope in self.scopes:
            live: Page = yield Find(scope, UNENDED, MOST)
            newest: Page = yield Find(scope, (), MOST)
            jobs |= {job.id: job for job in (*live, *newest) if job.id not in self.ids}
        found = yield from with_errors(list(jobs.values())[:MOST])
        return [View(job.id, self._grant_by_scope(job), job) for job in found]

    def _first(self, views: list[View]) -> bytes:
        """All at once; the newest last, so that its version is what the client brings back."""
        views.sort(key=lambda view: view.snapshot.version if view.snapshot else 0)
        return b"".join(
            self._event(view, News(view.id, view.snapshot)) for view in views if self._is_news(view)
        )

    def _is_news(self, view: View) -> bool:
        """Whether the client has not been sent this state, nor a newer one."""
        look = None if view.snapshot is None else (view.snapshot.version, view.snapshot.status)
        known = self.shown.get(view.id)
        if known == look and (view.id in self.shown or view.id not in self.ids):
            return False
        if known is not None and look is not None and look[0] < known[0]:
            return False
        if self.scopes:
            self.shown.pop(view.id, None)
        self.shown[view.id] = look
        if len(self.shown) > REMEMBERED + len(self.ids):
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
            return html_event(page.fragment(view.id, None))
        if view.refused or view.id not in self.ids:
            return gone(view.id)
        return b"event: job\ndata: %b\n\n" % view.frame()

    def _has_seen_all(self, views: list[View]) -> bool:
        """Whether the client was sent the end of all it asks for, and need not come back."""
        last = self.request.header("last-event-id")
        if self.scopes or not last or any(view.status not in FINISHED for view in views):
            return False
        one = views[0].snapshot if len(views) == 1 else None
        return last == END or (one is not None and last == str(one.version))

    def _granted(self, views: list[View]) -> list[Grant]:
        return [*self.scope_grants.values(), *(view.grant for view in views if view.grant is not None)]

    @property
    def _lifetime(self) -> float:
        """Seconds for which a stream lives; a half more at most, so that not all come back at once."""
        return min(self.settings.lifetime, self.request.longest) * (1 + self.request.chance / 2)

    def _bye(self, reason: str) -> bytes:
        if self.form == "html":
            return b"event: close\ndata: %b\n\n" % reason.encode() if reason == "ended" else b""
        return bye(reason, _milliseconds(self.settings.retry, self.request.chance))


def _milliseconds(seconds: float, chance: float) -> int:
    """A pause of this length, up to twice that by chance."""
    return int(1000 * seconds * (1 + chance))

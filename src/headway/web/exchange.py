"""What is said between a door and the protocol: requests, answers, and what is to be done in between."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, TypeAlias
from urllib.parse import parse_qs

from msgspec import Struct, field

from headway.stores.contract import PAGE
from headway.web.access import Action, Target
from headway.web.frames import News

JSON = "application/json"
HTML = "text/html; charset=utf-8"
SSE = "text/event-stream; charset=utf-8"
SNIFFING = ("X-Content-Type-Options", "nosniff")
QUIET = (SNIFFING, ("Referrer-Policy", "no-referrer"), ("Vary", "Accept, Authorization, Cookie, Origin"))
PRIVATE = (("Cache-Control", "no-store"), *QUIET)
UNBUFFERED = (("Cache-Control", "no-store, no-transform"), ("X-Accel-Buffering", "no"), *QUIET)


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
    heartbeat: float = 10.0
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
        longest: Seconds after which its stream must end, where its server cannot say that it is to stop.
        chance: A number drawn at random, 0 to 1.
        vouched: Whether the framework has made sure that a page of its own sent it.
        hangs_up: Whether an answer may end the connection: in HTTP/1, where the server lets us say so.
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
    longest: float = float("inf")
    chance: float = 0.5
    vouched: bool = False
    hangs_up: bool = False

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

    def measured(self, request: Request) -> bool:
        """Whether its length is to be told."""
        return request.method != "HEAD" and self.status not in {204, 304}


# What the protocol wants a door to do.  What is made for each event is kept from the garbage collector
# (gc=False): it is in no cycle, and thousands of streams are woken at once.


class Ask(Struct, gc=False):
    """Ask the policies; gives a `Grant` or None."""

    action: Action
    job: Target


class Read(Struct, gc=False):
    """Read jobs: from memory where they are watched, else from the store; gives snapshots by id."""

    ids: tuple[str, ...]
    details: bool = False


class Find(Struct, gc=False):
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


class Recheck(Struct):
    """Look at these again: they were found before anybody listened; gives nothing."""

    ids: tuple[str, ...]


class Listen(Struct, gc=False):
    """Wait for a change, at most so many seconds; gives `Heard`."""

    seconds: float


class Start(Struct):
    """Send the head of an answer that goes on."""

    status: int
    headers: list[tuple[str, str]]


class Send(Struct, gc=False):
    """Send some of its body."""

    body: bytes


class File(Struct):
    """Read a file that we bring; gives `Static` or None."""

    name: str


class Static(Struct, frozen=True):
    """A file that we bring, as it is and compressed by gzip."""

    body: bytes
    packed: bytes
    type: str
    digest: str


class Heard(Struct, gc=False):
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


Want: TypeAlias = Ask | Read | Find | Cancel | Spend | Join | Recheck | Listen | Start | Send | File
Talk: TypeAlias = Generator[Want, Any, Response | None]

"""Who may enter the dashboard.  Pure: a request comes in, a refusal goes out, or nothing.

Without a token only this machine's own browser is let in, and only by a name that means this machine: another
site's page can make its own name point here (DNS rebinding), but it cannot send ours.  With a token every
request must bring it: at first in the address of the page, which is answered by a cookie and the same
address without it; scripts bring ``Authorization: Bearer``.
"""

from __future__ import annotations

import hashlib
import hmac
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
from msgspec import Struct

from headway.web.exchange import HTML, PRIVATE, Request, Response
from headway.web.problems import TYPE
from headway.web.shapes import Problem

SHORTEST = 16
"""Characters that a token must have."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
STRICT = (
    ("Content-Security-Policy", POLICY),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
FORM = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>headway</title>
<link rel="icon" href="dashboard.svg">
<link rel="stylesheet" href="dashboard.css">
</head>
<body>
<main class="notice">
<h1>This dashboard asks for a token</h1>
<p>It stands in the address that <code>headway serve</code> printed when it started.</p>
<form>
<input name="token" type="password" aria-label="Token" autocomplete="off" autofocus required>
<button>Enter</button>
</form>
</main>
</body>
</html>
"""


class Guard(Struct, frozen=True):
    """Who is let in.

    Attributes:
        token: What everybody must bring; None: nothing, and only this machine's own names are answered.
        cookie: The name of the cookie: those of one host are shared by all of its ports.
    """

    token: str | None = None
    cookie: str = "headway"

    def answer(self, request: Request) -> Response | None:
        """A refusal, or the way in; None: whoever asks is in."""
        if self.token is None:
            return None if is_this_machine(request.header("host")) else _wrong_name()
        if request.method == "GET" and request.path == "" and request.one("token"):
            return self._enter(request) if self._is_token(request.one("token") or "") else _asks_for_token()
        if self._is_in(request):
            return None
        wants_page = request.path == "" and "text/html" in request.header("accept")
        return _asks_for_token() if wants_page else _no_token()

    def brings_token(self, request: Request) -> bool:
        """Whether a token comes with a request, right or wrong."""
        if self.token is None:
            return False
        return bool(request.header("authorization") or (request.path == "" and request.one("token")))

    def _is_in(self, request: Request) -> bool:
        scheme, _, given = request.header("authorization").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(given.strip()):
            return True
        return hmac.compare_digest(self._pass().encode(), _cookie(request, self.cookie).encode())

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest((self.token or "").encode(), given.encode(errors="replace"))

    def _pass(self) -> str:
        """What the cookie holds: whoever reads it does not know the token."""
        return hmac.new((self.token or "").encode(), b"headway dashboard", hashlib.sha256).hexdigest()

    def _enter(self, request: Request) -> Response:
        rest = urlencode([(name, value) for name, value in parse_qsl(request.query) if name != "token"])
        secure = "; Secure" if request.scheme == "https" else ""
        path = f"{request.base}/"
        cookie = f"{self.cookie}={self._pass()}; Path={path}; HttpOnly; SameSite=Lax{secure}"
        address = f"{path}?{rest}" if rest else path
        return Response(303, [("Location", address), ("Set-Cookie", cookie), *PRIVATE])


def is_this_machine(host: str) -> bool:
    """Whether a Host header names this machine, as only its own users write it."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or name.endswith(".localhost") or is_loopback(name)


def is_loopback(address: str) -> bool:
    """Whether nobody else can reach an address."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _cookie(request: Request, name: str) -> str:
    try:
        found = SimpleCookie(request.header("cookie")).get(name)
    except CookieError:
        return ""
    return found.value if found else ""


def _problem(status: int, kind: str, title: str, detail: str, *headers: tuple[str, str]) -> Response:
    body = msgspec.json.encode(Problem(f"urn:headway:{kind}", title, status, detail))
    return Response(status, [("Content-Type", TYPE), *PRIVATE, *headers], body)


def _no_token() -> Response:
    detail = "Send it as Authorization: Bearer …; it stands in the address that headway serve printed."
    return _problem(
        401, "no-token", "This dashboard asks for a token", detail, ("WWW-Authenticate", "Bearer")
    )


def _asks_for_token() -> Response:
    headers = [("Content-Type", HTML), ("WWW-Authenticate", "Bearer"), *STRICT, *PRIVATE]
    return Response(401, headers, FORM.encode())


def _wrong_name() -> Response:
    detail = (
        "Without a token this dashboard answers to localhost alone. "
        "Behind a proxy, or under another name, start it with --token."
    )
    return _problem(421, "wrong-name", "Not under this name", detail)

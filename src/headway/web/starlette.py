"""The door for Starlette: routes, so that its middleware, requests and names apply.

app = Starlette(routes=[Mount("/progress", routes=routes(access=may_see))])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headway.core.errors import MissingPackage
from headway.web import asgi
from headway.web.door import Door

try:
    from starlette.responses import Response
    from starlette.routing import Route
except ImportError as error:
    raise MissingPackage("starlette", "web") from error

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from headway.client import Headway
    from headway.stores.contract import Store
    from headway.web.access import Access

METHODS = ("GET", "POST", "OPTIONS")


def routes(
    access: Access | None = None, store: str | Store | Headway | None = None, **settings: Any
) -> list[Route]:
    """Routes that show jobs.  Your function is asked with Starlette's request.

    Args:
        access: Who may see what; see `headway.web.access`.
        store: Which store: its URL, or what `headway.connect` gave; by default ``HEADWAY_STORE``.
        **settings: See `headway.web.exchange.Settings`.

    Raises:
        AccessMissing: It was not said who may see what.
    """
    carrier = asgi.App(Door(access, store, settings))

    async def carry(request: Request) -> Response:
        return Carried(carrier, request, request.path_params["path"].strip("/"))

    return [Route("/{path:path}", carry, methods=METHODS, name="headway")]


class Carried(Response):
    """A response that the protocol gives as it goes.

    Args:
        carrier: What carries it.
        request: What was asked.
        inside: What was asked for, below the mount.
    """

    def __init__(self, carrier: asgi.App, request: Request, inside: str) -> None:
        super().__init__()
        self._carrier = carrier
        self._request = request
        self._inside = inside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, as ASGI has it."""
        request = asgi.request_of(scope, self._request)
        request.path, request.base = self._inside, _base(scope, self._inside)
        await self._carrier.carry(request, receive, send)


def _base(scope: Scope, inside: str) -> str:
    """Where the routes are mounted."""
    root, path = scope.get("root_path", "").rstrip("/"), scope["path"]
    whole = path if path.startswith(f"{root}/") else root + path
    return str(whole.rstrip("/").removesuffix(f"/{inside}"))

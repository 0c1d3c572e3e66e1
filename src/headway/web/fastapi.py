"""The door for FastAPI: a router, so that dependencies apply, with typed models in the OpenAPI description.

app.include_router(router(access=may_see), prefix="/progress", dependencies=[Depends(user)])
"""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Any

import msgspec

from headway.core.errors import MissingPackage
from headway.web import asgi
from headway.web.door import Door
from headway.web.openapi import PATHS, SHAPES, Path
from headway.web.shapes import Problem
from headway.web.starlette import Carried

try:
    import pydantic
    from fastapi import APIRouter, Request, Response
except ImportError as error:
    raise MissingPackage("fastapi", "web") from error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from headway.client import Headway
    from headway.stores.contract import Store
    from headway.web.access import Access


HIDDEN = frozenset({"HEAD", "OPTIONS"})
"""Methods that are answered, and not described."""


def router(
    access: Access | None = None, store: str | Store | Headway | None = None, **settings: Any
) -> APIRouter:
    """A router that shows jobs.  Your function is asked with FastAPI's request, after the dependencies.

    Args:
        access: Who may see what; see `headway.web.access`.
        store: Which store: its URL, or what `headway.connect` gave; by default ``HEADWAY_STORE``.
        **settings: See `headway.web.exchange.Settings`.

    Raises:
        AccessMissing: It was not said who may see what.
    """
    carrier = asgi.App(Door(access, store, settings))
    models = _models()
    made = APIRouter(tags=["headway"])
    for path in PATHS:
        carry = _carry(carrier, path.template)
        made.add_api_route(
            f"/{path.template}",
            carry,
            methods=[path.method],
            operation_id=f"headway_{path.name}",
            summary=path.summary,
            responses=_responses(path, models),
            response_class=Response,
            openapi_extra={"parameters": list(path.parameters)},
        )
        made.add_api_route(f"/{path.template}", carry, methods=[*HIDDEN], include_in_schema=False)
    made.add_api_route("/{name}", _carry(carrier, "{name}"), methods=["GET"], include_in_schema=False)
    return made


def _carry(carrier: asgi.App, template: str) -> Callable[[Request], Awaitable[Response]]:
    async def carry(request: Request) -> Response:
        return Carried(carrier, request, template.format_map(request.path_params))

    return carry


def _responses(path: Path, models: dict[type, Any]) -> dict[int | str, dict[str, Any]]:
    known: dict[int | str, dict[str, Any]] = {}
    for status, means in path.answers.items():
        known[status] = {"description": means}
        if status >= 400:
            known[status]["model"] = models[Problem]
        elif status in {200, 202} and path.shape is not None:
            known[status]["model"] = models[path.shape]
    return known


def _models() -> dict[type, Any]:
    """Our types as Pydantic's, which FastAPI describes."""
    made: dict[type, Any] = {}
    for shape in SHAPES:
        _model(shape, made)
    return made


def _model(shape: type, made: dict[type, Any]) -> Any:
    if shape not in made:
        fields: Any = {
            field.name: (_translated(field.type, made), ... if field.required else None)
            for field in msgspec.structs.fields(shape)
        }
        made[shape] = pydantic.create_model(shape.__name__, __doc__=shape.__doc__, **fields)
    return made[shape]


def _translated(type_: Any, made: dict[type, Any]) -> Any:
    """The same type, with Pydantic's models for ours."""
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        return _model(type_, made)
    origin, inner = typing.get_origin(type_), typing.get_args(type_)
    if origin is typing.Annotated:
        return _translated(inner[0], made)
    if origin is None or origin is typing.Literal:
        return type_
    translated = tuple(_translated(one, made) for one in inner if one is not msgspec.UnsetType)
    return list[translated[0]] if origin is list else typing.Union[translated]  # type: ignore[valid-type]  # noqa: UP007 - made, not written

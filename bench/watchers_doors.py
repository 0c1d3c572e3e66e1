"""What the bench of watchers serves: headway's door, and the same jobs by sse-starlette.

``DOOR`` says which.  Both read the store through one hub, and count what they ask it.
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from headway.client import Headway
from headway.core.wire import encode_frame
from headway.stores import open_store
from headway.testing import FaultyStore
from headway.web.asgi import app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

store = FaultyStore(open_store(os.environ["HEADWAY_STORE"]))
hw = Headway(store)
listening: defaultdict[str, set[asyncio.Queue[str]]] = defaultdict(set)


async def reads(_: Request) -> PlainTextResponse:
    """How often the store was read."""
    return PlainTextResponse(str(store.calls.count("read") + store.calls.count("find")))


async def events(request: Request) -> EventSourceResponse:
    """As one writes it with sse-starlette: a queue for each client."""
    id = request.query_params["id"]

    async def told() -> AsyncIterator[dict[str, Any]]:
        queue: asyncio.Queue[str] = asyncio.Queue()
        listening[id].add(queue)
        try:
            while True:
                yield {"event": "job", "data": await queue.get()}
        finally:
            listening[id].discard(queue)

    return EventSourceResponse(told())


async def pass_on() -> None:
    """The hub's news, into the queues."""
    async for snapshot in hw.watch(everything=True):
        frame = encode_frame(snapshot).decode()
        for queue in listening[snapshot.id]:
            queue.put_nowait(frame)


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Pass on for as long as it is served."""
    task = asyncio.create_task(pass_on())
    yield
    task.cancel()


beside = [Route("/reads", reads)]
if os.environ["DOOR"] == "sse-starlette":
    application = Starlette(routes=[*beside, Route("/events", events)], lifespan=lifespan)
else:
    door = app(lambda *_: True, hw, streams=100_000, streams_per_client=100_000)
    application = Starlette(routes=[*beside, Mount("/", door)])

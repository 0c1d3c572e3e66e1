"""A page on which visitors start reports, see how far they have got, and what came of them."""

import secrets
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from arq import create_pool
from fastapi import Depends, FastAPI, Form, Request
from fastapi.responses import HTMLResponse
from starlette.middleware.sessions import SessionMiddleware
from worker import REDIS_URL, WorkerSettings

from headway.queues import arq as headway_arq
from headway.queues import enqueueing
from headway.web.access import OWNER
from headway.web.fastapi import router

PAGE = Path(__file__).with_name("page.html").read_text()


@asynccontextmanager
async def lifespan(app):
    """While the app runs it has a pool of connections to arq's server."""
    app.state.pool = headway_arq.reporting(await create_pool(WorkerSettings.redis_settings), REDIS_URL)
    yield
    await app.state.pool.aclose()


def scope_of(request: Request) -> str:
    """The scope of a visitor's reports; of a user's, where people log in."""
    return "visitor/" + request.session.setdefault("visitor", secrets.token_hex(8))


def visitors_own(request, action, job):
    """What headway asks before it shows, lists or cancels a job."""
    return OWNER if job.scope == scope_of(request) else None


app = FastAPI(lifespan=lifespan)
app.add_middleware(SessionMiddleware, secret_key="only good for an example on your own machine")  # noqa: S106
app.include_router(router(access=visitors_own, store=REDIS_URL), prefix="/progress")


@app.get("/")
async def page(scope: Annotated[str, Depends(scope_of)]) -> HTMLResponse:
    """All reports of this visitor."""
    return HTMLResponse(PAGE.replace("{scope}", scope))


@app.post("/reports", status_code=202)
async def start(request: Request, orders: Annotated[int, Form(ge=1, le=10_000)] = 200) -> dict[str, str]:
    """Start a report; where its progress is."""
    with enqueueing(scope=scope_of(request)):
        job = await request.app.state.pool.enqueue_job("make_report", list(range(orders)))
    return {"progress": f"/progress/jobs/{job.job_id}"}

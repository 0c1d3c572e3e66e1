"""What each framework's own users expect of its door."""

import flask
import pytest
from fastapi import Depends, FastAPI, HTTPException, Request
from starlette.applications import Starlette
from starlette.routing import Mount
from tests.web.conftest import served

from headway.testing.web_client import Client
from headway.web import asgi, fastapi, starlette
from headway.web.access import OWNER, Grant
from headway.web.flask import Headway


@pytest.fixture
def job(worker):
    return worker.reserve("Import", scope="user/ann", meta={"file": "a.csv"})


def test_a_coroutine_function_is_awaited_and_asked_with_the_scope(hw, job):
    asked = []

    async def may_see(scope, action, wanted):
        asked.append((scope["type"], action, wanted.id, wanted.scope))
        return Grant(also=frozenset({"meta"}))

    with served(asgi.app(may_see, hw)) as url:
        frame = Client(url).ask(f"jobs/{job.id}").json
    assert frame["meta"] == {"file": "a.csv"}
    assert "result" not in frame
    assert asked == [("http", "view", job.id, "user/ann")]


def test_starlette_mounts_routes_and_hands_over_its_request(hw, job):
    def may_see(request, action, wanted):
        assert wanted.id is None or request.url_for("progress:headway", path="jobs").path == "/p/jobs"
        return request.query_params.get("as") == "ann"

    app = Starlette(routes=[Mount("/p", routes=starlette.routes(may_see, hw), name="progress")])
    with served(app) as url:
        client = Client(f"{url}/p")
        assert client.ask(f"jobs/{job.id}?as=ann").status == 200
        assert client.ask(f"jobs/{job.id}?as=eve").status == 404
        fragment = client.ask(f"jobs/{job.id}?as=ann&format=fragment").body.decode()
    assert f'hx-get="/p/jobs/{job.id}?' in fragment


def test_dependencies_of_fastapi_apply_and_its_description_has_our_types(hw, job):
    def user(request: Request):
        if "x-user" not in request.headers:
            raise HTTPException(401)
        request.state.user = request.headers["x-user"]

    def may_see(request, action, wanted):
        return OWNER if wanted.scope == f"user/{request.state.user}" else None

    app = FastAPI()
    app.include_router(fastapi.router(may_see, hw), prefix="/p", dependencies=[Depends(user)])
    with served(app) as url:
        assert Client(f"{url}/p").ask(f"jobs/{job.id}").status == 401
        assert Client(f"{url}/p").ask(f"events?id={job.id}").status == 401
        assert Client(f"{url}/p", "eve").ask(f"jobs/{job.id}").status == 404
        assert Client(f"{url}/p", "ann").ask(f"jobs/{job.id}").json["meta"] == {"file": "a.csv"}
        with Client(f"{url}/p", "ann").stream(f"id={job.id}") as stream:
            stream.until(status="pending")
        described = Client(url).ask("openapi.json").json
    frame = described["components"]["schemas"]["Job"]
    assert {"fraction", "stages", "remaining"} <= set(frame["required"])
    assert "result" in set(frame["properties"]) - set(frame["required"])
    answers = described["paths"]["/p/jobs/{id}"]["get"]["responses"]
    assert answers["200"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Job"}


def test_flask_asks_in_the_context_of_its_request(hw, job):
    def may_see(request, action, wanted):
        return OWNER if flask.session.get("user") == "ann" and request is flask.request else None

    app = flask.Flask(__name__)
    app.secret_key = "x"  # noqa: S105 - of a test
    app.config["HEADWAY_URL_PREFIX"] = "/bars"
    Headway(access=may_see, store=hw, streams=2).init_app(app)
    client = app.test_client()
    assert client.get(f"/bars/jobs/{job.id}").status_code == 404
    with client.session_transaction() as session:
        session["user"] = "ann"
    assert client.get(f"/bars/jobs/{job.id}").json["meta"] == {"file": "a.csv"}
    hw.cancel(job.id)
    answer = client.get(f"/bars/events?id={job.id}", environ_overrides={"wsgi.multithread": True})
    assert b"event: bye" in answer.data


def test_other_sites_read_where_they_are_named(hw, job):
    door = asgi.app(lambda *_: True, hw, origins=("https://app.example",))
    with served(door) as url:
        client = Client(url)
        for origin, shared in (("https://app.example", True), ("https://evil.example", False)):
            reply = client.ask(f"jobs/{job.id}", origin=origin)
            assert ("access-control-allow-origin" in reply.headers) is shared
            asked = client.ask(f"jobs/{job.id}/cancel", "OPTIONS", origin=origin)
            assert ("access-control-allow-methods" in asked.headers) is shared
        assert client.cancel(job.id, origin="https://app.example").status == 202

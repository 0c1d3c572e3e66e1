"""The description is right: schemathesis asks each door what it allows, and what it does not."""

import json

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from tests.servers.web import web_server

import headway
from headway.web.openapi import PATHS, document

DOORS = {
    "asgi": ("uvicorn", {}),
    "fastapi": ("uvicorn", {}),
    "wsgi": ("gunicorn-sync", {}),
    "flask": ("flask", {"STREAMS": "0"}),
    "django": ("gunicorn-sync", {}),
    "django-asgi": ("uvicorn", {}),
}
TOKEN = "a" * 32
HEADERS = {
    "X-User": "root",
    "Content-Type": "application/json",
    "Cookie": f"csrftoken={TOKEN}",
    "X-CSRFToken": TOKEN,
}
ENDLESS = "events"
LEFT_OUT = {
    "positive_data_acceptance",  # no schema can say which cursors are ours
    "unsupported_method",  # asked by the contract
}


def test_every_reference_leads_somewhere():
    described = json.loads(document())
    text = json.dumps(described)
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in described["components"]["schemas"]
    assert set(described["paths"]) == {f"/{path.template}" for path in PATHS}


@pytest.fixture(scope="module", params=DOORS)
def described(request, tmp_path_factory):
    """Where a door is, under its server, with a few jobs in its store."""
    server, environment = DOORS[request.param]
    store = f"sqlite:///{tmp_path_factory.mktemp('openapi') / 'jobs.db'}"
    hw = headway.connect(store)
    for number in range(5):
        hw.reserve(f"n{number}", id=f"job{number}", scope="user/root")
    with web_server(server, request.param, store, **environment) as running:
        yield running.url
    hw.close()


def test_a_door_answers_as_it_is_described(described):
    schema = schemathesis.openapi.from_dict(json.loads(document()))
    schema.config.update(base_url=described)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) == len(PATHS)
    checks = schemathesis.checks.CHECKS.get_all()
    for operation in operations:
        if operation.path.endswith(ENDLESS):
            continue  # a stream has no end; the contract reads it

        @settings(
            max_examples=40,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate],
        )
        @schemathesis_given(operation)
        def ask(case):
            case.call_and_validate(
                headers=HEADERS,
                excluded_checks=[check for check in checks if check.__name__ in LEFT_OUT],
            )

        ask()


def schemathesis_given(operation):
    from hypothesis import given

    return given(case=operation.as_strategy())

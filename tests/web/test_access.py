"""Who may see what has to be said."""

import uuid

import pytest

import headway
from headway.core.errors import InvalidValue
from headway.web import asgi, wsgi
from headway.web.access import AccessMissing, Target, unguessable, whoever_knows_the_id
from headway.web.exchange import Request
from headway.web.links import Links

REQUEST = Request(method="GET", path="jobs")


@pytest.mark.parametrize("door", [asgi, wsgi], ids=["asgi", "wsgi"])
@pytest.mark.parametrize("nothing", [None, [], "everybody", True], ids=str)
def test_mounting_without_access_shows_the_three_choices(door, nothing):
    with pytest.raises(AccessMissing) as caught:
        door.app(nothing, "memory://")
    for choice in ("may_see", "Links(secret)", "whoever_knows_the_id"):
        assert choice in str(caught.value)


def test_an_unknown_setting_is_refused():
    with pytest.raises(InvalidValue, match="streams_per_client"):
        asgi.app(whoever_knows_the_id, "memory://", steams=4)


def test_a_coroutine_function_cannot_be_asked_by_a_blocking_door():
    async def may_see(request, action, job):
        return True

    with pytest.raises(InvalidValue):
        wsgi.app(may_see, "memory://")
    asgi.app(may_see, "memory://")


def test_without_a_store_one_warning_says_which_file_it_is(monkeypatch, tmp_path, caplog):
    monkeypatch.delenv("HEADWAY_STORE", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("headway.client.default", headway.Headway())
    asgi.app(whoever_knows_the_id)
    assert [str(tmp_path) in record.message for record in caplog.records] == [True]
    caplog.clear()
    monkeypatch.setenv("HEADWAY_STORE", "memory://named")
    monkeypatch.setattr("headway.client.default", headway.Headway())
    asgi.app(whoever_knows_the_id)
    assert caplog.records == []


def test_ids_that_can_be_guessed_open_nothing():
    for id in ("1", "job-17", "procrastinate:10", "demo-4f3a", "a" * 40, str(uuid.uuid1()), "nightly-report"):
        assert not unguessable(id), id
    for id in (headway.Headway().job().id, str(uuid.uuid4()), uuid.uuid4().hex, f"celery:{uuid.uuid4()}"):
        assert unguessable(id), id


def test_an_unguessable_id_is_enough_to_view_and_for_nothing_else():
    job = Target(str(uuid.uuid4()))
    assert whoever_knows_the_id.grant(REQUEST, "view", job)
    assert not whoever_knows_the_id.grant(REQUEST, "cancel", job)
    assert not whoever_knows_the_id.grant(REQUEST, "list", Target(scope="user/1"))


SECRET, NEXT = "the first secret of them", "the second secret of them"


def granted(links, token, action="view", job=None):
    request = Request(method="GET", path="", query=f"token={token}")
    return links.grant(request, action, job or Target("one"))


def test_links_outlive_a_change_of_the_secret():
    old = Links(SECRET).view("one")
    assert granted(Links([SECRET, NEXT]), old)
    assert granted(Links([SECRET, NEXT]), Links(NEXT).view("one"))
    assert not granted(Links(NEXT), old)


def test_a_link_holds_until_it_expires():
    now = [1_000.0]
    links = Links(SECRET, clock=lambda: now[0])
    token = links.view("one", expires=60)
    assert granted(links, token).seconds == pytest.approx(60)
    now[0] += 59
    assert granted(links, token).seconds == pytest.approx(1)
    now[0] += 1
    assert not granted(links, token)


def test_a_link_opens_what_it_names():
    links = Links(SECRET)
    assert not granted(links, links.view("one"), job=Target("two"))
    assert not granted(links, links.view("one"), "list", Target())
    assert not granted(links, links.scope("user/1"), "list", Target())
    assert not granted(links, links.scope("user/1"), job=Target("one"))
    assert granted(links, links.scope("user/1"), job=Target("one", "user/1"))
    assert granted(links, links.scope(None), "list", Target())
    assert granted(links, links.view("one", owner=True)).owner


def test_a_secret_is_long():
    with pytest.raises(InvalidValue) as caught:
        Links("short")
    assert "short" not in str(caught.value)

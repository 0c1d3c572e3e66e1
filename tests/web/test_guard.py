"""Who is let into the dashboard."""

import pytest

from headway.web.exchange import Request
from headway.web.guard import Guard

TOKEN = "a token that nobody guesses"  # noqa: S105 - as the test has it


def ask(guard, path="", query="", method="GET", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return guard.answer(Request(method=method, path=path, query=query, headers=named))


def header(response, name):
    return next((value for key, value in response.headers if key == name), None)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8430",
        "127.0.0.1:8430",
        "127.8.8.8",
        "[::1]:8430",
        "me.localhost:1",
        "LOCALHOST",
    ],
)
def test_without_a_token_this_machines_own_names_are_answered(host):
    assert ask(Guard(), host=host) is None


@pytest.mark.parametrize(
    "host",
    [
        "", "evil.example", "evil.example:8430", "localhost.evil.example", "127.0.0.1.evil.example",
        "192.168.1.7:8430", "user@evil.example", "localhost@evil.example", "[::1", "evil.example#localhost",
    ],
)  # fmt: skip
def test_another_sites_name_that_points_here_is_not(host):
    for path in ("", "jobs/a", "overview", "headway.js"):
        assert ask(Guard(), path, host=host).status == 421


@pytest.mark.parametrize("path", ["overview", "jobs", "jobs/a", "events", "about", "list.js", "headway.js"])
def test_with_a_token_nothing_is_shown_without_it(path):
    refused = ask(Guard(TOKEN), path, host="any.example")
    assert refused.status == 401
    assert TOKEN.encode() not in refused.body
    assert ask(Guard(TOKEN), path, query=f"token={TOKEN}", host="localhost").status == 401, (
        "only the page takes it"
    )


def test_a_script_brings_it_as_a_bearer():
    guard = Guard(TOKEN)
    assert ask(guard, "overview", authorization=f"Bearer {TOKEN}") is None
    assert ask(guard, "jobs/a/cancel", method="POST", authorization=f"bearer  {TOKEN}") is None
    for wrong in (f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer", "Bearer ", "Bearer ü", TOKEN):
        assert ask(guard, "overview", authorization=wrong).status == 401


def test_a_browser_is_asked_and_then_comes_with_a_cookie():
    guard = Guard(TOKEN, cookie="headway-8430")
    asked = ask(guard, accept="text/html,*/*")
    assert asked.status == 401
    assert b"<form>" in asked.body
    assert "script-src 'self'" in header(asked, "Content-Security-Policy")
    entered = ask(guard, query=f"token={TOKEN.replace(' ', '+')}&job=a%2Fb&scope=")
    assert entered.status == 303
    assert header(entered, "Location") == "/?job=a%2Fb"
    cookie = header(entered, "Set-Cookie")
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Lax")
    assert TOKEN not in cookie
    assert ask(guard, "overview", cookie=f"other=1; {cookie.partition(';')[0]}") is None


def test_a_wrong_token_or_cookie_lets_nobody_in():
    guard = Guard(TOKEN)
    entered = header(ask(guard, query=f"token={TOKEN.replace(' ', '+')}"), "Set-Cookie").partition(";")[0]
    assert ask(guard, query="token=guess").status == 401
    assert ask(guard, query="token=").status == 401
    for cookie in (
        "headway=",
        "headway=guess",
        entered[:-1],
        entered.replace("headway", "headwax"),
        'headway="',
        "=;;",
    ):
        assert ask(guard, "overview", cookie=cookie).status == 401
    assert ask(Guard(TOKEN + "2"), "overview", cookie=entered).status == 401, "it is another dashboard's"
    assert ask(Guard(TOKEN), "overview", cookie=entered) is None, "the same token, after a restart"


def test_the_cookie_is_for_encrypted_connections_where_there_is_one():
    request = Request(
        method="GET", path="", query=f"token={TOKEN.replace(' ', '+')}", scheme="https", base="/ops"
    )
    entered = Guard(TOKEN).answer(request)
    assert header(entered, "Set-Cookie").endswith("; Path=/ops/; HttpOnly; SameSite=Lax; Secure")
    assert header(entered, "Location") == "/ops/"

# ruff: noqa: D102, PT018, S101 - as in all tests: sentences, fixtures, assertions
"""What every door must hold, as tests: subclass `WebContract` and bring two fixtures.

class TestMyDoor(WebContract):
    @pytest.fixture
    def url(self): ...      # where it is mounted, under its real server, with access=web_client.ACCESS
    @pytest.fixture
    def hw(self): ...       # the verbs over the same store

``streams = False`` says that its server has one thread, and answers streams with 204.
"""

from __future__ import annotations

import gzip
import secrets
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from headway.testing.web_client import LINKS, Client, Reply
from headway.web.shapes import Job as Shape

if TYPE_CHECKING:
    from collections.abc import Callable

    from headway.client import Headway
    from headway.worker.job import Job

OWNED = {
    "scope", "parent", "kind", "worker", "meta", "result", "lease", "retention", "seen_at", "expires_at",
}  # fmt: skip
HOSTILE = "a<script>alert(1)</script>\"'&\u202egnp.exe\u2028" + "x" * 300


class Scene:
    """Fixtures: who asks, and what for."""

    streams = True

    @pytest.fixture
    def url(self) -> str:
        """Where the door is mounted."""
        raise NotImplementedError

    @pytest.fixture
    def hw(self) -> Headway:
        """The verbs over the same store."""
        raise NotImplementedError

    @pytest.fixture
    def ann(self, url: str) -> Client:
        """Whose job it is."""
        return Client(url, "ann")

    @pytest.fixture
    def bob(self, url: str) -> Client:
        """Who may view what is Ann's."""
        return Client(url, "bob")

    @pytest.fixture
    def eve(self, url: str) -> Client:
        """A stranger, who has a name."""
        return Client(url, "eve")

    @pytest.fixture
    def nobody(self, url: str) -> Client:
        """Whoever has no name."""
        return Client(url)

    @pytest.fixture
    def begin(self, hw: Headway) -> Any:
        """Begin a job of Ann's."""
        with ExitStack() as stack:

            def one(name: str | None = "Import", **options: Any) -> Job:
                job = hw.job(name, **{"scope": "user/ann", "total": 10, **options}).start()
                stack.callback(job.complete)
                return job

            yield one


class Jobs(Scene):
    """One job, as JSON."""

    def test_a_job_is_one_frame_and_nobody_keeps_it(self, begin: Any, bob: Client) -> None:
        job = begin()
        reply = bob.ask(f"jobs/{job.id}")
        assert reply.status == 200
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert {name.strip() for name in reply.headers["vary"].split(",")} >= {"Authorization", "Cookie"}
        assert set(reply.json) == set(Shape.__struct_fields__) - OWNED
        assert (reply.json["id"], reply.json["status"], reply.json["name"]) == (job.id, "running", "Import")
        assert reply.headers["etag"] == f'W/"{reply.json["version"]}"'

    def test_its_owner_sees_more(self, hw: Headway, ann: Client, bob: Client) -> None:
        with hw.job("Import", scope="user/ann", meta={"file": "a.csv"}) as job:
            job.complete(result={"rows": 3})
        assert ann.ask(f"jobs/{job.id}").json["result"] == {"rows": 3}
        assert ann.ask(f"jobs/{job.id}").json["meta"] == {"file": "a.csv"}
        assert not set(bob.ask(f"jobs/{job.id}").json) & OWNED

    def test_a_failure_tells_viewers_no_more_than_it_may(self, hw: Headway, ann: Client, bob: Client) -> None:
        job = hw.job("Import", scope="user/ann").start()
        job.fail(ValueError("password=1234"))
        assert bob.ask(f"jobs/{job.id}").json["error"] == {"text": None}
        assert ann.ask(f"jobs/{job.id}").json["error"]["type"] == "ValueError"

    def test_what_has_not_changed_is_not_sent_again(self, hw: Headway, ann: Client) -> None:
        with hw.job("Import", scope="user/ann") as job:
            pass
        etag = ann.ask(f"jobs/{job.id}").headers["etag"]
        again = ann.ask(f"jobs/{job.id}", if_none_match=etag)
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", etag)
        assert ann.ask(f"jobs/{job.id}", if_none_match='W/"1"').status == 200

    def test_a_worker_that_has_died_changes_the_etag(self, hw: Headway, ann: Client) -> None:
        from headway.testing.store_scene import Worker

        id = f"silent-{secrets.token_hex(8)}"
        Worker(hw.store, id, scope="user/ann", lease=1.0).claim()
        first = ann.ask(f"jobs/{id}")
        wait(lambda: ann.ask(f"jobs/{id}").json["status"] == "stalled")
        second = ann.ask(f"jobs/{id}", if_none_match=first.headers["etag"])
        assert second.status == 200
        assert second.headers["etag"] == f'W/"{first.json["version"]}.stalled"'

    def test_a_held_request_is_answered_when_the_job_changes(self, begin: Any, ann: Client) -> None:
        job = begin()
        before = ann.ask(f"jobs/{job.id}")
        threading.Timer(0.3, job.advance).start()
        reply = held(ann, job.id, before.headers["etag"], 20)
        assert reply.status == 200
        assert reply.json["version"] > before.json["version"]
        assert not self.streams or reply.headers["preference-applied"] == "wait=20"

    def test_a_held_request_ends_in_time(self, hw: Headway, ann: Client) -> None:
        with hw.job("Import", scope="user/ann") as job:
            pass
        etag = ann.ask(f"jobs/{job.id}").headers["etag"]
        reply = ann.ask(f"jobs/{job.id}", if_none_match=etag, prefer="wait=1")
        assert reply.status == 304
        assert ("preference-applied" in reply.headers) == self.streams

    def test_an_id_may_be_drawn_before_its_job_begins(self, hw: Headway, ann: Client) -> None:
        id = f"drawn-{secrets.token_hex(8)}"
        reply = ann.ask(f"jobs/{id}")
        assert (reply.status, reply.json["status"], reply.headers["etag"]) == (200, "waiting", 'W/"0"')
        assert set(reply.json) == set(Shape.__struct_fields__) - OWNED
        assert (reply.json["id"], reply.json["version"], reply.json["percent"]) == (id, 0, None)
        timer = threading.Timer(0.3, lambda: hw.reserve("Import", id=id, scope="user/ann"))
        timer.start()
        assert held(ann, id, 'W/"0"', 20).json["status"] == "pending"
        timer.join()

    @pytest.mark.parametrize("path", ["celery-progress/{}", "celery-progress/{}/", "celery-progress/g/{}/"])
    def test_a_job_is_told_in_the_form_of_celery_progress(self, begin: Any, ann: Client, path: str) -> None:
        job = begin()
        job.advance(3, activity="row 3")
        wait(lambda: ann.ask(f"jobs/{job.id}").json["count"] == 3)
        reply = redirected(ann, path.format(job.id))
        assert (reply.status, reply.headers["cache-control"]) == (200, "no-store")
        work = {"pending": False, "current": 3, "total": 10, "percent": 30.0, "description": "row 3"}
        told = {"state": "PROGRESS", "complete": False, "success": None, "progress": work, "attempt": 1}
        assert reply.json == told

    def test_in_the_form_of_celery_progress_nobody_sees_more(
        self, begin: Any, ann: Client, eve: Client, nobody: Client
    ) -> None:
        job = begin()
        wait(lambda: ann.ask(f"jobs/{job.id}").json["status"] == "running")
        path = f"celery-progress/{job.id}"
        assert ann.ask(path).json["state"] == "STARTED"
        assert eve.ask(path).json == eve.ask(f"celery-progress/drawn-{secrets.token_hex(8)}").json
        assert eve.ask(path).json["state"] == "PENDING"
        assert nobody.ask(path).status == 404

    def test_hostile_text_is_data(self, begin: Any, ann: Client) -> None:
        job = begin(HOSTILE)
        assert ann.ask(f"jobs/{job.id}").json["name"].startswith('a<script>alert(1)</script>"')
        for form in ("page", "fragment"):
            drawn = ann.ask(f"jobs/{job.id}?format={form}").body.decode()
            assert "<script" not in drawn and "&lt;script&gt;" in drawn
            assert "\u202e" not in drawn

    @pytest.mark.parametrize(
        "path",
        ["jobs/%20", "jobs/..", "jobs?limit=0", "jobs?limit=x", "jobs?status=no", "jobs?cursor=!", "events",
         "events?id=%0a", "events?" + "&".join(f"id=a{number}" for number in range(101))],
    )  # fmt: skip
    def test_nonsense_is_a_problem(self, url: str, path: str) -> None:
        reply = Client(url, "root").ask(path)
        if path == "events" or path.startswith("events?id"):
            assert reply.status in ({400} if self.streams else {204})
        else:
            assert reply.status in {400, 404}
        if reply.status == 400:
            assert reply.headers["content-type"] == "application/problem+json"
            assert {"type", "title", "status", "detail"} <= set(reply.json)

    def test_what_is_not_there_and_what_cannot_be_done_are_problems(self, ann: Client) -> None:
        assert ann.ask("no/such/page").status == 404
        assert ann.ask("jobs/a/b/c").status == 404
        reply = ann.ask("jobs/abc", "DELETE")
        assert reply.status == 405
        assert "GET" in reply.headers["allow"]

    def test_a_head_has_no_body(self, begin: Any, ann: Client) -> None:
        reply = ann.ask(f"jobs/{begin().id}", "HEAD")
        assert (reply.status, reply.body) == (200, b"")
        assert "etag" in reply.headers

    def test_the_description_is_served_and_kept(self, nobody: Client) -> None:
        first = nobody.ask("openapi.json")
        assert first.json["openapi"] == "3.1.0"
        assert nobody.ask("openapi.json", if_none_match=first.headers["etag"]).status == 304

    def test_the_script_is_sent_compressed_to_who_takes_that(self, nobody: Client) -> None:
        plain = nobody.ask("headway.js")
        packed = nobody.ask("headway.js", accept_encoding="br, gzip")
        assert packed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(packed.body) == plain.body
        assert packed.headers["vary"].lower().split(", ").count("accept-encoding") == 1
        assert packed.headers["etag"] != plain.headers["etag"]
        etag = packed.headers["etag"]
        assert nobody.ask("headway.js", accept_encoding="gzip", if_none_match=etag).status == 304


class Access(Scene):
    """Who may see what."""

    def test_what_is_forbidden_looks_like_what_is_not_there(
        self, begin: Any, eve: Client, nobody: Client
    ) -> None:
        there, not_there = begin().id, f"x{secrets.token_urlsafe(16)}"
        for who in (eve, nobody):
            for path in ("jobs/{}", "jobs/{}?format=page", "jobs/{}?format=fragment"):
                one, other = (who.ask(path.format(id)) for id in (there, not_there))
                assert one.status == other.status == (200 if who is eve else 404)
                assert one.body.replace(there.encode(), b"ID") == other.body.replace(
                    not_there.encode(), b"ID"
                )
                assert one.headers.keys() == other.headers.keys()
            one, other = (patient(_asking(who, id)) for id in (there, not_there))
            assert (one.status, one.body) == (other.status, other.body)
            assert one.status == 404

    def test_a_link_shows_its_job_and_no_other(self, begin: Any, nobody: Client) -> None:
        job, other = begin(), begin()
        token = LINKS.view(job.id)
        assert nobody.ask(f"jobs/{job.id}?token={token}").json["status"] == "running"
        assert nobody.ask(f"jobs/{job.id}", authorization=f"Bearer {token}").status == 200
        assert nobody.ask(f"jobs/{other.id}?token={token}").status == 404
        assert nobody.ask(f"jobs?token={token}").status == 404
        assert "scope" not in nobody.ask(f"jobs/{job.id}?token={token}").json

    def test_a_link_shows_a_job_that_is_still_to_come(self, nobody: Client) -> None:
        id = f"x{secrets.token_urlsafe(16)}"
        reply = nobody.ask(f"jobs/{id}?token={LINKS.view(id)}")
        assert (reply.status, reply.json["status"]) == (200, "waiting")

    @pytest.mark.parametrize("spoil", ["expired", "forged", "cut", "empty", "long"])
    def test_a_link_that_is_no_good_shows_nothing(self, begin: Any, nobody: Client, spoil: str) -> None:
        job = begin()
        good = LINKS.view(job.id)
        token = {
            "expired": LINKS.view(job.id, expires=0.001),
            "forged": good[:-4] + ("AAAA" if not good.endswith("AAAA") else "BBBB"),
            "cut": good[:10],
            "empty": "",
            "long": "A" * 3_000,
        }[spoil]
        time.sleep(0.01)
        assert nobody.ask(f"jobs/{job.id}?token={token}").status == 404

    def test_a_link_cancels_by_its_header_alone(self, begin: Any, nobody: Client) -> None:
        job = begin()
        to_view, to_cancel = LINKS.view(job.id), LINKS.view(job.id, cancel=True)
        assert nobody.ask(f"jobs/{job.id}/cancel?token={to_cancel}", "POST", b"").status in {403, 404}
        assert patient(lambda: nobody.cancel(job.id, authorization=f"Bearer {to_view}")).status == 403
        assert patient(lambda: nobody.cancel(job.id, authorization=f"Bearer {to_cancel}")).status == 202

    def test_a_link_to_a_scope_lists_it(self, begin: Any, nobody: Client) -> None:
        job = begin()
        token = LINKS.scope("user/ann")
        assert job.id in ids(nobody.ask(f"jobs?scope=user/ann&token={token}").json)
        assert nobody.ask(f"jobs/{job.id}?token={token}").json["status"] == "running"
        assert nobody.ask(f"jobs?scope=user/eve&token={token}").status == 404


class Lists(Scene):
    """Jobs of a scope."""

    def test_a_scope_is_listed_newest_first_a_page_at_a_time(self, hw: Headway, url: str) -> None:
        name = f"list{secrets.token_hex(4)}"
        who = Client(url, name)
        made = [hw.reserve(f"n{number}", scope=f"user/{name}") for number in range(5)]
        first = who.ask(f"jobs?scope=user/{name}&limit=3").json
        second = who.ask(f"jobs?scope=user/{name}&limit=3&cursor={first['next']}").json
        assert [*ids(first), *ids(second)] == [job.id for job in reversed(made) if job]
        assert second["next"] is None
        hw.cancel(ids(first)[0])
        found = who.ask(f"jobs?scope=user/{name}&status=cancelled&status=failed").json
        assert ids(found) == ids(first)[:1]

    def test_lists_are_for_who_may_list(self, begin: Any, bob: Client, eve: Client, nobody: Client) -> None:
        begin()
        for who in (bob, eve, nobody):
            assert who.ask("jobs?scope=user/ann").status == 404
            assert who.ask("jobs").status == 404

    def test_everything_is_listed_to_who_may_see_everything(self, begin: Any, url: str) -> None:
        assert begin().id in ids(Client(url, "root").ask("jobs?limit=200").json)


class Cancels(Scene):
    """Asking a job to stop."""

    def test_a_cancel_is_recorded_once_it_is_asked_for(self, begin: Any, hw: Headway, ann: Client) -> None:
        job = begin()
        reply = patient(lambda: ann.cancel(job.id))
        assert reply.status == 202
        assert reply.json["cancel"] == "requested" or reply.json["status"] == "cancelled"
        assert reply.headers["location"].endswith(f"/jobs/{job.id}")
        found = hw.get(job.id)
        assert found is not None and found.cancel_requested

    def test_what_has_ended_cannot_be_cancelled(self, hw: Headway, ann: Client) -> None:
        with hw.job("Import", scope="user/ann") as job:
            pass
        reply = patient(lambda: ann.cancel(job.id))
        assert (reply.status, reply.json["job_status"]) == (409, "completed")
        assert reply.headers["content-type"] == "application/problem+json"

    def test_a_viewer_cannot_cancel(self, begin: Any, hw: Headway, bob: Client) -> None:
        job = begin()
        assert patient(lambda: bob.cancel(job.id)).status == 403
        found = hw.get(job.id)
        assert found is not None and not found.cancel_requested

    @pytest.mark.parametrize(
        "headers",
        [
            {"origin": "https://evil.example"},
            {"sec_fetch_site": "cross-site"},
            {"sec_fetch_site": "same-site"},
            {"origin": "null"},
            {"content_type": "application/x-www-form-urlencoded"},
            {"content_type": "text/plain"},
        ],
    )
    def test_another_site_cannot_cancel(
        self, begin: Any, hw: Headway, ann: Client, headers: dict[str, str]
    ) -> None:
        job = begin()
        reply = ann.cancel(job.id, **headers)
        assert (reply.status, reply.json["type"]) == (403, "urn:headway:cross-site")
        found = hw.get(job.id)
        assert found is not None and not found.cancel_requested

    def test_a_page_of_the_same_site_can(self, begin: Any, ann: Client) -> None:
        one, other = begin(), begin()
        form = "application/x-www-form-urlencoded"
        for job, headers in (
            (one, {"sec_fetch_site": "same-origin"}),
            (other, {"origin": f"http://{ann.host}"}),
        ):
            ask = _asking(ann, job.id, content_type=form, **headers)
            assert patient(ask).status == 202

    def test_a_cancel_is_a_post(self, begin: Any, ann: Client) -> None:
        assert ann.ask(f"jobs/{begin().id}/cancel").status == 405

    def test_cancels_are_counted(self, ann: Client) -> None:
        reply, asked, began = patient(lambda: ann.cancel("unknown")), 1, time.monotonic()
        while reply.status == 404:
            reply, asked = ann.cancel("unknown"), asked + 1
        assert reply.status == 429
        assert asked <= 30 + (time.monotonic() - began), "one more each second"
        assert int(reply.headers["retry-after"]) >= 1


class Pages(Scene):
    """Without JavaScript."""

    def test_a_browser_gets_a_page_that_refreshes_until_the_end(self, begin: Any, ann: Client) -> None:
        job = begin(total=4)
        job.advance()
        wait(lambda: ann.ask(f"jobs/{job.id}").json["percent"] == 25)
        accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
        reply = ann.ask(f"jobs/{job.id}", accept=accept)
        page = reply.body.decode()
        assert reply.headers["content-type"] == "text/html; charset=utf-8"
        assert 'http-equiv="refresh"' in page and '<progress max="1" value="0.25"' in page
        assert "<script" not in page
        job.complete()
        page = ann.ask(f"jobs/{job.id}", accept=accept).body.decode()
        assert 'http-equiv="refresh"' not in page and "completed" in page

    def test_a_fragment_asks_for_itself_until_the_end(self, begin: Any, ann: Client) -> None:
        job = begin()
        address = f"jobs/{job.id}?format=fragment"
        live = ann.ask(address).body.decode()
        assert f'hx-get="{ann.base}/{address}"' in live and "<html" not in live
        job.complete()
        assert "hx-get" not in ann.ask(address).body.decode()


class Streams(Scene):
    """Events, as they happen."""

    @pytest.fixture(autouse=True)
    def _has_streams(self, request: pytest.FixtureRequest) -> None:
        about_streams = request.function.__qualname__.startswith("Streams.")
        if about_streams and not self.streams and "one_thread" not in request.node.name:
            pytest.skip("its server has no threads to hold streams")

    def test_with_one_thread_there_are_no_streams(self, begin: Any, ann: Client) -> None:
        if self.streams:
            pytest.skip("it has more")
        reply = ann.ask(f"events?id={begin().id}")
        assert (reply.status, reply.body) == (204, b"")

    def test_a_stream_shows_now_and_every_change_to_the_end(self, begin: Any, bob: Client) -> None:
        job = begin(total=4)
        with bob.stream(f"id={job.id}") as stream:
            assert stream.status == 200
            assert stream.headers["content-type"].startswith("text/event-stream")
            assert "no-store" in stream.headers["cache-control"]
            assert stream.headers["x-accel-buffering"] == "no"
            first = stream.until(status="running")
            assert first.id == str(first.json["version"])
            assert stream.retry is not None and 1_000 <= stream.retry <= 2_000
            job.advance(2)
            assert stream.until(percent=50).json["count"] == 2
            job.complete()
            assert stream.until(status="completed").json["percent"] == 100
            bye = stream.named("bye")
            assert (bye.id, bye.json["reason"]) == ("end", "ended")
            assert list(stream) == []

    def test_who_has_seen_the_end_need_not_come_back(self, hw: Headway, ann: Client) -> None:
        with hw.job("Import", scope="user/ann") as job:
            pass
        with ann.stream(f"id={job.id}") as stream:
            version = stream.until(status="completed").id
        for last in (version, "end"):
            assert ann.ask(f"events?id={job.id}", last_event_id=last or "").status == 204
        assert ann.ask(f"events?id={job.id}", last_event_id="1").status == 200

    def test_who_comes_back_gets_the_newest_state(self, begin: Any, ann: Client) -> None:
        job = begin(total=10)
        with ann.stream(f"id={job.id}") as stream:
            last = stream.until(status="running").id
        job.advance(5)
        with ann.stream(f"id={job.id}", last_event_id=last or "") as stream:
            stream.until(percent=50)

    def test_many_jobs_come_on_one_stream(self, begin: Any, ann: Client) -> None:
        jobs = [begin() for _ in range(5)]
        with ann.stream("&".join(f"id={job.id}" for job in jobs)) as stream:
            seen: set[str] = set()
            for event in stream:
                seen.add(event.json["id"])
                if len(seen) == 5:
                    break
            assert seen == {job.id for job in jobs}
            jobs[3].advance(5)
            assert stream.until(percent=50).json["id"] == jobs[3].id

    def test_a_scope_shows_its_jobs_and_those_to_come(self, hw: Headway, url: str) -> None:
        name = f"scope{secrets.token_hex(4)}"
        who = Client(url, name)
        old = hw.reserve("old", scope=f"user/{name}")
        with who.stream(f"scope=user/{name}") as stream:
            assert old is not None and stream.until(name="old").json["id"] == old.id
            hw.reserve("elsewhere", scope="user/zoe")
            with hw.job("new", scope=f"user/{name}"):
                pass
            seen = []
            for event in stream:
                seen.append(event.json["name"])
                if event.json["status"] == "completed":
                    break
            assert set(seen) == {"new"}

    def test_an_unknown_job_is_waited_for(self, hw: Headway, ann: Client) -> None:
        id = f"later-{secrets.token_hex(8)}"
        with ann.stream(f"id={id}") as stream:
            first = next(iter(stream))
            assert (first.json["status"], first.id) == ("waiting", None)
            with hw.job("Import", id=id, scope="user/ann"):
                pass
            stream.until(status="completed")

    def test_a_job_of_somebody_else_never_shows(self, begin: Any, eve: Client) -> None:
        job, mine = begin(), begin(scope="user/eve")
        with eve.stream(f"id={job.id}&id={mine.id}") as stream:
            job.advance(5)
            mine.advance(5)
            seen = []
            for event in stream:
                seen.append(event)
                if event.json["id"] == mine.id and event.json["count"] == 5:
                    break
        theirs = [event.json for event in seen if event.json["id"] == job.id]
        assert [one["status"] for one in theirs] == ["waiting"]

    def test_who_may_see_nothing_gets_no_stream(self, begin: Any, nobody: Client, eve: Client) -> None:
        job = begin()
        assert nobody.ask(f"events?id={job.id}").status == 404
        assert nobody.ask(f"events?id=x{secrets.token_urlsafe(16)}").status == 404
        assert eve.ask("events?scope=user/ann").status == 404

    def test_several_links_share_a_stream_and_the_others_are_gone(self, begin: Any, nobody: Client) -> None:
        one, two, three = begin(), begin(), begin()
        query = "&".join(f"id={job.id}" for job in (one, two, three))
        tokens = "".join(f"&token={LINKS.view(job.id)}" for job in (one, two))
        with nobody.stream(query + tokens) as stream:
            events = {}
            for event in stream:
                events[event.json["id"]] = event.name
                if len(events) == 3:
                    break
        assert events == {one.id: "job", two.id: "job", three.id: "gone"}

    def test_a_stream_ends_when_its_link_expires(self, begin: Any, nobody: Client) -> None:
        job, seconds = begin(), 1
        while True:
            with nobody.stream(f"id={job.id}&token={LINKS.view(job.id, expires=seconds)}") as stream:
                if stream.status == 200:
                    assert stream.named("bye").json["reason"] == "expired"
                    return
            seconds *= 2  # it had expired before it was looked at

    def test_a_record_that_is_forgotten_is_gone(self, hw: Headway, url: str) -> None:
        name = f"gone{secrets.token_hex(4)}"
        job = hw.reserve("Import", scope=f"user/{name}")
        assert job is not None
        hw.cancel(job.id)
        with Client(url, name).stream(f"scope=user/{name}") as stream:
            stream.until(status="cancelled")
            hw.forget(job.id)
            assert stream.named("gone").json == {"id": job.id}

    def test_too_many_streams_are_put_off_not_refused(self, begin: Any, url: str) -> None:
        """The door is mounted with ``streams_per_client=4``."""
        job = begin(scope="user/crowd")
        crowd = Client(url, "crowd")
        with ExitStack() as stack:
            for _ in range(4):
                stack.enter_context(crowd.stream(f"id={job.id}")).until(status="running")
            with crowd.stream(f"id={job.id}") as stream:
                assert stream.status == 200
                assert stream.named("bye").json["reason"] == "full"
                assert (stream.retry or 0) >= 30_000
                assert list(stream) == []
            assert crowd.ask(f"jobs/{job.id}").status == 200

    def test_hostile_text_cannot_break_a_stream(self, begin: Any, ann: Client) -> None:
        job = begin("a\r\n\r\nevent: bye\ndata: {}\n\n" + HOSTILE)
        with ann.stream(f"id={job.id}") as stream:
            assert next(iter(stream)).name == "job"
            job.activity = "x\rdata: y\u0085\u2029"
            job.advance()
            event = stream.until(count=1)
            assert "\r" not in event.json["activity"]

    def test_htmx_gets_messages_without_a_name_and_a_close(self, begin: Any, ann: Client) -> None:
        job = begin()
        with ann.stream(f"id={job.id}&format=html") as stream:
            first = next(iter(stream))
            assert first.name == "message" and first.data.startswith('<div class="headway"')
            job.complete()
            names = [event.name for event in stream]
            assert names[-1] == "close" and set(names[:-1]) <= {"message"}


class WebContract(Jobs, Access, Lists, Cancels, Pages, Streams):
    """All of it."""


def wait(holds: Callable[[], object], seconds: float = 15.0) -> None:
    """Until it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def patient(ask: Callable[[], Any]) -> Any:
    """Ask again where that was too often."""
    while True:
        reply = ask()
        if reply.status != 429:
            return reply
        time.sleep(int(reply.headers["retry-after"]))


def held(who: Client, id: str, etag: str, seconds: int) -> Any:
    """Ask to be held until there is something else; where that is not to be had, ask again and again."""
    deadline = time.monotonic() + seconds
    while True:
        reply = who.ask(f"jobs/{id}", if_none_match=etag, prefer=f"wait={seconds}")
        if reply.status != 304 or time.monotonic() > deadline:
            return reply
        time.sleep(0.1)


def ids(page: Any) -> list[str]:
    """The ids on a page."""
    return [job["id"] for job in page["jobs"]]


def _asking(who: Client, id: str, **headers: str) -> Callable[[], Any]:
    return lambda: who.cancel(id, **headers)


def redirected(client: Client, path: str) -> Reply:
    """What is answered, in the end: FastAPI knows a path only without a slash at its end."""
    reply = client.ask(path)
    return client.ask(path.rstrip("/")) if reply.status == 307 else reply

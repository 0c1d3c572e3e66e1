"""Who may see what in a Django project, and what a cancel must prove."""

import pytest

from headway.web.access import Grant
from headway.web.django.access import scope_of

JSON = "application/json"


@pytest.fixture
def ann(person):
    return person("ann")


def cancel(client, id, token=None, **headers):
    if token is not None:
        headers["X-CSRFToken"] = token
    return client.post(f"/progress/jobs/{id}/cancel", b"{}", content_type=JSON, headers=headers)


def token_of(client):
    from django.middleware.csrf import _get_new_csrf_string

    client.cookies["csrftoken"] = _get_new_csrf_string()
    return client.cookies["csrftoken"].value


def test_owners_see_their_own_jobs_and_all_of_each(ann, hw):
    user, client = ann
    with hw.job("Import", scope=scope_of(user), meta={"file": "a.csv"}) as job:
        pass
    answer = client.get(f"/progress/jobs/{job.id}")
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")
    assert answer.json()["meta"] == {"file": "a.csv"}
    found = client.get("/progress/jobs", {"scope": scope_of(user)}).json()
    assert [one["id"] for one in found["jobs"]] == [job.id]


def test_jobs_of_others_look_like_jobs_that_are_still_to_come(ann, hw):
    _, client = ann
    with hw.job("Import", scope="user/0") as job:
        pass
    theirs, none = (client.get(f"/progress/jobs/{id}") for id in (job.id, "x" * len(job.id)))
    assert theirs.status_code == none.status_code == 200
    assert theirs.json()["status"] == "waiting"
    assert theirs.content.replace(job.id.encode(), b"") == none.content.replace(b"x" * len(job.id), b"")
    assert client.get("/progress/jobs", {"scope": "user/0"}).status_code == 404
    assert client.get("/progress/jobs").status_code == 404


def test_whoever_is_not_logged_in_sees_nothing(database, hw):
    from django.test import Client

    with hw.job("Import", scope="user/None") as job:
        pass
    assert Client().get(f"/progress/jobs/{job.id}").status_code == 404
    assert Client().get("/progress/jobs", {"scope": "user/None"}).status_code == 404


def test_whoever_was_deactivated_sees_nothing(ann, hw):
    user, client = ann
    user.is_active = False
    user.save()
    with hw.job("Import", scope=scope_of(user)) as job:
        pass
    assert client.get(f"/progress/jobs/{job.id}").status_code == 404


def test_staff_see_all_with_the_permission_and_cancel_with_another(person, hw):
    job = hw.job("Import", scope="user/0").start()
    _, none = person("zoe", staff=True)
    _, sees = person("bob", "view_job", staff=True)
    _, stops = person("eve", "view_job", "cancel_job", staff=True)
    _, customer = person("joe", "view_job", "cancel_job")
    assert [who.get("/progress/jobs").status_code for who in (none, sees, stops, customer)] == [
        404, 200, 200, 404,
    ]  # fmt: skip
    assert sees.get(f"/progress/jobs/{job.id}").json()["name"] == "Import"
    assert cancel(sees, job.id, token_of(sees)).status_code == 403
    assert cancel(stops, job.id, token_of(stops)).status_code == 202
    job.complete()


def test_a_cancel_carries_the_token_of_the_site(ann, hw):
    user, client = ann
    job = hw.job("Import", scope=scope_of(user)).start()
    refused = cancel(client, job.id)
    assert (refused.status_code, refused["Content-Type"]) == (403, "application/problem+json")
    assert "CSRF" in refused.json()["detail"]
    token_of(client)
    assert cancel(client, job.id, "x" * 32).status_code == 403
    assert not hw.get(job.id).cancel_requested
    assert cancel(client, job.id, token_of(client)).status_code == 202
    assert hw.get(job.id).cancel_requested
    job.complete()


def test_a_form_of_the_site_cancels_and_one_of_another_does_not(ann, hw):
    user, client = ann
    job = hw.job("Import", scope=scope_of(user)).start()
    form = {"csrfmiddlewaretoken": token_of(client)}
    address = f"/progress/jobs/{job.id}/cancel"
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert client.post(address, form, headers=headers).status_code == 403
    assert not hw.get(job.id).cancel_requested
    assert client.post(address, form, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 202
    job.complete()


def test_the_token_is_asked_for_without_the_middleware_as_well(ann, hw):
    from django.conf import settings
    from django.test import override_settings

    user, client = ann
    job = hw.job("Import", scope=scope_of(user)).start()
    with override_settings(MIDDLEWARE=[one for one in settings.MIDDLEWARE if "csrf" not in one]):
        assert cancel(client, job.id).status_code == 403
    job.complete()


def test_a_signed_link_shows_its_job_and_cancels_by_its_header(database, store, hw):
    from django.test import Client, override_settings

    from headway.web.django.links import Links

    job = hw.job("Import", scope="user/0").start()
    nobody = Client(enforce_csrf_checks=True)
    with override_settings(HEADWAY={"STORE": store, "ACCESS": "links"}):
        address = f"/progress/jobs/{job.id}?token="
        assert nobody.get(address + Links().view(job.id)).json()["status"] == "running"
        assert nobody.get(address + Links().view("other")).status_code == 404
        assert nobody.get(address + Links().view(job.id)[:-1]).status_code == 404
        assert nobody.get(address + "nonsense").status_code == 404
        bearer = f"Bearer {Links().view(job.id, cancel=True)}"
        assert cancel(nobody, job.id, Authorization=bearer).status_code == 202
        old = Links().view(job.id)
        with override_settings(SECRET_KEY="the next of them", SECRET_KEY_FALLBACKS=[]):  # noqa: S106 - a test's
            assert nobody.get(address + old).status_code == 404
    job.complete()


@pytest.mark.parametrize("kind", ["plain", "coroutine", "path"])
def test_a_function_of_the_project_is_asked_with_its_request(database, store, hw, kind):
    from django.test import Client, override_settings

    async def slow(request, action, job):
        return quick(request, action, job)

    access = {"plain": quick, "coroutine": slow, "path": f"{__name__}.quick"}[kind]
    with hw.job("Import") as job:
        pass
    if kind == "path":
        access = "tests.web.django.project.by_name"
    with override_settings(HEADWAY={"STORE": store, "ACCESS": access}):
        assert Client().get(f"/progress/jobs/{job.id}").status_code == 404
        answer = Client().get(f"/progress/jobs/{job.id}", headers={"X-User": "root"})
        assert answer.json()["status"] == "completed"


def quick(request, action, job):
    return Grant(owner=True) if request.headers.get("X-User") == "root" else None


def test_middleware_that_wants_everybody_logged_in_leaves_links_alone(database, store, hw):
    import django
    from django.conf import settings
    from django.test import Client, override_settings

    from headway.web.django.links import Links

    if django.VERSION < (5, 1):
        pytest.skip("this Django has no such middleware")
    middleware = "django.contrib.auth.middleware.LoginRequiredMiddleware"
    with hw.job("Import") as job:
        pass
    with override_settings(
        HEADWAY={"STORE": store, "ACCESS": "links"}, MIDDLEWARE=[*settings.MIDDLEWARE, middleware]
    ):
        answer = Client().get(f"/progress/jobs/{job.id}", {"token": Links().view(job.id)})
    assert answer.json()["status"] == "completed"

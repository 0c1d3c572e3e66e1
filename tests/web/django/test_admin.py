"""Jobs in Django's admin."""

import pytest


@pytest.fixture
def boss(person):
    return person("boss", "view_job", "cancel_job", staff=True)[1]


@pytest.fixture
def reader(person):
    return person("reader", "view_job", staff=True)[1]


def csrf(client):
    client.get("/admin/headway/job/")
    return client.cookies["csrftoken"].value


def chosen(client, *ids, token=None):
    form = {"id": ids, "csrfmiddlewaretoken": token or csrf(client)}
    return client.post("/admin/headway/job/", form, follow=True)


def test_jobs_are_listed_and_led_to(boss, hw):
    with hw.job("Import <b>all</b>", scope="user/7", total=3, meta={"file": "a.csv"}) as job:
        job.advance(3)
        job.message("two rows skipped")
        job.complete(result={"rows": 3})
    page = boss.get("/admin/headway/job/").content.decode()
    assert "Import &lt;b&gt;all&lt;/b&gt;" in page
    assert f'href="/admin/headway/job/{job.id}/"' in page
    assert f'<headway-progress src="/progress/jobs/{job.id}">' in page
    assert "/static/headway/headway.js" in page
    detail = boss.get(f"/admin/headway/job/{job.id}/").content.decode()
    for said in ("user/7", "a.csv", "two rows skipped", "&quot;rows&quot;: 3", "completed"):
        assert said in detail


def test_a_failed_job_shows_why(boss, hw):
    job = hw.job("Import").start()
    job.fail(ValueError("row 7 is broken"))
    assert "row 7 is broken" in boss.get(f"/admin/headway/job/{job.id}/").content.decode()


def test_the_list_is_filtered_and_paged(boss, hw):
    for number in range(51):
        hw.reserve(f"numbered {number}", scope="team/1")
    with hw.job("other"):
        pass
    page = boss.get("/admin/headway/job/", {"scope": "team/1"}).content.decode()
    assert page.count("Choose numbered") == 50
    assert "other" not in page
    cursor = page.partition('href="?scope=team%2F1&amp;cursor=')[2].partition('"')[0]
    rest = boss.get(f"/admin/headway/job/?scope=team%2F1&cursor={cursor}").content.decode()
    assert rest.count("Choose numbered") == 1
    ended = boss.get("/admin/headway/job/", {"status": "completed"}).content.decode()
    assert "<bdi>other" in ended
    assert "numbered" not in ended


def test_chosen_jobs_are_asked_to_stop(boss, hw):
    job, waiting = hw.job("Import").start(), hw.reserve("Export")
    page = chosen(boss, job.id, waiting.id, "no-such-job").content.decode()
    assert "Asked to stop: 2." in page
    assert "Not asked: 1." in page
    assert hw.get(job.id).cancel_requested
    assert hw.get(waiting.id).status == "cancelled"
    job.complete()


def test_one_job_is_asked_to_stop_on_its_page(boss, hw):
    job = hw.job("Import").start()
    address = f"/admin/headway/job/{job.id}/"
    assert "Ask it to stop" in boss.get(address).content.decode()
    assert boss.post(address, {"csrfmiddlewaretoken": csrf(boss)}).status_code == 302
    assert hw.get(job.id).cancel_requested
    job.complete()


def test_readers_stop_nothing_and_forms_of_others_neither(boss, reader, hw):
    job = hw.job("Import").start()
    page = reader.get("/admin/headway/job/").content.decode()
    assert "action-select" not in page
    boss_token = csrf(boss)
    reader.cookies["csrftoken"] = boss_token
    assert chosen(reader, job.id, token=boss_token).status_code == 403
    assert boss.post("/admin/headway/job/", {"id": job.id}).status_code == 403
    assert not hw.get(job.id).cancel_requested
    job.complete()


def test_others_see_no_jobs_there(person, hw):
    job = hw.reserve("Import")
    _, staff = person("zoe", staff=True)
    _, customer = person("joe", "view_job")
    assert staff.get("/admin/headway/job/").status_code == 403
    assert staff.get(f"/admin/headway/job/{job.id}/").status_code == 403
    assert "Jobs" not in staff.get("/admin/").content.decode()
    assert customer.get("/admin/headway/job/").status_code == 302


def test_the_index_leads_there_and_offers_nothing_else(boss):
    page = boss.get("/admin/").content.decode()
    assert 'href="/admin/headway/job/"' in page
    assert "/admin/headway/job/add/" not in page


def test_what_is_not_there_is_said(boss, hw):
    assert "No jobs here." in boss.get("/admin/headway/job/").content.decode()
    assert boss.get("/admin/headway/job/nothing/").status_code == 404
    assert boss.get("/admin/headway/job/%20/").status_code == 404
    assert "cursor" in boss.get("/admin/headway/job/", {"cursor": "!"}).content.decode()


def test_a_store_that_is_away_is_said(boss, tmp_path):
    from django.test import override_settings

    (tmp_path / "no").write_text("a file")
    with override_settings(HEADWAY={"STORE": f"sqlite:///{tmp_path / 'no' / 'jobs.db'}", "ACCESS": "staff"}):
        for address in ("/admin/headway/job/", "/admin/headway/job/a1/"):
            assert "is not available" in boss.get(address).content.decode()


def test_without_a_policy_for_them_bars_stand_still(boss, store, hw):
    from django.test import override_settings

    with hw.job("Import"):
        pass
    with override_settings(HEADWAY={"STORE": store, "ACCESS": "links"}):
        page = boss.get("/admin/headway/job/").content.decode()
    assert "<headway-progress" not in page
    assert "<progress" in page

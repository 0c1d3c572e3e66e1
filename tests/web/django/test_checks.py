"""What manage.py check says."""

import pytest


@pytest.fixture
def found(monkeypatch):
    """The ids of what is found with these settings; ``deploy`` as well where asked for."""
    monkeypatch.delenv("HEADWAY_STORE", raising=False)

    def run(deploy=False, **settings):
        from django.core.checks import run_checks
        from django.test import override_settings

        with override_settings(**settings):
            messages = run_checks(tags=["headway"], include_deployment_checks=deploy)
        return sorted(message.id.removeprefix("headway.") for message in messages)

    return run


GOOD = {"STORE": "redis://localhost/0", "ACCESS": "owner"}


def test_a_good_project_hears_nothing(found):
    assert found(HEADWAY=GOOD) == []
    assert found(HEADWAY=GOOD, deploy=True) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"STORE": "redis://localhost/0"},
        GOOD | {"ACCESS": "owners"},
        GOOD | {"ACCESS": []},
        GOOD | {"ACCESS": "os.no_such"},
        GOOD | {"ACCESS": 1},
        GOOD | {"STREAM": 3},
        ["redis://localhost/0"],
    ],
)
def test_settings_that_say_nothing_are_errors(found, settings):
    assert "E001" in found(HEADWAY=settings)


def test_the_three_choices_are_shown(project):
    from django.test import Client, override_settings

    from headway.web.access import AccessMissing

    with override_settings(HEADWAY={}), pytest.raises(AccessMissing, match="whoever_knows_the_id"):
        Client().get("/progress/jobs/a1")


def test_owners_must_be_known(found):
    from django.conf import settings

    rest = [one for one in settings.MIDDLEWARE if "auth" not in one]
    assert found(HEADWAY=GOOD, MIDDLEWARE=rest) == ["E002"]
    assert found(HEADWAY=GOOD | {"ACCESS": "links"}, MIDDLEWARE=rest) == []


def test_a_store_is_named_once(found, monkeypatch):
    assert found(HEADWAY={"ACCESS": "owner"}) == ["W001"]
    assert found(HEADWAY=GOOD | {"STORE": "memory://x"}) == ["W003"]
    monkeypatch.setenv("HEADWAY_STORE", "redis://elsewhere/0")
    assert found(HEADWAY={"ACCESS": "owner"}) == []
    assert found(HEADWAY=GOOD) == ["W002"]


def test_what_is_installed_is_mounted_and_given_tokens(found):
    from django.conf import settings

    assert found(HEADWAY=GOOD, ROOT_URLCONF="django.contrib.auth.urls") == ["W004"]
    rest = [one for one in settings.MIDDLEWARE if "csrf" not in one]
    assert found(HEADWAY=GOOD, MIDDLEWARE=rest) == ["W005"]


def test_before_a_deployment_more_is_asked(found):
    from django.conf import settings

    assert found(HEADWAY=GOOD | {"STORE": "sqlite:////srv/jobs.db"}, deploy=True) == ["W006"]
    assert found(HEADWAY=GOOD | {"STREAMS": 20}, ASGI_APPLICATION=None, deploy=True) == ["W007"]
    mixed = [*settings.MIDDLEWARE, "tests.web.django.project.blocking"]
    assert found(HEADWAY=GOOD, MIDDLEWARE=mixed, deploy=True) == ["W008"]


def test_jobs_of_the_project_report_to_the_store_of_its_settings(monkeypatch):
    import os

    from django.apps import apps
    from django.test import override_settings

    config = apps.get_app_config("headway")
    monkeypatch.setenv("HEADWAY_STORE", "redis://elsewhere/0")
    with override_settings(HEADWAY=GOOD):
        config.ready()
        assert os.environ["HEADWAY_STORE"] == "redis://elsewhere/0"
        monkeypatch.delenv("HEADWAY_STORE")
        config.ready()
        assert os.environ.pop("HEADWAY_STORE") == GOOD["STORE"]


def test_no_table_is_made_or_missed(project):
    from io import StringIO

    from django.core.management import call_command

    said = StringIO()
    call_command("makemigrations", "--check", "--dry-run", stdout=said)
    call_command("dumpdata", "headway", stdout=said)
    call_command("dumpdata", "headway", "--all", stdout=said)
    assert "".join(said.getvalue().split()) == "Nochangesdetected[][]"

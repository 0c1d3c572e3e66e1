"""A Django project in this process, with a database of its own; and users."""

import os

import pytest


@pytest.fixture(scope="package", autouse=True)
def django_is_set_up():
    before = os.environ.pop("HEADWAY_STORE", None)
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.web.django.project"
    import django
    from django.test.utils import setup_databases, setup_test_environment, teardown_databases

    django.setup()
    setup_test_environment()
    databases = setup_databases(verbosity=0, interactive=False)
    yield
    teardown_databases(databases, verbosity=0)
    os.environ.pop("HEADWAY_STORE", None)
    if before is not None:
        os.environ["HEADWAY_STORE"] = before


@pytest.fixture
def store(tmp_path):
    return f"sqlite:///{tmp_path / 'jobs.db'}"


@pytest.fixture
def project(store, monkeypatch):
    """Change settings; ``HEADWAY`` reads this test's store, and lets owners and staff in."""
    from django.test import override_settings

    monkeypatch.delenv("HEADWAY_STORE", raising=False)
    with override_settings(HEADWAY={"STORE": store, "ACCESS": ["owner", "staff"]}):
        yield


@pytest.fixture
def hw(store):
    import headway

    made = headway.connect(store)
    yield made
    made.close()


@pytest.fixture
def database(project):
    """What a test writes into the database is gone after it."""
    from django.db import transaction

    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture
def person(database):
    """Make a user; gives (user, a client that is logged in)."""
    from django.contrib.auth.models import Permission, User
    from django.test import Client

    def one(name, *permissions, staff=False):
        user = User.objects.create_user(name, is_staff=staff)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client = Client(enforce_csrf_checks=True)
        client.force_login(user)
        return user, client

    return one

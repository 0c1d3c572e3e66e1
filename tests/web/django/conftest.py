"""A Django project in this process, with a database of its own; and users."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def django_is_set_up():
    from django.test.utils import setup_databases, setup_test_environment, teardown_databases

    set_up()
    setup_test_environment()
    databases = setup_databases(verbosity=0, interactive=False)
    yield
    teardown_databases(databases, verbosity=0)


def set_up():
    """Name the settings while they are read, and not to programs that other tests start."""
    import django

    with pytest.MonkeyPatch.context() as patches:
        forget(patches, "HEADWAY_STORE", "TZ")  # Django sets the latter
        patches.setenv("DJANGO_SETTINGS_MODULE", "tests.web.django.project")
        django.setup()


def forget(patches, *names):
    """Unset these in the environment; whatever sets them meanwhile, they are as they were afterwards."""
    for name in names:
        patches.setenv(name, "")
        patches.delenv(name)


@pytest.fixture
def store(tmp_path):
    return f"sqlite:///{tmp_path / 'jobs.db'}"


@pytest.fixture
def project(store, monkeypatch):
    """Change settings; ``HEADWAY`` reads this test's store, and lets owners and staff in."""
    from django.test import override_settings

    forget(monkeypatch, "HEADWAY_STORE")  # the app's own settings say it
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

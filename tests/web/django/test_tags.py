"""What templates show: painted first, alive later, and nothing that the policy does not allow."""

import re
from pathlib import Path

import pytest

from headway.web.django.access import scope_of

DOCUMENTATION = Path(__file__).parents[3] / "docs" / "web" / "django.md"


@pytest.fixture
def drawn(project):
    def draw(source, request=None, **values):
        from django.template import Context, RequestContext, Template

        context = Context(values) if request is None else RequestContext(request, values)
        return Template("{% load headway %}" + source).render(context)

    return draw


@pytest.fixture
def asked_by(database):
    """A request of somebody."""

    def one(user=None):
        from django.contrib.auth.models import AnonymousUser
        from django.test import RequestFactory

        request = RequestFactory().get("/")
        request.user = AnonymousUser() if user is None else user
        return request

    return one


def test_a_bar_is_painted_as_it_is_shown_without_javascript(drawn, asked_by, person, hw):
    user, client = person("ann")
    with hw.job("Import", scope=scope_of(user), total=4) as job:
        job.advance(1)
        html = drawn("{% headway_progress job %}", asked_by(user), job=job.snapshot())
        fragment = client.get(f"/progress/jobs/{job.id}?format=page").content.decode()
        painted = html.partition(">")[2].partition("<noscript>")[0]
        assert painted in fragment
    html = drawn("{% headway_progress id %}", asked_by(user), id=job.id)
    assert html.startswith(f'<headway-progress src="/progress/jobs/{job.id}">')
    assert "completed" in html
    assert '<progress max="1" value="1"' in html
    assert f'<noscript><a href="/progress/jobs/{job.id}">' in html


@pytest.mark.parametrize("known", [True, False])
def test_what_the_reader_may_not_see_is_painted_as_waited_for(drawn, asked_by, person, hw, known):
    user, _ = person("ann")
    id = "their-secret-import"
    if known:
        with hw.job("Their secret", id=id, scope="user/0"):
            pass
    for who in (user, None):
        html = drawn("{% headway_progress id %}", asked_by(who), id=id)
        assert 'data-status="waiting"' in html
        assert "Their secret" not in html
    assert 'data-status="waiting"' in drawn("{% headway_progress id %}", id=id)


def test_a_link_paints_what_it_shows(drawn, asked_by, store, hw):
    from django.test import override_settings

    from headway.web.django.links import Links

    with hw.job("Import") as job:
        pass
    with override_settings(HEADWAY={"STORE": store, "ACCESS": "links"}):
        token = Links().view(job.id)
        html = drawn("{% headway_progress id token=token %}", asked_by(), id=job.id, token=token)
    assert "completed" in html
    assert f'src="/progress/jobs/{job.id}?token=' in html


def test_what_the_documentation_shows_is_drawn(asked_by, person, hw):
    from django.template import engines

    user, _ = person("ann")
    shown = re.search(r"```html\n(.*?)```", DOCUMENTATION.read_text(), re.DOTALL)[1]
    with hw.job("Import", scope=scope_of(user)) as job:
        pass
    html = engines["django"].from_string(shown).render({"job": job}, asked_by(user))
    assert f'src="/progress/jobs/{job.id}" cancel="Stop the import?" csrf=' in html
    assert "completed" in html
    assert f'<headway-list src="/progress/jobs?scope=user%2F{user.pk}">' in html


def test_what_jobs_say_is_text(drawn, asked_by, person, hw):
    user, _ = person("ann")
    with hw.job('<script>alert("1")</script>', scope=scope_of(user)) as job:
        pass
    html = drawn("{% headway_progress id label=label %}", asked_by(user), id=job.id, label='"><script>')
    assert "<script" not in html


def test_a_bar_that_cancels_brings_the_token_of_the_site(drawn, asked_by, person):
    user, _ = person("ann")
    request = asked_by(user)
    html = drawn('{% headway_progress "a1" cancel="Stop \'it\'?" compact=True %}', request)
    assert 'cancel="Stop &#x27;it&#x27;?"' in html
    assert 'csrf="' in html
    assert " compact>" in html
    assert request.META["CSRF_COOKIE_NEEDS_UPDATE"]
    assert "csrf" not in drawn('{% headway_progress "a1" %}', asked_by(user))


def test_a_store_that_is_away_costs_no_page(drawn, asked_by, person, tmp_path):
    from django.test import override_settings

    user, _ = person("ann")
    nowhere = f"sqlite:///{tmp_path / 'no' / 'such' / 'folder' / 'jobs.db'}"
    (tmp_path / "no").write_text("a file")
    with override_settings(HEADWAY={"STORE": nowhere, "ACCESS": "owner"}):
        assert 'data-status="waiting"' in drawn('{% headway_progress "a1" %}', asked_by(user))


def test_a_list_is_by_default_that_of_whoever_asks(drawn, asked_by, person):
    user, _ = person("ann")
    html = drawn("{% headway_list %}", asked_by(user))
    assert html == f'<headway-list src="/progress/jobs?scope=user%2F{user.pk}"></headway-list>'
    assert "scope=team%2F1" in drawn('{% headway_list "team/1" %}', asked_by(user))


def test_the_script_is_a_static_file_and_bears_the_nonce(drawn, asked_by):
    request = asked_by()
    plain = '<script type="module" src="/static/headway/headway.js"></script>'
    assert drawn("{% headway_script %}", request) == plain
    request.csp_nonce = "n0nce"  # as django-csp has it
    assert 'nonce="n0nce"' in drawn("{% headway_script %}", request)
    assert 'nonce="6"' in drawn("{% headway_script %}", request, csp_nonce="6")  # as Django 6 has it
    assert 'nonce="own"' in drawn('{% headway_script nonce="own" %}', request)


def test_the_nonce_of_django_6_counts_as_used(asked_by):
    import django

    if django.VERSION < (6, 0):
        pytest.skip("this Django has none")
    from django.template import RequestContext, Template
    from django.template.context_processors import csp
    from django.utils.csp import LazyNonce

    request = asked_by()
    request._csp_nonce = LazyNonce()
    drawn = Template("{% load headway %}{% headway_script %}").render(RequestContext(request, csp(request)))
    assert request._csp_nonce
    assert f'nonce="{request._csp_nonce}"' in drawn


def test_the_script_is_found_and_collected(project, tmp_path):
    from django.contrib.staticfiles import finders
    from django.core.management import call_command
    from django.test import override_settings

    assert finders.find("headway/headway.js").endswith("static/headway/headway.js")
    with override_settings(STATIC_ROOT=str(tmp_path / "static")):
        call_command("collectstatic", interactive=False, verbosity=0)
    ours = {file.name for file in (tmp_path / "static" / "headway").iterdir()}
    assert ours == {"headway.js", "headway.d.ts"}
    assert {folder.name for folder in (tmp_path / "static").iterdir()} == {"admin", "headway"}


def test_without_static_files_the_script_comes_from_the_mount(drawn, asked_by):
    from django.conf import settings
    from django.test import modify_settings

    assert "django.contrib.staticfiles" in settings.INSTALLED_APPS
    with modify_settings(INSTALLED_APPS={"remove": "django.contrib.staticfiles"}):
        assert 'src="/progress/headway.js"' in drawn("{% headway_script %}", asked_by())

"""The system checks: each is found where it should be, and a project without mistakes passes."""

import sys
import types
from collections.abc import Callable
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.http import HttpResponse
from django.test import override_settings
from django.urls import clear_url_caches, path
from django.views.decorators.csrf import csrf_protect

from tests.ops.views import async_hook, hook

STRONG = "correct-horse-battery-staple-1234"
GOOD: dict[str, Any] = {
    "SOURCES": {
        "stripe": {"SECRETS": ["env:OPS_STRIPE"], "RATE": "50/s"},
        "github": {"SECRETS": ["env:OPS_GITHUB"], "RATE": "50/s"},
    },
}


@pytest.fixture(autouse=True)
def secrets(monkeypatch):
    monkeypatch.setenv("OPS_STRIPE", STRONG)
    monkeypatch.setenv("OPS_GITHUB", STRONG[::-1])
    monkeypatch.setenv("OPS_MAILGUN", STRONG.upper())


def found(*, deploy: bool = True, views: list[Callable[..., Any]] | None = None, **settings: Any) -> list[str]:
    """Ids of what the checks find in a project with these settings, whose URLconf has these views."""
    return [message.id for message in messages(deploy=deploy, views=views, **settings)]


def messages(*, deploy: bool = True, views: list[Callable[..., Any]] | None = None, **settings: Any) -> list[Any]:
    urls = types.ModuleType("tests.ops.checked_urls")
    urls.urlpatterns = [path(f"hooks/{n}/", view) for n, view in enumerate(views or [hook])]
    sys.modules[urls.__name__] = urls
    with override_settings(**{"WEBHOOKS": GOOD, "ROOT_URLCONF": urls.__name__, **settings}):
        clear_url_caches()
        try:
            return run_checks(tags=["webhooks"], include_deployment_checks=deploy)
        finally:
            clear_url_caches()


def with_source(**changes: Any) -> dict[str, Any]:
    """The good settings with keys of the source stripe changed; None takes one away."""
    stripe = {**GOOD["SOURCES"]["stripe"], **changes}
    return {
        "SOURCES": {**GOOD["SOURCES"], "stripe": {key: value for key, value in stripe.items() if value is not None}}
    }


def test_a_project_without_mistakes_passes():
    assert found() == []
    assert found(views=[hook, async_hook]) == []


def test_the_checks_are_registered_with_the_app():
    call_command("check", tag=["webhooks"], deploy=True)


def test_unknown_keys():
    (message,) = messages(deploy=False, WEBHOOKS=with_source(SECRTES=["env:OPS_STRIPE"]))
    assert message.id == "hookward.E001"
    assert "did you mean" in message.hint.lower()


def test_sources_without_secrets():
    assert found(deploy=False, WEBHOOKS=with_source(SECRETS=None)) == ["hookward.E002"]


def test_literal_secrets():
    literal = with_source(SECRETS=[STRONG])
    (message,) = messages(deploy=False, WEBHOOKS=literal)
    assert message.id == "hookward.E003"
    assert STRONG not in str(message)
    assert found(deploy=False, WEBHOOKS=literal, DEBUG=True) == []


@pytest.mark.parametrize("secret", ["short", "changeme", "whsec_test", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"])
def test_weak_secrets(monkeypatch, secret):
    monkeypatch.setenv("OPS_STRIPE", secret)
    (message,) = messages()
    assert message.id == "hookward.E004"
    assert secret not in str(message)
    assert found(deploy=False) == []


def test_secrets_that_are_not_there(monkeypatch):
    monkeypatch.delenv("OPS_STRIPE")
    assert found() == ["hookward.W108"]
    assert found(deploy=False) == []


def test_secrets_that_may_be_absent(monkeypatch):
    assert found(WEBHOOKS=with_source(SECRETS=["env:OPS_STRIPE", "env:OPS_STRIPE_OLD?"])) == []


def test_views_behind_a_wrapper_that_hides_them():
    def wrapper(request):
        return hook(request)

    def wrapped(view):
        return lambda request: view(request)

    assert found(views=[wrapped(hook)]) == ["hookward.E005"]
    assert found(views=[wrapped(wrapped(hook))]) == ["hookward.E005"]


def test_views_that_csrf_would_refuse():
    assert found(views=[csrf_protect(hook)]) == []  # checked by a decorator: told apart below

    def protected(request):
        return HttpResponse()

    protected.webhook_source = "stripe"
    protected.login_required = False
    protected._non_atomic_requests = {"default"}
    assert found(views=[protected]) == ["hookward.E005"]


def test_views_that_ask_for_a_login():
    def guarded(request):
        return HttpResponse()

    guarded.__dict__.update(vars(hook))
    guarded.login_required = True
    login = ["django.contrib.auth.middleware.LoginRequiredMiddleware"]
    assert found(views=[guarded], MIDDLEWARE=login) == ["hookward.E005"]
    assert found(views=[guarded], MIDDLEWARE=[]) == []
    assert found(views=[hook], MIDDLEWARE=login) == []


@pytest.mark.parametrize("view", [hook, async_hook])
def test_views_within_atomic_requests(view):
    def copy(request):
        return HttpResponse()

    copy.__dict__.update(vars(view))
    atomic = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "ATOMIC_REQUESTS": True}}
    from django.db import connections

    connections.settings["default"]["ATOMIC_REQUESTS"] = True
    try:
        assert found(views=[view]) == []
        del copy._non_atomic_requests
        assert found(views=[copy]) == ["hookward.E007"]
    finally:
        connections.settings["default"]["ATOMIC_REQUESTS"] = atomic is None


def test_views_of_sources_that_do_not_exist():
    def other(request):
        return HttpResponse()

    other.__dict__.update(vars(hook))
    other.webhook_source = "strpe"
    (message,) = messages(views=[other])
    assert message.id == "hookward.E009"
    assert "stripe" in message.hint


def test_no_rate_limit():
    assert found(WEBHOOKS=with_source(RATE=None)) == ["hookward.W101"]
    assert found(deploy=False, WEBHOOKS=with_source(RATE=None)) == []


def test_bodies_larger_than_django_takes():
    assert found(WEBHOOKS=with_source(MAX_BODY="5MiB")) == ["hookward.W102"]
    assert found(WEBHOOKS=with_source(MAX_BODY="5MiB"), DATA_UPLOAD_MAX_MEMORY_SIZE=None) == []


@pytest.mark.parametrize(
    "setting", [{"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")}, {"USE_X_FORWARDED_HOST": True}]
)
def test_proxies_that_are_not_trusted(setting):
    assert found(**setting) == ["hookward.W103"]
    assert found(WEBHOOKS={**GOOD, "TRUSTED_PROXIES": ["10.0.0.0/8"]}, **setting) == []


def test_a_tolerance_that_is_too_large():
    assert found(WEBHOOKS=with_source(TOLERANCE="1h")) == ["hookward.W104"]


def test_remembering_for_less_than_the_sender_tries():
    assert found(WEBHOOKS=with_source(REMEMBER="1d", KEEP="1d")) == ["hookward.W105"]


def test_signatures_that_do_not_cover_the_body():
    mailgun = {"SOURCES": {**GOOD["SOURCES"], "mailgun": {"SECRETS": ["env:OPS_MAILGUN"], "RATE": "50/s"}}}
    assert found(WEBHOOKS=mailgun) == ["hookward.W107"]

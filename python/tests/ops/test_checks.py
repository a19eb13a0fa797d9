"""The system checks: each is found where it should be, and a project without mistakes passes."""

import functools
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connections
from django.test import override_settings
from django.urls import clear_url_caches, path
from django.views.decorators.cache import never_cache
from hookward.django import on
from hookward.django.handlers import registry
from hookward.django.views import receive_any

from tests.ops.views import async_hook, hook, without

STRONG = "correct-horse-battery-staple-1234"
GOOD: dict[str, Any] = {
    "SOURCES": {
        "stripe": {"SCHEME": "stripe", "SECRETS": ["env:OPS_STRIPE"], "RATE": "50/s"},
        "github": {"SCHEME": "github", "SECRETS": ["env:OPS_GITHUB"], "RATE": "50/s"},
    },
}


@pytest.fixture(autouse=True)
def secrets(monkeypatch):
    monkeypatch.setenv("OPS_STRIPE", STRONG)
    monkeypatch.setenv("OPS_GITHUB", STRONG[::-1])
    monkeypatch.setenv("OPS_ERP", "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    monkeypatch.setenv("OPS_MAILGUN", STRONG.upper())


def found(*, deploy: bool = True, views: list[Callable[..., Any]] | None = None, **settings: Any) -> list[str]:
    """Ids of what the checks find in a project with these settings, whose URLconf has these views."""
    return [message.id for message in messages(deploy=deploy, views=views, **settings)]


def messages(*, deploy: bool = True, views: list[Callable[..., Any]] | None = None, **settings: Any) -> list[Any]:
    urls = types.ModuleType("tests.ops.checked_urls")
    urls.urlpatterns = [
        path(f"hooks/{n}/", view) for n, view in enumerate([hook, async_hook] if views is None else views)
    ]
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


def test_dynamodb_without_tls(monkeypatch):
    table = {**GOOD, "STORE": {"TABLE": "webhooks", "REGION": "eu-central-1"}}
    assert found(WEBHOOKS=table) == []
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:8000")
    assert found(WEBHOOKS=table) == ["hookward.W106"]
    assert found(deploy=False, WEBHOOKS=table) == []
    assert found() == []


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


def views_found(*views, **settings):
    """Ids of what is found of these views, beside that not every source has one."""
    return [it for it in found(views=list(views), **settings) if it != "hookward.W110"]


def test_views_behind_a_wrapper_that_hides_them():
    def wrapped(view):
        return lambda request: view(request)

    assert views_found(wrapped(hook)) == ["hookward.E005"]
    assert views_found(wrapped(wrapped(async_hook))) == ["hookward.E005"]
    assert views_found(functools.partial(hook)) == ["hookward.E005"]


def test_views_behind_a_wrapper_that_keeps_their_marks():
    assert views_found(never_cache(hook)) == []


def test_views_that_csrf_would_refuse():
    assert views_found(without(csrf_exempt=False)) == ["hookward.E005"]


def test_views_that_ask_for_a_login():
    login = ["django.contrib.auth.middleware.LoginRequiredMiddleware"]
    guarded = without(login_required=True)
    assert views_found(guarded, MIDDLEWARE=login) == ["hookward.E005"]
    assert views_found(guarded, MIDDLEWARE=[]) == []
    assert views_found(hook, MIDDLEWARE=login) == []


def test_views_within_atomic_requests(monkeypatch):
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    assert views_found(hook, async_hook) == []
    assert views_found(without(_non_atomic_requests=set())) == ["hookward.E007"]


def test_sources_without_a_url():
    assert found(views=[hook]) == ["hookward.W110"]
    assert found(views=[receive_any]) == []


def test_handlers_of_sources_that_do_not_exist():
    only_stripe = {"SOURCES": {"stripe": GOOD["SOURCES"]["stripe"]}}
    (message,) = messages(WEBHOOKS=only_stripe)
    assert message.id == "hookward.E009"
    assert message.hint == "Its sources are: stripe."


def test_sources_that_nobody_handles():
    erp = {"SCHEME": "standard-webhooks", "SECRETS": ["env:OPS_ERP"], "RATE": "50/s"}
    views = [hook, async_hook, receive_any]
    assert found(views=views, WEBHOOKS={"SOURCES": {**GOOD["SOURCES"], "erp": erp}}) == ["hookward.W109"]


def test_sources_whose_handler_is_not_clear(monkeypatch):
    monkeypatch.setattr(registry, "_of_type", {})
    on("stripe", "invoice.paid")(lambda event: None)
    assert found() == ["hookward.E010"]


def test_models_that_are_none():
    assert found(deploy=False, WEBHOOKS=with_source(MODEL=int)) == ["hookward.E011"]


def test_behind_the_gateway_it_has_the_limits():
    gateway = {"MODE": "gateway", "GATEWAY": {"SECRETS": ["env:OPS_ERP"]}}
    bare = {name: {"SCHEME": name, "SECRETS": [f"env:OPS_{name.upper()}"]} for name in ("stripe", "github")}
    assert found(WEBHOOKS={**gateway, "SOURCES": bare}) == []
    assert found(WEBHOOKS={"MODE": "gateway", "SOURCES": bare}) == ["hookward.E001", "hookward.E002"]


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
    mailgun = {
        "SOURCES": {**GOOD["SOURCES"], "mailgun": {"SCHEME": "mailgun", "SECRETS": ["env:OPS_MAILGUN"], "RATE": "50/s"}}
    }
    assert "hookward.W107" in found(WEBHOOKS=mailgun)
    assert "hookward.W107" not in found()

"""The fixture `webhooks`, in a project with handlers of each kind."""

import datetime

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import TestCase, override_settings
from hookward.django import Retry, runtime
from hookward.test import WebhookTestCase, settings_for_tests, webhooks_attacks, webhooks_in_tests

from tests.ops import views


@pytest.fixture(autouse=True)
def calls(monkeypatch):
    """What the handlers were called with, and what they do."""
    monkeypatch.setattr(views, "calls", [])
    monkeypatch.setattr(views, "act", None)
    return views.calls


def test_delivers_signed_and_once(webhooks, calls):
    answer = webhooks.deliver("stripe", {"id": "evt_1", "type": "invoice.paid"})
    assert answer.status_code == 200
    assert webhooks.deliver_again().status_code == 200
    assert webhooks.processed == ["evt_1"]
    assert [event.type for event in calls] == ["invoice.paid"]


async def test_delivers_to_async_views(webhooks, calls):
    answer = await webhooks.adeliver("github", {"zen": "calm"}, X_GitHub_Event="ping")
    assert answer.status_code == 200
    assert (await webhooks.adeliver_again()).status_code == 200
    assert [event.type for event in calls] == ["ping"]
    assert len(webhooks.processed) == 1


def test_delivers_to_async_views_under_wsgi(webhooks, calls):
    assert webhooks.deliver("github", {"zen": "calm"}).status_code == 200
    assert len(calls) == 1


def test_type_and_bytes(webhooks, calls):
    webhooks.deliver("stripe", {"id": "evt_1"}, type="invoice.paid")
    webhooks.deliver("stripe", b'{ "id":"evt_2", "type":"x" }')
    assert [event.type for event in calls] == ["invoice.paid", "x"]
    assert calls[1].raw == b'{ "id":"evt_2", "type":"x" }'


def test_needs_none_of_the_projects_secrets(webhooks, monkeypatch):
    monkeypatch.delenv("OPS_STRIPE", raising=False)
    assert webhooks.deliver("stripe", {"id": "evt_1"}).status_code == 200


def test_what_was_changed_is_refused(webhooks, calls):
    request = webhooks.request("stripe", {"id": "evt_1"})
    assert webhooks.send("stripe", request.with_header("Stripe-Signature", None)).status_code == 403
    assert webhooks.events == []
    assert calls == []


def test_handlers_that_fail(webhooks):
    def fail(event):
        raise ValueError("no such invoice")

    views.act = fail
    assert webhooks.deliver("stripe", {"id": "evt_1"}).status_code == 500
    assert webhooks.processed == []
    views.act = None
    assert webhooks.deliver_again().status_code == 200
    assert webhooks.processed == ["evt_1"]


def test_handlers_that_want_to_be_called_again(webhooks, calls):
    def wait(event):
        raise Retry(after=60, reason="no order yet")

    views.act = wait
    answer = webhooks.deliver("stripe", {"id": "evt_1"})
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
    views.act = None
    assert webhooks.run_due() == 0
    webhooks.advance(hours=1)
    assert webhooks.run_due() == 1
    assert webhooks.processed == ["evt_1"]
    assert [event.attempt for event in calls] == [1, 2]


def test_the_clock_stands_still(webhooks):
    at = webhooks.now
    request = webhooks.request("stripe", {"id": "evt_1"})
    webhooks.advance(seconds=301)
    assert webhooks.now == at + 301_000_000
    assert webhooks.send("stripe", request).status_code == 403
    webhooks.freeze(datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
    assert webhooks.deliver("stripe", {"id": "evt_2"}).status_code == 200
    assert webhooks.events[-1].received_at == 1_577_836_800_000_000
    with pytest.raises(ValueError, match="time zone"):
        webhooks.freeze(datetime.datetime(2020, 1, 1))  # noqa: DTZ001


def test_dead_letters(webhooks, calls):
    assert webhooks.deliver("stripe", b"no JSON").status_code == 200
    assert len(webhooks.dead) == 1
    assert calls == []


def test_says_what_is_not_there(webhooks):
    with pytest.raises(ValueError, match="no source 'strpe': it has stripe, github"):
        webhooks.deliver("strpe", {})
    with pytest.raises(RuntimeError, match="nothing was delivered yet"):
        webhooks.deliver_again()
    with (
        override_settings(ROOT_URLCONF="tests.ops.empty_urls"),
        pytest.raises(LookupError, match="no view of ROOT_URLCONF"),
    ):
        webhooks.deliver("stripe", {})


@pytest.mark.parametrize("attack", webhooks_attacks("stripe"))
def test_stripe_cannot_be_abused(webhooks, attack):
    webhooks.withstand(attack)


@pytest.mark.parametrize("attack", webhooks_attacks("github"))
async def test_github_cannot_be_abused(webhooks, attack):
    await webhooks.awithstand(attack)


def test_an_attack_that_succeeds_fails_the_test(webhooks, monkeypatch):
    (replay,) = [it for it in webhooks_attacks("stripe") if it.name == "replay"]

    class Forgetful(type(webhooks.store)):
        def claim(self, event, now, until):
            self._records.clear()
            return super().claim(event, now, until)

    webhooks.store.__class__ = Forgetful
    counted = []
    monkeypatch.setattr(type(webhooks), "events", property(lambda self: counted))
    runtime.current().store.settle = lambda *args, **kwargs: counted.append(
        type("Event", (), {"attempts": 1, "state": "done"})
    )
    with pytest.raises(AssertionError, match=r"handlers ran 2 times in place of 1"):
        webhooks.withstand(replay)


def test_an_attack_whose_genuine_event_is_not_handled_says_so(webhooks):
    def fail(event):
        raise ValueError

    views.act = fail
    (replay,) = [it for it in webhooks_attacks("stripe") if it.name == "replay"]
    with pytest.raises(AssertionError, match=r"give webhooks_attacks\('stripe', payload=…\)"):
        webhooks.withstand(replay)


def test_everything_is_as_before_afterwards():
    from django.conf import settings

    before = settings.WEBHOOKS
    with webhooks_in_tests() as webhooks:
        assert runtime.current().store is webhooks.store
        assert settings.WEBHOOKS["SOURCES"]["stripe"]["SECRETS"] != before["SOURCES"]["stripe"]["SECRETS"]
    assert settings.WEBHOOKS is before
    assert runtime.current().store is not webhooks.store


@pytest.fixture
def mode():
    """The project in another mode."""

    def change(**settings):
        from django.conf import settings as project

        override = override_settings(WEBHOOKS={**project.WEBHOOKS, **settings})
        override.enable()
        overrides.append(override)

    overrides = []
    yield change
    for override in reversed(overrides):
        override.disable()


def test_queue_mode(mode, calls, db):
    mode(MODE="queue")
    with webhooks_in_tests() as webhooks:
        assert webhooks.deliver("stripe", {"id": "evt_1"}).status_code == 200
        assert (webhooks.processed, calls) == ([], [])
        assert webhooks.run_due() == 1
        assert webhooks.processed == ["evt_1"]


def test_gateway_mode(mode, calls, db):
    mode(MODE="gateway", GATEWAY={"SECRETS": ["env:NEVER_READ"]})
    with webhooks_in_tests() as webhooks:
        assert webhooks.deliver("stripe", {"id": "evt_1", "type": "invoice.paid"}).status_code == 200
        assert webhooks.processed == ["evt_1"]
        assert [(event.id, event.type) for event in calls] == [("evt_1", "invoice.paid")]
        request = webhooks.request("stripe", {"id": "evt_2"}).with_header("webhook-signature", "v1,AAAA")
        assert webhooks.send("stripe", request).status_code == 403


def test_settings_for_tests_name_no_real_secret():
    written = {
        "SOURCES": {
            "a": {"SCHEME": "stripe", "SECRETS": ["env:REAL"]},
            "b": {"SCHEME": "discord", "SECRET": "file:/real"},
            "c": {"SCHEME": "sendgrid", "SECRETS": ["aws-sm:real"]},
        }
    }
    assert "env:" not in str(settings_for_tests(written))
    assert "real" not in str(settings_for_tests(written))
    assert settings_for_tests(written) == settings_for_tests(written)


def test_sweep_runs_what_is_due_and_forgets(webhooks, calls, capsys):
    def wait(event):
        raise Retry(after=60)

    views.act = wait
    webhooks.deliver("stripe", {"id": "evt_1"})
    views.act = None
    webhooks.advance(hours=1)
    call_command("webhooks_sweep")
    assert capsys.readouterr().out == "1 attempts; 0 events or marks forgotten.\n"
    assert webhooks.processed == ["evt_1"]
    webhooks.advance(days=31)
    call_command("webhooks_sweep", "--json")
    assert '"forgotten": 1' in capsys.readouterr().out


def test_send_without_a_url_calls_the_project(webhooks, calls, tmp_path, capsys):
    fixture = tmp_path / "event.json"
    fixture.write_text('{"id": "evt_1", "type": "invoice.paid"}')
    call_command("webhooks_send", "stripe", str(fixture))
    assert capsys.readouterr().out.startswith("200 ")
    assert [event.id for event in calls] == ["evt_1"]


class WithUnittest(WebhookTestCase, TestCase):
    """In a Django test case, whose handlers may use the database."""

    def test_delivers(self):
        views.act = lambda event: User.objects.create(username=event.id)
        self.webhooks.deliver("stripe", {"id": "evt_1"})
        self.webhooks.deliver_again()
        assert self.webhooks.processed == ["evt_1"]
        assert User.objects.count() == 1

    def test_withstands(self):
        for attack in webhooks_attacks("stripe"):
            with self.subTest(attack.name), webhooks_in_tests() as webhooks:
                webhooks.withstand(attack)

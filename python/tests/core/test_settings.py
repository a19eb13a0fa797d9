from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hookward import _core

from .samples import NOW, OTHER, SECRET, forge, judge, reason, receiver, send, signed


def diagnostics(settings: Mapping[str, Any], *, literals: bool = True) -> list[tuple[str, str]]:
    with pytest.raises(_core.ConfigError) as raised:
        _core.Config.parse(settings, literals=literals)
    assert all(it.severity == "error" for it in raised.value.diagnostics)
    return [(it.path, it.message) for it in raised.value.diagnostics]


def test_everything_that_is_wrong_is_told_with_its_key() -> None:
    found = diagnostics(
        {
            "sources": {
                "stripe": {"provider": "stripe", "secrt": SECRET, "body_max": "1 MB"},
                "github": {"provider": "githbu", "secrets": [SECRET, 7]},
            },
            "limts": {},
        }
    )
    assert [path for path, _ in found] == [
        "sources.stripe",
        "sources.stripe.body_max",
        "sources.github.provider",
        "sources.github.secrets[1]",
        "",
    ]
    assert found[-1][1] == 'unknown key "limts"'


def test_an_error_reads_without_places_in_a_file_that_nobody_wrote() -> None:
    with pytest.raises(_core.ConfigError) as raised:
        _core.Config.parse({"sources": {"stripe": {"provider": "strip", "secret": "env:STRIPE_WH"}}})
    assert str(raised.value).startswith("sources.stripe.provider: ")
    assert _core.ConfigError.diagnostics == [], "an error's list is its own"


def test_values_are_what_python_has_for_them(tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object", "required": ["amount"]}')
    source = OrderedDict(
        provider="stripe",
        secrets=(
            SECRET,
            {"ref": OTHER, "not_after": datetime(2026, 1, 1, tzinfo=UTC)},
        ),
        keep=timedelta(days=7),
        tolerance=timedelta(minutes=2),
        budget=None,
        schema=schema,
        expect={"/livemode": True},
    )
    config = _core.Config.parse(MappingProxyType({"sources": {"stripe": source}}), literals=True)
    [facts] = config.sources
    assert (facts.keep_secs, facts.tolerance_secs, facts.rate) == (7 * 86_400, 120, None)
    assert (facts.secrets, facts.covers) == (["literal", "literal"], "time, body")
    stripe = _core.Receiver(config)
    assert reason(forge(stripe)) == "wrong_signature", "that secret has ended"
    for body, expected in [
        (b'{"id":"1"}', "unexpected_value"),
        (b'{"id":"1","livemode":true}', "schema_violation"),
        (b'{"id":"1","livemode":true,"amount":1}', None),
    ]:
        event = judge(stripe, signed(stripe, body), body)
        assert isinstance(event, _core.Event)
        assert event.quarantine == expected


@pytest.mark.parametrize(
    "settings", [None, [], "x", {"sources": {1: {}}}, {"sources": {"a": {"provider": object()}}}, {"x": b"bytes"}]
)
def test_what_is_no_setting_is_a_type_error(settings: Any) -> None:
    with pytest.raises(TypeError):
        _core.Config.parse(settings)


def test_settings_that_hold_themselves_are_refused() -> None:
    settings: dict[str, Any] = {}
    settings["sources"] = settings
    with pytest.raises(TypeError, match="nest too deep"):
        _core.Config.parse(settings)


def test_what_only_a_gateway_does_is_refused_and_not_missed() -> None:
    source = {"provider": "stripe", "secret": "env:STRIPE_WH"}
    assert _core.Config.parse({"sources": {"stripe": source}}).warnings == []
    found = diagnostics(
        {
            "admin": {"token": "env:TOKEN"},
            "destinations": {"app": {"url": "http://localhost/", "secret": "env:APP"}},
            "sources": {"stripe": {**source, "destination": "app"}},
        }
    )
    assert [path for path, _ in found] == ["admin", "destinations", "sources.stripe.destination"]


def test_a_warning_is_told() -> None:
    config = _core.Config.parse({"sources": {"github": {"provider": "github", "secret": "env:A", "remember": "30d"}}})
    [warning] = config.warnings
    assert (warning.path, warning.severity) == ("sources.github.remember", "warning")


def test_literal_secrets_are_for_tests_alone() -> None:
    settings = {"sources": {"stripe": {"provider": "stripe", "secret": SECRET}}}
    [(path, message)] = diagnostics(settings, literals=False)
    assert path == "sources.stripe.secret"
    assert "settings" in message
    assert SECRET not in message


@pytest.mark.parametrize("weak", ["", "short", "changeme" * 4, "a" * 40, SECRET + "\n"])
def test_weak_and_missing_secrets_start_no_receiver(weak: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOKWARD_TEST_WEAK", weak)
    monkeypatch.delenv("HOOKWARD_TEST_NONE", raising=False)
    secrets = ["env:HOOKWARD_TEST_WEAK", "env:HOOKWARD_TEST_NONE"]
    with pytest.raises(_core.SecretError) as raised:
        _core.Receiver(_core.Config.parse({"sources": {"stripe": {"provider": "stripe", "secrets": secrets}}}))
    assert [it.path for it in raised.value.diagnostics] == ["sources.stripe.secrets[0]", "sources.stripe.secrets[1]"]


def test_a_variable_with_a_question_mark_need_not_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOKWARD_TEST_NEW", SECRET)
    monkeypatch.delenv("HOOKWARD_TEST_OLD", raising=False)

    def made(*secrets: str) -> _core.Receiver:
        return _core.Receiver(
            _core.Config.parse({"sources": {"stripe": {"provider": "stripe", "secrets": list(secrets)}}})
        )

    assert reason(send(made("env:HOOKWARD_TEST_NEW", "env:HOOKWARD_TEST_OLD?"))) == "event"
    with pytest.raises(_core.SecretError, match="at least one secret"):
        made("env:HOOKWARD_TEST_OLD?")
    monkeypatch.setenv("HOOKWARD_TEST_OLD", "short")
    with pytest.raises(_core.SecretError, match="env:HOOKWARD_TEST_OLD"):
        made("env:HOOKWARD_TEST_NEW", "env:HOOKWARD_TEST_OLD?")


def test_facts_of_a_source() -> None:
    settings = {
        "sources": {
            "meta": {"provider": "meta", "secret": "env:A", "verify_token": "env:B"},
            "github": {"provider": "github", "secret": "env:C"},
        }
    }
    meta, github = _core.Config.parse(settings).sources
    assert (meta.methods, meta.path, meta.secrets) == (["POST", "GET"], "/hooks/meta", ["env:A"])
    assert (github.signs_time, github.tolerance_secs, github.remember_secs) == (False, None, None)
    [stripe] = _core.Config.parse({"sources": {"pay": {"provider": "stripe", "secret": "env:A"}}}).sources
    assert (stripe.name, stripe.provider, stripe.retry_horizon_secs) == ("pay", "stripe", 3 * 86_400)


def test_the_time_is_an_argument() -> None:
    assert send(receiver()).received_at == NOW  # type: ignore[union-attr]

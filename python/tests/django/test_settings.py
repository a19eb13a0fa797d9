"""`WEBHOOKS`, as written and as meant."""

from datetime import timedelta

import pytest
from hookward.django.settings import SettingsError, current, read

SECRET = "whsec_Vq7tZ2mXc9LpRw4KdJh8SbNf3YgTx6Ea"


def meant(sources=None, **top):
    return read({"SOURCES": sources or {"stripe": {"PROVIDER": "stripe", "SECRETS": [SECRET]}}, **top}, literals=True)


def wrong(written):
    with pytest.raises(SettingsError) as told:
        read(written, literals=True)
    return [(it.path, it.message, it.help) for it in told.value.diagnostics]


def test_the_gateways_keys_in_upper_case_and_the_familiar_ones():
    one = {"PROVIDER": "stripe", "SECRETS": [SECRET], "BUDGET": "50/s", "BODY_MAX": "256KiB", "TOLERANCE": "10m"}
    other = {"SCHEME": "stripe", "SECRETS": [SECRET], "RATE": "50/s", "MAX_BODY": 262_144}
    for written in (one, other | {"TOLERANCE": timedelta(minutes=10)}):
        facts = meant({"stripe": written}).facts["stripe"]
        assert (facts.provider, facts.rate, facts.body_max, facts.tolerance_secs) == ("stripe", "50/s", 262_144, 600)


def test_defaults_are_for_every_source_and_a_source_has_the_last_word():
    sources = {
        "stripe": {"PROVIDER": "stripe", "SECRETS": [SECRET]},
        "github": {"PROVIDER": "github", "SECRETS": ["env:X"], "MAX_BODY": 2048},
    }
    found = meant(sources, DEFAULTS={"MAX_BODY": 4096, "ATOMIC": False})
    assert [found.facts[name].body_max for name in sources] == [4096, 2048]
    assert [found.sources[name].atomic for name in sources] == [False, False]


def test_a_signature_that_is_described():
    signature = {"HEADER": "X-Sig", "CONTENT": "{timestamp}.{body}", "TIMESTAMP": {"HEADER": "X-Time", "UNIT": "ms"}}
    source = {"SIGNATURE": signature, "SECRETS": ["env:X"], "EXPECT": {"/Mode": "LIVE"}}
    assert meant({"own": source}).facts["own"].signs_time


def test_all_mistakes_at_once_with_what_was_meant():
    found = wrong(
        {
            "SOURCES": {"stripe": {"PROVIDER": "stripe", "SECRETZ": [SECRET]}},
            "MOD": "inline",
            "STORE": {"TABEL": "x"},
            "ATTEMPTS": 0,
        }
    )
    text = str(found)
    assert 'did you mean "MODE"' in text
    assert "secretz" in text
    assert "STORE" in text
    assert "ATTEMPTS" in text
    assert len(found) >= 4


@pytest.mark.parametrize(
    "top",
    [
        {"MODE": "quue"},
        {"MODE": "gateway"},
        {"STORE": "redis"},
        {"STORE": {"TABLE": "x", "REGIO": "y"}},
        {"LEASE": 0},
        {"LEASE": "60s"},
        {"ATOMIC": "yes"},
        {"DATABASE": 1},
        {"SOURCES": []},
        {"TRUSTED_PROXIES": ["nonsense"]},
    ],
)
def test_what_cannot_be_meant(top):
    assert wrong({"SOURCES": {"stripe": {"PROVIDER": "stripe", "SECRETS": [SECRET]}}} | top)


def test_two_words_for_one_thing():
    source = {"PROVIDER": "stripe", "SCHEME": "stripe", "SECRETS": [SECRET]}
    assert "another word" in str(wrong({"SOURCES": {"stripe": source}}))


def test_a_secret_is_written_only_while_debugging_or_testing():
    written = {"SOURCES": {"stripe": {"PROVIDER": "stripe", "SECRETS": [SECRET]}}}
    with pytest.raises(SettingsError) as told:
        read(written, literals=False)
    assert SECRET not in str(told.value)
    assert "SECRETS" in str(told.value)


def test_behind_the_gateway_there_is_one_sender():
    found = meant(MODE="gateway", GATEWAY={"SECRETS": ["env:GATEWAY"]})
    assert (found.sender("stripe"), found.sender("nobody")) == ("gateway", "nobody")
    assert list(found.facts) == ["gateway"]


def test_the_projects_own():
    found = current()
    assert (found.mode, found.table, found.database, found.attempts, found.lease) == (
        "inline",
        None,
        "default",
        16,
        60_000_000,
    )

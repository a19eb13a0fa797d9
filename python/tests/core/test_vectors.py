"""Python and the gateway give the same verdict on the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hookward import _core

from .vectors import NAMES, Sent, file


def fetch_keys(receiver: _core.Receiver, published: dict[str, Any], now: int) -> bool:
    """Answers what the receiver wants to fetch, in place of the network; whether it could use it."""
    [fetch] = receiver.keys_due(now)
    name = fetch.url if fetch.post is None else f"{fetch.url} {json.loads(fetch.post)['key_id']}"
    document = published["documents"].get(name)
    if document is None:
        fetch.not_there(now)
        return False
    return fetch.here(document.encode(), None, now)


def verdict(found: _core.Event | _core.Answer) -> dict[str, Any]:
    if isinstance(found, _core.Event):
        return {"admitted": {"key": found.key, "event_type": found.type, "quarantine": found.quarantine}}
    if found.reason == "handshake":
        return {"answered": found.body.decode()}
    return {"refused": found.reason}


@pytest.mark.parametrize("provider", NAMES)
def test_every_vector_gets_its_verdict(provider: str) -> None:
    whole = file(provider)
    published = whole.get("published", {})
    wrong = []
    for case in whole["cases"]:
        sent = Sent.of(whole, case)
        receiver = sent.receiver()
        found = sent.judge(receiver)
        expected = case["expect"]
        if isinstance(found, _core.Answer) and found.reason == "key_pending":
            usable = fetch_keys(receiver, published, sent.now)
            if "authority" in published and "admitted" in expected:
                # Who vouches for the key is an authority of the vectors' own, which nobody trusts here.
                assert not usable
                expected = {"refused": "wrong_signature"}
            found = sent.judge(receiver)
        if isinstance(found, _core.Event):
            assert found.body == sent.body
            assert found.received_at == sent.now
        if verdict(found) != expected:
            wrong.append((case["name"], verdict(found), expected))
    assert not wrong


@pytest.mark.parametrize("provider", [name for name in NAMES if file(name).get("handshakes")])
def test_every_question_gets_its_answer(provider: str, tmp_path: Path) -> None:
    whole = file(provider)
    wrong = []
    for number, case in enumerate(whole["handshakes"]):
        sent = Sent.of(whole, case)
        learned = tmp_path / str(number)
        # Tokens of these vectors are shorter than what settings take.
        found = sent.verify() if sent.verify_token else sent.judge(sent.receiver(learned))
        expected = case["expect"]
        if expected == "admitted":
            right = isinstance(found, _core.Event)
        elif isinstance(found, _core.Event):
            right = False
        elif "refused" in expected:
            refused = expected["refused"]
            right = found.reason == refused["reason"] and refused["status"] in (None, found.status)
        else:
            answered = expected["answered"]
            if answered.get("secret") and sent.secrets:
                # A second secret would be a takeover.
                right = (found.reason, found.status) == ("handshake_refused", 403)
            else:
                right = answer(found) == [answered.get(it) for it in ("status", "media_type", "body", "headers")]
                right = right and found.learnt == bool(answered.get("secret"))
                right = right and (not found.learnt or learned.read_text() == answered.get("secret"))
        if not right:
            wrong.append((case["name"], found, expected))
    assert not wrong


def answer(found: _core.Answer) -> list[Any]:
    headers = dict(found.headers)
    media_type = headers.pop("content-type", None)
    headers.pop("x-content-type-options", None)
    return [found.status, media_type, found.body.decode(), headers]


@pytest.mark.parametrize("provider", NAMES)
def test_a_single_verification_says_the_same(provider: str) -> None:
    whole = file(provider)
    wrong, without = [], 0
    for case in whole["cases"]:
        sent = Sent.of(whole, case)
        try:
            found = sent.verify()
        except _core.ConfigError as error:
            without += "keys that it publishes" in str(error)
            continue
        expected = case["expect"]
        if expected.get("admitted", {}).get("quarantine") == "not_json":
            expected = {"refused": "rejected"}
        if verdict(found) != expected:
            wrong.append((case["name"], verdict(found), expected))
    assert not wrong
    assert bool(without) == ("published" in whole), "only published keys have to be fetched"

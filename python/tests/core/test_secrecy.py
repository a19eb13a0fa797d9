"""No secret is in what is shown, raised, or handed out."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import pickle
import traceback
from typing import Any

import hookward
import pytest
from hookward import _core

from .samples import BODY, JSON, NOW, forge, judge, receiver, send, signed

CANARY = "c4n4ry-7f3Kq9-canary-Zx81mQ"


def shown(value: object, depth: int = 3) -> str:
    """All that can be seen of an object: how it prints, and its attributes and theirs."""
    seen = [repr(value), str(value), f"{value}"]
    if depth and not isinstance(value, str | bytes | int | float | None):
        for name in dir(value):
            if not name.startswith("__"):
                attribute = getattr(value, name, None)
                if not callable(attribute):
                    seen.append(shown(attribute, depth - 1))
        if isinstance(value, list | tuple | set | dict):
            seen += [shown(it, depth - 1) for it in value]
    return "\n".join(seen)


def canary_receiver() -> tuple[_core.Config, _core.Receiver]:
    source = {"provider": "meta", "secrets": [CANARY], "verify_token": CANARY + "-token"}
    config = _core.Config.parse({"sources": {"meta": source}}, literals=True)
    return config, _core.Receiver(config)


def test_nothing_shows_a_secret() -> None:
    config, meta = canary_receiver()
    signed = meta.sign("meta", BODY, "1", NOW)
    screened = meta.screen("meta", "POST", "/", [JSON, *signed.headers], "192.0.2.1", NOW)
    assert isinstance(screened, _core.Screened)
    question = "/?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="
    seen = [
        config,
        config.sources,
        config.warnings,
        meta,
        signed,
        screened,
        screened.verify(BODY),
        screened.verify(b"{}"),
        meta.screen("meta", "GET", question + "wrong", [], "192.0.2.1", NOW),
        meta.screen("meta", "GET", question + CANARY + "-token", [], "192.0.2.1", NOW),
        _core.accepted(meta, "meta", True),
        _core.retry_later(meta, "meta", 1.0),
        meta.tend(),
    ]
    assert isinstance(seen[6], _core.Event)
    assert "canary" not in shown(seen, 5)


def test_credentials_for_keys_are_in_what_is_posted_and_nowhere_else() -> None:
    options = {"client_id": "client"}
    source = {"provider": "plaid", "secrets": [CANARY], "options": options}
    plaid = _core.Receiver(_core.Config.parse({"sources": {"plaid": source}}, literals=True))

    def part(content: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()

    claims = {"iat": NOW // 1_000_000, "request_body_sha256": hashlib.sha256(BODY).hexdigest()}
    token = f"{part({'alg': 'ES256', 'kid': 'first', 'typ': 'JWT'})}.{part(claims)}.{'A' * 86}"
    headers = [JSON, ("plaid-verification", token)]
    screened = plaid.screen("plaid", "POST", "/", headers, "192.0.2.1", NOW)
    found = screened if isinstance(screened, _core.Answer) else screened.verify(BODY)
    assert isinstance(found, _core.Answer)
    assert found.reason == "key_pending"
    [fetch] = plaid.keys_due(NOW)
    assert fetch.post is not None
    assert CANARY in fetch.post.decode()
    assert "canary" not in repr(fetch) + fetch.url


@pytest.mark.parametrize("weak", ["canary", "canary" * 9, "canary canary canary 0123456789"])
def test_an_error_about_a_secret_does_not_hold_it(weak: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOKWARD_TEST_WEAK", weak)
    raised: list[BaseException] = []
    for attempt in (
        lambda: _core.Config.parse({"sources": {"stripe": {"provider": "stripe", "secret": weak}}}),
        lambda: _core.Config.parse({"sources": {"stripe": {"provider": "stripe", "secrt": CANARY}}}, literals=True),
        lambda: _core.Config.parse(
            {"sources": {"stripe": {"provider": "whsec_" + CANARY, "secret": CANARY}}}, literals=True
        ),
        lambda: receiver(secrets=[weak]),
        lambda: _core.Receiver(
            _core.Config.parse({"sources": {"stripe": {"provider": "stripe", "secret": "env:HOOKWARD_TEST_WEAK"}}})
        ),
        lambda: hookward.verify("stripe", {}, b"", [weak]),
        lambda: hookward.verify("stripe", {"content-type": "application/json"}, b"{}", [CANARY]),
    ):
        with pytest.raises(hookward.HookwardError) as caught:
            attempt()
        raised.append(caught.value)
    for error in raised:
        said = "".join(traceback.format_exception_only(error)) + shown(getattr(error, "diagnostics", None))
        assert "canary" not in said, said


def test_what_holds_secrets_is_neither_pickled_nor_copied() -> None:
    config, meta = canary_receiver()
    for holder in (config, meta):
        for leave in (pickle.dumps, copy.deepcopy):
            with pytest.raises(TypeError):
                leave(holder)


def test_a_verdict_about_a_forgery_says_nothing_of_its_body() -> None:
    stripe = receiver()
    for found in (forge(stripe), judge(stripe, signed(stripe), b'{"canary":1}'), judge(stripe, [("canary", "canary")])):
        assert isinstance(found, _core.Answer)
        assert "canary" not in shown(found)


def test_proof_cannot_be_made_up() -> None:
    event = send(receiver())
    assert isinstance(event, _core.Event)
    for made_here in (_core.Event, _core.Answer, _core.Screened, _core.Claimed, _core.KeyFetch):
        with pytest.raises(TypeError):
            made_here()
    with pytest.raises(AttributeError):
        event.body = b"another"

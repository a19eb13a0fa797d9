"""`hookward.verify` as Flask, FastAPI and AWS Lambda use it: the examples of its documentation, run."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import flask
import hookward
import httpx
import pytest
from fastapi import FastAPI, Request, Response
from hookward import _core

from .samples import BODY, JSON, NOW, OTHER, SECRET, signed

AT = datetime(2026, 11, 24, tzinfo=UTC)
GITHUB = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"


def stripe_signature(secret: str, body: bytes, at: datetime) -> str:
    seconds = int(at.timestamp())
    mac = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={mac}"


def github_signature(secret: str, body: bytes) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def headers() -> dict[str, str]:
    return {"Content-Type": "application/json", "Stripe-Signature": stripe_signature(SECRET, BODY, AT)}


def test_an_event_is_typed_and_frozen() -> None:
    event = hookward.verify("stripe", headers(), BODY, [OTHER, SECRET], now=AT)
    assert (event.provider, event.id, event.type, event.raw) == ("stripe", "evt_1", "invoice.paid", BODY)
    assert event.data == json.loads(BODY)
    assert event.received_at == AT
    assert event.received_at.tzinfo is UTC
    assert len(event.key) == 32
    assert "invoice.paid" in repr(event)
    assert "object" not in repr(event), "bodies do not get into logs by accident"
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.id = "evt_2"  # type: ignore[misc]


@pytest.mark.parametrize(
    "given",
    [
        headers(),
        list(headers().items()),
        {name.encode(): value.encode() for name, value in headers().items()},
        {name: [value] for name, value in headers().items()},
        [(name.lower(), value.encode()) for name, value in headers().items()],
    ],
)
def test_headers_come_as_the_frameworks_have_them(given: Any) -> None:
    assert hookward.verify("stripe", given, BODY, [SECRET], now=AT).id == "evt_1"


def test_bodies_are_bytes() -> None:
    for body in (bytearray(BODY), memoryview(BODY)):
        assert hookward.verify("stripe", headers(), body, [SECRET], now=AT).raw == BODY
    for wrong in (BODY.decode(), json.loads(BODY), None):
        with pytest.raises(TypeError, match=r"request\.get_data"):
            hookward.verify("stripe", headers(), wrong, [SECRET], now=AT)  # type: ignore[arg-type]


def test_one_exception_has_the_answer_to_give() -> None:
    with pytest.raises(hookward.NotAnEvent) as raised:
        hookward.verify("stripe", headers(), BODY + b" ", [SECRET], now=AT)
    refused = raised.value
    assert isinstance(refused, hookward.InvalidSignature)
    assert isinstance(refused, hookward.HookwardError)
    assert (refused.status, refused.reason) == (403, "wrong_signature")
    assert json.loads(refused.body)["error"]["code"] == "forbidden"
    assert refused.headers == {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("change", "kind", "reason"),
    [
        ({"now": AT + timedelta(minutes=6)}, hookward.InvalidSignature, "stale"),
        ({"now": AT - timedelta(minutes=6)}, hookward.InvalidSignature, "from_the_future"),
        ({"secrets": [OTHER]}, hookward.InvalidSignature, "wrong_signature"),
        ({"headers": {"Content-Type": "application/json"}}, hookward.InvalidSignature, "missing_signature"),
        ({"headers": {**headers(), "Content-Type": "text/html"}}, hookward.Refused, "unsupported_type"),
        ({"body": b"x" * 2_000_000}, hookward.Refused, "body_too_large"),
        ({"method": "DELETE"}, hookward.Refused, "method_not_allowed"),
    ],
)
def test_why_it_is_no_event(change: dict[str, Any], kind: type[hookward.NotAnEvent], reason: str) -> None:
    given: dict[str, Any] = {"headers": headers(), "body": BODY, "secrets": [SECRET], "now": AT, **change}
    with pytest.raises(hookward.NotAnEvent) as raised:
        hookward.verify("stripe", **given)
    assert type(raised.value) is kind
    assert raised.value.reason == reason


def test_a_signed_body_that_is_no_json_is_refused_as_malformed() -> None:
    body = b'{"id":"evt_1","id":"evt_2"}'
    given = {**headers(), "Stripe-Signature": stripe_signature(SECRET, body, AT)}
    with pytest.raises(hookward.Refused) as raised:
        hookward.verify("stripe", given, body, [SECRET], now=AT)
    assert (raised.value.status, raised.value.reason) == (400, "rejected")


def test_a_question_is_answered_and_is_no_event() -> None:
    path = "/hooks/meta?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=a-token-of-ours"

    def ask(token: str | None) -> hookward.VerifiedEvent:
        return hookward.verify("meta", {}, b"", [GITHUB], method="GET", path=path, verify_token=token)

    with pytest.raises(hookward.Handshake) as raised:
        ask("a-token-of-ours")
    assert (raised.value.status, raised.value.body, raised.value.visit) == (200, b"1158201444", None)
    assert raised.value.headers["content-type"].startswith("text/plain")
    for wrong in (None, "another"):
        with pytest.raises(hookward.Refused) as refused:
            ask(wrong)
        assert (refused.value.status, refused.value.reason) == (403, "handshake_refused")


def test_a_secret_that_a_question_brings_is_kept_nowhere_so_that_it_is_refused() -> None:
    given = [JSON, ("x-hook-secret", "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81")]
    with pytest.raises(hookward.Refused) as raised:
        hookward.verify("asana", given, b"{}", [GITHUB])
    assert raised.value.reason == "handshake_refused"


def test_what_the_caller_does_wrong_is_told() -> None:
    with pytest.raises(hookward.ConfigError, match="no provider"):
        hookward.verify("strip", headers(), BODY, [SECRET])
    with pytest.raises(hookward.ConfigError, match="tolerance"):
        hookward.verify("github", headers(), BODY, [GITHUB], tolerance=timedelta(minutes=1))
    with pytest.raises(hookward.ConfigError, match="URL"):
        hookward.verify("hubspot", headers(), BODY, [GITHUB])
    for secrets in ([], ["short"], ["changeme" * 5]):
        with pytest.raises(hookward.SecretError):
            hookward.verify("stripe", headers(), BODY, secrets)
    with pytest.raises(TypeError, match="list"):
        hookward.verify("stripe", headers(), BODY, SECRET)
    with pytest.raises(TypeError, match="aware"):
        hookward.verify("stripe", headers(), BODY, [SECRET], now=datetime(2026, 11, 24))  # noqa: DTZ001


def test_times_of_other_zones_are_the_same_times() -> None:
    there = AT.astimezone(timezone(timedelta(hours=9)))
    assert hookward.verify("stripe", headers(), BODY, [SECRET], now=there).received_at == AT
    late = AT + timedelta(seconds=90)
    assert hookward.verify("stripe", headers(), BODY, [SECRET], now=late).id == "evt_1"
    with pytest.raises(hookward.InvalidSignature):
        hookward.verify("stripe", headers(), BODY, [SECRET], now=late, tolerance=timedelta(minutes=1))


def test_the_key_is_of_signed_bytes_and_the_same_each_time() -> None:
    given = {"content-type": "application/json", "x-hub-signature-256": github_signature(GITHUB, BODY)}
    first = hookward.verify("github", {**given, "x-github-delivery": "1"}, BODY, [GITHUB])
    again = hookward.verify("github", {**given, "x-github-delivery": "2"}, BODY, [GITHUB])
    assert first.key == again.key
    assert first.id != again.id


def test_providers_are_listed() -> None:
    assert {"stripe", "github", "shopify", "slack", "standard-webhooks", "hmac"} <= set(hookward.providers())


def test_django_is_imported_when_it_is_asked_for() -> None:
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = hookward.nothing_of_the_kind


def test_flask() -> None:
    handled: list[hookward.VerifiedEvent] = []
    app = flask.Flask("test")

    @app.route("/hooks/stripe", methods=["POST"])
    def stripe_hook() -> Any:
        try:
            event = hookward.verify("stripe", flask.request.headers, flask.request.get_data(), [SECRET])
        except hookward.NotAnEvent as it:
            return it.body, it.status, it.headers
        handled.append(event)
        return "", 200

    client = app.test_client()
    now = datetime.now(UTC)
    for secret, expected in ((SECRET, 200), (OTHER, 403)):
        sent = {"Content-Type": "application/json", "Stripe-Signature": stripe_signature(secret, BODY, now)}
        assert client.post("/hooks/stripe", data=BODY, headers=sent).status_code == expected
    assert [it.id for it in handled] == ["evt_1"]


@pytest.mark.asyncio
async def test_fastapi() -> None:
    handled: list[hookward.VerifiedEvent] = []
    app = FastAPI()

    async def github_hook(request: Request) -> Response:
        try:
            event = hookward.verify("github", request.headers, await request.body(), [GITHUB])
        except hookward.NotAnEvent as it:
            return Response(it.body, it.status, it.headers)
        handled.append(event)
        return Response()

    app.add_route("/hooks/github", github_hook, methods=["POST"])
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hooks.test")
    for secret, expected in ((GITHUB, 200), (OTHER, 403)):
        sent = {
            "content-type": "application/json",
            "x-hub-signature-256": github_signature(secret, BODY),
            "x-github-event": "push",
        }
        answer = await client.post("/hooks/github", content=BODY, headers=sent)
        assert answer.status_code == expected
    await client.aclose()
    assert [it.type for it in handled] == ["push"]


def test_lambda() -> None:
    secret = GITHUB

    def handler(request: dict[str, Any], _: object) -> dict[str, Any]:
        body = request["body"].encode()
        if request["isBase64Encoded"]:
            body = base64.b64decode(body)
        try:
            event = hookward.verify("shopify", request["headers"], body, [secret])
        except hookward.NotAnEvent as it:
            return {"statusCode": it.status, "headers": it.headers, "body": it.body.decode()}
        return {"statusCode": 200, "body": event.key}

    def ask(body: str, raw: bytes, is_base64: bool) -> dict[str, Any]:
        mac = base64.b64encode(hmac.new(secret.encode(), raw, hashlib.sha256).digest()).decode()
        sent = {"content-type": "application/json", "x-shopify-hmac-sha256": mac}
        return handler({"headers": sent, "body": body, "isBase64Encoded": is_base64}, None)

    plain, encoded = ask(BODY.decode(), BODY, False), ask(base64.b64encode(BODY).decode(), BODY, True)
    assert plain == encoded
    assert plain["statusCode"] == 200
    forged = ask(BODY.decode(), BODY + b" ", False)
    assert (forged["statusCode"], json.loads(forged["body"])["error"]["code"]) == (403, "forbidden")


def test_it_agrees_with_a_receiver() -> None:
    stripe = _core.Receiver(
        _core.Config.parse({"sources": {"stripe": {"provider": "stripe", "secrets": [SECRET]}}}, literals=True)
    )
    event = hookward.verify("stripe", signed(stripe), BODY, [SECRET], now=AT)
    screened = stripe.screen("stripe", "POST", "/", signed(stripe), "192.0.2.1", NOW)
    assert isinstance(screened, _core.Screened)
    found = screened.verify(BODY)
    assert isinstance(found, _core.Event)
    assert event.key == found.key

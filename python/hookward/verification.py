"""One webhook at a time, without settings: for Flask, FastAPI, AWS Lambda, and whatever else has headers and a body.

Proves who sent it and when. To tell a repeated event from a new one is left to the caller, who has `VerifiedEvent.key`
for it; the Django library and the gateway do that too.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from hookward import _core
from hookward._core import HookwardError

__all__ = ["Handshake", "InvalidSignature", "NotAnEvent", "Refused", "VerifiedEvent", "providers", "verify"]

Text = str | bytes


class HasItems(Protocol):
    """Headers as the frameworks have them: a mapping, or what looks like one and may have a name several times."""

    def items(self) -> Iterable[tuple[Any, Any]]: ...


Headers = HasItems | Mapping[Any, Any] | Iterable[tuple[Text, Text]]


@dataclass(frozen=True, slots=True)
class VerifiedEvent:
    """A webhook whose signature is right."""

    provider: str
    id: str | None
    """The sender's own id, if it has one. It may be unsigned: tell events apart by `key`."""
    type: str | None
    data: Any = field(repr=False)
    """The body as Python objects: JSON, or a form as a dict; None for other bodies."""
    raw: bytes = field(repr=False)
    """The body, byte for byte."""
    key: str
    """What makes it this event and no other, from signed bytes alone: 32 hex digits. Do nothing twice for one key."""
    received_at: datetime


class NotAnEvent(HookwardError):
    """There is no event in this request, but an answer to give: a refusal, or what the sender asked for.

    `status`, `headers` and `body` are that answer. A refusal says to a stranger no more than that it is one; `reason`,
    a stable name, and the text of the exception are for the log, and hold nothing secret.
    """

    def __init__(self, answer: _core.Answer) -> None:
        super().__init__(answer.message)
        self.status: int = answer.status
        self.headers: dict[str, str] = dict(answer.headers)
        self.body: bytes = answer.body
        self.reason: str = answer.reason


class Refused(NotAnEvent):
    """The request is not taken: too large, of another content type, or not what it says."""


class InvalidSignature(Refused):
    """Nothing proves who sent it: the signature is absent, malformed or wrong, or its time is too long ago or ahead."""


class Handshake(NotAnEvent):
    """The sender asked whether anyone is there. Its answer is right as it is.

    `visit`, if it is not None, is a URL to fetch in order to agree, as for subscriptions of Amazon SNS.
    """

    def __init__(self, answer: _core.Answer) -> None:
        super().__init__(answer)
        self.visit: str | None = answer.visit


UNPROVEN = frozenset(
    {
        "missing_signature",
        "ambiguous_signature",
        "malformed_signature",
        "wrong_signature",
        "wrong_claim",
        "stale",
        "from_the_future",
    }
)


def verify(
    provider: str,
    headers: Headers,
    body: bytes | bytearray | memoryview,
    secrets: Sequence[str],
    *,
    method: str = "POST",
    path: str = "/",
    url: str | None = None,
    tolerance: timedelta | None = None,
    options: Mapping[str, str | Sequence[str]] | None = None,
    verify_token: str | None = None,
    now: datetime | None = None,
) -> VerifiedEvent:
    """Verifies a request, or raises `NotAnEvent` with the answer to give.

    `headers` are the request's, and `body` its raw bytes: JSON that was parsed and written again has another signature.
    Any of `secrets` may have signed, so that a secret is changed without a gap: add the new one, change it at the
    sender, remove the old one. Weak secrets raise `SecretError`. `providers()` lists the providers.

    - `method` and `path` (with its query) matter where the sender asks by GET whether anyone is there, or signs them
    - `url` is what the sender calls, as it knows it, where its signature covers that
    - `tolerance` is how old a signed time may be and how far ahead, in place of what the provider is known to need
    - `options` are what some providers have to be told beside their secret
    - `verify_token` is what senders such as Meta show when they ask
    - `now` is the time to compare with, for tests

    Flask:

        @app.route("/hooks/stripe", methods=["POST"])
        def stripe_hook():
            try:
                event = hookward.verify("stripe", request.headers, request.get_data(), [os.environ["STRIPE_WH"]])
            except hookward.NotAnEvent as it:
                return it.body, it.status, it.headers
            handle(event)
            return "", 200

    FastAPI:

        @app.post("/hooks/github")
        async def github_hook(request: Request) -> Response:
            try:
                event = hookward.verify("github", request.headers, await request.body(), [os.environ["GITHUB_WH"]])
            except hookward.NotAnEvent as it:
                return Response(it.body, it.status, it.headers)
            await handle(event)
            return Response()

    AWS Lambda, behind a function URL or an HTTP API:

        def handler(request, context):
            body = request["body"].encode()
            if request["isBase64Encoded"]:
                body = base64.b64decode(body)
            try:
                event = hookward.verify("shopify", request["headers"], body, [os.environ["SHOPIFY_WH"]])
            except hookward.NotAnEvent as it:
                return {"statusCode": it.status, "headers": it.headers, "body": it.body.decode()}
            handle(event)
            return {"statusCode": 200}
    """
    if isinstance(secrets, str):
        raise TypeError("secrets is a list, so that a secret can be changed without a gap: secrets=[...]")
    micros = time.time_ns() // 1_000 if now is None else _micros(now)
    found = _core.verify(
        provider,
        _pairs(headers),
        _raw(body),
        list(secrets),
        now=micros,
        method=method,
        target=path,
        url=url,
        tolerance=None if tolerance is None else tolerance.total_seconds(),
        options=None if options is None else dict(options),
        verify_token=verify_token,
    )
    if isinstance(found, _core.Answer):
        if found.reason == "handshake":
            raise Handshake(found)
        raise (InvalidSignature if found.reason in UNPROVEN else Refused)(found)
    return VerifiedEvent(
        provider=provider,
        id=found.id,
        type=found.type,
        data=found.data(),
        raw=found.body,
        key=found.key,
        received_at=EPOCH + timedelta(microseconds=found.received_at),
    )


def providers() -> list[str]:
    """The names of the providers that `verify` knows."""
    return _core.providers()


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _micros(at: datetime) -> int:
    if at.tzinfo is None:
        raise TypeError("now is an aware datetime, such as datetime.now(UTC)")
    return (at - EPOCH) // timedelta(microseconds=1)


def _raw(body: object) -> bytes:
    if isinstance(body, bytes):
        return body
    if isinstance(body, bytearray | memoryview):
        return bytes(body)
    raise TypeError(
        f"body is {type(body).__name__}, and a signature is of bytes: pass the request's body as it came, such as"
        " request.get_data() in Flask, await request.body() in FastAPI, request.body in Django"
    )


def _pairs(headers: Headers) -> list[tuple[Text, Text]]:
    pairs = headers.items() if hasattr(headers, "items") else headers
    found: list[tuple[Text, Text]] = []
    for name, value in pairs:
        if isinstance(value, list | tuple):
            found.extend((name, one) for one in value)
        else:
            found.append((name, value))
    return found

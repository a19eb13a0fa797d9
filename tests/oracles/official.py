"""The official packages behind one interface: each signs and judges a request as its provider documents it.

The clock is an argument here as it is in Hookward; the packages ask the time themselves, so theirs is replaced.
"""

import datetime
import types
from collections.abc import Iterable, Sequence
from unittest import mock

import standardwebhooks.webhooks
import stripe
import svix.webhooks
from slack_sdk.signature import SignatureVerifier

Headers = Sequence[tuple[str, str]]


class Stripe:
    name = "stripe"
    content_type = "application/json"

    def sign(self, secret: str, id: str, at: int, body: str) -> list[tuple[str, str]]:
        header = stripe.WebhookSignature.generate_signature_header(body, secret, timestamp=at)
        return [("stripe-signature", header)]

    def rotated(self, new: Headers, old: Headers) -> list[tuple[str, str]]:
        """While a secret is rolled, Stripe signs with both: one time, several `v1`."""
        signature = old[0][1].split(",", 1)[1]
        return [(new[0][0], f"{new[0][1]},{signature}")]

    def judge(self, secret: str, headers: dict[str, str], body: bytes, now: int) -> None:
        clock = types.SimpleNamespace(time=lambda: now)
        with mock.patch("stripe._webhook.time", clock):
            stripe.WebhookSignature.verify_header(
                body, headers.get("stripe-signature"), secret, stripe.Webhook.DEFAULT_TOLERANCE
            )


class Slack:
    name = "slack"
    content_type = "application/json"

    def sign(self, secret: str, id: str, at: int, body: str) -> list[tuple[str, str]]:
        signature = SignatureVerifier(secret).generate_signature(timestamp=str(at), body=body)
        assert signature is not None
        return [("x-slack-request-timestamp", str(at)), ("x-slack-signature", signature)]

    rotated = None

    def judge(self, secret: str, headers: dict[str, str], body: bytes, now: int) -> None:
        verifier = SignatureVerifier(secret, clock=types.SimpleNamespace(now=lambda: now))
        assert verifier.is_valid_request(body, headers), "not valid"


class StandardWebhooks:
    name = "standard-webhooks"
    content_type = "application/json"
    prefix = "webhook"
    package = standardwebhooks.webhooks.Webhook

    def sign(self, secret: str, id: str, at: int, body: str) -> list[tuple[str, str]]:
        moment = datetime.datetime.fromtimestamp(at, tz=datetime.timezone.utc)
        return [
            (f"{self.prefix}-id", id),
            (f"{self.prefix}-timestamp", str(at)),
            (f"{self.prefix}-signature", self.package(secret).sign(id, moment, body)),
        ]

    def rotated(self, new: Headers, old: Headers) -> list[tuple[str, str]]:
        """While a secret is rolled, the sender signs with both, separated by a space."""
        return [*new[:2], (new[2][0], f"{new[2][1]} {old[2][1]}")]

    def judge(self, secret: str, headers: dict[str, str], body: bytes, now: int) -> None:
        class Stopped(datetime.datetime):
            @classmethod
            def now(cls, tz=None):
                return datetime.datetime.fromtimestamp(now, tz=tz)

        with mock.patch("standardwebhooks.webhooks.datetime", Stopped):
            self.verify(secret, body, headers)

    def verify(self, secret: str, body: bytes, headers: dict[str, str]) -> None:
        # The signature is the question; whether the body is JSON is another one.
        self.package(secret).verify(body, headers, json_parse=False)


class Svix(StandardWebhooks):
    name = "svix"
    prefix = "svix"
    package = svix.webhooks.Webhook

    def verify(self, secret: str, body: bytes, headers: dict[str, str]) -> None:
        self.package(secret).verify(body, headers)


PROVIDERS = {official.name: official for official in (Stripe(), Slack(), StandardWebhooks(), Svix())}


def as_a_framework_gives_them(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """One value for each name: repeated headers are joined by a comma, as WSGI servers do."""
    joined: dict[str, str] = {}
    for name, value in headers:
        name = name.lower()
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def verdict(provider: str, secrets: Sequence[str], headers: Headers, body: bytes, now: int) -> str | None:
    """`None` when the official package takes the request under any of the secrets; otherwise why not."""
    official = PROVIDERS[provider]
    reason = "no secret"
    for secret in secrets:
        try:
            official.judge(secret, as_a_framework_gives_them(headers), body, now)
        except Exception as error:  # a package that crashes on a request does not take it either
            reason = f"{type(error).__name__}: {error}"
        else:
            return None
    return reason

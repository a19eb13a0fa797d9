"""The official Python packages behind one interface: each signs and judges a request as its provider documents it.

The clock is an argument here as it is in Hookward; the packages ask the time themselves, so theirs is replaced. The
signature is the question: what a package says of a body after it has verified it is left out.
"""

import datetime
import functools
import types
from collections.abc import Iterable, Sequence
from typing import Any
from unittest import mock

import Adyen
import anthropic
import cloudinary
import cloudinary.utils
import discord_interactions
import elevenlabs.client
import gocardless_pro.errors
import gocardless_pro.webhooks
import hubspot.utils.signature
import linebot.v3.webhook
import mollie.utils.webhooks.signature_validator
import openai
import paddle_billing.Notifications
import razorpay
import sendgrid.helpers.eventwebhook
import square.utils.webhooks_helper
import standardwebhooks.webhooks
import stripe
import svix.webhooks
import workos
from box_sdk_gen.managers.webhooks import WebhooksManager
from requests.structures import CaseInsensitiveDict
from slack_sdk.signature import SignatureVerifier

Headers = Sequence[tuple[str, str]]


class Official:
    """A package and one provider whose requests it judges."""

    # As its index names it.
    package: str
    # As Hookward names it.
    provider: str
    # Bodies that it judges: "any", or "shaped" when it reads the body on the way to the verdict.
    bodies = "any"
    # Headers that it wants to see and that are not signed.
    needs: Headers = ()
    # Where it signs: the signature's headers for `at`, in seconds, at `url`.
    sign: Any = None

    def judge(self, secret: str, headers: dict[str, str], body: bytes, now: int, url: str) -> None:
        """Raises whatever says no."""
        raise NotImplementedError


def clock(now: int) -> types.SimpleNamespace:
    return types.SimpleNamespace(time=lambda: now)


def stopped(now: int) -> type[datetime.datetime]:
    class Stopped(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.datetime.fromtimestamp(now, tz=tz)

    return Stopped


class Stripe(Official):
    package = "stripe"
    provider = "stripe"

    def sign(self, secret, id, at, body, url):
        header = stripe.WebhookSignature.generate_signature_header(body, secret, timestamp=at)
        return [("stripe-signature", header)]

    def judge(self, secret, headers, body, now, url):
        with mock.patch("stripe._webhook.time", clock(now)):
            stripe.WebhookSignature.verify_header(
                body, headers.get("stripe-signature"), secret, stripe.Webhook.DEFAULT_TOLERANCE
            )


class Slack(Official):
    package = "slack-sdk"
    provider = "slack"

    def sign(self, secret, id, at, body, url):
        signature = SignatureVerifier(secret).generate_signature(timestamp=str(at), body=body)
        return [("x-slack-request-timestamp", str(at)), ("x-slack-signature", signature)]

    def judge(self, secret, headers, body, now, url):
        verifier = SignatureVerifier(secret, clock=types.SimpleNamespace(now=lambda: now))
        assert verifier.is_valid_request(body, headers), "not valid"


class StandardWebhooks(Official):
    package = "standardwebhooks"
    provider = "standard-webhooks"
    prefix = "webhook"
    webhook = standardwebhooks.webhooks.Webhook

    def sign(self, secret, id, at, body, url):
        moment = datetime.datetime.fromtimestamp(at, tz=datetime.timezone.utc)
        return [
            (f"{self.prefix}-id", id),
            (f"{self.prefix}-timestamp", str(at)),
            (f"{self.prefix}-signature", self.webhook(secret).sign(id, moment, body)),
        ]

    def judge(self, secret, headers, body, now, url):
        with mock.patch("standardwebhooks.webhooks.datetime", stopped(now)):
            self.verify(secret, body, headers)

    def verify(self, secret, body, headers):
        self.webhook(secret).verify(body, headers, json_parse=False)


class Svix(StandardWebhooks):
    package = "svix"
    provider = "svix"
    prefix = "svix"
    webhook = svix.webhooks.Webhook

    def verify(self, secret, body, headers):
        self.webhook(secret).verify(body, headers)


class Anthropic(StandardWebhooks):
    package = "anthropic"
    provider = "anthropic"
    sign = None

    @functools.cached_property
    def client(self):
        return anthropic.Anthropic(api_key="none")

    def verify(self, secret, body, headers):
        self.client.beta.webhooks.unwrap(body.decode(), headers=headers, key=secret)


class OpenAI(Official):
    package = "openai"
    provider = "openai"

    @functools.cached_property
    def client(self):
        return openai.OpenAI(api_key="none")

    def judge(self, secret, headers, body, now, url):
        with mock.patch("openai.lib._webhooks.time", clock(now)):
            self.client.webhooks.verify_signature(body, headers, secret=secret)


class AdyenPlatform(Official):
    package = "Adyen"
    provider = "adyen-platform"

    def sign(self, secret, id, at, body, url):
        return [("hmacsignature", Adyen.util.generate_payload_sig(body.encode(), secret).decode())]

    def judge(self, secret, headers, body, now, url):
        assert Adyen.util.is_valid_hmac_payload(headers["hmacsignature"], secret, body), "not valid"


class Box(Official):
    package = "boxsdk"
    provider = "box"

    def judge(self, secret, headers, body, now, url):
        with mock.patch("box_sdk_gen.managers.webhooks.get_epoch_time_in_seconds", lambda: now):
            assert WebhooksManager.validate_message(body.decode(), headers, secret), "not valid"


class Cloudinary(Official):
    package = "cloudinary"

    def __init__(self, provider, algorithm):
        self.provider = provider
        self.algorithm = algorithm

    def judge(self, secret, headers, body, now, url):
        cloudinary.config(api_secret=secret)
        with mock.patch("cloudinary.utils.time", clock(now)):
            valid = cloudinary.utils.verify_notification_signature(
                body.decode(), headers["x-cld-timestamp"], headers["x-cld-signature"], algorithm=self.algorithm
            )
        assert valid, "not valid"


class Discord(Official):
    package = "discord-interactions"

    def __init__(self, provider):
        self.provider = provider

    def judge(self, secret, headers, body, now, url):
        signature, timestamp = headers["x-signature-ed25519"], headers["x-signature-timestamp"]
        assert discord_interactions.verify_key(body, signature, timestamp, secret), "not valid"


class ElevenLabs(Official):
    package = "elevenlabs"
    provider = "elevenlabs"

    @functools.cached_property
    def client(self):
        return elevenlabs.client.ElevenLabs(api_key="none")

    def judge(self, secret, headers, body, now, url):
        with mock.patch("elevenlabs.webhooks_custom.time", clock(now)):
            self.client.webhooks.construct_event(body.decode(), headers.get("elevenlabs-signature"), secret)


class GoCardless(Official):
    package = "gocardless_pro"
    provider = "gocardless"
    bodies = "shaped"

    def judge(self, secret, headers, body, now, url):
        gocardless_pro.webhooks.parse(body, secret, headers["webhook-signature"])


class HubSpot(Official):
    package = "hubspot-api-client"

    def __init__(self, provider, version, header):
        self.provider = provider
        self.version = version
        self.header = header

    def sign(self, secret, id, at, body, url):
        timestamp = str(at * 1000)
        signature = hubspot.utils.signature.Signature.get_signature(
            secret, body, self.version, http_uri=url, timestamp=timestamp
        )
        return [(self.header, signature), ("x-hubspot-request-timestamp", timestamp)]

    def judge(self, secret, headers, body, now, url):
        with mock.patch("hubspot.utils.signature.datetime", stopped(now)):
            valid = hubspot.utils.signature.Signature.is_valid(
                headers[self.header],
                secret,
                body.decode(),
                http_uri=url,
                signature_version=self.version,
                timestamp=headers.get("x-hubspot-request-timestamp"),
            )
        assert valid, "not valid"


class Line(Official):
    package = "line-bot-sdk"
    provider = "line"

    def judge(self, secret, headers, body, now, url):
        validator = linebot.v3.webhook.SignatureValidator(secret)
        assert validator.validate(body.decode(), headers["x-line-signature"]), "not valid"


class Mollie(Official):
    package = "mollie-api-py"
    provider = "mollie"
    validator = mollie.utils.webhooks.signature_validator.SignatureValidator

    def sign(self, secret, id, at, body, url):
        return [("x-mollie-signature", f"sha256={self.validator.create_signature(body, secret)}")]

    def judge(self, secret, headers, body, now, url):
        valid = self.validator.validate(body.decode(), secret, headers.get("x-mollie-signature"))
        assert valid, "no signature"


class Paddle(Official):
    package = "paddle-python-sdk"
    provider = "paddle"

    def judge(self, secret, headers, body, now, url):
        request = types.SimpleNamespace(headers=CaseInsensitiveDict(headers), body=body)
        # Five seconds unless it is told otherwise, which is too tight behind a queue: as Hookward is told.
        verifier = paddle_billing.Notifications.Verifier(maximum_variance=300)
        with mock.patch("paddle_billing.Notifications.Verifier.time", lambda: now):
            valid = verifier.verify(request, paddle_billing.Notifications.Secret(secret))
        assert valid, "not valid"


class Razorpay(Official):
    package = "razorpay"
    provider = "razorpay"

    def judge(self, secret, headers, body, now, url):
        client = razorpay.Client(auth=("none", "none"))
        client.utility.verify_webhook_signature(body.decode(), headers["x-razorpay-signature"], secret)


class SendGrid(Official):
    package = "sendgrid"
    provider = "sendgrid"

    def judge(self, secret, headers, body, now, url):
        header = "x-twilio-email-event-webhook"
        webhook = sendgrid.helpers.eventwebhook.EventWebhook()
        key = webhook.convert_public_key_to_ecdsa(secret)
        signature, timestamp = headers[f"{header}-signature"], headers[f"{header}-timestamp"]
        assert webhook.verify_signature(body.decode(), signature, timestamp, key), "not valid"


class Square(Official):
    package = "squareup"
    provider = "square"

    def judge(self, secret, headers, body, now, url):
        valid = square.utils.webhooks_helper.verify_signature(
            request_body=body.decode(),
            signature_header=headers["x-square-hmacsha256-signature"],
            signature_key=secret,
            notification_url=url,
        )
        assert valid, "not valid"


class WorkOS(Official):
    package = "workos"
    provider = "workos"

    @functools.cached_property
    def client(self):
        return workos.WorkOSClient(api_key="none", client_id="none")

    def judge(self, secret, headers, body, now, url):
        with mock.patch("workos.webhooks._resource.time", clock(now)):
            self.client.webhooks.verify_header(
                event_body=body, event_signature=headers.get("workos-signature"), secret=secret
            )


OFFICIAL = [
    AdyenPlatform(),
    Anthropic(),
    Box(),
    Cloudinary("cloudinary", "sha256"),
    Cloudinary("cloudinary-sha1", "sha1"),
    Discord("discord"),
    Discord("discord-events"),
    ElevenLabs(),
    GoCardless(),
    HubSpot("hubspot", "v3", "x-hubspot-signature-v3"),
    HubSpot("hubspot-v1", "v1", "x-hubspot-signature"),
    HubSpot("hubspot-v2", "v2", "x-hubspot-signature"),
    Line(),
    Mollie(),
    OpenAI(),
    Paddle(),
    Razorpay(),
    SendGrid(),
    Slack(),
    Square(),
    StandardWebhooks(),
    Stripe(),
    Svix(),
    WorkOS(),
]


def named(package: str, provider: str) -> Official:
    (found,) = (it for it in OFFICIAL if (it.package, it.provider) == (package, provider))
    return found


def as_a_framework_gives_them(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """One value for each name: repeated headers are joined by a comma, as WSGI servers do."""
    joined: dict[str, str] = {}
    for name, value in headers:
        name = name.lower()
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def verdict(
    official: Official, secrets: Sequence[str], headers: Headers, body: bytes, now: int, url: str = ""
) -> str | None:
    """`None` when the official package takes the request under any of the secrets; otherwise why not."""
    reason = "no secret"
    for secret in secrets:
        try:
            official.judge(secret, as_a_framework_gives_them(headers), body, now, url)
        except Exception as error:  # a package that crashes on a request does not take it either
            reason = f"{type(error).__name__}: {error}"
        else:
            return None
    return reason

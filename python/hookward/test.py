"""Webhooks for a project's own tests: signed as the sender signs, handled by the project's own views.

With pytest the fixture `webhooks` is there by itself; `WebhookTestCase` is for unittest. Django is imported
when a test uses them, and not before.
"""

from __future__ import annotations

import base64
import hashlib
import json
import unittest
import urllib.parse
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hookward import _core
from hookward.attacks import Attack, Request, attacks_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from django.http import HttpResponse

    from hookward.django.stores.base import Kept
    from hookward.django.stores.memory import MemoryStore

__all__ = ["Attack", "Request", "WebhookTestCase", "Webhooks", "webhooks_attacks", "webhooks_in_tests"]


@contextmanager
def webhooks_in_tests() -> Iterator[Webhooks]:
    """The project with secrets made for tests, a store in memory, and a clock that stands still; as before afterwards.

    Once it has begun, `override_settings(WEBHOOKS=…)` brings the project's own store and clock back.
    """
    from django.conf import settings
    from django.test import override_settings

    from hookward.django import runtime
    from hookward.django.settings import read
    from hookward.django.stores.memory import MemoryStore

    with override_settings(WEBHOOKS=settings_for_tests(settings.WEBHOOKS)):
        webhooks = Webhooks(MemoryStore(), runtime.now())
        understood = read(settings.WEBHOOKS, literals=True)
        runtime.replace(runtime.Runtime(understood, clock=lambda: webhooks.now, store=webhooks.store))
        webhooks.advance()
        try:
            yield webhooks
        finally:
            runtime.replace(None)


class WebhookTestCase(unittest.TestCase):
    """A mixin for Django's test cases: `self.webhooks` is what the fixture `webhooks` is in pytest."""

    webhooks: Webhooks

    def setUp(self) -> None:
        super().setUp()
        self.webhooks = self.enterContext(webhooks_in_tests())


def webhooks_attacks(source: str, payload: Mapping[str, Any] | None = None) -> list[Attack]:
    """Attacks on a source, for `pytest.mark.parametrize`. `payload` is what a genuine event looks like."""
    return attacks_on(source, payload)


class Webhooks:
    """A sender, a clock that stands still, and a store in memory that tells what became of events.

    Made by `webhooks_in_tests`. Answers are Django's responses.
    """

    def __init__(self, store: MemoryStore, start: int) -> None:
        from django.test import AsyncClient, Client

        self.store = store
        self.now = start
        self._elapsed = 0
        self._client = Client(enforce_csrf_checks=True, raise_request_exception=False)
        self._async_client = AsyncClient(enforce_csrf_checks=True, raise_request_exception=False)
        self._last: tuple[str, Request] | None = None
        self._delivered: list[str] = []

    def deliver(
        self,
        source: str,
        payload: Mapping[str, Any] | bytes,
        *,
        type: str | None = None,
        id: str | None = None,
        **headers: str,
    ) -> HttpResponse:
        """Signs a payload as the source's sender does, and posts it to the project.

        A mapping becomes JSON, or a form where the sender sends forms; bytes go as they are. `type` is put where a JSON
        body has it; `id` is for senders that sign one in a header. Others are headers: `X_GitHub_Event="push"`.
        """
        return self.send(source, self.request(source, payload, type=type, id=id, **headers))

    def deliver_again(self) -> HttpResponse:
        """Sends the last request once more, byte for byte, as a sender does that did not hear the answer."""
        return self.send(*self._again())

    async def adeliver(
        self,
        source: str,
        payload: Mapping[str, Any] | bytes,
        *,
        type: str | None = None,
        id: str | None = None,
        **headers: str,
    ) -> HttpResponse:
        """`deliver` under ASGI."""
        return await self.asend(source, self.request(source, payload, type=type, id=id, **headers))

    async def adeliver_again(self) -> HttpResponse:
        """`deliver_again` under ASGI."""
        return await self.asend(*self._again())

    def request(
        self,
        source: str,
        payload: Mapping[str, Any] | bytes,
        *,
        type: str | None = None,
        id: str | None = None,
        **headers: str,
    ) -> Request:
        """What `deliver` would send, to be changed and given to `send`."""
        if type is not None and not isinstance(payload, bytes):
            payload = {"type": type, **payload}
        request = self._sender(source).signed(payload, id=id)
        for name, value in headers.items():
            request = request.with_header(name.replace("_", "-"), value)
        return request

    def send(self, source: str, request: Request) -> HttpResponse:
        """Posts a request as it is to the view of a source."""
        self._last = source, request
        return self._noted(request, self._client.generic(**self._call(source, request)))

    async def asend(self, source: str, request: Request) -> HttpResponse:
        """`send` under ASGI."""
        self._last = source, request
        return self._noted(request, await self._async_client.generic(**self._call(source, request)))

    def withstand(self, attack: Attack) -> HttpResponse:
        """Carries out an attack and asserts that the project withstood it; the answer to its last request."""
        *genuine, forged = attack.requests(self._sender(attack.source))
        for request in genuine:
            self._expect_genuine(attack, self.send(attack.source, request))
        answer = self.send(attack.source, forged)
        self._expect_withstood(attack, answer)
        return answer

    async def awithstand(self, attack: Attack) -> HttpResponse:
        """`withstand` under ASGI."""
        *genuine, forged = attack.requests(self._sender(attack.source))
        for request in genuine:
            self._expect_genuine(attack, await self.asend(attack.source, request))
        answer = await self.asend(attack.source, forged)
        self._expect_withstood(attack, answer)
        return answer

    @property
    def events(self) -> list[Kept]:
        """All events that were taken, oldest first, without their bodies: `store.get(key)` has those."""
        return self.store.list(limit=1_000_000)[0][::-1]

    @property
    def processed(self) -> list[str]:
        """Ids of the events that were handled, oldest first; the key of one that has no id.

        In gateway mode, where the project keeps no events: of the deliveries that were answered 2xx.
        """
        return self._delivered + [event.id or event.key for event in self.events if event.state == "done"]

    @property
    def dead(self) -> list[str]:
        """Ids of the dead letters, oldest first."""
        return [event.id or event.key for event in self.events if event.state == "dead"]

    def advance(self, **duration: float) -> None:
        """Moves the clock: `advance(minutes=5)`, as `timedelta` takes it."""
        self._set(self.now + timedelta(**duration) // timedelta(microseconds=1))

    def freeze(self, at: datetime) -> None:
        """Sets the clock. `at` has a time zone."""
        if at.tzinfo is None:
            raise ValueError("freeze takes a datetime with a time zone")
        self._set(int(at.timestamp() * 1_000_000))

    def run_due(self, limit: int = 1000) -> int:
        """Runs the handlers of what is due, as a worker or `webhooks_sweep` does; how many attempts there were."""
        from hookward.django.runtime import current
        from hookward.django.worker import run_some

        return run_some(current(), limit)

    def _noted(self, request: Request, answer: HttpResponse) -> HttpResponse:
        if request.header("Hookward-Source") and 200 <= answer.status_code < 300:
            self._delivered.append(request.header("Hookward-Event-Id") or request.header("webhook-id") or "")
        return answer

    def _again(self) -> tuple[str, Request]:
        if self._last is None:
            raise RuntimeError("nothing was delivered yet that could be delivered again")
        return self._last

    def _expect_genuine(self, attack: Attack, answer: HttpResponse) -> None:
        if not 200 <= answer.status_code < 300 or self.dead:
            raise AssertionError(
                f"the genuine event of this attack was not handled (status {answer.status_code}): "
                f"give webhooks_attacks({attack.source!r}, payload=…) one that your handlers take"
            )

    def _expect_withstood(self, attack: Attack, answer: HttpResponse) -> None:
        if answer.status_code not in attack.statuses:
            wanted = " or ".join(map(str, sorted(attack.statuses)))
            raise AssertionError(f"{attack.tries}: answered {answer.status_code} in place of {wanted}")
        handled = sum(event.attempts for event in self.events)
        if handled > attack.effects:
            raise AssertionError(f"{attack.tries}: handlers ran {handled} times in place of {attack.effects}")

    def _sender(self, source: str) -> Sender:
        from hookward.django.runtime import current

        runtime = current()
        settings = runtime.settings
        if source not in settings.sources:
            raise ValueError(f"WEBHOOKS has no source {source!r}: it has {', '.join(settings.sources)}")
        facts = settings.facts[settings.sender(source)]
        behind = source if settings.mode == "gateway" else None
        return Sender(runtime.receiver, _strangers(), facts, self.now, delivers=behind)

    def _call(self, source: str, request: Request) -> dict[str, Any]:
        from hookward.django.routes import path_of

        path = path_of(source)
        if path is None:
            raise LookupError(f"no view of ROOT_URLCONF takes webhooks of {source!r}: include hookward.django.urls")
        headers = dict(request.headers)
        kind = next((name for name in headers if name.lower() == "content-type"), None)
        if not request.body:  # the test client says nothing of a body that is empty
            headers = {"Content-Type": headers.pop(kind)} | headers if kind else headers
            headers["Content-Length"] = "0"
            kind = None
        return {
            "method": request.method,
            "path": f"{path}?{request.query}" if request.query else path,
            "data": request.body,
            "content_type": headers.pop(kind) if kind else "",
            "headers": headers,
            "secure": True,
        }

    def _set(self, now: int) -> None:
        from hookward.django.runtime import current

        # Budgets have a clock of their own, which goes forward only.
        self._elapsed += abs(now - self.now)
        self.now = now
        current().receiver.set_budget_clock(self._elapsed / 1_000_000)


class Sender:
    """Signs as the sender of one source, with the secrets of the tests. What `hookward.attacks` asks for."""

    def __init__(
        self,
        receiver: _core.Receiver,
        stranger: _core.Receiver,
        facts: _core.SourceFacts,
        now: int,
        *,
        delivers: str | None = None,
    ) -> None:
        """`delivers`: the source whose events the sender, a gateway, delivers."""
        self.now = now
        self.body_max = facts.body_max
        self.tolerance_secs = facts.tolerance_secs if facts.signs_time else None
        self._receiver = receiver
        self._stranger = stranger
        self._facts = facts
        self._delivers = delivers

    def signed(self, payload: Mapping[str, Any] | bytes, *, at: int | None = None, id: str | None = None) -> Request:
        body, kind = self._written(payload)
        # The same payload is the same event: its id must not be drawn.
        digest = hashlib.sha256((id or "").encode() + body).hexdigest()[:32]
        name = id or f"msg_{digest}"
        if self._delivers is not None:
            name = f"hw_{hashlib.sha256(id.encode()).hexdigest()[:32] if id else digest}"
        try:
            signed = self._receiver.sign(self._facts.name, body, name, self.now if at is None else at)
        except _core.HookwardError as error:
            raise unittest.SkipTest(f"nobody but its sender can sign for {self._facts.name!r}: {error}") from None
        headers = [("Content-Type", kind), *signed.headers]
        if self._delivers is not None:
            headers += _of_gateway(self._delivers, payload)
        return Request(tuple(headers), bytes(signed.body), signed.query or "")

    def wrongly_signed(self, payload: Mapping[str, Any]) -> Request:
        other = Sender(self._stranger, self._receiver, self._facts, self.now, delivers=self._delivers)
        return other.signed(payload)

    def key(self, request: Request) -> str | None:
        target = f"{self._facts.path}?{request.query}" if request.query else self._facts.path
        screened = self._receiver.screen(
            self._facts.name, request.method, target, list(request.headers), "127.0.0.1", self.now
        )
        if not isinstance(screened, _core.Screened):
            return None
        event = screened.verify(request.body)
        return event.key if isinstance(event, _core.Event) else None

    def _written(self, payload: Mapping[str, Any] | bytes) -> tuple[bytes, str]:
        kind = FORM if self._wants_forms else "application/json"
        if isinstance(payload, bytes):
            return payload, kind
        if kind == FORM:
            return urllib.parse.urlencode(payload, doseq=True).encode(), kind
        return json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode(), kind

    @cached_property
    def _wants_forms(self) -> bool:
        """Whether the source takes forms and no JSON."""
        if not self._facts.takes_forms:
            return False
        try:
            signed = self._receiver.sign(self._facts.name, b"{}", "msg_1", self.now)
        except _core.HookwardError:
            return True  # it signs fields of a form
        headers = [("Content-Type", "application/json"), *signed.headers]
        answer = self._receiver.screen(self._facts.name, "POST", self._facts.path, headers, "127.0.0.1", self.now)
        return isinstance(answer, _core.Answer) and answer.status == 415


def _of_gateway(source: str, payload: Mapping[str, Any] | bytes) -> list[tuple[str, str]]:
    """What a gateway says of an event in headers."""
    said = [("Hookward-Source", source)]
    if not isinstance(payload, bytes):
        for header, key in (("Hookward-Event-Type", "type"), ("Hookward-Event-Id", "id")):
            if isinstance(value := payload.get(key), str) and value.isascii() and value.isprintable():
                said.append((header, value))
    return said


FORM = "application/x-www-form-urlencoded"


def settings_for_tests(webhooks: Mapping[str, Any]) -> dict[str, Any]:
    """`WEBHOOKS` with secrets that are made for tests in place of the project's own, which are not looked up."""
    return with_secrets(webhooks, "the project's")


def _strangers() -> _core.Receiver:
    """Somebody who has other secrets than the project."""
    from django.conf import settings

    from hookward.django.settings import read

    return _core.Receiver(read(with_secrets(settings.WEBHOOKS, "a stranger's"), literals=True).config)


def with_secrets(webhooks: Mapping[str, Any], salt: str) -> dict[str, Any]:
    from django.core.exceptions import ImproperlyConfigured

    from hookward.django.settings import GATEWAY, read

    is_gateway = webhooks.get("MODE") == "gateway"

    def made(source: str, change: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
        """The settings with the first secret that signs; or with one that is taken; or as they are."""
        taken = None
        for candidate in _candidates(f"{salt} {source}"):
            settings = change(candidate)
            try:
                receiver = _core.Receiver(read(settings, literals=True).config)
                taken = taken or settings
                receiver.sign(source, b"{}", "msg_1", 1_700_000_000_000_000)
            except (ImproperlyConfigured, _core.HookwardError):
                continue
            return settings
        return taken or {}

    result = dict(webhooks)
    defaults = webhooks.get("DEFAULTS") or {}
    if is_gateway:
        gateway = webhooks.get("GATEWAY") or {}
        found = made(GATEWAY, lambda secret: {**webhooks, "GATEWAY": {**gateway, "SECRETS": [secret]}})
        return {**result, **found}
    result["SOURCES"] = {}
    for name, source in (webhooks.get("SOURCES") or {}).items():
        kept = {key: value for key, value in source.items() if key not in ("SECRET", "SECRETS")}
        if "VERIFY_TOKEN" in kept:
            kept["VERIFY_TOKEN"] = next(_candidates(f"{salt} token of {name}"))
        found = made(
            name,
            lambda secret, name=name, kept=kept: {  # type: ignore[misc]
                "DEFAULTS": defaults,
                "SOURCES": {name: {**kept, "SECRETS": [secret]}},
            },
        )
        # A sender whose published keys verify has no secret.
        result["SOURCES"][name] = found["SOURCES"][name] if found else source
    return result


def _candidates(salt: str) -> Iterator[str]:
    """Keys that anyone can make from a text: hex, as Standard Webhooks writes them, and private keys in PEM; at last
    public ones, which sign nothing.
    """
    seed = hashlib.sha256(f"hookward tests: {salt}".encode()).digest()
    yield seed.hex()  # text, hex and base64 at once
    yield "whsec_" + base64.b64encode(seed).decode()
    ed25519 = bytes.fromhex("302e020100300506032b657004220420") + seed
    p256 = bytes.fromhex("3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420") + seed
    for key in (ed25519, p256):
        yield f"-----BEGIN PRIVATE KEY-----\n{base64.b64encode(key).decode()}\n-----END PRIVATE KEY-----\n"
    for key_text in _PUBLIC_KEYS:
        yield f"-----BEGIN PUBLIC KEY-----\n{key_text}\n-----END PUBLIC KEY-----\n"


# On P-256, and of RSA: their private halves were thrown away.
_PUBLIC_KEYS = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEpiBxsVQJguHSpkf9GNVoH0cJpHHn\n"
    "4D0pEMG5nA21ByblB9ySSSjMICfMnm6g4b2oRxLdLIgAL6z+W5LGre3HgQ==",
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAl2dIfxdV5i1F2IUvMMNO\n"
    "Sz6SJBJX+5s7l9b6OP6QozM4snFIJlMaxmeVdZcWMWfcuW6yCWo2yvjgCn4A1UKR\n"
    "yv0dxMMjs+6io5xLFxv/WrANBF0khnDF6D5utM/KhccvjgvL5l4lKF4a7JKzm7C7\n"
    "nT/wUcK/vVVx/XqMgLFKc95bgwUpQ0Z+F5TZ55hIvvtJSCi2hFtGBwiyHXPTSKWb\n"
    "EUjefHfWS9IZUgI8JxLxytRzNTE/h1A/18wXYP9nzHPrQmpLbqsdcoCXkCzTW39a\n"
    "U2zCLy34P/s0Q3NvlAqjb7W4x9tsqB/tSWbuiTXArnRQi4Dz/h4Nx3dSngDgOJSf\n"
    "9wIDAQAB",
)

"""Sources for tests, with secrets that are nobody's."""

from __future__ import annotations

from typing import Any

from hookward import _core

NOW = 1_795_478_400_000_000
SECRET = "whsec_T7kPq2vLz9WcXfR4sB1nYd8mGh3jKe6A"
OTHER = "whsec_J4xQeM8aZr1TnV6wKc9pLb2yUd5hSg7F"
BODY = b'{"id":"evt_1","object":"event","type":"invoice.paid"}'
JSON = ("content-type", "application/json")
PEER = "192.0.2.1"


def receiver(settings: dict[str, Any] | None = None, **stripe: Any) -> _core.Receiver:
    source = {"provider": "stripe", "secrets": [SECRET], **stripe}
    settings = {"sources": {"stripe": source}, **(settings or {})}
    return _core.Receiver(_core.Config.parse(settings, literals=True))


def judge(
    receiver: _core.Receiver,
    headers: list[tuple[str, str]],
    body: bytes = BODY,
    *,
    peer: str = PEER,
    method: str = "POST",
    now: int = NOW,
) -> _core.Event | _core.Answer:
    screened = receiver.screen("stripe", method, "/hooks/stripe", headers, peer, now)
    return screened if isinstance(screened, _core.Answer) else screened.verify(body)


def signed(receiver: _core.Receiver, body: bytes = BODY, now: int = NOW) -> list[tuple[str, str]]:
    return [JSON, *receiver.sign("stripe", body, "msg_1", now).headers]


def send(receiver: _core.Receiver, body: bytes = BODY, *, peer: str = PEER) -> _core.Event | _core.Answer:
    """What becomes of a genuine request."""
    return judge(receiver, signed(receiver, body), body, peer=peer)


def forge(receiver: _core.Receiver, *, peer: str = PEER) -> _core.Event | _core.Answer:
    """What becomes of one that another secret has signed."""
    return judge(receiver, signed(FORGER), peer=peer)


def reason(found: _core.Event | _core.Answer) -> str:
    return "event" if isinstance(found, _core.Event) else found.reason


FORGER = receiver(secrets=[OTHER])

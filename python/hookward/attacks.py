"""Attacks on a webhook endpoint, for a project's own tests. Each says what a correct receiver answers.

Nothing here sends: `hookward.test` does, in the process of the tests. For a running endpoint there is `hookward probe`.
"""

from __future__ import annotations

import json
import re
import unittest
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol


def attacks_on(source: str, payload: Mapping[str, Any] | None = None) -> list[Attack]:
    """All attacks on a source, each with a readable `name`. Needs no settings: what does not apply skips when built.

    `payload` is what a genuine event of the source looks like; without it, one that has ids and types where most
    senders do.
    """
    genuine = dict(payload or _GENUINE)
    return [Attack(source, genuine, *row) for row in _ATTACKS]


@dataclass(frozen=True)
class Request:
    """What is sent. The path is the source's own, wherever the project has put it."""

    headers: tuple[tuple[str, str], ...]
    body: bytes
    query: str = ""
    method: str = "POST"

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def with_header(self, name: str, value: str | None) -> Request:
        """The same with this header set, or without it."""
        kept = [(key, old) for key, old in self.headers if key.lower() != name.lower()]
        return replace(self, headers=(*kept, *([] if value is None else [(name, value)])))


class Sender(Protocol):
    """Signs as the source's sender does."""

    now: int
    """In microseconds since 1970."""
    body_max: int
    tolerance_secs: int | None
    """How far a signed time may be off; None where no time is signed."""

    def signed(
        self, payload: Mapping[str, Any] | bytes, *, at: int | None = None, id: str | None = None
    ) -> Request: ...

    def wrongly_signed(self, payload: Mapping[str, Any]) -> Request:
        """Signed with a secret that the receiver does not have."""
        ...

    def key(self, request: Request) -> str | None:
        """The identity that the receiver gives to it; None when it is refused."""
        ...


@dataclass(frozen=True)
class Attack:
    """One attack. The last of its requests is the attack; those before it are genuine, and are accepted."""

    source: str
    payload: dict[str, Any] = field(repr=False)
    name: str
    tries: str
    """What it tries, in a sentence."""
    statuses: frozenset[int]
    """What a correct receiver may answer to the last request."""
    effects: int
    """How many events a correct receiver gives to handlers at most, all requests together."""
    build: Callable[[Sender, dict[str, Any]], list[Request]] = field(repr=False)

    def requests(self, sender: Sender) -> list[Request]:
        """What to send, in order. Raises unittest.SkipTest, which pytest knows too, where it does not apply."""
        return self.build(sender, self.payload)

    @property
    def __name__(self) -> str:
        """What pytest calls the test by."""
        return self.name

    def __str__(self) -> str:
        return f"{self.source}: {self.name}"


def signatures(sender: Sender, payload: dict[str, Any]) -> list[str]:
    """The headers that sign: those that are others under another secret. Raises SkipTest when there is none."""
    ours, others = sender.signed(payload), sender.wrongly_signed(payload)
    found = [name for name, value in ours.headers if others.header(name) != value]
    if not found:
        raise unittest.SkipTest("the signature of this source is in no header")
    return found


def _of_the_body(sender: Sender, payload: dict[str, Any]) -> tuple[list[str], Request, Request]:
    """The headers that sign, a genuine request, and another one. Raises SkipTest where the signature covers no body."""
    names = signatures(sender, payload)
    one = sender.signed(payload, id="msg_hookward")
    other = sender.signed({**payload, "hookward_other": 1}, id="msg_hookward")
    if all(one.header(name) == other.header(name) for name in names):
        raise unittest.SkipTest("the signature of this source does not cover the body, which anyone can change")
    return names, one, other


def _with_signature(change: Callable[[str], str | None]) -> Callable[[Sender, dict[str, Any]], list[Request]]:
    """A genuine request whose signature headers are changed."""

    def build(sender: Sender, payload: dict[str, Any]) -> list[Request]:
        request = sender.signed(payload)
        for name in signatures(sender, payload):
            request = request.with_header(name, change(request.header(name) or ""))
        return [request]

    return build


def _tampered(sender: Sender, payload: dict[str, Any]) -> list[Request]:
    _, genuine, other = _of_the_body(sender, payload)
    return [replace(genuine, body=other.body)]


def _other_signature(sender: Sender, payload: dict[str, Any]) -> list[Request]:
    names, genuine, other = _of_the_body(sender, payload)
    for name in names:
        genuine = genuine.with_header(name, other.header(name))
    return [genuine]


def _body_dropped(sender: Sender, payload: dict[str, Any]) -> list[Request]:
    _, genuine, _ = _of_the_body(sender, payload)
    return [replace(genuine, body=b"")]


def _reserialised(sender: Sender, payload: dict[str, Any]) -> list[Request]:
    _, genuine, _ = _of_the_body(sender, payload)
    try:
        spaced = json.dumps(json.loads(genuine.body), indent=4).encode()
    except ValueError:
        raise unittest.SkipTest("the bodies of this source are not JSON") from None
    return [replace(genuine, body=spaced)]


def _wrong_secret(sender: Sender, payload: dict[str, Any]) -> list[Request]:
    return [sender.wrongly_signed(payload)]


def _truncated(value: str) -> str:
    return value[:-4]


def _extended(value: str) -> str:
    return value + value[-4:]


def _one_digit_off(value: str) -> str:
    """The last digit changed to another of the same alphabet, before any padding."""
    at = len(value.rstrip("=")) - 5
    return value[:at] + ("0" if value[at] != "0" else "1") + value[at + 1 :]


def _downgraded(value: str) -> str:
    """The label of a signature replaced by one that used to count, or never did."""
    for label, older in (("v1", "v0"), ("sha256", "sha1"), ("sha512", "sha1"), ("hmac", "none")):
        if label in value:
            return value.replace(label, older)
    raise unittest.SkipTest("the signature of this source names no version and no algorithm")


def _duplicated(sender: Sender, payload: dict[str, Any]) -> list[Request]:
    # As a WSGI server hands on two headers of one name: joined. The first one is forged.
    request = sender.signed(payload)
    for name in signatures(sender, payload):
        value = request.header(name) or ""
        request = request.with_header(name, f"{_one_digit_off(value)},{value}")
    return [request]


def _many(value: str) -> str:
    return ",".join([_one_digit_off(value)] * 500)


def _at(offset: Callable[[int], int]) -> Callable[[Sender, dict[str, Any]], list[Request]]:
    """Signed rightly, at a time that is off by `offset` of the tolerance, in seconds."""

    def build(sender: Sender, payload: dict[str, Any]) -> list[Request]:
        if sender.tolerance_secs is None:
            raise unittest.SkipTest("this source signs no time: its ids are remembered for ever instead")
        return [sender.signed(payload, at=sender.now + offset(sender.tolerance_secs) * 1_000_000)]

    return build


def _time_edited(sender: Sender, payload: dict[str, Any]) -> list[Request]:
    """An old capture whose time is made to look new, with its old signature."""
    if sender.tolerance_secs is None:
        raise unittest.SkipTest("this source signs no time: its ids are remembered for ever instead")
    old = sender.signed(payload, at=sender.now - 7200 * 1_000_000)
    fresh = sender.signed(payload)
    digits = re.compile(r"(?<![0-9A-Za-z])[0-9]{10,13}(?![0-9A-Za-z])")
    for name, value in old.headers:
        new = digits.search(fresh.header(name) or "")
        if new and digits.search(value):
            return [old.with_header(name, digits.sub(new[0], value, count=1))]
    raise unittest.SkipTest("the time of this source is in no header")


def _other_method(sender: Sender, payload: dict[str, Any]) -> list[Request]:
    return [replace(sender.signed(payload), method="PUT")]


def _other_type(sender: Sender, payload: dict[str, Any]) -> list[Request]:
    return [sender.signed(payload).with_header("Content-Type", "image/png")]


def _compressed(sender: Sender, payload: dict[str, Any]) -> list[Request]:
    return [sender.signed(payload).with_header("Content-Encoding", "gzip")]


def _too_large(sender: Sender, payload: dict[str, Any]) -> list[Request]:
    return [sender.signed({**payload, "filler": "x" * sender.body_max})]


def _body(make: Callable[[bytes], bytes]) -> Callable[[Sender, dict[str, Any]], list[Request]]:
    """Signed rightly, and not what JSON may be: what only the sender, or whoever has its secret, can send."""

    def build(sender: Sender, payload: dict[str, Any]) -> list[Request]:
        genuine = sender.signed(payload)
        if not genuine.body.startswith(b"{") or not genuine.body.endswith(b"}"):
            raise unittest.SkipTest("the bodies of this source are not JSON")
        malformed = make(genuine.body)
        request = sender.signed(malformed)
        if request.body != malformed:
            raise unittest.SkipTest("what signs for this source writes into the body, and mends it by that")
        return [request]

    return build


def _replayed(sender: Sender, payload: dict[str, Any]) -> list[Request]:
    request = sender.signed(payload)
    return [request, request]


def _replayed_under_new_ids(sender: Sender, payload: dict[str, Any]) -> list[Request]:
    """The same signed content, with each id that is not signed changed, as whoever captured it can do."""
    request = sender.signed(payload)
    signed = {name.lower() for name, _ in request.headers}
    again = request
    for name in _ID_HEADERS:
        if name.lower() not in signed:
            again = again.with_header(name, "00000000-0000-4000-8000-000000000000")
    return [request, again]


def _id_conflict(sender: Sender, payload: dict[str, Any]) -> list[Request]:
    """Two bodies under one signed id: the second one must neither replace the first nor be run as if it were new."""
    one = sender.signed(payload, id="msg_hookward_conflict")
    other = sender.signed({**payload, "hookward_other": 1}, id="msg_hookward_conflict")
    if sender.key(one) is None or sender.key(one) != sender.key(other):
        raise unittest.SkipTest("this source tells events apart by their content: other content is another event")
    return [one, other]


_GENUINE = {
    "id": "evt_attack",
    "event_id": "evt_attack",
    "uuid": "00000000-0000-4000-8000-00000000a77a",
    "type": "hookward.attack",
    "event_type": "hookward.attack",
}

# Ids that senders put into headers, and that some receivers take for identities.
_ID_HEADERS = (
    "X-GitHub-Delivery",
    "X-Shopify-Webhook-Id",
    "X-Shopify-Event-Id",
    "X-Event-Id",
    "X-Request-Id",
    "Idempotency-Key",
    "Webhook-Id",
    "Svix-Id",
)

# One refusal for all that is not verified; some senders need another status than 403.
_REFUSED = frozenset({401, 403, 498})
_TOO_MANY = _REFUSED | {400, 431}
_DUPLICATE = frozenset({200, 201, 202, 204})
# Kept as a dead letter and acknowledged, or refused: never handed to a handler, never 5xx. Where the signed time is in
# the body there is none to be read, and nothing is verified.
_MALFORMED = _DUPLICATE | _REFUSED | {400, 422}

_Row = tuple[str, str, frozenset[int], int, Callable[[Sender, dict[str, Any]], Sequence[Request]]]

_ATTACKS: list[Any] = [
    ("tampered_body", "another body under a genuine signature", _REFUSED, 0, _tampered),
    ("other_events_signature", "the signature of another genuine event", _REFUSED, 0, _other_signature),
    ("body_dropped", "no body under a genuine signature", _REFUSED, 0, _body_dropped),
    ("reserialised_body", "the same JSON, written otherwise", _REFUSED, 0, _reserialised),
    ("wrong_secret", "signed with another secret", _REFUSED, 0, _wrong_secret),
    ("missing_signature", "no signature header", _REFUSED, 0, _with_signature(lambda _: None)),
    ("empty_signature", "an empty signature header", _REFUSED, 0, _with_signature(lambda _: "")),
    ("truncated_signature", "the beginning of the right signature", _REFUSED, 0, _with_signature(_truncated)),
    ("extended_signature", "the right signature, and more", _REFUSED, 0, _with_signature(_extended)),
    ("wrong_digit", "a signature that is wrong in one digit", _REFUSED, 0, _with_signature(_one_digit_off)),
    (
        "text_for_signature",
        "text that is no signature",
        _REFUSED,
        0,
        _with_signature(lambda _: "v1=not;a signature"),
    ),
    ("non_ascii_signature", "bytes that are not ASCII", _REFUSED, 0, _with_signature(lambda _: "\u00e9" * 64)),
    # Any one of several signatures may count (rotation): then it is genuine, and one event.
    ("duplicated_signature", "two signature headers, the first one forged", _REFUSED | _DUPLICATE, 1, _duplicated),
    ("many_signatures", "hundreds of forged signatures in one header", _TOO_MANY, 0, _with_signature(_many)),
    ("downgrade", "an older version or a weaker algorithm", _REFUSED, 0, _with_signature(_downgraded)),
    ("stale", "signed longer ago than is tolerated", _REFUSED, 0, _at(lambda tolerance: -tolerance - 1)),
    ("future", "signed further ahead than is tolerated", _REFUSED, 0, _at(lambda tolerance: tolerance + 1)),
    ("far_future", "signed for a time in ten years, to stay fresh", _REFUSED, 0, _at(lambda _: 10 * 365 * 86_400)),
    ("edited_time", "an old capture under a new time", _REFUSED, 0, _time_edited),
    ("wrong_method", "PUT in place of POST", frozenset({405}), 0, _other_method),
    ("wrong_type", "a content type that is no event's", frozenset({415}), 0, _other_type),
    ("compressed", "a content encoding, behind which a bomb could be", frozenset({415}), 0, _compressed),
    ("too_large", "a body larger than the source takes", frozenset({413}), 0, _too_large),
    ("not_json", "signed, and no JSON", _MALFORMED, 0, _body(lambda body: body[:-1])),
    (
        "invalid_utf8",
        "signed, with bytes that are no UTF-8",
        _MALFORMED,
        0,
        _body(lambda body: body[:-1] + b',"x":"\xff"}'),
    ),
    (
        "duplicate_keys",
        "a field twice, for two readers to differ",
        _MALFORMED,
        0,
        _body(lambda b: b[:-1] + b',"hw":1,"hw":2}'),
    ),
    ("nan", "a number that is none", _MALFORMED, 0, _body(lambda body: body[:-1] + b',"hw":NaN}')),
    (
        "deep_nesting",
        "ten thousand arrays within each other",
        _MALFORMED,
        0,
        _body(lambda body: body[:-1] + b',"hw":' + b"[" * 10_000 + b"]" * 10_000 + b"}"),
    ),
    ("not_an_object", "signed JSON that is a number", _MALFORMED, 0, _body(lambda _: b"42")),
    ("replay", "the same request a second time", _DUPLICATE, 1, _replayed),
    ("replay_under_new_ids", "a captured request under new ids", _DUPLICATE | _REFUSED, 1, _replayed_under_new_ids),
    ("id_conflict", "other content under an id that is taken", _DUPLICATE, 1, _id_conflict),
]

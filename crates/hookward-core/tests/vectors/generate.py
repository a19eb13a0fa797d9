"""Writes the vectors beside this file: for each provider requests, and what must become of them.

An implementation apart from Hookward's, with nothing but the standard library: what it signs and expects comes from the
providers' documentation and from RFC 8032, not from the code that it tests. The senders that everybody asks for are here;
the others are in `senders.py`, with the same set of cases for each (`standardset.py`). What senders ask is in
`questions.py`.

    python3 generate.py             writes the files
    python3 generate.py --check     says whether they are as it would write them
"""

import base64
import hashlib
import hmac
import json
import struct
import sys
from pathlib import Path

sys.dont_write_bytecode = True

NOW = 1_795_478_400  # 2026-11-24T00:00:00Z
JSON = ("content-type", "application/json")
FORM = ("content-type", "application/x-www-form-urlencoded")

TEXT_SECRET = "c21acdf7adbdf2b9d9f1e2a66bd5a3c8"
OTHER_TEXT_SECRET = "5be3b0b8f3b1c7b6e59ba1a1f4a4d0e2"
STRIPE_SECRET = "whsec_T7kPq2vLz9WcXfR4sB1nYd8mGh3jKe6A"
OTHER_STRIPE_SECRET = "whsec_J4xQeM8aZr1TnV6wKc9pLb2yUd5hSg7F"
BASE64_SECRET = "whsec_kYwUNXqv3TgEOLzkRJBJpx8a1JhLwPTQ"
OTHER_BASE64_SECRET = "whsec_9mHvUm5dTpfV3PzqOBjaDJHkyuVBVXcl"


def hmac_of(key: bytes, content: bytes, algorithm: str = "sha256") -> bytes:
    return hmac.new(key, content, algorithm).digest()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


# Ed25519, by the formulas of RFC 8032, section 5.1. Slow, and not for secrets that matter: its timing shows them.

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def ed25519_add(a, b):
    (ax, ay), (bx, by) = a, b
    product = D * ax * bx * ay * by % P
    x = (ax * by + bx * ay) * pow(1 + product, -1, P) % P
    y = (ay * by + ax * bx) * pow(1 - product, -1, P) % P
    return x, y


def ed25519_times(number, point):
    result = (0, 1)
    while number:
        if number & 1:
            result = ed25519_add(result, point)
        point = ed25519_add(point, point)
        number >>= 1
    return result


def ed25519_base():
    y = 4 * pow(5, P - 2, P) % P
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return (P - x if x & 1 else x), y


def ed25519_bytes(point):
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


def ed25519_sign(seed: bytes, message: bytes) -> tuple[bytes, bytes]:
    """The public key of a seed, and the signature."""
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little") & (1 << 254) - 8 | 1 << 254
    public = ed25519_bytes(ed25519_times(scalar, ed25519_base()))
    nonce = int.from_bytes(hashlib.sha512(digest[32:] + message).digest(), "little") % L
    commitment = ed25519_bytes(ed25519_times(nonce, ed25519_base()))
    challenge = int.from_bytes(hashlib.sha512(commitment + public + message).digest(), "little") % L
    return public, commitment + ((nonce + challenge * scalar) % L).to_bytes(32, "little")


def key(source: str, kind: bytes, identity: bytes) -> str:
    """The de-duplication key: stores hold it, so it never changes."""
    text = source.encode()
    content = b"hookward event 1\0" + struct.pack("<Q", len(text)) + text + kind + identity
    return hashlib.sha256(content).hexdigest()[:32]


# Those that only say that something changed: each request is an event, also when it is repeated.
EACH = {"acuity", "dropbox", "fitbit", "mollie-classic"}


class Vectors:
    def __init__(self, provider: str, secrets: list[str], **settings):
        """`url`, `options`: what the source is told beside its secrets."""
        self.provider = provider
        self.file = {"provider": provider, "now": NOW, "secrets": secrets}
        self.file |= {key: value for key, value in settings.items() if value is not None}
        self.file["cases"] = []

    def add(self, name, headers, body, expect, **others):
        """`now`, `secrets`, `url`, `options` in place of the file's; `method` and `target` of the request."""
        body = body.encode() if isinstance(body, str) else body
        case = {"name": name, **{key: value for key, value in others.items() if value is not None}}
        case["headers"] = [list(header) for header in headers]
        try:
            case["body"] = body.decode()
        except UnicodeDecodeError:
            case["body_base64"] = b64(body)
        case["expect"] = expect
        self.file["cases"].append(case)

    def question(self, name, answer, *, method="GET", target=None, headers=(), body="", **others):
        """A question of the sender, and the answer that it gets."""
        question = {"name": name, "method": method, "target": target or f"/hooks/{self.provider}"}
        question |= {"headers": [list(header) for header in headers], "body": body, **others, "expect": answer}
        self.file.setdefault("handshakes", []).append(question)

    def refused(self, name, headers, body, reason, **others):
        self.add(name, headers, body, {"refused": reason}, **others)

    def admitted(self, name, headers, body, identity=None, event_type=None, quarantine=None, **others):
        """`identity`: a text, an integer, the bytes that count as content, or nothing, which means the body."""
        body = body.encode() if isinstance(body, str) else body
        if isinstance(identity, str):
            kind, what = b"s", identity.encode()
        elif isinstance(identity, int):
            kind, what = b"n", str(identity).encode()
        else:
            signed = identity if isinstance(identity, bytes) else body
            kind, what = b"c", hashlib.sha256(signed).digest()[:16]
            if self.provider in EACH:
                at = others.get("now") or NOW
                kind, what = b"e", what + struct.pack("<Q", at * 1_000_000)
        expect = {"key": key(self.provider, kind, what), "event_type": event_type, "quarantine": quarantine}
        self.add(name, headers, body, {"admitted": expect}, **others)

    def text(self) -> str:
        """A case on each line, so that a difference shows what it is about."""

        def member(key, value):
            if key not in ("cases", "handshakes"):
                return f'  "{key}": {json.dumps(value, ensure_ascii=False)}'
            lines = ",\n".join("    " + json.dumps(case, ensure_ascii=False) for case in value)
            return f'  "{key}": [\n{lines}\n  ]'

        return "{\n" + ",\n".join(member(key, value) for key, value in self.file.items()) + "\n}\n"


def body_only(provider, header, written, prefix="", *, event_type_header=None, identity=lambda body: None):
    """GitHub, Shopify, the generic scheme: an HMAC-SHA-256 over the body in one header."""
    vectors = Vectors(provider, [TEXT_SECRET])
    body = '{"id":"evt_1","type":"invoice.paid","amount":4200}'

    def value(body, secret=TEXT_SECRET, algorithm="sha256"):
        body = body.encode() if isinstance(body, str) else body
        return prefix + written(hmac_of(secret.encode(), body, algorithm))

    def headers(body, secret=TEXT_SECRET):
        lines = [(header, value(body, secret)), JSON]
        return lines + [(event_type_header, "invoice.paid")] if event_type_header else lines

    def type_of(body):
        if event_type_header:
            return "invoice.paid"
        try:
            return json.loads(body).get("type")
        except ValueError:
            return None

    def admitted(name, body, quarantine=None, lines=None, **others):
        lines = headers(body) if lines is None else lines
        vectors.admitted(name, lines, body, identity(body), type_of(body), quarantine, **others)

    admitted("as sent", body)
    admitted(
        "with a charset",
        body,
        lines=[(header, value(body)), ("content-type", 'Application/JSON; charset="UTF-8"'), *headers(body)[2:]],
    )
    admitted("text of many scripts", '{"id":"evt_ü","type":"a.b","name":"Zoë 東京 \U0001f980"}')
    admitted("CRLF and indentation", '{\r\n\t"id": "evt_2",\r\n\t"type": "a.b"\r\n}\r\n')
    admitted(
        "under the second secret",
        body,
        lines=headers(body, OTHER_TEXT_SECRET),
        secrets=[TEXT_SECRET, OTHER_TEXT_SECRET],
    )
    admitted("an id that is a number", '{"id":12345678901234567890,"type":"a.b"}')
    # What is verified and makes no sense is kept for a person to look at.
    needs_id = identity(body) is not None
    admitted("an empty object", "{}", "missing_id" if needs_id else None)
    for name, bad in [
        ("a body that is not JSON", b"hello"),
        ("a body that is not UTF-8", b'{"id":"\xff"}'),
        ("a key twice", b'{"id":"evt_1","id":"evt_2"}'),
        ("an empty body", b""),
        ("an array", b"[]"),
        ("an unfinished object", b'{"id":"evt_1"'),
    ]:
        event_type = "invoice.paid" if event_type_header else None
        vectors.admitted(name, headers(bad), bad, None, event_type, "not_json")

    good = headers(body)
    rest = good[1:]

    def refused(name, lines, reason, body=body, **others):
        vectors.refused(name, lines, body, reason, **others)

    refused("another body", good, "wrong_signature", body.replace("4200", "4300"))
    refused("a byte more", good, "wrong_signature", body + "\n")
    refused("a byte less", good, "wrong_signature", body[:-1])
    refused("the same JSON written otherwise", good, "wrong_signature", json.dumps(json.loads(body)))
    refused("under another secret", headers(body, OTHER_TEXT_SECRET), "wrong_signature")
    refused("under an empty secret", headers(body, ""), "wrong_signature")
    refused("under a secret that was retired", good, "wrong_signature", secrets=[OTHER_TEXT_SECRET])
    refused("no signature", rest, "missing_signature")
    refused("an empty signature", [(header, ""), *rest], "missing_signature")
    refused("the signature twice", [good[0], *good], "ambiguous_signature")
    refused("a wrong and a right signature", [(header, value("x")), *good], "ambiguous_signature")
    refused("two signatures in one line", [(header, f"{good[0][1]},{good[0][1]}"), *rest], "malformed_signature")
    refused("half a signature", [(header, good[0][1][: len(good[0][1]) // 2]), *rest], "malformed_signature")
    refused("a signature and more", [(header, good[0][1] + "00"), *rest], "malformed_signature")
    refused("another alphabet", [(header, good[0][1][:-4] + "%&/("), *rest], "malformed_signature")
    refused("SHA-1", [(header, value(body, algorithm="sha1")), *rest], "malformed_signature")
    refused("SHA-512", [(header, value(body, algorithm="sha512")), *rest], "malformed_signature")
    refused(
        "a plain hash", [(header, prefix + written(hashlib.sha256(body.encode()).digest())), *rest], "wrong_signature"
    )
    refused("no type", [good[0], *good[2:]], "unsupported_type")
    refused("a form", [good[0], FORM, *good[2:]], "unsupported_type")
    refused("compressed", [*good, ("content-encoding", "gzip")], "unsupported_encoding")
    return vectors, value, body


def hmac_vectors():
    def identity(body):
        try:
            return json.loads(body).get("id")
        except ValueError:
            return None

    vectors, value, body = body_only("hmac", "x-signature", bytes.hex, identity=identity)
    lines = [("x-signature", value(body)), JSON]
    vectors.admitted(
        "an unsigned id changes nothing", [*lines, ("x-event-id", "evt_999")], body, "evt_1", "invoice.paid"
    )
    vectors.admitted("hex in upper case", [("x-signature", value(body).upper()), JSON], body, "evt_1", "invoice.paid")
    for name, written in [("a fraction", "1.5"), ("null", "null"), ("an empty text", '""'), ("an object", "{}")]:
        bad = f'{{"id":{written},"type":"a.b"}}'
        vectors.admitted(f"an id that is {name}", [("x-signature", value(bad)), JSON], bad, None, "a.b", "missing_id")
    return vectors


def github_vectors():
    vectors, value, body = body_only(
        "github", "x-hub-signature-256", bytes.hex, "sha256=", event_type_header="x-github-event"
    )
    signature = value(body)
    sha1 = "sha1=" + hmac_of(TEXT_SECRET.encode(), body.encode(), "sha1").hex()
    old, event = ("x-hub-signature", sha1), ("x-github-event", "invoice.paid")
    vectors.refused("only the old signature", [old, JSON, event], body, "missing_signature")
    vectors.refused(
        "the old signature in the new header", [("x-hub-signature-256", sha1), JSON, event], body, "malformed_signature"
    )
    vectors.refused("no prefix", [("x-hub-signature-256", signature[7:]), JSON, event], body, "malformed_signature")
    vectors.refused(
        "a prefix in upper case",
        [("x-hub-signature-256", "SHA256=" + signature[7:]), JSON, event],
        body,
        "malformed_signature",
    )
    good = [("x-hub-signature-256", signature), JSON]
    vectors.admitted("both signatures", [*good, old, event], body, None, "invoice.paid")
    vectors.admitted(
        "another delivery id is the same event",
        [*good, event, ("x-github-delivery", "a-new-one")],
        body,
        None,
        "invoice.paid",
    )
    vectors.admitted("no event type", good, body, None, None)
    # docs.github.com, "Validating webhook deliveries". Its secret holds white space, which Hookward takes for a mistake in
    # copying, so this example is held against the implementation here only.
    documented = hmac_of(b"It's a Secret to Everybody", b"Hello, World!").hex()
    assert documented == "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    return vectors


def shopify_vectors():
    vectors, value, body = body_only("shopify", "x-shopify-hmac-sha256", b64, event_type_header="x-shopify-topic")
    signature = value(body)
    topic = ("x-shopify-topic", "invoice.paid")
    header = "x-shopify-hmac-sha256"
    in_hex = base64.b64decode(signature).hex()
    vectors.refused("in hex", [(header, in_hex), JSON, topic], body, "malformed_signature")
    vectors.refused("without padding", [(header, signature.rstrip("=")), JSON, topic], body, "malformed_signature")
    vectors.refused(
        "junk within the base64",
        [(header, signature[:9] + "!" + signature[9:]), JSON, topic],
        body,
        "malformed_signature",
    )
    other = [(header, signature), JSON, topic, ("x-shopify-webhook-id", "new"), ("x-shopify-event-id", "new")]
    vectors.admitted("other ids are the same event", other, body, None, "invoice.paid")
    renamed = ("shopify-hmac-sha256", signature)
    vectors.admitted("under the other name", [renamed, JSON, topic], body, None, "invoice.paid")
    vectors.refused("under both names", [renamed, (header, signature), JSON, topic], body, "ambiguous_signature")
    return vectors


def timed(vectors, body, secret, other_secret, signed, identity, event_type):
    """What all schemes with a signed time have in common. `signed(body, at, secret)` gives the header lines."""

    def admitted(name, lines, **others):
        vectors.admitted(name, lines, body, identity, event_type, **others)

    def refused(name, lines, reason, body=body, **others):
        vectors.refused(name, lines, body, reason, **others)

    good = signed(body, NOW, secret)
    admitted("as sent", good)
    admitted("300 s later", good, now=NOW + 300)
    admitted("300 s early", good, now=NOW - 300)
    admitted("under the second secret", signed(body, NOW, other_secret), secrets=[secret, other_secret])
    refused("301 s later", good, "stale", now=NOW + 301)
    refused("a year later", good, "stale", now=NOW + 31_536_000)
    refused("301 s early", good, "from_the_future", now=NOW - 301)
    refused("a year early", good, "from_the_future", now=NOW - 31_536_000)
    refused("signed for the year 1970", signed(body, 0, secret), "stale")
    refused("another body", good, "wrong_signature", body.replace("evt_1", "evt_2"))
    refused("a byte more", good, "wrong_signature", body + " ")
    refused("the same JSON written otherwise", good, "wrong_signature", json.dumps(json.loads(body)))
    refused("under another secret", signed(body, NOW, other_secret), "wrong_signature")
    refused("under a secret that was retired", good, "wrong_signature", secrets=[other_secret])
    refused(
        "an old signature with a fresh time",
        [(name, value.replace(str(NOW - 600), str(NOW))) for name, value in signed(body, NOW - 600, secret)],
        "wrong_signature",
    )
    for index, (name, _) in enumerate(good[:-1]):
        refused(f"no {name}", good[:index] + good[index + 1 :], "missing_signature")
        refused(f"an empty {name}", [*good[:index], (name, ""), *good[index + 1 :]], "missing_signature")
        refused(f"{name} twice", [good[index], *good], "ambiguous_signature")
    refused("no type", good[:-1], "unsupported_type")
    refused("compressed", [*good, ("content-encoding", "gzip")], "unsupported_encoding")


def stripe_vectors():
    vectors = Vectors("stripe", [STRIPE_SECRET])
    body = '{"id":"evt_1","object":"event","type":"invoice.paid"}'

    def v1(body, at=NOW, secret=STRIPE_SECRET):
        return hmac_of(secret.encode(), f"{at}.{body}".encode()).hex()

    def signed(body, at, secret):
        return [("stripe-signature", f"t={at},v1={v1(body, at, secret)}"), JSON]

    timed(vectors, body, STRIPE_SECRET, OTHER_STRIPE_SECRET, signed, "evt_1", "invoice.paid")
    right, other = v1(body), v1(body, secret=OTHER_STRIPE_SECRET)
    for name, value in [
        ("signed twice, the first known", f"t={NOW},v1={right},v1={other}"),
        ("signed twice, the second known", f"t={NOW},v1={other},v1={right}"),
        ("with v0 beside it", f"t={NOW},v1={right},v0={'0' * 64}"),
        ("with an element that is not known", f"t={NOW},v2=x,v1={right}"),
        ("in another order", f"v1={right},t={NOW}"),
    ]:
        vectors.admitted(name, [("stripe-signature", value), JSON], body, "evt_1", "invoice.paid")
    decoded = hmac_of(base64.b64decode(STRIPE_SECRET[6:]), f"{NOW}.{body}".encode()).hex()
    for name, value, reason in [
        ("only v0", f"t={NOW},v0={right}", "malformed_signature"),
        ("v0 is right and v1 is not", f"t={NOW},v0={right},v1={other}", "wrong_signature"),
        ("no label", f"t={NOW},{right}", "malformed_signature"),
        ("no time", f"v1={right}", "malformed_signature"),
        ("an empty time", f"t=,v1={right}", "malformed_signature"),
        ("no signature in it", f"t={NOW}", "malformed_signature"),
        ("the time twice", f"t={NOW},t={NOW},v1={right}", "ambiguous_signature"),
        ("two times", f"t={NOW},t={NOW - 1},v1={right}", "ambiguous_signature"),
        ("a time with a sign", f"t=+{NOW},v1={right}", "malformed_signature"),
        ("a time in milliseconds", f"t={NOW}000,v1={right}", "from_the_future"),
        ("a time in hex", f"t={NOW:#x},v1={right}", "malformed_signature"),
        ("half a signature", f"t={NOW},v1={right[:32]}", "malformed_signature"),
        ("base64", f"t={NOW},v1={b64(bytes.fromhex(right))}", "malformed_signature"),
        ("nine signatures", f"t={NOW}," + f"v1={'0' * 64}," * 8 + f"v1={right}", "malformed_signature"),
        ("keyed with the decoded secret", f"t={NOW},v1={decoded}", "wrong_signature"),
        ("over the body only", f"t={NOW},v1={hmac_of(STRIPE_SECRET.encode(), body.encode()).hex()}", "wrong_signature"),
    ]:
        vectors.refused(name, [("stripe-signature", value), JSON], body, reason)
    for name, bad, quarantine in [
        ("an event without id", '{"type":"a.b"}', "missing_id"),
        ("not JSON", "hello", "not_json"),
    ]:
        event_type = "a.b" if quarantine == "missing_id" else None
        vectors.admitted(name, signed(bad, NOW, STRIPE_SECRET), bad, None, event_type, quarantine)
    return vectors


def slack_vectors():
    vectors = Vectors("slack", [TEXT_SECRET])
    body = '{"type":"event_callback","event_id":"evt_1","event":{"type":"message"}}'

    def v0(body, at=NOW, secret=TEXT_SECRET):
        return hmac_of(secret.encode(), f"v0:{at}:{body}".encode()).hex()

    def signed(body, at, secret, content_type=JSON):
        return [
            ("x-slack-request-timestamp", str(at)),
            ("x-slack-signature", f"v0={v0(body, at, secret)}"),
            content_type,
        ]

    timed(vectors, body, TEXT_SECRET, OTHER_TEXT_SECRET, signed, "evt_1", "message")
    time = ("x-slack-request-timestamp", str(NOW))
    for name, lines, reason in [
        ("labelled v1", [time, ("x-slack-signature", f"v1={v0(body)}"), JSON], "malformed_signature"),
        ("no label", [time, ("x-slack-signature", v0(body)), JSON], "malformed_signature"),
        ("half a signature", [time, ("x-slack-signature", f"v0={v0(body)[:32]}"), JSON], "malformed_signature"),
        (
            "a time with a sign",
            [(time[0], f"+{NOW}"), ("x-slack-signature", f"v0={v0(body, f'+{NOW}')}"), JSON],
            "malformed_signature",
        ),
        (
            "over the body only",
            [time, ("x-slack-signature", f"v0={hmac_of(TEXT_SECRET.encode(), body.encode()).hex()}"), JSON],
            "wrong_signature",
        ),
    ]:
        vectors.refused(name, lines, body, reason)
    form = "token=x&command=%2Fdeploy&text=caf%C3%A9+%26+tea&trigger_id=1.2.ab"
    vectors.admitted("a slash command", signed(form, NOW, TEXT_SECRET, FORM), form)
    vectors.refused(
        "a slash command with another text",
        signed(form, NOW, TEXT_SECRET, FORM),
        form.replace("deploy", "delete"),
        "wrong_signature",
    )
    challenge = (
        '{"token":"x","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","type":"url_verification"}'
    )
    text = json.loads(challenge)["challenge"]
    vectors.add("the challenge is answered, not kept", signed(challenge, NOW, TEXT_SECRET), challenge, {"answered": text})
    vectors.refused(
        "a forged challenge is not answered", signed(challenge, NOW, OTHER_TEXT_SECRET), challenge, "wrong_signature"
    )
    # docs.slack.dev, "Verifying requests from Slack": published secret, time, body and signature.
    documented = (
        "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
        "&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
        "%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    lines = [
        ("x-slack-request-timestamp", "1531420618"),
        ("x-slack-signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
        FORM,
    ]
    secret = "8f742231b10e8888abcd99yyyzzz85a5"
    assert lines[1][1] == "v0=" + v0(documented, 1531420618, secret)
    vectors.admitted("as in Slack's documentation", lines, documented, now=1531420618, secrets=[secret])
    return vectors


def standard_vectors(provider, prefix):
    vectors = Vectors(provider, [BASE64_SECRET])
    body = '{"id":"evt_1","type":"invoice.paid","data":{}}'
    names = [f"{prefix}-id", f"{prefix}-timestamp", f"{prefix}-signature"]

    def v1(body, at=NOW, secret=BASE64_SECRET, id="msg_1"):
        return "v1," + b64(hmac_of(base64.b64decode(secret.removeprefix("whsec_")), f"{id}.{at}.{body}".encode()))

    def lines(value, at=NOW, id="msg_1"):
        return [*zip(names, [id, str(at), value]), JSON]

    def signed(body, at, secret):
        return lines(v1(body, at, secret), at)

    timed(vectors, body, BASE64_SECRET, OTHER_BASE64_SECRET, signed, "msg_1", "invoice.paid")
    right, other = v1(body), v1(body, secret=OTHER_BASE64_SECRET)
    for name, value in [
        ("signed twice, the first known", f"{right} {other}"),
        ("signed twice, the second known", f"{other} {right}"),
        ("with a version that is not known", f"v2,abcd {right}"),
        ("with v1a beside it", f"v1a,{b64(bytes(64))} {right}"),
    ]:
        vectors.admitted(name, lines(value), body, "msg_1", "invoice.paid")
    vectors.admitted(
        "a secret without its prefix", lines(right), body, "msg_1", "invoice.paid", secrets=[BASE64_SECRET[6:]]
    )
    as_text = "v1," + b64(hmac_of(BASE64_SECRET.encode(), f"msg_1.{NOW}.{body}".encode()))
    for name, value, reason in [
        ("no version", right[3:], "malformed_signature"),
        ("v1 labelled v1a", "v1a" + right[2:], "malformed_signature"),
        ("v1 labelled v2", "v2" + right[2:], "malformed_signature"),
        ("half a signature", right[:20], "malformed_signature"),
        ("without padding", right.rstrip("="), "malformed_signature"),
        ("in hex", "v1," + base64.b64decode(right[3:]).hex(), "malformed_signature"),
        ("signatures separated by a comma", f"{other},{right}", "malformed_signature"),
        ("nine signatures", f"{other} " * 8 + right, "malformed_signature"),
        ("keyed with the secret's text", as_text, "wrong_signature"),
        ("under other secrets twice", f"{other} {other}", "wrong_signature"),
    ]:
        vectors.refused(name, lines(value), body, reason)
    vectors.refused("another id", lines(right, id="msg_2"), body, "wrong_signature")
    vectors.refused("an id with a dot", lines(v1(body, id="msg.1"), id="msg.1"), body, "malformed_signature")
    moved = f"{NOW}.{body}"
    vectors.refused("the id taken for a part of the body", lines(v1(moved), id="msg_1"), body, "wrong_signature")
    vectors.refused("a time in milliseconds", lines(v1(body, f"{NOW}000"), f"{NOW}000"), body, "from_the_future")
    vectors.refused("a time with a fraction", lines(v1(body, f"{NOW}.0"), f"{NOW}.0"), body, "malformed_signature")
    vectors.admitted("not JSON", lines(v1("hello")), "hello", None, None, "not_json")
    vectors.admitted("an empty object", lines(v1("{}")), "{}", "msg_1", None)
    others = "svix" if prefix == "webhook" else "webhook"
    renamed = [(name.replace(prefix, others), value) for name, value in lines(right)]
    if prefix == "svix":
        vectors.admitted("the other header names", renamed, body, "msg_1", "invoice.paid")
        vectors.refused("both header names", [*lines(right), *renamed[:3]], body, "ambiguous_signature")
    else:
        vectors.refused("the other header names", renamed, body, "missing_signature")

    # v1a: Ed25519. A key of one kind verifies no signature of the other.
    seed = hashlib.sha256(b"hookward vectors").digest()
    public, signature = ed25519_sign(seed, f"msg_1.{NOW}.{body}".encode())
    whpk = "whpk_" + b64(public)
    v1a = "v1a," + b64(signature)
    vectors.admitted("v1a", lines(v1a), body, "msg_1", "invoice.paid", secrets=[whpk])
    vectors.admitted("v1a with v1 beside it", lines(f"{right} {v1a}"), body, "msg_1", "invoice.paid", secrets=[whpk])
    vectors.refused("v1a over another body", lines(v1a), body + " ", "wrong_signature", secrets=[whpk])
    vectors.refused("v1a and an HMAC secret", lines(v1a), body, "wrong_signature")
    vectors.refused("v1 and a public key", lines(right), body, "wrong_signature", secrets=[whpk])
    keyed = "v1," + b64(hmac_of(public, f"msg_1.{NOW}.{body}".encode()))
    vectors.refused("v1 keyed with the public key", lines(keyed), body, "wrong_signature", secrets=[whpk])
    high = signature[:32] + (int.from_bytes(signature[32:], "little") + L).to_bytes(32, "little")
    vectors.refused("v1a written otherwise", lines("v1a," + b64(high)), body, "wrong_signature", secrets=[whpk])

    # Published: docs.svix.com "Verifying payloads manually", and the tests of svix-server for the asymmetric key.
    documented = '{"test": 2432232314}'
    id, at = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330
    secret, value = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert value == v1(documented, at, secret, id)
    vectors.admitted("as in Svix's documentation", lines(value, at, id), documented, id, None, now=at, secrets=[secret])
    pair = base64.b64decode("6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==")
    value = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
    assert (pair[32:], value[4:]) == (lambda made: (made[0], b64(made[1])))(
        ed25519_sign(pair[:32], f"{id}.{at}.{documented}".encode())
    )
    for name, secret in [("public", "whpk_" + b64(pair[32:])), ("private", "whsk_" + b64(pair))]:
        vectors.admitted(
            f"as in Svix's tests, {name} key", lines(value, at, id), documented, id, None, now=at, secrets=[secret]
        )
    return vectors


def main() -> int:
    # They need what is defined above.
    import coded
    import published
    from questions import ask
    from standardset import standard_vectors as of_others

    here = Path(__file__).parent
    all_vectors = [
        hmac_vectors(),
        github_vectors(),
        shopify_vectors(),
        stripe_vectors(),
        slack_vectors(),
        standard_vectors("standard-webhooks", "webhook"),
        standard_vectors("svix", "svix"),
        *of_others(),
        *coded.all_vectors(),
        *published.all_vectors(),
    ]
    ask({vectors.provider: vectors for vectors in all_vectors})
    outdated = []
    for vectors in all_vectors:
        path = here / f"{vectors.provider}.json"
        if "--check" not in sys.argv:
            path.write_text(vectors.text(), encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != vectors.text():
            outdated.append(path.name)
    if outdated:
        print(f"not as generate.py writes them: {', '.join(outdated)}", file=sys.stderr)
    return 1 if outdated else 0


if __name__ == "__main__":
    sys.exit(main())

"""The standard set of vectors of each sender in `senders.py`: what it sends, and what must not be taken for that."""

import base64
import datetime
import hashlib
import json
import re
import urllib.parse

import publickeys
from generate import FORM, JSON, NOW, Vectors, b64, ed25519_sign, hmac_of
from senders import SENDERS, URL

WEAKER = {
    "hmac-sha512": "hmac-sha256",
    "hmac-sha256": "hmac-sha1",
    "hmac-sha1": "hmac-md5",
    "sha256": "sha1",
    "sha1": "md5",
    "rsa-sha256": "rsa-sha1",
    "rsa-sha1": "hmac-sha1",
    "ecdsa-p256": "hmac-sha256",
    "ed25519": "hmac-sha512",
}
SECONDS_OF_OFFSETS = {"Z": 0, "-08:00": -8 * 3600}
DIGESTS = {"hmac-sha1": "sha1", "hmac-sha256": "sha256", "hmac-sha512": "sha512"}


class Secret:
    """A secret of a sender, by its number: what is configured, and what signs."""

    def __init__(self, sender, number):
        digest = hashlib.sha512(f"{sender.name} {number}".encode()).digest()
        text, long = digest.hex(), b64(digest[:32])
        kinds = {
            "hex": text[:64],
            "HEX": text[:64].upper(),
            "short": text[:40],
            "SHORT": b64(digest[:36]).replace("/", "_").replace("+", "-"),
        }
        self.number, self.seed = number, digest[:32]
        self.private = int.from_bytes(self.seed, "big") % publickeys.ORDER
        self.text = {
            "ed25519": lambda: ed25519_sign(self.seed, b"")[0].hex(),
            "ecdsa-p256": lambda: b64(publickeys.p256_public(self.private)),
            "rsa-sha1": lambda: publickeys.pem(publickeys.rsa_public(number)),
            "rsa-sha256": lambda: publickeys.pem(publickeys.rsa_public(number)),
        }.get(sender.algorithm, lambda: sender.secret.format(base64=long, **kinds))()
        self.key = self.as_key(sender.key)

    def as_key(self, kind) -> bytes:
        match kind:
            case "text":
                return self.text.encode()
            case "hex":
                return bytes.fromhex(self.text)
            case "base64":
                return base64.b64decode(self.text)
            case "whsec":
                return base64.b64decode(self.text.removeprefix("whsec_"))

    def sign(self, algorithm: str, content: bytes, suffix: str) -> bytes:
        key = self.key + suffix.encode()
        match algorithm:
            case "ed25519":
                return ed25519_sign(self.seed, content)[1]
            case "ecdsa-p256":
                return publickeys.p256_sign(self.private, content)
            case "rsa-sha1" | "rsa-sha256":
                return publickeys.rsa_sign(self.number, content, algorithm.removeprefix("rsa-"))
            case "sha1" | "sha256" | "sha512" | "md5":
                return hashlib.new(algorithm, content).digest()
            case _:
                return hmac_of(key, content, algorithm.removeprefix("hmac-"))


def encoded(written: str, signature: bytes) -> str:
    match written:
        case "hex":
            return signature.hex()
        case "base64":
            return b64(signature)
        case "base64url":
            return base64.urlsafe_b64encode(signature).decode().rstrip("=")


class Sending:
    """Requests of a sender, right ones and such as differ from them in one thing."""

    def __init__(self, sender):
        self.sender = sender
        self.secret, self.other_secret = Secret(sender, 1), Secret(sender, 2)
        self.body = sender.body.encode()

    def time(self, at: int) -> str:
        match self.sender.unit:
            case "s":
                return str(at)
            case "ms":
                return str(at * 1000)
            case "http-date":
                return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
            case offset:
                zone = datetime.timezone(datetime.timedelta(seconds=SECONDS_OF_OFFSETS[offset]))
                return datetime.datetime.fromtimestamp(at, zone).strftime("%Y-%m-%dT%H:%M:%S") + offset

    def content(self, body, *, signs, time, id, url, method, secret) -> bytes:
        fixed = {"body": body, "time": time, "id": id, "url": url or "", "method": method, "secret": secret.key}
        form = dict(urllib.parse.parse_qsl(body.decode())) if "{form:" in signs else {}
        pieces = []
        for piece in re.split(r"(\{[^}]*\})", signs):
            name = piece[1:-1]
            value = piece if piece[:1] != "{" else form[name[5:]] if name.startswith("form:") else fixed[name]
            pieces.append(value if isinstance(value, bytes) else value.encode())
        return b"".join(pieces)

    def signature(self, body=None, *, secret=None, algorithm=None, **others) -> str:
        """The signature as it is written, without what surrounds it."""
        sender, secret = self.sender, secret or self.secret
        defaults = {"signs": sender.signs, "time": self.time(NOW), "id": "msg_1", "url": sender.url, "method": "POST"}
        suffix = others.pop("suffix", sender.suffix)
        content = self.content(self.body if body is None else body, secret=secret, **(defaults | others))
        return encoded(sender.written, secret.sign(algorithm or sender.algorithm, content, suffix))

    def value(self, signature: str, *, time=None, label=None, prefix=None) -> str:
        """The value of the header that a signature is in."""
        sender = self.sender
        time = self.time(NOW) if time is None else time
        if sender.plain:
            return f"{sender.first_prefix}{time}{sender.separator}{signature}"
        if not sender.label:
            return (sender.prefix if prefix is None else prefix) + signature
        first = f"{sender.time_label}{sender.assign}{time}{sender.separator}" if sender.time_label else ""
        return f"{first}{label or sender.label}{sender.assign}{signature}"

    def lines(self, value: str, *, time=None, id="msg_1", place=None, media=None) -> list:
        """All headers; that of the signature is the last of those that are looked at."""
        sender = self.sender
        lines = [(sender.id_header, id)] if sender.id_header else []
        lines += [(sender.time, self.time(NOW) if time is None else time)] if sender.time else []
        lines += list(sender.require.items())
        return [*lines, (place or sender.place, value), *self.rest(media)]

    def rest(self, media=None) -> list:
        typed = [(self.sender.type_header, self.sender.type)] if self.sender.type_header else []
        return [("content-type", media or self.sender.media), *typed, *self.sender.unsigned.items()]

    def sent(self, body=None, *, at=NOW, secret=None, media=None) -> list:
        time = self.time(at)
        signature = self.signature(body, secret=secret, time=time)
        return self.lines(self.value(signature, time=time), time=time, media=media)

    def with_value(self, value: str) -> list:
        return self.lines(value)


def verdict(sender, body: bytes, media: str) -> tuple:
    """Identity, type and the reason for a quarantine: what becomes of a body whose signature is right."""
    type = sender.type if sender.type_header else None
    identity = "msg_1" if sender.id_header else None
    if media == "application/xml":
        return None, type, None
    if media == FORM[1]:
        form = dict(urllib.parse.parse_qsl(body.decode()))
        if sender.name == "travis":
            return form.get("payload"), type, None
        return identity, form.get("action") if sender.name == "acuity" else type, None
    try:
        document = json.loads(body)
    except ValueError:
        return None, type, "not_json"
    if isinstance(document, list) and not sender.arrays:
        return None, type, "not_json"
    if body == sender.body.encode() and media == sender.media:
        return "msg_1" if sender.id_header else sender.id, sender.type, None
    if sender.id is not None:
        return None, type, "missing_id"
    return identity, type, None


def tampered(body: bytes) -> bytes:
    """The body with its last letter or digit changed."""
    at = max(at for at, byte in enumerate(body) if chr(byte).isalnum() and byte < 128)
    return body[:at] + (b"7" if body[at : at + 1] != b"7" else b"8") + body[at + 1 :]


def without(lines, name):
    return [line for line in lines if line[0] != name]


def replaced(lines, name, value):
    return [(it, value if it == name else was) for it, was in lines]


def signed_vectors(sender) -> Vectors:
    sending = Sending(sender)
    secrets = [sending.secret.text]
    other, both = [sending.other_secret.text], [sending.secret.text, sending.other_secret.text]
    vectors = Vectors(sender.name, secrets, url=sender.url)
    body, good = sending.body, sending.sent()
    signature = sending.signature()
    place, varies = sender.place, sender.algorithm in ("ecdsa-p256", "rsa-sha1", "rsa-sha256")

    def admitted(name, lines, body=body, media=sender.media, **others):
        vectors.admitted(name, lines, body, *verdict(sender, body, media), **others)

    def refused(name, lines, reason="wrong_signature", body=body, **others):
        vectors.refused(name, lines, body, reason, **others)

    def value(name, text, reason="malformed_signature"):
        refused(name, sending.with_value(text), reason)

    # What it sends.
    admitted("as sent", good)
    admitted("under the second secret", sending.sent(secret=sending.other_secret), secrets=both)
    if sender.unsigned:
        names = set(sender.unsigned)
        admitted("other unsigned headers are the same event", [(n, "other" if n in names else v) for n, v in good])
        admitted("no unsigned headers are the same event", [line for line in good if line[0] not in names])
    if sender.written == "hex":
        upper = sending.value(signature.upper())
        admitted("hex in upper case", sending.with_value(upper))
    for name, alias in sender.aliases.items():
        refused(f"{name} and {alias}", [*good, *[(alias, v) for n, v in good if n == name]], "ambiguous_signature")
    if sender.aliases:
        admitted("under the other names", [(sender.aliases.get(name, name), text) for name, text in good])
    for more in sender.more[:2]:
        wrong = sending.value(sending.signature(secret=sending.other_secret))
        right = sending.value(signature)
        admitted(f"the right one in {more}", [*sending.lines(wrong), (more, right)])
        admitted(f"only in {more}", sending.lines(right, place=more))
        refused(f"wrong ones in {place} and {more}", [*sending.lines(wrong), (more, wrong)])
        refused(f"{more} twice", [*good, (more, right), (more, right)], "ambiguous_signature")
        refused(f"an empty {more}", [*good, (more, "")], "missing_signature")
    if sender.media == JSON[1]:
        # What is verified and makes no sense is kept for a person to look at, unless its time cannot be read.
        for name, bad, reason in [
            ("a body that is not JSON", b"hello", "malformed_signature"),
            ("a body that is not UTF-8", b'{"id":"\xff"}', "malformed_signature"),
            ("an empty object", b"{}", "missing_signature"),
            ("an array", b"[]", "missing_signature"),
        ]:
            if sender.time_in_body:
                refused(name, sending.sent(bad), reason, bad)
            elif sender.name == "x" and bad == b"hello":
                # Its question has whoever asks get a signature of a token, so that no event is one.
                refused(name, sending.sent(bad), "wrong_signature", bad)
            else:
                admitted(name, sending.sent(bad), bad)
        again = json.dumps(json.loads(body), indent=1).encode()
        refused("the same JSON written otherwise", good, body=again)
        form = b"a=1&action=b+c"
        lines = sending.sent(form, media=FORM[1])
        if sender.forms:
            admitted("a form", lines, form, FORM[1])
        else:
            refused("a form", lines, "unsupported_type", form)

    # What was not sent so.
    refused("another body", good, body=tampered(body))
    if "{body}" in sender.signs:
        refused("a byte more", good, body=body + b" ")
        unreadable = sender.time_in_body
        refused("a byte less", good, "malformed_signature" if unreadable else "wrong_signature", body[:-1])
    refused("under another secret", sending.sent(secret=sending.other_secret))
    refused("under a secret that was retired", good, secrets=other)
    refused("no signature", without(good, place), "missing_signature")
    refused("an empty signature", replaced(good, place, ""), "missing_signature")
    refused("the signature twice", [*good, (place, sending.value(signature))], "ambiguous_signature")
    wrong = sending.value(sending.signature(secret=sending.other_secret))
    refused("a wrong and a right signature", [(place, wrong), *good], "ambiguous_signature")
    half = signature[: len(signature) // 8 * 4]
    value("half a signature", sending.value(half), "wrong_signature" if varies else "malformed_signature")
    value("another alphabet", sending.value(signature[:-4] + "%&!("))
    raw = sending.secret.sign(sender.algorithm, b"", "")
    if not varies:
        value("in another encoding", sending.value(encoded("base64" if sender.written == "hex" else "hex", raw)))
        value("a signature and more", sending.value(signature + signature[:4]))
    if sender.written == "base64" and signature.endswith("="):
        value("without padding", sending.value(signature.rstrip("=")))
    refused("no type", without(good, "content-type"), "unsupported_type")
    refused("compressed", [*good, ("content-encoding", "gzip")], "unsupported_encoding")
    refused("by another method", good, "method_not_allowed", method="PUT")

    # Weaker than what it signs with.
    weaker = sending.signature(algorithm=WEAKER[sender.algorithm])
    fits = varies or sender.algorithm == "ed25519"
    value("a weaker algorithm", sending.value(weaker), "wrong_signature" if fits else "malformed_signature")
    if not sender.is_public:
        plain = sending.signature(algorithm=DIGESTS.get(sender.algorithm, sender.algorithm), signs="{body}")
        value("a hash without a key", sending.value(plain), "wrong_signature")
    if "{secret}" in sender.signs:
        value("an HMAC", sending.value(sending.signature(algorithm=f"hmac-{sender.algorithm}")), "wrong_signature")
        turned = sender.signs.replace("{secret}", "")
        turned = turned + "{secret}" if sender.signs.startswith("{secret}") else "{secret}" + turned
        value("the secret at the other end", sending.value(sending.signature(signs=turned)), "wrong_signature")
    if sender.signs != "{body}":
        value("over the body only", sending.value(sending.signature(signs="{body}")), "wrong_signature")

    # The prefix, or the list.
    if sender.label:
        listed(sender, sending, value, admitted, signature)
    elif sender.plain:
        two = sending.value(f"{sending.signature(secret=sending.other_secret)}{sender.separator}{signature}")
        admitted("signed twice, the second known", sending.with_value(two))
        value("no time in it", signature)
        first = sender.first_prefix + sending.time(NOW)
        value("no signature in it", first)
        value("the signature before the time", f"{signature}{sender.separator}{first}")
        value("nine signatures", sending.value(sender.separator.join(["00" * 32] * 8 + [signature])))
        if sender.first_prefix:
            value("no prefix before the time", f"{sending.time(NOW)}{sender.separator}{signature}")
    elif sender.prefix:
        if sender.prefix_optional:
            admitted("no prefix", sending.with_value(signature))
        else:
            value("no prefix", signature)
        twisted = {"sha256=": "sha1=", "sha1=": "sha256=", "v0=": "v1=", "HMAC ": "Bearer "}[sender.prefix]
        value(f"prefixed {twisted.strip()}", twisted + signature)
        value("a weaker algorithm under its own prefix", twisted + weaker)
        value("the prefix twice", sender.prefix + sending.value(signature))
        value("two signatures in one line", f"{sending.value(signature)},{sending.value(signature)}")
    else:
        value("a prefix that is not its", "sha256=" + signature)
        value("labelled v1", f"t={NOW},v1={signature}")

    # The key.
    for kind, what in [
        ("text", "the secret's text"),
        ("base64", "the decoded secret"),
        ("whsec", "the decoded secret"),
    ]:
        looks = kind == "text" or "{base64}" in sender.secret and kind == sender.key.replace("text", "base64")
        if kind != sender.key and looks and not sender.is_public:
            keyed = Secret(sender, 1)
            text = keyed.text if kind == "text" else keyed.text.rsplit("_", 1)[-1]
            keyed.key = text.encode() if kind == "text" else base64.b64decode(text)
            value(f"keyed with {what}", sending.value(sending.signature(secret=keyed)), "wrong_signature")
    if sender.suffix:
        value(f"keyed without {sender.suffix}", sending.value(sending.signature(suffix="")), "wrong_signature")
    if sender.is_public:
        keyed = sending.signature(algorithm="hmac-sha256" if varies else "hmac-sha512")
        value("an HMAC keyed with the public key", sending.value(keyed), "wrong_signature")

    if sender.signs_time:
        timed(sender, sending, vectors, admitted, refused)
    if sender.id_header:
        name = sender.id_header
        refused("another id", sending.lines(sending.value(signature), id="msg_2"))
        refused(f"no {name}", without(good, name), "missing_signature")
        refused(f"an empty {name}", replaced(good, name, ""), "missing_signature")
        refused(f"{name} twice", [(name, "msg_1"), *good], "ambiguous_signature")
        dotted = sending.value(sending.signature(id="msg.1"))
        refused("an id with a dot", sending.lines(dotted, id="msg.1"), "malformed_signature")
    for name, right in sender.require.items():
        refused(f"no {name}", without(good, name), "missing_signature")
        refused(
            f"another {name}", replaced(good, name, right.replace("256", "1").replace("1", "2")), "malformed_signature"
        )
        refused(f"{name} twice", [(name, right), *good], "ambiguous_signature")
    if sender.url:
        located(sender, sending, admitted, refused, value, good)
    TRAPS.get(sender.name, lambda *_: None)(sending, vectors, admitted, refused, value)
    return vectors


def listed(sender, sending, value, admitted, signature):
    """What only lists can be."""
    assign, separator, label = sender.assign, sender.separator, sender.label
    wrong = sending.signature(secret=sending.other_secret)
    good = sending.value(signature)
    other = "v1" if label == "v0" else "v0"

    def also(text):
        return separator + text

    element = f"{label}{assign}{signature}"
    admitted("signed twice, the second known", sending.with_value(sending.value(wrong) + also(element)))
    admitted("signed twice, the first known", sending.with_value(good + also(f"{label}{assign}{wrong}")))
    admitted("an element that is not known", sending.with_value(f"x{assign}y{separator}{good}"))
    if separator != " ":
        spaced = good.replace(separator, separator.strip() + " ")
        admitted("spaces between elements", sending.with_value(spaced))
        value("another separator", good + (";" if separator[0] == "," else ",") + f"x{assign}y")
    value("signed twice, none known", sending.value(wrong) + also(f"{label}{assign}{wrong}"), "wrong_signature")
    value(f"only {other}", sending.value(signature, label=other))
    value(
        f"{other} is right and {label} is not",
        sending.value(wrong) + also(f"{other}{assign}{signature}"),
        "wrong_signature",
    )
    value("no label", good.replace(element, signature))
    value(
        "nine signatures",
        sending.value(encoded(sender.written, bytes(32))) + also(f"{label}{assign}{wrong}") * 7 + also(element),
    )
    if sender.time_label:
        time = f"{sender.time_label}{assign}{sending.time(NOW)}"
        value("no time in it", element)
        value("an empty time", sending.value(signature, time=""))
        value("no signature in it", time)
        value("the time twice", f"{time}{separator}{good}", "ambiguous_signature")
        admitted("in another order", sending.with_value(f"{element}{separator}{time}"))


def timed(sender, sending, vectors, admitted, refused):
    """What a signed time is for."""
    good, past, future = sending.sent(), sender.past, sender.future
    admitted(f"{past} s later", good, now=NOW + past)
    admitted(f"{future} s early", good, now=NOW - future)
    refused(f"{past + 1} s later", good, "stale", now=NOW + past + 1)
    refused("a year later", good, "stale", now=NOW + 31_536_000)
    refused(f"{future + 1} s early", good, "from_the_future", now=NOW - future - 1)
    refused("a year early", good, "from_the_future", now=NOW - 31_536_000)
    refused("signed for the year 1970", sending.sent(at=0), "stale")
    old = sending.signature(time=sending.time(NOW - 2 * past))
    refused("an old signature with a fresh time", sending.with_value(sending.value(old)))
    if sender.time:
        name = sender.time
        refused(f"no {name}", without(good, name), "missing_signature")
        refused(f"an empty {name}", replaced(good, name, ""), "missing_signature")
        refused(f"{name} twice", [(name, sending.time(NOW)), *good], "ambiguous_signature")

    def written(name, time, reason):
        value = sending.value(sending.signature(time=time), time=time)
        refused(name, sending.lines(value, time=time), reason)

    now = sending.time(NOW)
    match sender.unit:
        case "s":
            written("a time in milliseconds", f"{NOW}000", "from_the_future")
        case "ms":
            written("a time in seconds", str(NOW), "stale")
        case "http-date":
            written("a time in seconds", str(NOW), "malformed_signature")
            written("a time as RFC 3339 has it", "2026-11-24T00:00:00Z", "malformed_signature")
            written("a time in another zone", now.replace("GMT", "+0000"), "malformed_signature")
            written("a time on the wrong weekday", now.replace("Tue", "Wed"), "malformed_signature")
        case _:
            written("a time in seconds", str(NOW), "malformed_signature")
            written("a time without an offset", now[:19], "malformed_signature")
    written("a time with a sign", f"+{now}", "malformed_signature")
    written("a time with a space", f"{now[:4]} {now[4:]}", "malformed_signature")
    if sender.unit in ("s", "ms"):
        written("a time with a fraction", f"{now}.0", "malformed_signature")


def located(sender, sending, admitted, refused, value, good):
    """What a signed URL is for. The configured one counts, whatever a proxy makes of the path."""
    url = sender.url
    for name, other in [
        ("for another URL", URL.format("other")),
        ("for the URL with a slash more", url + "/"),
        ("for the URL by http", url.replace("https:", "http:")),
        ("for the URL with a query that was not called", url + "?a=1"),
        ("for the path only", "/in/" + sender.name),
        ("without the URL", ""),
    ]:
        value(name, sending.value(sending.signature(url=other)), "wrong_signature")
    refused("another URL is configured", good, url=url + "/")
    asked = sending.with_value(sending.value(sending.signature(url=url + "?a=1&b=%2F")))
    target = f"/hooks/{sender.name}?a=1&b=%2F"
    admitted("with the query that was called", asked, target=target)
    admitted("with the query that is configured", asked, url=url + "?a=1&b=%2F")
    refused("with a query that is not signed", good, target=target)
    refused("with another query", asked, target=target.replace("1", "2"))
    admitted("at another path behind a proxy", good, target="/somewhere/else")
    admitted(
        "the host that is called decides nothing", [*good, ("host", "other.dev"), ("x-forwarded-host", "other.dev")]
    )
    if "{method}" in sender.signs:
        value("for another method", sending.value(sending.signature(method="PUT")), "wrong_signature")


def token_vectors(sender) -> Vectors:
    """A shared token: nothing of what comes with it is covered."""
    secret, other = Secret(sender, 1).text, Secret(sender, 2).text
    vectors = Vectors(sender.name, [secret])
    kind, _, name = sender.place.rpartition(":")
    body = sender.body
    typed = [(sender.type_header, sender.type)] if sender.type_header else []
    rest = [("content-type", sender.media), *typed, *sender.unsigned.items()]

    def written(token):
        return sender.prefix + (b64(token.encode()) if sender.written == "base64" else token)

    def request(value):
        """Headers, body and target of a request with this value where the token is."""
        match kind:
            case "query":
                query = urllib.parse.urlencode({name: value}) if value is not None else "x=1"
                return rest, body, {"target": f"/hooks/{sender.name}?{query}"}
            case "field":
                field = f'"{name}":"%TOKEN%"'
                return rest, body.replace(f"{field},", "") if value is None else body.replace("%TOKEN%", value), {}
            case _:
                return ([(name, value)] if value is not None else []) + rest, body, {}

    def admitted(case, made, **others):
        lines, text, places = made
        vectors.admitted(case, lines, text, sender.id, sender.type, **places, **others)

    def refused(case, made, reason="wrong_signature", **others):
        lines, text, places = made
        vectors.refused(case, lines, text, reason, **places, **others)

    good = request(written(secret))
    admitted("as sent", good)
    admitted("under the second secret", request(written(other)), secrets=[secret, other])
    if sender.unsigned:
        names = set(sender.unsigned)
        changed = [(it, "other" if it in names else value) for it, value in good[0]]
        admitted("other unsigned headers are the same event", (changed, *good[1:]))
    refused("another token", request(written(other)))
    refused("a token that was retired", good, secrets=[other])
    refused("half a token", request(written(secret[: len(secret) // 2])))
    refused("half of the value", request(written(secret)[: len(sender.prefix) + 12]))
    refused("a token and more", request(written(secret + "0")))
    refused("the token in other letters", request(written(secret.swapcase())))
    refused("its hash", request(written(hashlib.sha256(secret.encode()).hexdigest())))
    refused("an HMAC of the body", request(written(hmac_of(secret.encode(), body.encode()).hex())))
    refused("no token", request(None), "missing_signature")
    refused("an empty token", request(""), "missing_signature")
    refused("a token of 1025 bytes", request(written("0" * 1025)), "malformed_signature")
    lines, text, places = good
    match kind:
        case "query":
            target = places["target"]
            twice, value = f"{target}&{name}={secret}", target.partition("=")[2]
            refused("the token twice", (lines, text, {"target": twice}), "ambiguous_signature")
            refused(
                "a wrong and a right token",
                (lines, text, {"target": twice.replace("?", f"?{name}=x&")}),
                "ambiguous_signature",
            )
            escaped = target.replace(value, "".join(f"%{ord(c):02x}" for c in value))
            admitted("the token escaped", (lines, text, {"target": escaped}))
            refused(
                "a token that cannot be read", (lines, text, {"target": target[:-1] + "%zz"}), "malformed_signature"
            )
            refused("only in a header", ([(name, secret), *lines], text, {}), "missing_signature")
            named = target.replace(f"{name}=", f"{name.upper()}=")
            refused("under another name", (lines, text, {"target": named}), "missing_signature")
        case "field":
            twice = text.replace(f'"{name}"', f'"{name}":"{secret}","{name}"', 1)
            refused("the token twice", (lines, twice, {}), "malformed_signature")
            nested = text.replace(f'"{name}":"{secret}"', f'"in":{{"{name}":"{secret}"}}')
            refused("the token deeper", (lines, nested, {}), "missing_signature")
            refused("a list of tokens", (lines, text.replace(f'"{secret}"', f'["{secret}"]'), {}), "missing_signature")
            refused(
                "only in a header", ([(name, secret), *request(None)[0]], request(None)[1], {}), "missing_signature"
            )
            refused("not JSON", (lines, f"{name}={secret}", {}), "malformed_signature")
        case _:
            refused("the token twice", ([lines[0], *lines], text, places), "ambiguous_signature")
            refused(
                "a wrong and a right token", ([(name, written(other)), *lines], text, places), "ambiguous_signature"
            )
            query = {"target": f"/hooks/{sender.name}?{name}={secret}&token={secret}"}
            refused("only in the query", (lines[1:], text, query), "missing_signature")
            if sender.prefix:
                refused("no prefix", request(written(secret)[len(sender.prefix) :]), "malformed_signature")
                twisted = "Bearer " if sender.prefix == "Basic " else "Basic "
                refused(
                    "another scheme", request(twisted + written(secret)[len(sender.prefix) :]), "malformed_signature"
                )
                refused("the prefix only", request(sender.prefix), "malformed_signature")
            else:
                refused("a prefix that is not its", request("Bearer " + secret))
            if sender.written == "base64":
                refused("not in base64", request(sender.prefix + secret), "malformed_signature")
                user, _, password = secret.partition(":")
                refused("another user", request(written(f"other:{password}")))
                refused("no password", request(written(f"{user}:")))
    refused("no type", ([line for line in lines if line[0] != "content-type"], text, places), "unsupported_type")
    refused("compressed", ([*lines, ("content-encoding", "gzip")], text, places), "unsupported_encoding")
    # What a token does not do.
    if sender.media == JSON[1]:
        wide = text.replace("{", '{"added":1,', 1)
        admitted("another body under the same token", (lines, wide, places))
    else:
        admitted(
            "another body under the same token", (lines, text + ("&a=1" if sender.media == FORM[1] else "\n"), places)
        )
    admitted("a year later", good, now=NOW + 31_536_000)
    return vectors


def mailgun_vectors() -> Vectors:
    """A time and a token are signed, both in the body; the event is not."""
    digest = hashlib.sha512(b"mailgun 1").digest().hex()
    secret, other = digest[:32], digest[64:96]
    vectors = Vectors("mailgun", [secret])
    token = "a8ce0edb2dd8301dee6c2405235584e45aa91d1e9f979f3de0"

    def mac(content, key=secret, algorithm="sha256"):
        return hmac_of(key.encode(), content.encode(), algorithm).hex()

    def body(signature, time=f'"{NOW}"', token=token, event="opened", more=""):
        signed = f'"token":"{token}","timestamp":{time},"signature":"{signature}"{more}'
        return f'{{"signature":{{{signed}}},"event-data":{{"event":"{event}","id":"Ase7i2zs","recipient":"zoe@acme.dev"}}}}'

    right = mac(f"{NOW}{token}")

    def admitted(name, text, event="opened", **others):
        vectors.admitted(name, [JSON], text, token, event, **others)

    def refused(name, text, reason="wrong_signature", lines=(JSON,), **others):
        vectors.refused(name, list(lines), text, reason, **others)

    good = body(right)
    admitted("as sent", good)
    admitted("the time as a number", body(right, time=str(NOW)))
    admitted("under the second secret", body(mac(f"{NOW}{token}", other)), secrets=[secret, other])
    admitted("hex in upper case", body(right.upper()))
    admitted("a signature of a subaccount beside it", body(right, more=',"parent-signature":{"token":"x"}'))
    admitted("another event under the same signature is the same event", body(right, event="failed"), "failed")
    refused("another body", good.replace(token, token[::-1]))
    refused("under another secret", body(mac(f"{NOW}{token}", other)))
    refused("under a secret that was retired", good, secrets=[other])
    refused("no signature", good.replace(f',"signature":"{right}"', ""), "missing_signature")
    refused("an empty signature", body(""), "missing_signature")
    refused("the signature twice", body(right, more=f',"signature":"{right}"'), "malformed_signature")
    refused("a wrong and a right signature", body("0" * 64, more=f',"signature":"{right}"'), "malformed_signature")
    refused("half a signature", body(right[:32]), "malformed_signature")
    refused("another alphabet", body(right[:-4] + "%&!("), "malformed_signature")
    refused("in another encoding", body(b64(bytes.fromhex(right))), "malformed_signature")
    refused("a signature and more", body(right + "00"), "malformed_signature")
    refused("a weaker algorithm", body(mac(f"{NOW}{token}", algorithm="sha1")), "malformed_signature")
    refused("a hash without a key", body(hashlib.sha256(f"{NOW}{token}".encode()).hexdigest()))
    refused("over the token only", body(mac(token)))
    refused("over the time only", body(mac(str(NOW))))
    refused("the token before the time", body(mac(f"{token}{NOW}")))
    refused(
        "only in a header",
        good.replace(f',"signature":"{right}"', ""),
        "missing_signature",
        [("signature", right), JSON],
    )
    refused("no time", good.replace(f',"timestamp":"{NOW}"', ""), "missing_signature")
    refused("an empty time", body(right, time='""'), "missing_signature")
    refused("no token", good.replace(f'"token":"{token}",', ""), "missing_signature")
    # Both are signed as one text: a digit moved from one to the other is the same text, and so is another time.
    moved = f"{NOW}{token}"
    refused("a digit moved from the time to the token", body(right, time=f'"{moved[:9]}"', token=moved[9:]), "stale")
    admitted("300 s later", good, now=NOW + 300)
    admitted("300 s early", good, now=NOW - 300)
    refused("301 s later", good, "stale", now=NOW + 301)
    refused("301 s early", good, "from_the_future", now=NOW - 301)
    refused("a year later", good, "stale", now=NOW + 31_536_000)
    refused("an old signature with a fresh time", body(mac(f"{NOW - 600}{token}")))
    refused("a time with a sign", body(mac(f"+{NOW}{token}"), time=f'"+{NOW}"'), "malformed_signature")
    refused("a time in milliseconds", body(mac(f"{NOW}000{token}"), time=f"{NOW}000"), "from_the_future")
    refused("not JSON", "hello", "malformed_signature")
    refused("a key twice", good.replace("{", '{"a":1,"a":2,', 1), "malformed_signature")
    form = urllib.parse.urlencode({"token": token, "timestamp": NOW, "signature": right, "event": "opened"})
    refused("a form", form, "unsupported_type", [FORM])
    refused("no type", good, "unsupported_type", [])
    refused("compressed", good, "unsupported_encoding", [JSON, ("content-encoding", "gzip")])
    return vectors


# What only some senders are: see the traps that the documentation of each warns of, or falls into.


def sha1_of_github(sending, vectors, admitted, refused, value):
    old = ("x-hub-signature", "sha1=" + sending.signature(algorithm="hmac-sha1"))
    refused("only the old header", [old, *sending.rest()], "missing_signature")
    admitted("the old header beside the new", [old, *sending.sent()])
    value("the old value in the new header", old[1])


def header_of_github(sending, vectors, admitted, refused, value):
    lines = [("x-hub-signature-256", "sha256=" + sending.signature(algorithm="hmac-sha256")), *sending.rest()]
    refused("only GitHub's header", lines, "missing_signature")


def linear(sending, vectors, admitted, refused, value):
    good = sending.sent()
    admitted("60 s later", good, now=NOW + 60)
    admitted("60 s early", good, now=NOW - 60)
    refused("61 s later", good, "stale", now=NOW + 61)
    refused("61 s early", good, "from_the_future", now=NOW - 61)
    later = replaced(good, "linear-timestamp", f"{NOW + 600}000")
    refused("a fresh time in the header that is not signed", later, "stale", now=NOW + 600)
    for name, time, reason in [
        ("a fraction", f"{NOW}000.5", "missing_signature"),
        ("null", "null", "missing_signature"),
        ("in seconds", str(NOW), "stale"),
        ("with a sign", f"-{NOW}000", "malformed_signature"),
    ]:
        bad = sending.body.replace(f"{NOW}000".encode(), time.encode())
        refused(f"a time that is {name}", sending.sent(bad), reason, bad)
    bad = b'{"type":"Comment"}'
    refused("no time", sending.sent(bad), "missing_signature", bad)
    bad = sending.body.replace(b"{", b'{"webhookTimestamp":1,', 1)
    refused("the time twice", sending.sent(bad), "malformed_signature", bad)


def infisical(sending, vectors, admitted, refused, value):
    good, past = sending.sent(), sending.sender.past
    admitted(f"{past} s later", good, now=NOW + past)
    admitted(f"{past} s early", good, now=NOW - past)
    refused(f"{past + 1} s later", good, "stale", now=NOW + past + 1)
    refused(f"{past + 1} s early", good, "from_the_future", now=NOW - past - 1)
    fresh = sending.value(sending.signature(), time=f"{NOW + 2 * past}000")
    refused("a fresh time in the header that is not signed", sending.lines(fresh), "stale", now=NOW + 2 * past)
    for name, time, reason in [("a text", '""', "missing_signature"), ("in seconds", str(NOW), "stale")]:
        bad = sending.body.replace(f"{NOW}000".encode(), time.encode())
        refused(f"a time that is {name}", sending.sent(bad), reason, bad)


def sentry(sending, vectors, admitted, refused, value):
    for name, time in [("1970", "0"), ("2099", "4070908800")]:
        lines = replaced(sending.sent(), "sentry-hook-timestamp", time)
        admitted(f"the time of {name} in a header that is not signed", lines)
    timed_too = sending.signature(signs="{time}.{body}")
    value("over a time and the body", sending.value(timed_too), "wrong_signature")


def openai(sending, vectors, admitted, refused, value):
    bare = Secret(sending.sender, 1)
    bare.text = bare.text.removeprefix("whsec_")
    bare.key = bare.text.encode()
    as_text = sending.lines(sending.value(sending.signature(secret=bare)))
    admitted("a secret without its prefix is text", as_text, secrets=[bare.text])
    refused("a secret without its prefix is not decoded", sending.sent(), secrets=[bare.text])
    only_v1(sending, vectors, admitted, refused, value)


def polar(sending, vectors, admitted, refused, value):
    text = "whsec_" + Secret(sending.sender, 2).text[-44:]
    keyed = Secret(sending.sender, 1)
    keyed.text, keyed.key = text, text.encode()
    lines = sending.lines(sending.value(sending.signature(secret=keyed)))
    admitted("a secret that begins with whsec_ is text too", lines, secrets=[text])
    only_v1(sending, vectors, admitted, refused, value)


def only_v1(sending, vectors, admitted, refused, value):
    seed = hashlib.sha256(b"hookward vectors").digest()
    content = f"msg_1.{NOW}.".encode() + sending.body
    public, signature = ed25519_sign(seed, content)
    value("v1a", "v1a," + b64(signature))
    value("v1 keyed with a public key", "v1," + b64(hmac_of(public, content)), "wrong_signature")


def gitlab(sending, vectors, admitted, refused, value):
    only_v1(sending, vectors, admitted, refused, value)
    token = [("x-gitlab-token", sending.secret.text), *sending.rest()]
    refused("only the secret token", token, "missing_signature")


def hubspot(sending, vectors, admitted, refused, value):
    old = hashlib.sha256(sending.secret.key + sending.body).hexdigest()
    for version in ["v1", "v2"]:
        lines = [("x-hubspot-signature", old), ("x-hubspot-signature-version", version), *sending.rest()]
        refused(f"only {version}", lines, "missing_signature")
    value("v1 in the header of v3", old)
    admitted("v1 beside v3", [("x-hubspot-signature", old), ("x-hubspot-signature-version", "v1"), *sending.sent()])


def hubspot_version(sending, vectors, admitted, refused, value):
    for version in ["v1", "v2", "v3"]:
        admitted(f"a header that says {version}", [("x-hubspot-signature-version", version), *sending.sent()])
    others = {
        "{secret}{body}": f"{{secret}}{{method}}{URL.format('hubspot-v1')}{{body}}",
        "{secret}{method}{url}{body}": "{secret}{body}",
    }
    other = sending.value(sending.signature(signs=others[sending.sender.signs]))
    said = "v1" if sending.sender.url else "v2"
    refused(f"as {said} signs, and said so", [("x-hubspot-signature-version", said), *sending.with_value(other)])


def line(sending, vectors, admitted, refused, value):
    empty = b'{"destination":"U0","events":[]}'
    admitted_other(sending, vectors, "the Verify button", empty)


def xero(sending, vectors, admitted, refused, value):
    intent = b'{"events":[],"lastEventSequence":0,"firstEventSequence":0,"entropy":"S0m3r4nd0mt3xt"}'
    admitted_other(sending, vectors, "the intent to receive", intent)
    wrong = sending.sent(intent, secret=sending.other_secret)
    refused("the intent to receive with a wrong signature", wrong, "wrong_signature", intent)


def admitted_other(sending, vectors, name, body):
    vectors.admitted(name, sending.sent(body), body)


def meta(sending, vectors, admitted, refused, value):
    sha1_of_github(sending, vectors, admitted, refused, value)
    if b"\\u" in sending.body:
        letters = json.dumps(json.loads(sending.body), ensure_ascii=False, separators=(",", ":"))
        refused("letters in place of what was escaped", sending.sent(), body=letters.encode())


def box(sending, vectors, admitted, refused, value):
    lines = replaced(sending.sent(), "box-signature-version", "2")
    refused("version 2", lines, "malformed_signature")
    both = [sending.secret.text, sending.other_secret.text]
    second = sending.value(sending.signature(secret=sending.other_secret))
    pair = [*sending.sent(), ("box-signature-secondary", second)]
    admitted("both keys, both headers", pair, secrets=both)
    admitted("the second key only", pair, secrets=both[1:])
    refused(
        "the time of the signature before the body",
        sending.with_value(sending.value(sending.signature(signs="{time}{body}"))),
    )


def cloudinary(sending, vectors, admitted, refused, value):
    value("the time before the body", sending.value(sending.signature(signs="{time}{body}{secret}")), "wrong_signature")
    value("without the time", sending.value(sending.signature(signs="{body}{secret}")), "wrong_signature")
    other = {"sha1": "sha256", "sha256": "sha1"}[sending.sender.algorithm]
    value(f"{other} of the same", sending.value(sending.signature(algorithm=other)))


def sendgrid(sending, vectors, admitted, refused, value):
    refused("without the line break at its end", sending.sent(), body=sending.body.rstrip())
    r_and_s = b64(bytes(32) + bytes([1]) * 32)
    value("a signature that is not DER", sending.value(r_and_s), "wrong_signature")


def wise(sending, vectors, admitted, refused, value):
    old = [("x-signature", sending.signature(algorithm="rsa-sha1")), *without(sending.rest(), "x-signature")]
    refused("only the old header", old, "missing_signature")


def travis(sending, vectors, admitted, refused, value):
    """Only a field is signed: the rest of the form is anyone's."""
    more = sending.body + b"&added=1"
    payload = urllib.parse.parse_qs(sending.body.decode())["payload"][0]
    vectors.admitted("a field that is not signed makes it no other event", sending.sent(), more, payload, None)
    twice = sending.body + b"&payload=x"
    refused("the signed field twice", sending.sent(), "missing_signature", twice)
    refused("no signed field", sending.sent(), "missing_signature", b"other=1")
    refused("an empty signed field", sending.sent(), "missing_signature", b"payload=")
    vectors.admitted(
        "the signed field escaped otherwise", sending.sent(), sending.body.replace(b"a+b", b"a%20b"), payload, None
    )
    value("over the form", sending.value(sending.signature(signs="{body}")), "wrong_signature")
    text = urllib.parse.parse_qs(sending.body.decode())["payload"][0].encode()
    lines = replaced(sending.sent(), "content-type", JSON[1])
    refused("the field as the body", lines, "missing_signature", text)


def revolut(sending, vectors, admitted, refused, value):
    value("without the version", sending.value(sending.signature(signs="{time}.{body}")), "wrong_signature")


def discord(sending, vectors, admitted, refused, value):
    high = bytes.fromhex(sending.signature())
    order = 2**252 + 27742317777372353535851937790883648493
    high = high[:32] + (int.from_bytes(high[32:], "little") + order).to_bytes(32, "little")
    value("a signature written otherwise", high.hex(), "wrong_signature")


def xml_of_recurly(sending, vectors, admitted, refused, value):
    xml = b"<?xml version='1.0'?><closed_account_notification/>"
    refused("XML", sending.sent(xml, media="application/xml"), "unsupported_type", xml)


def mollie(sending, vectors, admitted, refused, value):
    classic = b"id=tr_d0b0E3EA3v"
    refused("a webhook of a payment, without a signature", [("content-type", FORM[1])], "unsupported_type", classic)


def docusign(sending, vectors, admitted, refused, value):
    xml = b"<DocuSignEnvelopeInformation/>"
    refused("XML", sending.sent(xml, media="text/xml"), "unsupported_type", xml)
    right, wrong = sending.signature(), sending.signature(secret=sending.other_secret)
    lines = [*sending.lines(wrong), *[(f"x-docusign-signature-{number}", wrong) for number in range(2, 10)]]
    admitted("the tenth of ten", [*lines, ("x-docusign-signature-10", right)])
    lines = [*sending.lines(wrong), ("x-docusign-signature-11", right)]
    refused("the eleventh is not looked at", lines)


TRAPS = {
    "meta": meta,
    "whatsapp": meta,
    "instagram": meta,
    "bitbucket": header_of_github,
    "bitbucket-data-center": header_of_github,
    "jira": header_of_github,
    "intercom": header_of_github,
    "linear": linear,
    "infisical": infisical,
    "sentry": sentry,
    "openai": openai,
    "polar": polar,
    "anthropic": only_v1,
    "liveblocks": only_v1,
    "replicate": only_v1,
    "brex": only_v1,
    "clerk": only_v1,
    "resend": only_v1,
    "gitlab": gitlab,
    "hubspot": hubspot,
    "hubspot-v1": hubspot_version,
    "hubspot-v2": hubspot_version,
    "line": line,
    "xero": xero,
    "box": box,
    "cloudinary": cloudinary,
    "cloudinary-sha1": cloudinary,
    "sendgrid": sendgrid,
    "wise": wise,
    "travis": travis,
    "revolut": revolut,
    "discord": discord,
    "discord-events": discord,
    "recurly": xml_of_recurly,
    "mollie": mollie,
    "docusign": docusign,
}


def standard_vectors() -> list[Vectors]:
    made = [token_vectors(it) if it.is_token else signed_vectors(it) for it in SENDERS.values()]
    return [*made, mailgun_vectors()]

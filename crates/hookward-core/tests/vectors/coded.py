"""The vectors of the schemes that are code. `generate.py` writes them.

Signed here with the standard library, from the providers' documentation. Values marked "signed by" come from the providers' own
packages, run once: twilio 9.13.0, Adyen 16.0.0 and braintree 4.48.0 (PyPI), @contentful/node-apps-toolkit 3.16.1 (npm),
http-message-signatures 3.0.0 (PyPI); they are asserted to be what this file makes.
"""

import base64
import hashlib
import json
from urllib.parse import parse_qsl, quote, urlencode

from generate import FORM, JSON, NOW, OTHER_TEXT_SECRET, TEXT_SECRET, Vectors, b64, hmac_of

HOST = "https://hooks.test"


def identity_of(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(8, "little") + part for part in parts)


def in_header(vectors, name, lines, body, identity, event_type=None, **others):
    """What becomes of a signature in a header that is missing, cut, twice; `lines` are right, the signature first."""
    (header, value), *rest = lines

    def refused(what, lines, reason):
        vectors.refused(f"{name}{what}", lines, body, reason, **others)

    vectors.admitted(f"{name}as sent", lines, body, identity, event_type, **others)
    refused("no signature", rest, "missing_signature")
    refused("an empty signature", [(header, ""), *rest], "missing_signature")
    refused("the signature twice", [lines[0], *lines], "ambiguous_signature")
    refused("half a signature", [(header, value[: len(value) // 2]), *rest], "malformed_signature")
    refused("a signature and more", [(header, value + value[:4]), *rest], "malformed_signature")
    refused("another alphabet", [(header, value[:-4] + "%&/("), *rest], "malformed_signature")


def sorted_fields(form: str, distinct: bool) -> str:
    pairs = parse_qsl(form, keep_blank_values=True, strict_parsing=bool(form))
    return "".join(name + value for name, value in sorted(set(pairs) if distinct else pairs))


def twilio_vectors():
    url = f"{HOST}/hooks/twilio"
    vectors = Vectors("twilio", [TEXT_SECRET], url=url)
    form = "AccountSid=AC1&Body=caf%C3%A9+%26+tea&From=%2B15550100&MessageSid=SM1&To=%2B15550101&Empty=&Tag=b&Tag=a&Tag=b"
    header, settings = "x-twilio-signature", "x-twilio-webhooks-signature-settings"

    def value(form, url=url, secret=TEXT_SECRET, algorithm="sha1"):
        return b64(hmac_of(secret.encode(), (url + sorted_fields(form, True)).encode(), algorithm))

    def identity(form, url=url):
        return (url + sorted_fields(form, True)).encode()

    right = value(form)
    assert right == "5S4h6gu+uCqqiwHtL0dytJlbl3k="  # signed by twilio
    good = [(header, right), FORM]
    in_header(vectors, "", good, form, identity(form))
    shuffled = "&".join(reversed(form.split("&")))
    vectors.admitted("fields in another order are the same event", good, shuffled, identity(form))
    vectors.admitted("a value once more is the same event", good, form + "&Tag=a", identity(form))
    for name, port in [("a default port", ":443"), ("no port", "")]:
        signed = value(form, f"{HOST}{port}/hooks/twilio")
        vectors.admitted(f"signed with {name}", [(header, signed), FORM], form, identity(form))
    assert value(form, f"{HOST}:443/hooks/twilio") == "Yg5wInIzPgxyA2jJA6gNBkojq4E="  # signed by twilio
    for name, signed_as in [("its port", f"{HOST}:8443/hooks/twilio"), ("no port", url)]:
        own = f"{HOST}:8443/hooks/twilio"
        vectors.admitted(
            f"another port, signed with {name}",
            [(header, value(form, signed_as)), FORM],
            form,
            identity(form, own),
            url=own,
        )
    vectors.admitted("no fields", [(header, value("")), FORM], "", identity(""))
    query = "?a=1&b=%20"
    vectors.admitted(
        "a query as it arrives",
        [(header, value(form, url + query)), FORM],
        form,
        identity(form, url + query),
        target="/hooks/twilio" + query,
    )
    vectors.admitted(
        "a query as it is configured",
        [(header, value(form, url + query)), FORM],
        form,
        identity(form, url + query),
        target="/hooks/twilio?b=2",
        url=url + query,
    )
    vectors.admitted(
        "under the second secret",
        [(header, value(form, secret=OTHER_TEXT_SECRET)), FORM],
        form,
        identity(form),
        secrets=[TEXT_SECRET, OTHER_TEXT_SECRET],
    )
    sha256 = value(form, algorithm="sha256")
    assert sha256 == "xjyTqyGQZIh2c4CII2PGe8rTuuOFvijmGFufcSFdpwA="  # signed by twilio
    by = "key=webhooks_sharedkey_1,algorithm="
    vectors.admitted(
        "SHA-256 with a shared key", [(header, sha256), (settings, by + "HMAC_SHA256"), FORM], form, identity(form)
    )
    vectors.admitted("SHA-1 by name", [(header, right), (settings, by + "HMAC_SHA1"), FORM], form, identity(form))
    for name, lines, reason in [
        ("SHA-256 and nothing that says so", [(header, sha256), FORM], "malformed_signature"),
        ("SHA-1 said to be SHA-256", [(header, right), (settings, by + "HMAC_SHA256"), FORM], "malformed_signature"),
        ("an unknown algorithm", [(header, right), (settings, by + "HMAC_MD5"), FORM], "malformed_signature"),
        ("no algorithm", [(header, right), (settings, "key=a"), FORM], "malformed_signature"),
        ("empty settings", [(header, right), (settings, ""), FORM], "malformed_signature"),
        (
            "two algorithms",
            [(header, right), (settings, by + "HMAC_SHA1,algorithm=HMAC_SHA256"), FORM],
            "ambiguous_signature",
        ),
        (
            "settings twice",
            [(header, right), (settings, by + "HMAC_SHA1"), (settings, by + "HMAC_SHA256"), FORM],
            "ambiguous_signature",
        ),
        ("under another secret", [(header, value(form, secret=OTHER_TEXT_SECRET)), FORM], "wrong_signature"),
        ("under an empty secret", [(header, value(form, secret="")), FORM], "wrong_signature"),
        ("for another URL", [(header, value(form, f"{HOST}/hooks/other")), FORM], "wrong_signature"),
        ("for another scheme", [(header, value(form, "http" + url[5:])), FORM], "wrong_signature"),
        ("for another port", [(header, value(form, f"{HOST}:8443/hooks/twilio")), FORM], "wrong_signature"),
        ("over the raw form", [(header, b64(hmac_of(TEXT_SECRET.encode(), (url + form).encode(), "sha1"))), FORM],
         "wrong_signature"),
    ]:
        vectors.refused(name, lines, form, reason)
    for name, body in [
        ("another value", form.replace("AC1", "AC2")),
        ("a field more", form + "&X=1"),
        ("a field less", form.replace("&Empty=", "&").replace("To=", "Too=")),
        ("no body", ""),
    ]:
        vectors.refused(name, good, body, "wrong_signature")
    vectors.refused("a field that is no text", good, form + "&X=%FF", "malformed_signature")
    vectors.refused("a query that was not signed", good, form, "wrong_signature", target="/hooks/twilio?x=1")

    body = '{"specversion":"1.0","id":"EZ1","type":"com.twilio.messaging.message.sent"}'
    digest = "?bodySHA256=" + hashlib.sha256(body.encode()).hexdigest()
    json_right = value("", url + digest)
    assert json_right == "mRK8AJ83tUTFhaNKsZxJnHUhguc="  # signed by twilio
    json_good, target = [(header, json_right), JSON], "/hooks/twilio" + digest
    in_header(vectors, "JSON: ", json_good, body, (url + digest).encode(), target=target)
    configured = f"{url}?a=1"
    both = configured + "&" + digest[1:]
    vectors.admitted(
        "JSON: a configured query and the digest",
        [(header, value("", both)), JSON],
        body,
        both.encode(),
        url=configured,
        target="/hooks/twilio?a=1&" + digest[1:],
    )
    vectors.refused("JSON: another body", json_good, body + " ", "wrong_signature", target=target)
    vectors.refused("JSON: no digest", [(header, value("")), JSON], body, "missing_signature")
    vectors.refused(
        "JSON: an empty digest",
        [(header, value("", url + "?bodySHA256=")), JSON],
        body,
        "wrong_signature",
        target="/hooks/twilio?bodySHA256=",
    )
    vectors.refused(
        "JSON: two digests",
        [(header, value("", url + digest + digest.replace("?", "&"))), JSON],
        body,
        "ambiguous_signature",
        target=target + digest.replace("?", "&"),
    )
    vectors.refused("JSON: its signature for an empty form", [json_good[0], FORM], "", "wrong_signature", target=target)
    vectors.refused("JSON: the digest of another URL", json_good, body, "missing_signature")
    vectors.refused("no type", good[:1], form, "unsupported_type")
    return vectors


def mandrill_vectors():
    secret, other, url = "gplJsTx4eDW7y8Xh-HPDMQ", "kW3vNq8ZtR5yLb2XcF7hJd", f"{HOST}/hooks/mandrill"
    vectors = Vectors("mandrill", [secret], url=url)
    header = "x-mandrill-signature"
    form = "mandrill_events=" + quote('[{"event":"open","ts":1795478400,"_id":"e1","msg":{"subject":"Zoë & co"}}]', safe="")

    def value(form, url=url, secret=secret, algorithm="sha1"):
        return b64(hmac_of(secret.encode(), (url + sorted_fields(form, False)).encode(), algorithm))

    def identity(form, url=url):
        return (url + sorted_fields(form, False)).encode()

    good = [(header, value(form)), FORM]
    in_header(vectors, "", good, form, identity(form))
    two = form + "&another=1"
    vectors.admitted("two fields", [(header, value(two)), FORM], two, identity(two))
    vectors.admitted("two fields in another order", [(header, value(two)), FORM], "another=1&" + form, identity(two))
    vectors.admitted("written otherwise", good, form.replace("%5B", "[").replace("%20", "+"), identity(form))
    vectors.admitted("under the second secret", [(header, value(form, secret=other)), FORM], form, identity(form),
                     secrets=[secret, other])
    vectors.admitted("a long secret", [(header, value(form, secret=TEXT_SECRET)), FORM], form, identity(form),
                     secrets=[TEXT_SECRET])
    for name, signed, body in [
        ("another body", value(form), form.replace("open", "spam")),
        ("a field more", value(form), form + "&a=1"),
        ("no body", value(form), ""),
        ("under another secret", value(form, secret=other), form),
        ("under the secret of a test", value(form, secret="test-webhook"), form),
        ("for another URL", value(form, url + "/"), form),
    ]:
        vectors.refused(name, [(header, signed), FORM], body, "wrong_signature")
    vectors.refused("SHA-256", [(header, value(form, algorithm="sha256")), FORM], form, "malformed_signature")
    vectors.refused("a name twice", [(header, value(form + "&" + form)), FORM], form + "&" + form, "ambiguous_signature")
    vectors.refused("JSON", [good[0], JSON], "{}", "unsupported_type")
    vectors.add("the question whether anyone is there", [], "", {"answered": ""}, method="HEAD")
    return vectors


ADYEN_SECRET = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
OTHER_ADYEN_SECRET = "9d5c1ae00f1b4e6c8a7d3b2f5e4c6a8190f7e6d5c4b3a29187f6e5d4c3b2a190"


def adyen_vectors():
    vectors = Vectors("adyen", [ADYEN_SECRET])

    def notification(**changes):
        fields = {
            "amount": {"currency": "EUR", "value": 1130},
            "eventCode": "AUTHORISATION",
            "eventDate": "2026-11-24T08:15:30+01:00",
            "merchantAccountCode": "TestMerchant",
            "merchantReference": "TestPayment-1407325143704",
            "pspReference": "7914073381342284",
            "success": "true",
        }
        return {name: value for name, value in (fields | changes).items() if value is not None}

    def content(item):
        amount = item.get("amount", {})
        order = ["pspReference", "originalReference", "merchantAccountCode", "merchantReference"]
        fields = [item.get(name, "") for name in order] + [amount.get("value", ""), amount.get("currency", "")]
        fields += [item.get("eventCode", ""), item.get("success", "")]
        return ":".join(str(field) for field in fields).encode()

    def signature(item, secret=ADYEN_SECRET, algorithm="sha256"):
        return b64(hmac_of(bytes.fromhex(secret), content(item), algorithm))

    def signed(item, secret=ADYEN_SECRET, **data):
        return item | {"additionalData": {"hmacSignature": signature(item, secret)} | data}

    def body(*items):
        items = [{"NotificationRequestItem": item} for item in items]
        return json.dumps({"live": "false", "notificationItems": items}, separators=(",", ":"))

    one = notification()
    assert signature(one) == "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0="  # signed by Adyen

    def admitted(name, items, **others):
        identity = identity_of(*(content(item) for item in items))
        vectors.admitted(name, [JSON], body(*items), identity, items[0].get("eventCode"), **others)

    admitted("as sent", [signed(one)])
    refund = notification(eventCode="REFUND", originalReference="883", pspReference="884")
    admitted("two notifications", [signed(one), signed(refund)])
    admitted("colons, quotes and other scripts", [signed(notification(merchantReference='a:b\\"東'))])
    admitted("no amount", [signed(notification(amount=None))])
    admitted("what is not signed changes nothing", [signed(one | {"reason": "x"}, more="y")])
    admitted("under the second secret", [signed(one, OTHER_ADYEN_SECRET)], secrets=[ADYEN_SECRET, OTHER_ADYEN_SECRET])

    def refused(name, items, reason, **others):
        vectors.refused(name, [JSON], body(*items), reason, **others)

    for name, changes in [
        ("another amount", {"amount": {"currency": "EUR", "value": 1}}),
        ("another currency", {"amount": {"currency": "JPY", "value": 1130}}),
        ("another outcome", {"success": "false"}),
        ("another reference", {"merchantReference": "x"}),
        ("another code", {"eventCode": "REFUND"}),
    ]:
        refused(name, [signed(one) | changes], "wrong_signature")
    refused("the second is forged", [signed(one), signed(one) | {"success": "false"}], "wrong_signature")
    refused("the second is unsigned", [signed(one), one], "missing_signature")
    refused("no notifications", [], "missing_signature")
    refused("no signature", [one], "missing_signature")
    refused("no additional data", [one | {"additionalData": None}], "missing_signature")
    refused("an empty signature", [one | {"additionalData": {"hmacSignature": ""}}], "missing_signature")
    refused("half a signature", [one | {"additionalData": {"hmacSignature": signature(one)[:22]}}], "malformed_signature")
    refused("no text", [one | {"additionalData": {"hmacSignature": [signature(one)]}}], "malformed_signature")
    refused("SHA-1", [one | {"additionalData": {"hmacSignature": signature(one, algorithm="sha1")}}], "malformed_signature")
    refused("under another secret", [signed(one, OTHER_ADYEN_SECRET)], "wrong_signature")
    as_text = b64(hmac_of(ADYEN_SECRET.encode(), content(one)))
    refused("keyed with the secret's text", [one | {"additionalData": {"hmacSignature": as_text}}], "wrong_signature")
    refused("an amount with a fraction", [signed(notification(amount={"currency": "EUR", "value": 11.3}))], "malformed_signature")
    refused("a list for a text", [signed(one) | {"pspReference": ["7914073381342284"]}], "malformed_signature")
    twice = body(signed(one)).replace('"success":"true"', '"success":"true","success":"true"')
    vectors.refused("a key twice", [JSON], twice, "malformed_signature")
    vectors.refused("not JSON", [JSON], "[accepted]", "malformed_signature")
    vectors.refused("an empty body", [JSON], "", "malformed_signature")
    vectors.refused("no list", [JSON], '{"notificationItems":{}}', "malformed_signature")
    vectors.refused("no such key", [JSON], "{}", "missing_signature")
    vectors.refused("another key", [JSON], '{"notificationItems":[{"x":{}}]}', "missing_signature")
    vectors.refused("a form", [FORM], "hmacSignature=x", "unsupported_type")
    return vectors


def braintree_vectors():
    public = "9hprv5fmxkq4ncsr"
    vectors = Vectors("braintree", [TEXT_SECRET], options={"public_key": [public]})
    xml = '<notification>\n  <timestamp type="datetime">2026-11-24T08:15:30Z</timestamp>\n  <kind>check</kind>\n</notification>\n'
    payload = base64.encodebytes(xml.encode()).decode()

    def signature(payload, secret=TEXT_SECRET, algorithm="sha1"):
        key = hashlib.sha1(secret.encode()).digest()
        return hmac_of(key, payload.encode(), algorithm).hex()

    def form(payload, signatures):
        return urlencode([("bt_signature", signatures), ("bt_payload", payload)])

    def identity(payload):
        return payload.removesuffix("\n").encode()

    # Signed by braintree: `webhook_testing.sample_notification("check", "id1")`.
    theirs = (
        "CiAgICAgICAgICAgIDxub3RpZmljYXRpb24+CiAgICAgICAgICAgICAgICA8dGltZXN0YW1wIHR5\ncGU9ImRhdGV0aW1lIj4yMDI2LTExLTI0VDEy"
        "OjQyOjM5WjwvdGltZXN0YW1wPgogICAgICAgICAg\nICAgICAgPGtpbmQ+Y2hlY2s8L2tpbmQ+CiAgICAgICAgICAgICAgICAKICAgICAgICAgICAgICAg"
        "\nIDxzdWJqZWN0PgogICAgICAgICAgICA8Y2hlY2sgdHlwZT0iYm9vbGVhbiI+CiAgICAgICAgICAg\nICAgdHJ1ZQogICAgICAgICAgICA8L2NoZWNr"
        "PgogICAgICAgIDwvc3ViamVjdD4KICAgICAgICAg\nICAgPC9ub3RpZmljYXRpb24+CiAgICAgICAg\n"
    )
    assert signature(theirs) == "9e71c83420a0a183ed4c8def2dd1d4971228f18f"

    def admitted(name, body, payload, **others):
        vectors.admitted(name, [FORM], body, identity(payload), None, **others)

    right = f"{public}|{signature(payload)}"
    good = form(payload, right)
    admitted("as sent", good, payload)
    admitted("as braintree signs", form(theirs, f"{public}|{signature(theirs)}"), theirs)
    admitted("its last line break lost", form(payload.removesuffix("\n"), right), payload)
    admitted("beside another's signature", form(payload, f"other|{'0' * 40}&{right}"), payload)
    admitted("other fields change nothing", good + "&x=1", payload)
    admitted(
        "under the second secret",
        form(payload, f"{public}|{signature(payload, OTHER_TEXT_SECRET)}"),
        payload,
        secrets=[TEXT_SECRET, OTHER_TEXT_SECRET],
    )
    other = base64.encodebytes(xml.replace("check", "chick").encode()).decode()
    challenge = "20f9f8ed05f77439fe955c977e4c8a53"
    for name, body, reason in [
        ("another payload", form(other, right), "wrong_signature"),
        ("a payload without line breaks", form(payload.replace("\n", ""), right), "wrong_signature"),
        ("under another secret", form(payload, f"{public}|{signature(payload, OTHER_TEXT_SECRET)}"), "wrong_signature"),
        ("keyed with the secret's text",
         form(payload, f"{public}|{hmac_of(TEXT_SECRET.encode(), payload.encode(), 'sha1').hex()}"), "wrong_signature"),
        ("the answer to a challenge", form(challenge, f"{public}|{signature(challenge)}"), "wrong_signature"),
        ("no signature", urlencode([("bt_payload", payload)]), "missing_signature"),
        ("no payload", urlencode([("bt_signature", right)]), "missing_signature"),
        ("an empty signature", form(payload, ""), "missing_signature"),
        ("an empty payload", form("", f"{public}|{signature('')}"), "missing_signature"),
        ("an empty body", "", "missing_signature"),
        ("the signature twice", good + "&" + urlencode([("bt_signature", right)]), "ambiguous_signature"),
        ("the payload twice", good + "&" + urlencode([("bt_payload", payload)]), "ambiguous_signature"),
        ("another's signature alone", form(payload, f"other|{signature(payload)}"), "malformed_signature"),
        ("no public key", form(payload, signature(payload)), "malformed_signature"),
        ("half a signature", form(payload, right[:-20]), "malformed_signature"),
        ("a signature and more", form(payload, right + "00"), "malformed_signature"),
        ("nine signatures", form(payload, "a|b&" * 8 + right), "malformed_signature"),
        ("SHA-256", form(payload, f"{public}|{signature(payload, algorithm='sha256')}"), "malformed_signature"),
        ("a payload with other characters", form(payload + "<", f"{public}|{signature(payload + '<')}"), "malformed_signature"),
    ]:
        vectors.refused(name, [FORM], body, reason)
    vectors.refused("JSON", [JSON], "{}", "unsupported_type")
    path = "/hooks/braintree?bt_challenge="
    answer = "9hprv5fmxkq4ncsr|02c76e6d04f8fb2ec9c2420e35ecdeae53df39d5"  # signed by braintree
    vectors.add("the challenge is answered", [], "", {"answered": answer}, method="GET", target=path + challenge)
    for name, asked in [("a payload", quote(payload)), ("a short text", "abc"), ("a long one", "a" * 33), ("upper case", "A" * 20)]:
        vectors.refused(f"{name} is no challenge", [], "", "handshake_refused", method="GET", target=path + asked)
    return vectors


def graph_vectors():
    vectors = Vectors("microsoft-graph", [TEXT_SECRET])

    def body(*states, key="value"):
        items = [{"subscriptionId": "s1", "changeType": "created", "resource": f"users/{number}"} |
                 ({} if state is None else {"clientState": state}) for number, state in enumerate(states)]
        return json.dumps({key: items}, separators=(",", ":"))

    vectors.admitted("as sent", [JSON], body(TEXT_SECRET), None, "created")
    vectors.admitted("two notifications", [JSON], body(TEXT_SECRET, TEXT_SECRET), None, "created")
    two = body(OTHER_TEXT_SECRET, TEXT_SECRET)
    vectors.admitted("under two secrets", [JSON], two, None, "created", secrets=[TEXT_SECRET, OTHER_TEXT_SECRET])
    for name, states, reason in [
        ("another token", [OTHER_TEXT_SECRET], "wrong_signature"),
        ("half a token", [TEXT_SECRET[:16]], "wrong_signature"),
        ("a token and more", [TEXT_SECRET + "0"], "wrong_signature"),
        ("in upper case", [TEXT_SECRET.upper()], "wrong_signature"),
        ("the second is forged", [TEXT_SECRET, OTHER_TEXT_SECRET], "wrong_signature"),
        ("the second has none", [TEXT_SECRET, None], "missing_signature"),
        ("no token", [None], "missing_signature"),
        ("an empty token", [""], "missing_signature"),
        ("no text", [[TEXT_SECRET]], "malformed_signature"),
        ("no notifications", [], "missing_signature"),
    ]:
        vectors.refused(name, [JSON], body(*states), reason)
    vectors.refused("another key", [JSON], body(TEXT_SECRET, key="values"), "missing_signature")
    twice = body(TEXT_SECRET).replace("}]", f',"clientState":"{TEXT_SECRET}"}}]')
    vectors.refused("the token twice", [JSON], twice, "malformed_signature")
    vectors.refused("not JSON", [JSON], TEXT_SECRET, "malformed_signature")
    path = "/hooks/microsoft-graph?validationToken="
    text = ("content-type", "text/plain; charset=utf-8")
    vectors.add("the question is answered", [text], "", {"answered": "Validation: ok +1"}, target=path + "Validation%3A%20ok+%2B1")
    vectors.refused("a question with a line break", [text], "", "handshake_refused", target=path + "a%0Ab")
    vectors.refused("an empty question", [text], "", "unsupported_type", target=path)
    return vectors


def all_vectors():
    return [twilio_vectors(), mandrill_vectors(), adyen_vectors(), braintree_vectors(), graph_vectors()]

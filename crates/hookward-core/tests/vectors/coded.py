"""The vectors of the schemes that are code. `generate.py` writes them.

Signed here with the standard library, from the providers' documentation. Values marked "signed by" come from the providers' own
packages, run once: twilio 9.13.0, Adyen 16.0.0 and braintree 4.48.0 (PyPI), @contentful/node-apps-toolkit 3.16.1 (npm),
http-message-signatures 3.0.0 (PyPI); they are asserted to be what this file makes.
"""

import base64
import hashlib
import json
from urllib.parse import parse_qsl, quote, urlencode

from generate import ed25519_sign, FORM, JSON, NOW, OTHER_TEXT_SECRET, TEXT_SECRET, Vectors, b64, hmac_of

HOST = "https://hooks.test"
ED25519_PUBLIC = b64(ed25519_sign(hashlib.sha256(b"hookward vectors").digest(), b"")[0])


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
    # `published` needs what is above, and this file only this of it.
    from published import FIRST, SECOND, jwk_set, token

    url = "https://login.microsoftonline.com/common/discovery/v2.0/keys"
    keys = jwk_set(FIRST.jwk("first"))
    vectors = Vectors("microsoft-graph", [TEXT_SECRET], published={"documents": {url: keys}})

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
    application, tenants = "8e460676-ae3f-4b1e-8790-ee0fb5d6148f", ["84bd8158-6d4d-4958-8b9f-9d6445542f95", "t2"]
    publisher = "0bf30f3b-4a52-48df-9a82-234910c4a086"
    rich = {"options": {"audience": [application]}}

    def vouch(tenant=tenants[0], sign=FIRST.sign, kid="first", alg="RS256", **changed):
        claims = {"aud": application, "iss": f"https://sts.windows.net/{tenant}/", "iat": NOW, "nbf": NOW, "exp": NOW + 29_100,
                  "appid": publisher, "tid": tenant, "ver": "1.0"} | changed
        claims = {name: value for name, value in claims.items() if value is not None}
        return token({"typ": "JWT", "alg": alg, "kid": kid}, claims, sign)

    def with_content(*tokens, of=tenants[:1], state=TEXT_SECRET):
        items = [{"subscriptionId": "s1", "changeType": "updated", "clientState": state, "encryptedContent": {"data": "x"}} |
                 ({} if tenant is None else {"tenantId": tenant}) for tenant in of]
        return json.dumps({"value": items, "validationTokens": list(tokens)}, separators=(",", ":"))

    def content(name, body, reason=None, **others):
        if reason is None:
            vectors.admitted(f"content: {name}", [JSON], body, None, "updated", **rich, **others)
        else:
            vectors.refused(f"content: {name}", [JSON], body, reason, **rich, **others)

    content("as sent", with_content(vouch()))
    content("two tenants", with_content(vouch(), vouch("t2"), of=tenants))
    second = {"iss": f"https://login.microsoftonline.com/{tenants[0]}/v2.0", "ver": "2.0", "appid": None, "azp": publisher}
    content("a token of version 2.0", with_content(vouch(**second)))
    content("no token at all", with_content("x"), "malformed_signature")
    vectors.admitted("content: no audience is configured", [JSON], with_content("x"), None, "updated")
    for name, bad, reason in [
        ("no tokens", with_content(), "missing_signature"),
        ("a notification without content", body(TEXT_SECRET), "missing_signature"),
        ("a tenant without a token", with_content(vouch(), of=tenants), "wrong_claim"),
        ("no tenant", with_content(vouch(), of=[None]), "missing_signature"),
        ("the second is forged", with_content(vouch(), vouch("t2", sign=SECOND.sign), of=tenants), "wrong_signature"),
        ("by another key", with_content(vouch(sign=SECOND.sign)), "wrong_signature"),
        ("by an unknown key", with_content(vouch(kid="second")), "wrong_signature"),
        ("HS256 keyed with the keys", with_content(vouch(alg="HS256", sign=lambda it: hmac_of(keys.encode(), it))),
         "malformed_signature"),
        ("unsigned", with_content(vouch(alg="none", sign=lambda it: b"")), "malformed_signature"),
        ("for another application", with_content(vouch(aud="other")), "wrong_claim"),
        ("for nobody", with_content(vouch(aud=None)), "wrong_claim"),
        ("of another application", with_content(vouch(appid=application)), "wrong_claim"),
        ("of no application", with_content(vouch(appid=None)), "wrong_claim"),
        ("an application in the claim of version 2.0", with_content(vouch(appid=None, azp=publisher)), "wrong_claim"),
        ("another issuer", with_content(vouch(iss="https://sts.windows.net/t2/")), "wrong_claim"),
        ("no issuer", with_content(vouch(iss=None)), "wrong_claim"),
        ("no end", with_content(vouch(exp=None)), "wrong_claim"),
        ("a token that is no text", with_content(1), "malformed_signature"),
        ("another state", with_content(vouch(), state=OTHER_TEXT_SECRET), "wrong_signature"),
    ]:
        content(name, bad, reason)
    content("just before it is too late", with_content(vouch()), now=NOW + 29_400)
    content("too late", with_content(vouch()), "stale", now=NOW + 29_401)
    path = "/hooks/microsoft-graph?validationToken="
    text = ("content-type", "text/plain; charset=utf-8")
    vectors.add("the question is answered", [text], "", {"answered": "Validation: ok +1"}, target=path + "Validation%3A%20ok+%2B1")
    vectors.refused("a question with a line break", [text], "", "handshake_refused", target=path + "a%0Ab")
    vectors.refused("an empty question", [text], "", "unsupported_type", target=path)
    return vectors


# A key pair for these vectors and nothing else.
RSA_N_HEX = (
    "c75508f80bcf9a94ebfa876f52b0972143883e0d08bf4cfa6fe748dec9f2eb01b44c95e3baca44566deaedcd403f63ec8440df4476cb57"
    "7ff361c7c6c280688dd4c6ef84052b98a8211410a31d9de4d3beca48f3c3099d3587a77a5f50580c85d60ef551080c6c6fd6b6ac19b917"
    "4ecf7202967f5f09921cb77a71c2361426e21c201fd7084814b6f6e0064ebed193dde59efa28a4c14959aeebbdedaf0ab3e527bb8cf0a6"
    "402e0a0b2b6e874b2fe9a257936f8d736259c373d888a7dc07a84b1bfb2a64b8175170ebd8a8fd6d392b2faf6b45c441aee8d740194d9d"
    "11be9d63fbccfa64c7815c7d804cc41bf842df762bc06a7737595b89a1b3fa6cf999037f"
)
RSA_D_HEX = (
    "8e5c02367a38f5586685b134505a2395737b04d5f4e955e631057d859fb55dcc59cdade9cbfda926110537d0dee711a10428a5f6bf8b7a"
    "1d1235434ddb462f65c6bba2a92708267e97cbe76b423bacb18d6695b38217dbaf34b2e7dd80040ced88c8d0c08e7efb9d8ee5e7ae7757"
    "ae1c247b5f55edb4bd7ac4e4835a5b9a5e2984d4d7a1f714ff568477bc7f07872fdd698231be9912e5bd78afe23485d000e7e3d21b7078"
    "2f50a19795ee019815ad0fb328be8fb23342e79f2cf723f9e1b08318f4deec1f13877d9cd9822e0c66fdd01e6b2a1c9d01bc08fbe8a3f0"
    "30f3c2fef79982d8fc6cff13ee9b69dfd112eb7dc6330d90876b581b3d6e6b25df7935"
)
RSA_N, RSA_D = int(RSA_N_HEX, 16), int(RSA_D_HEX, 16)
RSA_PUBLIC = """-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAx1UI+AvPmpTr+odvUrCX
IUOIPg0Iv0z6b+dI3sny6wG0TJXjuspEVm3q7c1AP2PshEDfRHbLV3/zYcfGwoBo
jdTG74QFK5ioIRQQox2d5NO+ykjzwwmdNYenel9QWAyF1g71UQgMbG/WtqwZuRdO
z3ICln9fCZIct3pxwjYUJuIcIB/XCEgUtvbgBk6+0ZPd5Z76KKTBSVmu673trwqz
5Se7jPCmQC4KCytuh0sv6aJXk2+Nc2JZw3PYiKfcB6hLG/sqZLgXUXDr2Kj9bTkr
L69rRcRBrujXQBlNnRG+nWP7zPpkx4FcfYBMxBv4Qt92K8BqdzdZW4mhs/ps+ZkD
fwIDAQAB
-----END PUBLIC KEY-----"""
OTHER_RSA_PUBLIC = """-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEArltNk/UZAxAIbERMMuxd
nH+LkgytmDrFr6OH5vYeTSZcQIvJT5NxUYfAzxZwLjvvYmwlZVpcWkf39DjzVQWl
8267SAv/WhumLHr4xIl6/ssAe1DBfZ51tuHbw3ASmpKgVypbjZAv57iCUDn+B0fh
MJvQEKRaxRMExjpYl6G4F+yJpIbY7tKdVOO+o+6m51r1ICGysNKW2Bu+cb3VJbdE
8FEBiS83V833RrEaLdFo15ktuzYyQnGlnWhRBgnFUVRxVUd+Gvi9yzG4zsd/fITi
ohwutrtfzBoWSluxjDggLczR4EwfADxVV0mZ5uN6p225I+F8c60OUwozb5Gs+JZz
GQIDAQAB
-----END PUBLIC KEY-----"""
# RFC 9421, appendix B.1.2.
RFC_PSS_PUBLIC = """-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2
+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+
oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHq
gDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W
Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4
aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI
2wIDAQAB
-----END PUBLIC KEY-----"""
P256_PUBLIC = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEBNy56/plQUVbdrcpZxXSSZNOK3UU
9CAdFwyR2T0LU2EHxGeqcziFisoXyI/T+XcHpyxyk0YihJriKzuHHrB7xQ==
-----END PUBLIC KEY-----"""


def rsa_sign(content: bytes, algorithm: str) -> bytes:
    """RSASSA-PKCS1-v1_5 (RFC 8017, section 8.2)."""
    prefix = {"sha1": "3021300906052b0e03021a05000414", "sha256": "3031300d060960864801650304020105000420"}[algorithm]
    info = bytes.fromhex(prefix) + hashlib.new(algorithm, content).digest()
    padded = b"\0\1" + b"\xff" * (256 - 3 - len(info)) + b"\0" + info
    return pow(int.from_bytes(padded, "big"), RSA_D, RSA_N).to_bytes(256, "big")


def in_window(vectors, name, lines_at, body, event_type, identity=None, **others):
    """What becomes of a signed time that is old or ahead. `lines_at(at)` gives header lines signed at that time."""
    for what, now, at in [("300 s later", NOW + 300, NOW), ("300 s early", NOW - 300, NOW)]:
        vectors.admitted(f"{name}{what}", lines_at(at), body, identity, event_type, now=now, **others)
    for what, now, reason in [
        ("301 s later", NOW + 301, "stale"),
        ("a year later", NOW + 31_536_000, "stale"),
        ("301 s early", NOW - 301, "from_the_future"),
        ("a year early", NOW - 31_536_000, "from_the_future"),
    ]:
        vectors.refused(f"{name}{what}", lines_at(NOW), body, reason, now=now, **others)


def contentful_vectors():
    secret = "9f86d081884c7d659a2feaa0c55ad0159f86d081884c7d659a2feaa0c55ad015"
    other = "5be3b0b8f3b1c7b6e59ba1a1f4a4d0e25be3b0b8f3b1c7b6e59ba1a1f4a4d0e2"
    path = "/hooks/contentful"
    vectors = Vectors("contentful", [secret], url=HOST + path)
    body = '{"sys":{"type":"Entry","id":"evt_1"}}'
    topic = ("x-contentful-topic", "ContentManagement.Entry.publish")
    names = ["x-contentful-signature", "x-contentful-signed-headers", "x-contentful-timestamp"]
    signed_names = "content-type,x-contentful-signed-headers,x-contentful-timestamp,x-contentful-topic"

    def lines(body=body, at=NOW, secret=secret, path=path, method="POST", listed=signed_names, algorithm="sha256"):
        time = str(at * 1000)
        headers = dict([JSON, topic, (names[1], listed), (names[2], time)])
        picked = ";".join(f"{name}:{headers[name]}" for name in sorted(listed.split(",")) if name in headers)
        content = "\n".join([method, path, picked, body])
        signature = hmac_of(secret.encode(), content.encode(), algorithm).hex()
        return [(names[0], signature), (names[1], listed), (names[2], time), JSON, topic]

    good = lines()
    # Signed by @contentful/node-apps-toolkit, like the one with a query below.
    assert good[0][1] == "d7d56f0ced25cc3480800ee6d2972fc9b95efca6cd976a71b2eceb262db8b897"
    in_header(vectors, "", good, body, None, topic[1])
    in_window(vectors, "", lambda at: lines(at=at), body, topic[1])
    queried = lines(path="/hooks/contentful?a%253Db%2526c%253Dd%2520e%252520")
    assert queried[0][1] == "c684445b324ddb44d242add0f00aad34ed4545aeba984da88d35c72c7cb3050d"
    raw = "/hooks/contentful?a=b&c=d%20e"
    once_more = lines(path="/hooks/contentful?" + quote(quote("a=b&c=d%20e", safe="-_.!~*'()"), safe=";,/?:@&=+$#-_.!~*'()"))
    vectors.admitted("with a query", once_more, body, None, topic[1], target=raw)
    vectors.admitted("only what must be signed", lines(listed=",".join(names[1:])), body, None, topic[1])
    vectors.admitted("under the second secret", lines(secret=other), body, None, topic[1], secrets=[secret, other])
    for name, headers, text in [
        ("another body", good, body + " "),
        ("no body", good, ""),
        ("under another secret", lines(secret=other), body),
        ("for another path", lines(path="/hooks/other"), body),
        ("for another method", lines(method="PUT"), body),
        ("another topic", [*good[:4], (topic[0], "x")], body),
        ("an old signature with a fresh time", [*lines(at=NOW - 60)[:2], *good[2:]], body),
        ("another list", [good[0], (names[1], ",".join(names[1:])), *good[2:]], body),
    ]:
        vectors.refused(name, headers, text, "wrong_signature")
    vectors.refused("SHA-1", lines(algorithm="sha1"), body, "malformed_signature")
    vectors.refused("the time is not listed", lines(listed="content-type,x-contentful-signed-headers"), body, "malformed_signature")
    vectors.refused("a name listed twice", lines(listed=signed_names + ",content-type"), body, "malformed_signature")
    vectors.refused("a time in seconds", [*good[:2], (names[2], str(NOW)), *good[3:]], body, "stale")
    vectors.refused("a listed header is missing", good[:4], body, "missing_signature")
    for index in (1, 2):
        vectors.refused(f"no {names[index]}", good[:index] + good[index + 1 :], body, "missing_signature")
        vectors.refused(f"{names[index]} twice", [good[index], *good], body, "ambiguous_signature")
    return vectors


def http_message_vectors():
    path = "/hooks/http-message-signatures"
    algorithms = {
        "hmac-sha256": TEXT_SECRET,
        "ed25519": ED25519_PUBLIC,
        "ecdsa-p256-sha256": P256_PUBLIC,
        "rsa-v1_5-sha256": RSA_PUBLIC,
    }
    vectors = Vectors(
        "http-message-signatures", [TEXT_SECRET], url=HOST + path, options={"algorithm": ["hmac-sha256"]}
    )
    body = '{"id":"evt_1","type":"invoice.paid"}'
    everything = ["@method", "@target-uri", "@authority", "@path", "@query", "content-type", "content-digest"]

    def digest(body, algorithm="sha256", name="sha-256"):
        return ("content-digest", f"{name}=:{b64(hashlib.new(algorithm, body.encode()).digest())}:")

    def base(names, params, query, digest):
        values = {
            "@method": "POST",
            "@target-uri": HOST + path + query,
            "@authority": "hooks.test",
            "@path": path,
            "@query": query or "?",
            "@scheme": "https",
            "@request-target": path + query,
            "content-type": JSON[1],
            "content-digest": digest[1],
        }
        lines = [f'"{name}": {values[name]}' for name in names]
        return "\n".join([*lines, f'"@signature-params": {params}'])

    def params_of(names, at=NOW, more=""):
        return f"({' '.join(chr(34) + name + chr(34) for name in names)});created={at}{more}"

    def lines(body=body, at=NOW, names=everything, more="", query="", secret=TEXT_SECRET, params=None, digest=digest, label="sig1"):
        params = params_of(names, at, more) if params is None else params
        signature = b64(hmac_of(secret.encode(), base(names, params, query, digest(body)).encode()))
        return [
            ("signature", f"{label}=:{signature}:"),
            ("signature-input", f"{label}={params}"),
            digest(body),
            JSON,
        ]

    def admitted(name, lines, **others):
        vectors.admitted(name, lines, body, None, None, **others)

    good = lines()
    admitted("as sent", good)
    # Signed by http-message-signatures, with the seed of generate.py's Ed25519 key and the keys above.
    target = path + "?a=1"
    theirs = {
        "hmac-sha256": ("hmac", ":PG+CwZWAxHgNurTrRnYvch8MhcUJ85wTX86EhcOo0PQ=:"),
        "ed25519": ("ed", ":cU1xn7UZAJNiuFoxwt+VYBhs2PsA3xC8hYqdtzK7pt4nNUfrYoh1JfwIDHYGJWpQcg8bnsD8a7T4kyWBDQn7Bg==:"),
        "ecdsa-p256-sha256": ("ec", ":wWRV4rkZoYbkEmbG6Yz407g6fZZ6Ii+QkVWo4QU/jiGmzqPdNgDzkRdT8+b7L5gHbTuEbAZXVB9ob4v3vrx7mg==:"),
        "rsa-v1_5-sha256": ("rsa", ":tszdz5UHP5nVEbLEAUHwMQ+MCyymbSXatePbfDvxp1+mgYG3uwVvasdWwcLzOUjYvOgWi7SBDUWm02js/AA6//efvR49+NZVuMC5mLoTDUIWJIYujju+mIxvl2s03Vfu990D135BPx5LIxPzTh6H7abUABUtGXRXR86Ug4ObdzASiR+6Km5GP3cyzi0EwMd/PZTaHImbl6tvPmGt4LQkGTQ3J1YHcZVqHtn3V/werrrhYgIeDNXF8ivWOM9AaiAjHFm//+8eM8/VnT+qJrWQnEYcKEEPuXqyMfITrtyePiSToGf9Er5xms4EQ7q7j4oiTgsOMFq/C/NBVHDG4ccMsA==:"),
    }
    for algorithm, (key_id, signature) in theirs.items():
        params = params_of(everything, more=f';keyid="{key_id}"')
        content = base(everything, params, "?a=1", digest(body)).encode()
        if algorithm == "hmac-sha256":
            assert signature == f":{b64(hmac_of(TEXT_SECRET.encode(), content))}:"
        if algorithm == "rsa-v1_5-sha256":
            assert signature == f":{b64(rsa_sign(content, 'sha256'))}:"
        signed = [("signature", f"sig1={signature}"), ("signature-input", f"sig1={params}"), digest(body), JSON]
        own = {"secrets": [algorithms[algorithm]], "options": {"algorithm": [algorithm], "key_id": [key_id]}}
        admitted(f"{algorithm}, as http-message-signatures signs", signed, target=target, **own)
        vectors.refused(f"{algorithm}: another body", signed, body + " ", "wrong_signature", target=target, **own)
        vectors.refused(f"{algorithm}: another query", signed, body, "wrong_signature", target=path + "?a=2", **own)
        own = own | {"options": own["options"] | {"key_id": ["other"]}}
        vectors.refused(f"{algorithm}: another key id", signed, body, "malformed_signature", target=target, **own)
        if algorithm != "hmac-sha256":
            keyed = lines(secret=algorithms[algorithm])
            own = {"secrets": [algorithms[algorithm]], "options": {"algorithm": [algorithm]}}
            reason = "wrong_signature" if algorithm.startswith("rsa") else "malformed_signature"
            vectors.refused(f"{algorithm}: an HMAC keyed with the public key", keyed, body, reason, **own)
    # RFC 9421, appendix B.2.3: published key, request and signature.
    documented = (
        "bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fU"
        "xN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA"
        "1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKE"
        "gM4cUA=="
    )
    components = ["date", "@method", "@path", "@query", "@authority", "content-type", "content-digest", "content-length"]
    params = params_of(components, 1618884473, ';keyid="test-key-rsa-pss"')
    hello = '{"hello": "world"}'
    signed = [
        ("signature", f"sig-b23=:{documented}:"),
        ("signature-input", f"sig-b23={params}"),
        digest(hello, "sha512", "sha-512"),
        JSON,
        ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("content-length", "18"),
    ]
    own = {
        "secrets": [RFC_PSS_PUBLIC],
        "options": {"algorithm": ["rsa-pss-sha512"], "components": ["@method", "@path", "@query"]},
        "url": "https://example.com/foo?param=Value&Pet=dog",
        "target": "/foo?param=Value&Pet=dog",
        "now": 1618884473,
    }
    vectors.admitted("rsa-pss-sha512, as in RFC 9421", signed, hello, None, None, **own)
    vectors.refused("rsa-pss-sha512: another body", signed, hello.replace("w", "W"), "wrong_signature", **own)
    other_date = [(n, v.replace("Tue", "Wed")) for n, v in signed]
    vectors.refused("rsa-pss-sha512: another date", other_date, hello, "wrong_signature", **own)
    as_pkcs1 = own | {"options": own["options"] | {"algorithm": ["rsa-v1_5-sha256"]}}
    vectors.refused("rsa-pss-sha512 where rsa-v1_5-sha256 is configured", signed, hello, "wrong_signature", **as_pkcs1)
    in_window(vectors, "", lambda at: lines(at=at), body, None)
    expires = lines(more=f";expires={NOW + 60}")
    admitted("before it expires", expires, now=NOW + 60)
    vectors.refused("after it expired", expires, body, "stale", now=NOW + 61)
    admitted("the digest alone", lines(names=["content-digest"]))
    admitted("SHA-512", lines(digest=lambda body: digest(body, "sha512", "sha-512")))
    admitted("with its algorithm", lines(more=';alg="hmac-sha256"'))
    admitted("with nonce and tag", lines(more=';nonce="n";tag="t"'))
    admitted("other derived components", lines(names=["@scheme", "@request-target", "content-digest"]))
    other = lines(secret=OTHER_TEXT_SECRET, label="proxy")
    both = [("signature", f"{other[0][1]}, {good[0][1]}"), ("signature-input", f"{other[1][1]}, {good[1][1]}"), *good[2:]]
    admitted("beside another's signature", both)
    admitted("under the second secret", lines(secret=OTHER_TEXT_SECRET), secrets=[TEXT_SECRET, OTHER_TEXT_SECRET])
    options = {"algorithm": ["hmac-sha256"], "label": ["sig1"], "components": ["@method", "@target-uri"]}
    admitted("by its label, with the components", both, options=options)
    wants = {"options": options}
    vectors.refused("another label", lines(label="sig2"), body, "missing_signature", **wants)
    vectors.refused("without a component", lines(names=["@method", "content-digest"]), body, "malformed_signature", **wants)

    def refused(name, lines, reason, body=body, **others):
        vectors.refused(name, lines, body, reason, **others)

    refused("another body", good, "wrong_signature", body + " ")
    refused("another body and its digest", [*good[:2], digest(body + " "), JSON], "wrong_signature", body + " ")
    refused("under another secret", other, "wrong_signature")
    refused("another type", [*good[:3], (JSON[0], JSON[1] + "; charset=utf-8")], "wrong_signature")
    refused("an older time in its place", [good[0], ("signature-input", good[1][1].replace(str(NOW), str(NOW - 1))), *good[2:]], "wrong_signature")
    refused("the digest is not covered", lines(names=["@method", "@path"]), "malformed_signature")
    refused("nothing is covered", lines(names=[]), "malformed_signature")
    refused("no time", lines(params=params_of(everything).split(";")[0]), "missing_signature")
    refused("a time that is no integer", lines(params=params_of(everything).replace(str(NOW), f'"{NOW}"')), "malformed_signature")
    refused("another algorithm", lines(more=';alg="ed25519"'), "malformed_signature")
    refused("no algorithm", lines(more=';alg="none"'), "malformed_signature")
    refused("a component twice", lines(names=[*everything, "@method"]), "malformed_signature")
    refused("a component with parameters", lines(params=params_of(everything).replace('"@method"', '"@method";req')), "malformed_signature")
    refused("a component that a request has not", [good[0], ("signature-input", good[1][1].replace("@method", "@status")), *good[2:]], "malformed_signature")
    md5 = lambda body: digest(body, "md5", "md5")
    refused("a digest that is not known", lines(digest=md5), "malformed_signature")
    refused("no digest", [*good[:2], JSON], "missing_signature")
    refused("no structured field", [good[0], ("signature-input", "sig1"), *good[2:]], "malformed_signature")
    refused("half a signature", [(good[0][0], good[0][1][:20] + ":"), *good[1:]], "malformed_signature")
    for index, (name, _) in enumerate(good[:3]):
        refused(f"no {name}", good[:index] + good[index + 1 :], "missing_signature")
        refused(f"an empty {name}", [*good[:index], (name, ""), *good[index + 1 :]], "missing_signature")
        refused(f"{name} twice", [good[index], *good], "ambiguous_signature")
    return vectors


def paddle_classic_vectors():
    vectors = Vectors("paddle-classic", [RSA_PUBLIC])
    fields = {
        "alert_id": "1234",
        "alert_name": "payment_succeeded",
        "email": "zoë@a.test",
        "passthrough": '{"a": "b&c"}',
        "sale_gross": "42.00",
        "empty": "",
    }

    def serialised(fields):
        pairs = "".join(f's:{len(text.encode())}:"{text}";' for pair in sorted(fields.items()) for text in pair)
        return f"a:{len(fields)}:{{{pairs}}}".encode()

    def form(fields, signature):
        return urlencode([*fields.items(), ("p_signature", signature)])

    def signature(fields, algorithm="sha1"):
        return b64(rsa_sign(serialised(fields), algorithm))

    right = signature(fields)
    good = form(fields, right)

    def admitted(name, body, **others):
        vectors.admitted(name, [FORM], body, serialised(fields), "payment_succeeded", **others)

    admitted("as sent", good)
    admitted("in another order", "&".join(reversed(good.split("&"))))
    admitted("under the second key", good, secrets=[OTHER_RSA_PUBLIC, RSA_PUBLIC])
    for name, body, reason in [
        ("another amount", form(fields | {"sale_gross": "4.00"}, right), "wrong_signature"),
        ("a field more", form(fields | {"x": ""}, right), "wrong_signature"),
        ("a field less", form({name: value for name, value in fields.items() if name != "empty"}, right), "wrong_signature"),
        ("SHA-256", form(fields, signature(fields, "sha256")), "wrong_signature"),
        ("no signature", urlencode(fields), "missing_signature"),
        ("an empty signature", form(fields, ""), "missing_signature"),
        ("an empty body", "", "missing_signature"),
        ("half a signature", form(fields, right[:100]), "malformed_signature"),
        ("in hex", form(fields, base64.b64decode(right).hex()), "wrong_signature"),
        ("the signature twice", good + "&" + urlencode([("p_signature", right)]), "ambiguous_signature"),
        ("a field twice", good + "&alert_id=1234", "ambiguous_signature"),
    ]:
        vectors.refused(name, [FORM], body, reason)
    vectors.refused("under another key", [FORM], good, "wrong_signature", secrets=[OTHER_RSA_PUBLIC])
    vectors.refused("JSON", [JSON], "{}", "unsupported_type")
    return vectors


def mailgun_forms_vectors():
    vectors = Vectors("mailgun-forms", [TEXT_SECRET])
    token = "5be3b0b8f3b1c7b6e59ba1a1f4a4d0e2c21acdf7adbdf2b9d9"

    def form(at=NOW, secret=TEXT_SECRET, algorithm="sha256", **others):
        signature = hmac_of(secret.encode(), f"{at}{token}".encode(), algorithm).hex()
        fields = {"event": "delivered", "timestamp": str(at), "token": token, "signature": signature} | others
        return urlencode([(name, value) for name, value in fields.items() if value is not None])

    good = form()

    def admitted(name, body, **others):
        vectors.admitted(name, [FORM], body, token, "delivered", **others)

    admitted("as sent", good)
    admitted("300 s later", good, now=NOW + 300)
    admitted("what is not signed may be anything", good + "&recipient=a")
    for name, body, reason in [
        ("another token", form(token="x" + token), "wrong_signature"),
        ("another time", form(timestamp=str(NOW + 1)), "wrong_signature"),
        ("under another secret", form(secret=OTHER_TEXT_SECRET), "wrong_signature"),
        ("no signature", form(signature=None), "missing_signature"),
        ("no token", form(token=None), "missing_signature"),
        ("no time", form(timestamp=None), "missing_signature"),
        ("an empty signature", form(signature=""), "missing_signature"),
        ("the signature twice", good + "&signature=" + "ab" * 32, "missing_signature"),
        ("half a signature", form(signature="ab" * 16), "malformed_signature"),
        ("SHA-1", form(algorithm="sha1"), "malformed_signature"),
        ("301 s ago", form(NOW - 301), "stale"),
        ("301 s ahead", form(NOW + 301), "from_the_future"),
    ]:
        vectors.refused(name, [FORM], body, reason)
    return vectors


def all_vectors():
    return [
        twilio_vectors(),
        mandrill_vectors(),
        adyen_vectors(),
        braintree_vectors(),
        graph_vectors(),
        contentful_vectors(),
        http_message_vectors(),
        paddle_classic_vectors(),
        mailgun_forms_vectors(),
    ]

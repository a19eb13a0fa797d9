"""The questions of senders that want to see whether anyone is there, and their answers, as documented."""

import json
import urllib.parse

from generate import FORM, JSON, NOW, OTHER_TEXT_SECRET, TEXT_SECRET, b64, hmac_of
from senders import SENDERS, Sender
from standardset import Sending

TEXT = "text/plain; charset=utf-8"
# What a stranger can make a source say is bounded, and has no line break.
TOO_LONG, NOT_PLAIN = "a" * 1025, {"a line break": "a\r\nSet-Cookie: a=b", "a letter beyond ASCII": "caf\u00e9", "a tag": "<b>"}
VERIFY_TOKEN = "Aq7vN2xw9Lk4TzRb8sYc"


def answered(body="", *, status=200, media=None, headers=None, secret=None):
    answer = {"status": status, "media_type": media, "body": body, "headers": headers or {}}
    return {"answered": answer | ({"secret": secret} if secret else {})}


def of_json(**fields):
    return answered(json.dumps(fields, separators=(",", ":")), media=JSON[1])


def refused(reason, status=None):
    return {"refused": {"reason": reason, "status": status}}


NOT_SHOWN = refused("handshake_refused", 403)


def query(vectors, **values):
    return f"/hooks/{vectors.provider}?{urllib.parse.urlencode(values)}"


def subscribe(vectors, answer):
    """Meta's question, which others have taken over."""

    def asked(name, expected, mode="subscribe", token=VERIFY_TOKEN, challenge="1158201444", more="", **others):
        values = {"hub.mode": mode, "hub.verify_token": token, "hub.challenge": challenge}
        values = {key: value for key, value in values.items() if value is not None}
        settings = {"verify_token": VERIFY_TOKEN} | others
        vectors.question(name, expected, target=query(vectors, **values) + more, **settings)

    asked("asked", answer("1158201444"))
    asked("a challenge with signs", answer("a b&c=d"), challenge="a b&c=d")
    asked("another verify token", NOT_SHOWN, token=VERIFY_TOKEN[:-1] + "d")
    asked("a verify token in other letters", NOT_SHOWN, token=VERIFY_TOKEN.swapcase())
    asked("half a verify token", NOT_SHOWN, token=VERIFY_TOKEN[:10])
    asked("an empty verify token", NOT_SHOWN, token="")
    asked("no verify token", NOT_SHOWN, token=None)
    asked("the verify token twice", NOT_SHOWN, more="&hub.verify_token=" + VERIFY_TOKEN)
    asked("no verify token is configured", NOT_SHOWN, verify_token=None)
    asked("an empty one, and none is configured", NOT_SHOWN, token="", verify_token=None)
    asked("another mode", NOT_SHOWN, mode="unsubscribe")
    asked("no mode", NOT_SHOWN, mode=None)
    asked("a challenge of 1025 bytes", NOT_SHOWN, challenge=TOO_LONG)
    for name, challenge in NOT_PLAIN.items():
        asked(f"a challenge with {name}", NOT_SHOWN, challenge=challenge)
    asked("no challenge", refused("method_not_allowed"), challenge=None)
    asked("an empty challenge", refused("method_not_allowed"), challenge="")
    asked("the challenge twice", refused("method_not_allowed"), more="&hub.challenge=2")
    target = query(vectors, **{"hub.mode": "subscribe", "hub.verify_token": VERIFY_TOKEN, "hub.challenge": "1"})
    vectors.question(
        "asked by HEAD", refused("method_not_allowed"), method="HEAD", target=target, verify_token=VERIFY_TOKEN
    )
    case = vectors.file["cases"][0]
    lines = case["headers"]
    event = "admitted" if "target" not in case else refused("missing_signature")
    vectors.question(
        "an event that looks like it",
        event,
        method="POST",
        target=target,
        headers=lines,
        body=case["body"],
        verify_token=VERIFY_TOKEN,
    )


def echo(vectors, name, value):
    """A value of the query as text."""

    def asked(case, expected, more="", **values):
        vectors.question(case, expected, target=query(vectors, **values) + more)

    asked("asked", answered(value, media=TEXT), **{name: value})
    asked("of 1024 bytes", answered(TOO_LONG[1:], media=TEXT), **{name: TOO_LONG[1:]})
    asked("of 1025 bytes", NOT_SHOWN, **{name: TOO_LONG})
    for what, text in NOT_PLAIN.items():
        asked(f"with {what}", NOT_SHOWN, **{name: text})
    asked("empty", refused("method_not_allowed"), **{name: ""})
    asked("nothing", refused("method_not_allowed"))
    asked("twice", refused("method_not_allowed"), f"&{name}=b", **{name: "a"})
    asked("under another name", refused("method_not_allowed"), **{name.upper(): "a"})
    case = vectors.file["cases"][0]
    vectors.question(
        "an event that looks like it",
        "admitted",
        method="POST",
        target=query(vectors, **{name: "a"}),
        headers=case["headers"],
        body=case["body"],
    )


def graph(vectors):
    """Microsoft Graph asks by POST, without a signature."""

    def asked(name, expected, **values):
        vectors.question(name, expected, method="POST", target=query(vectors, **values), headers=[("content-type", "text/plain")])

    text = "Validation: Testing client application reachability for subscription Request-Id: 1b2c"
    asked("asked", answered(text, media=TEXT), validationToken=text)
    asked("of 1025 bytes", NOT_SHOWN, validationToken=TOO_LONG)
    for what, value in NOT_PLAIN.items():
        asked(f"with {what}", NOT_SHOWN, validationToken=value)
    asked("empty", refused("unsupported_type"), validationToken="")
    asked("nothing", refused("unsupported_type"))


def head(vectors):
    vectors.question("asked by HEAD", answered(), method="HEAD")
    vectors.question("asked by GET", refused("method_not_allowed"))


def asana(vectors):
    """The secret comes in the question."""
    secret = "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81"
    secrets = vectors.file["secrets"]
    learnt = answered(headers={"x-hook-secret": secret}, secret=secret)

    def asked(name, expected, lines, **others):
        vectors.question(name, expected, method="POST", headers=[*lines, JSON], **({"secrets": []} | others))

    asked("asked", learnt, [("x-hook-secret", secret)], body="{}")
    # Whether a second secret is taken is for whoever keeps them.
    asked("asked again", learnt, [("x-hook-secret", secret)], body="{}", secrets=secrets)
    asked("an empty secret", refused("missing_signature"), [("x-hook-secret", "")])
    asked("two secrets", refused("missing_signature"), [("x-hook-secret", secret), ("x-hook-secret", secret)])
    asked("a secret of 1025 bytes", NOT_SHOWN, [("x-hook-secret", TOO_LONG)])
    case = vectors.file["cases"][0]
    vectors.question(
        "an event before there is a secret",
        refused("wrong_signature"),
        method="POST",
        headers=case["headers"],
        body=case["body"],
        secrets=[],
    )
    vectors.question("an event", "admitted", method="POST", headers=case["headers"], body=case["body"])


def fitbit(vectors):
    wrong = refused("handshake_refused", 404)

    def asked(name, expected, more="", verify_token=VERIFY_TOKEN, **values):
        vectors.question(name, expected, target=query(vectors, **values) + more, verify_token=verify_token)

    asked("the right code", answered(status=204), verify=VERIFY_TOKEN)
    asked("a wrong code", wrong, verify="wrong")
    asked("half a code", wrong, verify=VERIFY_TOKEN[:10])
    asked("no code is configured", wrong, verify=VERIFY_TOKEN, verify_token=None)
    asked("an empty code", refused("method_not_allowed"), verify="")
    asked("no code", refused("method_not_allowed"))
    asked("two codes", refused("method_not_allowed"), "&verify=x", verify=VERIFY_TOKEN)


def notion(vectors):
    secret = "secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl"
    sending = Sending(SENDERS["notion"])

    def asked(name, expected, body, lines=(), **others):
        vectors.question(name, expected, method="POST", headers=[*lines, JSON], body=body, **({"secrets": []} | others))

    asked("asked", answered(secret=secret), f'{{"verification_token":"{secret}"}}')
    asked("no token", refused("missing_signature"), '{"id":"1"}')
    asked("an empty token", refused("missing_signature"), '{"verification_token":""}')
    asked("the token twice", refused("missing_signature"), '{"verification_token":"a","verification_token":"b"}')
    asked("a token that is no text", refused("missing_signature"), '{"verification_token":{}}')
    asked("not JSON", refused("missing_signature"), "hello")
    asked("a token of 1025 bytes", NOT_SHOWN, f'{{"verification_token":"{TOO_LONG}"}}')
    asked("a token with a line break", NOT_SHOWN, '{"verification_token":"a\\n"}')
    body = f'{{"id":"1","type":"a.b","verification_token":"{secret}"}}'
    signed = [("x-notion-signature", "sha256=" + sending.signature(body.encode()))]
    asked("an event with a token in it", "admitted", body, signed, secrets=vectors.file["secrets"])
    wrong = [("x-notion-signature", "sha256=" + "0" * 64)]
    asked("a forged event with a token in it", refused("wrong_signature"), body, wrong, secrets=vectors.file["secrets"])


def woocommerce(vectors):
    sending = Sending(SENDERS["woocommerce"])

    def asked(name, expected, body, *lines):
        vectors.question(name, expected, method="POST", headers=list(lines), body=body)

    asked("the ping", answered(), "webhook_id=17", FORM)
    asked("another form", refused("unsupported_type"), "a=1", FORM)
    asked("an empty id", refused("unsupported_type"), "webhook_id=", FORM)
    asked("two ids", refused("unsupported_type"), "webhook_id=1&webhook_id=2", FORM)
    asked("the ping as JSON", answered(), '{"webhook_id":17}', JSON)
    body = '{"webhook_id":17}'
    signed = ("x-wc-webhook-signature", sending.signature(body.encode()))
    asked("a signed event that looks like it", "admitted", body, signed, JSON)
    asked(
        "a forged event that looks like it",
        refused("wrong_signature"),
        body,
        ("x-wc-webhook-signature", b64(bytes(32))),
        JSON,
    )


def x(vectors):
    key = vectors.file["secrets"][0].encode()

    def asked(name, expected, more="", secrets=None, **values):
        others = {} if secrets is None else {"secrets": secrets}
        vectors.question(name, expected, target=query(vectors, **values) + more, **others)

    def response(token, key=key):
        return of_json(response_token="sha256=" + b64(hmac_of(key, token.encode())))

    token = "MTU0NDczNzQzMi1iYjk4MTJh"
    other = Sending(SENDERS["x"]).other_secret.text
    asked("asked", response(token), crc_token=token)
    asked("asked with a nonce", response(token), "&nonce=a", crc_token=token)
    asked("a token with signs", response("a+b/c=_.~"), crc_token="a+b/c=_.~")
    # The proof is made as the signature of an event is: what could be one is not signed for whoever asks.
    asked("an event as a token", NOT_SHOWN, crc_token='{"for_user_id":"1"}')
    asked("a form as a token", NOT_SHOWN, crc_token="a=1&b=2")
    asked("of two secrets the first", response(token, other.encode()), crc_token=token, secrets=[other, key.decode()])
    asked("a token of 1025 bytes", NOT_SHOWN, crc_token=TOO_LONG)
    asked("a token with a line break", NOT_SHOWN, crc_token="a\nb")
    asked("an empty token", refused("method_not_allowed"), crc_token="")
    asked("no token", refused("method_not_allowed"))
    asked("two tokens", refused("method_not_allowed"), "&crc_token=b", crc_token="a")


def okta(vectors):
    name, value = "x-okta-verification-challenge", "oJZmTRYQJ1Ck0Ei_dBlzIbbfLUCr"

    def asked(case, expected, *lines, **others):
        vectors.question(case, expected, headers=list(lines), **others)

    asked("asked", of_json(verification=value), (name, value))
    asked("a challenge with quotes", answered('{"verification":"a\\"b\\\\c"}', media=JSON[1]), (name, 'a"b\\c'))
    asked(
        "without the token, which a question need not show",
        of_json(verification=value),
        (name, value),
        ("authorization", "x"),
    )
    asked("an empty challenge", refused("method_not_allowed"), (name, ""))
    asked("no challenge", refused("method_not_allowed"))
    asked("two challenges", refused("method_not_allowed"), (name, "a"), (name, "b"))
    asked("a challenge of 1025 bytes", NOT_SHOWN, (name, TOO_LONG))
    asked("by POST, without a token", refused("missing_signature"), (name, value), JSON, method="POST", body="{}")


def signed(vectors, body, answer, *, event, others, sending=None):
    """A question that is signed like an event."""
    sending = sending or Sending(SENDERS[vectors.provider])

    def asked(name, expected, lines, body=body, **more):
        vectors.question(name, expected, method="POST", headers=lines, body=body, **more)

    asked("asked", answer, sending.sent(body.encode()))
    asked("under another secret", refused("wrong_signature"), sending.sent(body.encode(), secret=sending.other_secret))
    asked("not signed", refused("missing_signature"), sending.rest())
    asked("with the signature of an event", refused("wrong_signature"), sending.sent())
    asked("a year later", refused("stale"), sending.sent(body.encode()), now=NOW + 31_536_000)
    asked("an event that looks like it", "admitted", sending.sent(event.encode()), event)
    for name, expected, other in others:
        asked(name, expected, sending.sent(other.encode()), other)


def zoom(vectors):
    sending = Sending(SENDERS["zoom"])
    plain = "qgg8vlvZRS6UYooatFL8Aw"

    def question(token, event="endpoint.url_validation"):
        return f'{{"event":"{event}","event_ts":1795478400000,"payload":{{"plainToken":{json.dumps(token)}}}}}'

    def reply(token, secret=sending.secret):
        # The fields in the order of their names: JSON gives none.
        return of_json(encryptedToken=hmac_of(secret.key, token.encode()).hex(), plainToken=token)

    signed(
        vectors,
        question(plain),
        reply(plain),
        event=question(plain, "endpoint.other"),
        others=[
            ("another token", reply("a_b"), question("a_b")),
            ("what could be an event", NOT_SHOWN, question("{}")),
            ("a token of 1025 bytes", NOT_SHOWN, question(TOO_LONG)),
            ("a token with a line break", NOT_SHOWN, question("a\nb")),
            ("no token", NOT_SHOWN, '{"event":"endpoint.url_validation","payload":{}}'),
        ],
    )
    both = [sending.other_secret.text, sending.secret.text]
    lines = sending.sent(question(plain).encode())
    answer = reply(plain, sending.other_secret)
    vectors.question(
        "of two secrets the first answers", answer, method="POST", headers=lines, body=question(plain), secrets=both
    )


def discord(vectors):
    ping = '{"id":"1","application_id":"8450","type":1,"token":"aW50","version":1,"user":{"id":"5"}}'
    signed(
        vectors,
        ping,
        of_json(type=1),
        event=ping.replace('"type":1', '"type":2'),
        others=[("a type that is text", of_json(type=1), ping.replace('"type":1', '"type":"1"'))],
    )


def discord_events(vectors):
    ping = '{"version":1,"application_id":"1234","type":0}'
    signed(vectors, ping, answered(status=204), event=ping.replace('"type":0', '"type":1'), others=[])


def as_slack() -> Sending:
    """What signs for Slack, whose other vectors are in `generate.py`."""
    sending = Sending(
        Sender(
            "slack",
            "x-slack-signature",
            '{"type":"event_callback","event_id":"evt_2","event":{"type":"message"}}',
            prefix="v0=",
            signs="v0:{time}:{body}",
            time="x-slack-request-timestamp",
        )
    )
    for secret, text in [(sending.secret, TEXT_SECRET), (sending.other_secret, OTHER_TEXT_SECRET)]:
        secret.text, secret.key = text, text.encode()
    return sending


def slack(vectors):
    body = '{"token":"x","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","type":"url_verification"}'
    signed(
        vectors,
        body,
        answered("3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P", media=TEXT),
        event=body.replace("url_verification", "event_callback").replace("token", "event_id"),
        others=[
            ("a challenge of 1025 bytes", NOT_SHOWN, f'{{"type":"url_verification","challenge":"{TOO_LONG}"}}'),
            ("a challenge with a line break", NOT_SHOWN, '{"type":"url_verification","challenge":"a\\r\\nb"}'),
            ("no challenge", NOT_SHOWN, '{"type":"url_verification"}'),
        ],
        sending=as_slack(),
    )


def ask(of):
    """Adds the questions to the vectors of those that have any."""
    for name in ["meta", "whatsapp", "instagram"]:
        subscribe(of[name], lambda challenge: answered(challenge, media=TEXT))
    subscribe(of["strava"], lambda challenge: of_json(**{"hub.challenge": challenge}))
    echo(of["dropbox"], "challenge", "9KLpNvBGSgLwRLJxRmRbhLVA")
    echo(of["onfleet"], "check", "5a2d")
    graph(of["microsoft-graph"])
    for name in ["intercom", "mandrill", "surveymonkey", "trello"]:
        head(of[name])
    for question in [asana, fitbit, notion, woocommerce, x, okta, zoom, discord, slack]:
        question(of[question.__name__])
    discord_events(of["discord-events"])

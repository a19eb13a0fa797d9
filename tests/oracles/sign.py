"""Prints webhooks that the official packages signed, in JSON: `crates/hookward-core/tests/it/oracles.rs` admits them."""

import base64
import json
import sys

from official import PROVIDERS

NOW = 1_795_478_400

# Two secrets of each kind, random once: the one in use, and the one that it replaced.
TEXT_SECRETS = ("c21acdf7adbdf2b9d9f1e2a66bd5a3c8", "5be3b0b8f3b1c7b6e59ba1a1f4a4d0e2")
BASE64_SECRETS = ("whsec_kYwUNXqv3TgEOLzkRJBJpx8a1JhLwPTQ", "whsec_9mHvUm5dTpfV3PzqOBjaDJHkyuVBVXcl")
SECRETS = {
    "stripe": ("whsec_T7kPq2vLz9WcXfR4sB1nYd8mGh3jKe6A", "whsec_J4xQeM8aZr1TnV6wKc9pLb2yUd5hSg7F"),
    "slack": TEXT_SECRETS,
    "standard-webhooks": BASE64_SECRETS,
    "svix": BASE64_SECRETS,
}

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

BODIES = {
    "an event": ('{"id":"evt_1","event_id":"Ev1","type":"invoice.paid","event":{"type":"message"}}', JSON),
    "an empty object": ("{}", JSON),
    "text of many scripts": ('{"id":"evt_ü","name":"Zoë Łukasz 東京 \U0001f980 עברית"}', JSON),
    "escapes": (r'{"id":"evt_2","name":"Zo\u00eb \ud83e\udd80 \/ \" \\"}', JSON),
    "CRLF and indentation": ('{\r\n  "id": "evt_3",\r\n\t"type": "a.b"\r\n}\r\n', JSON),
    "100 kB": (json.dumps({"id": "evt_4", "filler": "0123456789abcdef" * 6_400}), JSON),
    "numbers that do not survive re-writing": ('{"id":"evt_5","amount":1.0,"big":12345678901234567890,"e":1E2}', JSON),
}
FORMS = {
    "a slash command": ("token=x&team_id=T1&command=%2Fdeploy&text=caf%C3%A9+%26+tea&trigger_id=1.2.ab", FORM),
    "an interaction": ("payload=%7B%22type%22%3A%22block_actions%22%7D", FORM),
}


def signed():
    for provider, official in PROVIDERS.items():
        new, old = SECRETS[provider]
        bodies = BODIES | FORMS if provider == "slack" else BODIES
        for number, (name, (body, content_type)) in enumerate(bodies.items()):

            def request(case, headers, secrets):
                return {
                    "provider": provider,
                    "case": f"{provider}: {name}{case}",
                    "secrets": secrets,
                    "headers": [*headers, ("content-type", content_type)],
                    "body": base64.b64encode(body.encode()).decode(),
                    "now": NOW,
                }

            id = f"msg_{number}"
            by_new, by_old = (official.sign(secret, id, NOW, body) for secret in (new, old))
            yield request("", by_new, [new])
            yield request(", two secrets configured", by_old, [new, old])
            if official.rotated:
                both = official.rotated(by_new, by_old)
                yield request(", signed twice, the first known", both, [new])
                yield request(", signed twice, the second known", both, [old])


json.dump(list(signed()), sys.stdout)

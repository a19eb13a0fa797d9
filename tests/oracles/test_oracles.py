"""The official packages against Hookward's vectors, and what Hookward signed. `./scripts/test` runs this last."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest
from official import PROVIDERS, verdict

ROOT = Path(__file__).resolve().parents[2]
VECTORS = ROOT / "crates/hookward-core/tests/vectors"
SIGNED_BY_HOOKWARD = ROOT / ".cache/oracles/signed-by-hookward.json"

# Vectors on which an official package decides otherwise, and why. Exact: on whatever is not here, they agree.
UNSEEN = "the packages do not look at the content type and encoding"
PAST_ONLY = "stripe looks at the past only"
FIRST_TIME = "stripe believes the first of two times"
JOINED = "a framework that joins repeated headers hides them from the package"
NUMBERS = "Python's int() takes a sign; in Hookward a time is digits"
MANY = "Hookward looks at eight signatures, the packages at any number"
NO_ED25519 = "the packages do not verify v1a"

ALL = {"no type": UNSEEN, "compressed": UNSEEN}
STANDARD = ALL | {
    "nine signatures": MANY,
    "an id with a dot": "the specification forbids it, the package does not",
    "v1a": NO_ED25519,
    "v1a with v1 beside it": NO_ED25519,
    "as in Svix's tests, public key": NO_ED25519,
    "as in Svix's tests, private key": NO_ED25519,
}
DIFFERENCES = {
    "stripe": ALL
    | {
        "301 s early": PAST_ONLY,
        "a year early": PAST_ONLY,
        "stripe-signature twice": JOINED,
        "the time twice": FIRST_TIME,
        "two times": FIRST_TIME,
        "a time with a sign": NUMBERS,
        "nine signatures": MANY,
    },
    "slack": ALL
    | {
        "a time with a sign": NUMBERS,
        "the challenge is answered, not kept": "its signature is right, which is all that the package says",
    },
    "standard-webhooks": STANDARD,
    "svix": STANDARD | {"both header names": "the package looks at its own names first, and then not at the others"},
}


def vectors():
    files = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(VECTORS.glob("*.json"))]
    return [
        pytest.param(file, case, id=f"{file['provider']}: {case['name']}")
        for file in files
        if file["provider"] in PROVIDERS
        for case in file["cases"]
    ]


def signed_by_hookward():
    if not SIGNED_BY_HOOKWARD.exists():
        return []
    return [pytest.param(request, id=request["case"]) for request in json.loads(SIGNED_BY_HOOKWARD.read_text())]


@pytest.mark.parametrize(("file", "case"), vectors())
def test_official_package_agrees_with_vector(file, case):
    body = base64.b64decode(case["body_base64"]) if "body_base64" in case else case["body"].encode()
    secrets, now = case.get("secrets", file["secrets"]), case.get("now", file["now"])
    theirs = verdict(file["provider"], secrets, case["headers"], body, now)
    agrees = (theirs is None) == ("admitted" in case["expect"])
    why = DIFFERENCES[file["provider"]].get(case["name"])
    assert agrees == (why is None), theirs


def test_every_written_difference_has_its_vector():
    names = {(parameters.values[0]["provider"], parameters.values[1]["name"]) for parameters in vectors()}
    assert {(provider, name) for provider, cases in DIFFERENCES.items() for name in cases} <= names


def test_hookward_left_what_it_signed():
    assert len(signed_by_hookward()) >= 100, "run `cargo test -p hookward-core --test it` first: it writes the file"


@pytest.mark.parametrize("request_", signed_by_hookward())
def test_official_package_takes_what_hookward_signed(request_):
    body = base64.b64decode(request_["body"])
    theirs = verdict(request_["provider"], request_["secrets"], request_["headers"], body, request_["now"])
    assert theirs is None


def test_vectors_are_as_their_generator_writes_them():
    subprocess.run([sys.executable, VECTORS / "generate.py", "--check"], check=True, timeout=60)

"""The words that commands and pages share."""

import pytest
from hookward.django import operate

from tests.ops.events import NOW

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("90s", NOW - 90 * SECOND),
        ("2h", NOW - 7200 * SECOND),
        (" 3d ", NOW - 3 * 86_400 * SECOND),
        ("2025-11-24", 1_763_942_400 * SECOND),
        ("2025-11-24T15:00:00Z", 1_763_996_400 * SECOND),
        ("2025-11-24T16:00:00+01:00", 1_763_996_400 * SECOND),
    ],
)
def test_since(text, at):
    assert operate.since(text, NOW) == at


@pytest.mark.parametrize("text", ["", "h", "-2h", "1.5h", "2w", "yesterday", "9999999h", "٣h"])
def test_times_that_are_none(text):
    with pytest.raises(ValueError, match="is no time"):
        operate.since(text, NOW)


def test_iso():
    assert operate.iso(1_763_996_400 * SECOND + 999_999) == "2025-11-24T15:00:00Z"


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"a":1,"b":"\xc3\xbc"}', '{\n  "a": 1,\n  "b": "ü"\n}'),
        (b"a=1&b=2", "a=1&b=2"),
        (b"\xff\x00", "ff 00"),
        (b'{"a":1,"a":2}', '{"a":1,"a":2}'),
        (b"[" * 3000, "[" * 100),
        ("ü".encode() * 60, "ü" * 50),
    ],
)
def test_bodies_for_the_eyes(body, shown):
    assert operate.readable(body, 100) == shown


@pytest.mark.parametrize("key", ["", "0" * 31, "0" * 33, "g" * 32, "A" * 32, "0" * 32 + "\n"])
def test_keys_that_are_none(key):
    assert not operate.is_key(key)
    assert operate.is_key("0123456789abcdef" * 2)

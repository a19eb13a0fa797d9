from __future__ import annotations

import json

import pytest
from hookward import _core
from hypothesis import given
from hypothesis import strategies as st

from .samples import receiver, send

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**300), 10**300)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(st.lists(VALUES) | st.dictionaries(st.text(), VALUES), st.booleans())
def test_what_is_written_as_json_reads_back(value: object, ascii_only: bool) -> None:
    found = _core.parse_json(json.dumps(value, ensure_ascii=ascii_only).encode())
    assert found == value
    assert repr(found) == repr(value), "also the types are the same"


@given(st.binary())
def test_what_is_no_json_raises_value_error(body: bytes) -> None:
    try:
        found = _core.parse_json(body)
    except ValueError:
        return
    assert found == json.loads(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"\xef\xbb\xbf{}",
        b'{"a":1,"a":2}',
        b'{"a":1,"\\u0061":2}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1e400}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\xff"}',
        b'{"a":"\x00"}',
        b'{"a":01}',
        b'{"a":1,}',
        b"{} {}",
        b'"text"',
        b"1",
        b"null",
        "{}".encode("utf-16"),
        b"[" * 65 + b"]" * 65,
        b"[" * 100_000 + b"]" * 100_000,
        b"[" + b"9" * 400 + b"]",
    ],
)
def test_what_parsers_disagree_on_is_refused(body: bytes) -> None:
    with pytest.raises(
        ValueError, match=r"the body|an object|a number|a string|the text|something|objects|the outermost"
    ):
        _core.parse_json(body)


def test_integers_are_exact_and_other_numbers_floats() -> None:
    digits = "123456789012345678901234567890"
    found = _core.parse_json(f'{{"big":{digits},"small":-1,"float":1.0,"exponent":1e2}}'.encode())
    assert found == {"big": int(digits), "small": -1, "float": 1.0, "exponent": 100.0}
    assert [type(it) for it in found.values()] == [int, int, float, float]


def test_pairs_of_surrogates_are_one_character() -> None:
    assert _core.parse_json(b'{"a":"\\ud83e\\udd80"}') == {"a": "\N{CRAB}"}


def test_an_event_has_its_data() -> None:
    event = send(receiver(), b'{"id":"evt_1","n":18446744073709551617}')
    assert isinstance(event, _core.Event)
    assert event.data() == {"id": "evt_1", "n": 2**64 + 1}


def test_a_body_that_is_not_json_is_quarantined_and_has_none() -> None:
    event = send(receiver(), b'{"id":"evt_1","id":"evt_2"}')
    assert isinstance(event, _core.Event)
    assert (event.quarantine, event.data()) == ("not_json", None)


def test_a_form_is_a_dict_of_its_fields() -> None:
    secret = "8f742231b10e8888abcd99yyyzzz85a5"
    settings = {"sources": {"slack": {"provider": "slack", "secrets": [secret]}}}
    slack = _core.Receiver(_core.Config.parse(settings, literals=True))
    body = b"command=%2Fdeploy&text=a+b&many=1&many=%C3%A9&many=&token=x"
    now = 1_795_478_400_000_000
    headers = [("content-type", "application/x-www-form-urlencoded"), *slack.sign("slack", body, "1", now).headers]
    screened = slack.screen("slack", "POST", "/hooks/slack", headers, "192.0.2.1", now)
    assert isinstance(screened, _core.Screened)
    event = screened.verify(body)
    assert isinstance(event, _core.Event)
    assert event.data() == {"command": "/deploy", "text": "a b", "many": ["1", "é", ""], "token": "x"}


def test_a_body_is_read_by_its_media_type() -> None:
    form = "application/x-www-form-urlencoded; charset=utf-8"
    assert _core.read_body("application/json", b'{"id":12345678901234567890}') == {"id": 12345678901234567890}
    assert _core.read_body(form, b"to=a&text=%C3%A9+b&to=c&none=") == {"to": ["a", "c"], "text": "é b", "none": ""}
    for media_type, body in [("application/json", b'{"a":1,"a":2}'), (form, b"a=%FF"), ("multipart/form-data", b"--x")]:
        assert _core.read_body(media_type, body) is None


def test_events_are_tried_again_by_the_gateways_rule() -> None:
    second = 1_000_000
    assert [_core.retry_wait(attempt, None, 1.0) for attempt in (1, 2, 3, 40)] == [
        5 * second,
        10 * second,
        20 * second,
        4 * 3600 * second,
    ]
    assert [_core.retry_wait(1, None, jitter) for jitter in (0.0, 0.5, 7.0)] == [0, 2_500_000, 5 * second]
    day = 86_400 * second
    assert [_core.retry_wait(1, after, 0.0) for after in (30.0, -1.0, float("inf"))] == [30 * second, 0, day]

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hookward import _core
from hypothesis import given
from hypothesis import strategies as st

from .samples import BODY, JSON, NOW, OTHER, PEER, SECRET, forge, judge, reason, receiver, send, signed

MINUTE = 60_000_000


def test_an_event_is_what_was_signed() -> None:
    event = send(receiver())
    assert isinstance(event, _core.Event)
    assert (event.source, event.id, event.type, event.body) == ("stripe", "evt_1", "invoice.paid", BODY)
    assert (event.received_at, event.quarantine, event.headers) == (NOW, None, [("content-type", b"application/json")])
    assert len(event.key) == 32
    assert len(event.content) == 16
    assert event.body_expires_at > NOW
    assert event.key_expires_at is not None
    assert event.key_expires_at > event.body_expires_at
    conflict = event.into_conflict()
    assert (conflict.quarantine, conflict.body) == ("id_conflict", BODY)
    assert conflict.key != event.key


def test_every_refusal_of_what_is_unproven_is_the_same_to_its_sender() -> None:
    stripe = receiver()
    genuine = signed(stripe)
    found = [
        forge(stripe),
        judge(stripe, [JSON]),
        judge(stripe, [*genuine, genuine[-1]]),
        judge(stripe, [JSON, ("stripe-signature", "junk")]),
        judge(stripe, genuine, now=NOW + 6 * MINUTE),
        judge(stripe, genuine, now=NOW - 6 * MINUTE),
        judge(stripe, genuine, BODY + b" "),
        judge(receiver(origin=["198.51.100.0/24"]), genuine),
    ]
    assert [reason(it) for it in found] == [
        "wrong_signature",
        "missing_signature",
        "ambiguous_signature",
        "malformed_signature",
        "stale",
        "from_the_future",
        "wrong_signature",
        "address_not_allowed",
    ]
    answers = {(it.status, tuple(it.headers), it.body) for it in found if isinstance(it, _core.Answer)}
    assert len(answers) == 1
    assert not any(it.verified for it in found if isinstance(it, _core.Answer))


def test_what_is_refused_before_the_body_needs_none() -> None:
    stripe = receiver(body_max="1KiB")
    genuine = signed(stripe)

    def screen(headers: list[tuple[str, str]], source: str = "stripe", method: str = "POST") -> tuple[int, str]:
        found = stripe.screen(source, method, "/", headers, PEER, NOW)
        assert isinstance(found, _core.Answer)
        return found.status, found.reason

    assert screen(genuine, source="nobody") == (404, "unknown_source")
    assert screen(genuine, method="PUT") == (405, "method_not_allowed")
    assert screen([*genuine, ("content-length", "1025")]) == (413, "body_too_large")
    assert screen([("content-type", "text/plain"), genuine[1]]) == (415, "unsupported_type")
    assert screen([*genuine, ("content-encoding", "gzip")]) == (415, "unsupported_encoding")
    assert screen([*genuine, ("content-length", "2"), ("transfer-encoding", "chunked")]) == (400, "bad_framing")
    assert screen([*genuine, ("content-length", "2"), ("content-length", "3")]) == (400, "bad_framing")
    assert screen([*genuine, ("host", "a"), ("host", "b")]) == (400, "bad_framing")
    assert screen([*genuine, ("bad name", "x")]) == (400, "bad_framing")
    assert screen([*genuine, ("x", "line\nbreak")]) == (400, "bad_framing")
    assert screen([*genuine, ("x", "\N{CRAB}")]) == (400, "bad_framing")
    found = judge(stripe, genuine, b"x" * 1025)
    assert isinstance(found, _core.Answer)
    assert (found.status, found.reason) == (413, "body_too_large")
    assert "connection" not in dict(found.headers), "WSGI leaves it to the server"


def test_headers_are_text_or_bytes_and_those_with_underscores_are_nothing() -> None:
    stripe = receiver()
    genuine = signed(stripe)
    as_bytes = [(name.encode(), value.encode()) for name, value in genuine]
    screened = stripe.screen("stripe", "POST", "/", [*as_bytes, ("X-Other", "caf\xe9")], PEER, NOW)
    assert isinstance(screened, _core.Screened)
    assert isinstance(screened.verify(BODY), _core.Event)
    assert isinstance(judge(stripe, [*genuine, ("Stripe_Signature", "t=1,v1=00")]), _core.Event)
    assert reason(judge(stripe, [JSON, ("stripe_signature", genuine[1][1])])) == "missing_signature"


def test_strangers_use_up_their_own_budget_and_a_genuine_request_gives_its_share_back() -> None:
    stripe = receiver({"limits": {"unverified": "1/m", "unverified_burst": 3}})
    stripe.set_budget_clock(0.0)
    assert [reason(send(stripe)) for _ in range(10)] == ["event"] * 10
    assert [reason(forge(stripe)) for _ in range(5)] == ["wrong_signature"] * 3 + ["unverified_budget"] * 2
    assert reason(send(stripe)) == "unverified_budget", "of this address"
    assert reason(send(stripe, peer="198.51.100.7")) == "event"
    stripe.set_budget_clock(61.0)
    assert reason(send(stripe)) == "event"
    found = [forge(stripe), forge(stripe)][1]
    assert isinstance(found, _core.Answer)
    assert found.status == 429
    assert int(dict(found.headers)["retry-after"]) >= 1


def test_a_source_has_a_budget_and_is_told_429() -> None:
    stripe = receiver(budget="1/m", burst=2)
    stripe.set_budget_clock(0.0)
    found = [send(stripe) for _ in range(3)]
    assert [reason(it) for it in found] == ["event", "event", "source_budget"]
    last = found[-1]
    assert isinstance(last, _core.Answer)
    assert (last.status, last.verified) == (429, True)
    stripe.set_budget_clock(None)


def test_the_client_is_found_behind_trusted_proxies_and_a_socket_of_this_machine() -> None:
    stripe = receiver({"server": {"trusted_proxies": ["10.0.0.0/8", "127.0.0.1"]}})

    def client(peer: str, forwarded: str) -> str:
        screened = stripe.screen("stripe", "POST", "/", [*signed(stripe), ("x-forwarded-for", forwarded)], peer, NOW)
        assert isinstance(screened, _core.Screened)
        return screened.client

    assert client("10.1.2.3", "203.0.113.9, 10.9.9.9") == "203.0.113.9"
    assert client("192.0.2.1", "203.0.113.9") == "192.0.2.1"
    assert client("", "203.0.113.9") == "203.0.113.9"
    assert client("10.1.2.3:4567", "203.0.113.9") == "203.0.113.9"
    assert client("junk", "203.0.113.9") == "0.0.0.0"


def test_the_acknowledgement_is_the_same_for_a_repeated_event_unless_it_is_to_tell() -> None:
    def told(stripe: _core.Receiver, duplicate: bool) -> tuple[int, dict[str, str], bytes]:
        answer = _core.accepted(stripe, "stripe", duplicate)
        return answer.status, dict(answer.headers), answer.body

    quiet, telling = receiver(), receiver(tell_duplicates=True, answer=202)
    expected = (200, {"content-type": "application/json"}, b'{"status":"accepted"}')
    assert told(quiet, False) == told(quiet, True) == expected
    assert told(telling, False) == (202, *expected[1:])
    assert told(telling, True)[1]["hookward-duplicate"] == "1"
    with pytest.raises(KeyError):
        _core.accepted(quiet, "nobody", False)


def test_waits_are_spread_upwards() -> None:
    stripe = receiver()
    waits = [int(dict(_core.retry_later(stripe, "stripe", 1000.0).headers)["retry-after"]) for _ in range(50)]
    assert all(1000 <= it <= 1500 for it in waits)
    assert len(set(waits)) > 5
    answer = _core.retry_later(stripe, "stripe", None)
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (503, "unavailable")
    for odd in (-1.0, float("nan"), float("inf"), 1e19, 1e300):
        assert _core.retry_later(stripe, "stripe", odd).status == 503


def test_a_secret_that_was_changed_counts_once_it_is_doubted(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    file.chmod(0o600)
    stripe = _core.Receiver(
        _core.Config.parse({"sources": {"stripe": {"provider": "stripe", "secret": f"file:{file}"}}})
    )
    stripe.set_budget_clock(0.0)
    assert reason(send(stripe)) == "event"
    assert stripe.tend_after > 60
    assert stripe.tend() == []
    file.write_text(OTHER + "\n")
    assert reason(forge(stripe)) == "wrong_signature", "it is another one only once it was looked up"
    assert stripe.tend_after == 0.0
    assert stripe.tend() == [f"file:{file}: the secret was changed"]
    assert reason(forge(stripe)) == "event"
    file.write_text("half")
    stripe.set_budget_clock(100_000.0)
    [told] = stripe.tend()
    assert "the last good one stays" in told
    assert reason(forge(stripe)) == "event"


def test_a_secret_is_learnt_once_and_counts(tmp_path: Path) -> None:
    file = tmp_path / "asana"
    settings = {"sources": {"asana": {"provider": "asana", "secret": f"learned:{file}"}}}
    asana = _core.Receiver(_core.Config.parse(settings))
    secret = "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81"

    def ask(secret: str) -> _core.Answer:
        screened = asana.screen("asana", "POST", "/", [JSON, ("x-hook-secret", secret)], PEER, NOW)
        found = screened if isinstance(screened, _core.Answer) else screened.verify(b"{}")
        assert isinstance(found, _core.Answer)
        return found

    answer = ask(secret)
    assert (answer.status, answer.reason, answer.learnt, answer.verified) == (200, "handshake", True, False)
    assert dict(answer.headers)["x-hook-secret"] == secret
    assert file.read_text() == secret
    assert file.stat().st_mode & 0o077 == 0
    assert (ask(OTHER * 2).status, file.read_text()) == (403, secret)
    assert asana.tend_after == 0.0
    assert "the secret was changed" in asana.tend()[0]
    signed = asana.sign("asana", b'{"events":[]}', "1", NOW)
    screened = asana.screen("asana", "POST", "/", [JSON, *signed.headers], PEER, NOW)
    assert isinstance(screened, _core.Screened)
    assert isinstance(screened.verify(b'{"events":[]}'), _core.Event)


def test_published_keys_are_due_once_and_again_when_nobody_fetched_them() -> None:
    settings = {"sources": {"kinde": {"provider": "kinde", "options": {"domain": "sample.kinde.com"}}}}
    kinde = _core.Receiver(_core.Config.parse(settings))
    [fetch] = kinde.keys_due(NOW)
    assert (fetch.url, fetch.post) == ("https://sample.kinde.com/.well-known/jwks", None)
    assert kinde.keys_due(NOW) == []
    fetch.failed(NOW)
    assert kinde.keys_due(NOW) == []
    [fetch] = kinde.keys_due(NOW + MINUTE)
    del fetch
    [fetch] = kinde.keys_due(NOW + 20 * MINUTE)
    assert not fetch.here(b"{}", None, NOW + 20 * MINUTE)
    fetch.not_there(NOW + 20 * MINUTE)


HEADERS = st.lists(st.tuples(st.text() | st.binary(), st.text() | st.binary()), max_size=5)


@given(st.text(), st.text(), st.text(), HEADERS, st.text(), st.integers(0, 2**64 - 1), st.binary())
def test_nothing_that_a_stranger_sends_raises(
    source: str,
    method: str,
    target: str,
    headers: list[tuple[str | bytes, str | bytes]],
    peer: str,
    now: int,
    body: bytes,
) -> None:
    for name in (source, "stripe"):
        screened = STRIPE.screen(name, method, target, headers, peer, now)
        assert isinstance(screened, _core.Answer)
        assert 400 <= screened.status < 500
    screened = STRIPE.screen("stripe", "POST", target, [*signed(STRIPE, BODY, now), *headers], peer, now)
    found = screened if isinstance(screened, _core.Answer) else screened.verify(body)
    assert isinstance(found, _core.Event) == (found is not screened and body == BODY)


STRIPE = receiver({"limits": {"unverified": "1000000/s", "unverified_burst": 10_000_000}})

"""Claims on a table, through the core. What they promise is tested in Rust; here, that Python has it whole."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hookward import _core

from tests.dynamodb_local import CREDENTIALS, dynamodb_local

from .forks import in_child
from .samples import NOW, receiver, send

SECOND = 1_000_000
TABLE = "hookward-test"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with dynamodb_local() as engine, pytest.MonkeyPatch.context() as environment:
        for name, value in CREDENTIALS.items():
            environment.setenv(name, value)
        yield engine.endpoint


@pytest.fixture(scope="module")
def table(endpoint: str) -> _core.DynamoDb:
    table = _core.DynamoDb(TABLE, region="eu-central-1", endpoint=endpoint)
    with pytest.raises(_core.Unavailable, match="ResourceNotFound"):
        table.health()
    assert table.create()
    assert not table.create()
    table.health()
    return table


STRIPE = receiver()


def event(id: str, amount: int = 1) -> _core.Event:
    found = send(STRIPE, f'{{"id":"{id}","type":"invoice.paid","amount":{amount}}}'.encode())
    assert isinstance(found, _core.Event)
    return found


def test_a_table_describes_itself(table: _core.DynamoDb) -> None:
    found = table.description()
    assert (found["status"], found["ttl"], found["deletion_protection"]) == ("ACTIVE", True, False)
    assert set(found) == {"status", "ttl", "encryption", "point_in_time_recovery", "deletion_protection"}


def test_an_event_is_claimed_once_and_settled(table: _core.DynamoDb) -> None:
    it = event("evt_claimed")
    until = NOW + 60 * SECOND
    claimed = table.claim(it, NOW, until)
    assert (claimed.kind, claimed.new, claimed.until, claimed.attempts) == ("claimed", True, until, 0)
    assert claimed.token is not None
    again = table.claim(it, NOW, until)
    assert (again.kind, again.new, again.token, again.until) == ("running", False, None, until)
    conflict = table.claim(event("evt_claimed", amount=2), NOW, until)
    assert (conflict.kind, conflict.new) == ("conflict", True)
    with pytest.raises(_core.Fenced):
        table.settle(it.key, claimed.token + 1, "done", NOW)
    table.extend(it.key, claimed.token, NOW, until + SECOND)
    table.settle(it.key, claimed.token, "again", NOW, NOW + SECOND, 503, "not yet")
    leased, next_due = table.lease(["stripe"], NOW, until, 10)
    assert leased == []
    assert next_due == NOW + SECOND
    [leased_one], _ = table.lease(["stripe"], NOW + SECOND, until, 10)
    assert (leased_one.attempts, leased_one.event.body, leased_one.event.headers) == (1, it.body, it.headers)
    table.settle(it.key, leased_one.token, "done", NOW + 2 * SECOND, status=200)
    with pytest.raises(_core.Fenced):
        table.settle(it.key, leased_one.token, "done", NOW + 2 * SECOND)
    kept = table.get(it.key, NOW)
    assert kept is not None
    assert (kept.state, kept.id, kept.type, kept.source) == ("done", "evt_claimed", "invoice.paid", "stripe")
    assert kept.history == [(NOW, 503, "not yet"), (NOW + 2 * SECOND, 200, "")]
    assert table.claim(it, NOW, until).kind == "done"
    assert table.get("0" * 32) is None


def test_dead_letters_are_listed_counted_and_replayed(table: _core.DynamoDb) -> None:
    it = event("evt_dead")
    claimed = table.claim(it, NOW, NOW + SECOND)
    assert claimed.token is not None
    table.settle(it.key, claimed.token, "dead", NOW, note="a person has to look")
    assert table.claim(it, NOW, NOW + SECOND).kind == "dead"
    quarantined = send(STRIPE, b'{"type":"without.id"}')
    assert isinstance(quarantined, _core.Event)
    assert table.accept(quarantined).kind == "quarantined"
    listed, cursor = table.list(state="dead", limit=50, now=NOW)
    assert cursor is None
    reasons = {kept.key: kept.dead_reason for kept in listed}
    assert reasons[it.key] == "undeliverable"
    assert reasons[quarantined.key] == "missing_id"
    before = table.counts(NOW)
    table.requeue(it.key, NOW)
    table.discard(quarantined.key, NOW)
    after = table.counts(NOW)
    assert (before["dead"] - after["dead"], after["pending"] - before["pending"]) == (2, 1)
    assert after["oldest_pending"] <= NOW
    [leased], _ = table.lease(["stripe"], NOW, NOW + SECOND, 10)
    assert (leased.event.key, leased.replays) == (it.key, 1)
    table.settle(it.key, leased.token, "done", NOW)
    with pytest.raises(_core.NotFound):
        table.requeue("0" * 32, NOW)


def test_of_many_threads_and_processes_one_has_the_lease(table: _core.DynamoDb) -> None:
    it = event("evt_raced")
    kinds: list[str] = []

    def claim() -> None:
        kinds.append(table.claim(it, NOW, NOW + 60 * SECOND).kind)

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(kinds) == ["claimed"] + ["running"] * 7
    assert in_child(lambda: table.claim(it, NOW, NOW + 60 * SECOND).kind) == "running"
    other = event("evt_of_a_child")
    assert in_child(lambda: table.claim(other, NOW, NOW + SECOND).kind) == "claimed"
    assert table.claim(other, NOW, NOW + SECOND).kind == "running"


def test_what_was_used_is_told(table: _core.DynamoDb) -> None:
    table.claim(event("evt_billed"), NOW, NOW + SECOND)
    units = {(source, what): writes for source, what, _, writes in table.usage()}
    assert units[("stripe", "accepted")] > 0


def test_what_cannot_be_is_told(table: _core.DynamoDb, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="hex"):
        table.get("key")
    with pytest.raises(ValueError, match="due_at"):
        table.settle("0" * 32, 1, "again", NOW)
    with pytest.raises(ValueError, match="outcome"):
        table.settle("0" * 32, 1, "well", NOW)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="state"):
        table.list(state="odd")
    with pytest.raises(_core.StoreError, match="index"):
        table.list(state="done")
    with pytest.raises(_core.ConfigError, match="https"):
        _core.DynamoDb(TABLE, region="eu-central-1", endpoint="http://192.0.2.1:8000").health()
    down = _core.DynamoDb(TABLE, region="eu-central-1", endpoint="http://127.0.0.1:9")
    with pytest.raises(_core.Unavailable):
        down.claim(event("evt_lost"), NOW, NOW + SECOND)
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(_core.ConfigError, match="region"):
        _core.DynamoDb(TABLE, endpoint=endpoint).health()

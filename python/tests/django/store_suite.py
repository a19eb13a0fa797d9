"""The meaning of `Store`: each store passes it. A subclass gives `store`, an empty one."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hookward import _core

SECRETS = {
    "orders": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwZQ1kUzB3Yt4=",
    "users": "whsec_Yt4zQ1kUzB3LaLaSwMfKQ9r8GKYqrTwjUPD8ILPZIo0=",
}
# Of today: what is far from it, DynamoDB does not list.
NOW = time.time_ns() // 1_000
SECOND = 1_000_000
DAY = 86_400 * SECOND
LEASE = 60 * SECOND

_receiver = None


def receiver():
    global _receiver
    if _receiver is None:
        common = {"provider": "standard-webhooks", "id": "/id", "remember": "40d"}
        sources = {name: common | {"secrets": [secret]} for name, secret in SECRETS.items()}
        _receiver = _core.Receiver(_core.Config.parse({"sources": sources}, literals=True))
    return _receiver


def an_event(event_id="1", source="orders", now=NOW, body=None, **fields):
    """An event that was admitted, as only the core makes one."""
    if body is None:
        body = json.dumps({"id": event_id, "type": "made", **fields}).encode()
    signed = receiver().sign(source, body, f"msg_{event_id}", now)
    headers = [*signed.headers, ("content-type", "application/json"), ("content-length", str(len(signed.body)))]
    screened = receiver().screen(source, "POST", "/", headers, "192.0.2.1", now)
    assert isinstance(screened, _core.Screened), screened.message
    event = screened.verify(signed.body)
    assert isinstance(event, _core.Event), event.message
    return event


def listed(store, limit=50, **query):
    """All pages."""
    seen, cursor = [], None
    while True:
        page, cursor = store.list(limit=limit, cursor=cursor, **query)
        assert len(page) <= limit
        seen += page
        if cursor is None:
            return seen


class StoreSuite:
    @pytest.fixture
    def store(self):
        raise NotImplementedError

    def claim(self, store, event=None, now=NOW):
        claimed = store.claim(event or an_event(), now, now + LEASE)
        assert claimed.kind == "claimed", claimed
        return claimed

    def test_a_new_event_is_claimed_and_a_copy_sees_it_run(self, store):
        claimed = self.claim(store)
        assert (claimed.new, claimed.attempts, claimed.lease.until) == (True, 0, NOW + LEASE)
        again = store.claim(an_event(), NOW + SECOND, NOW + SECOND + LEASE)
        assert (again.kind, again.lease, again.new, again.until) == ("running", None, False, NOW + LEASE)

    def test_what_is_done_stays_done(self, store):
        store.settle(self.claim(store).lease, "done", NOW, note="handled")
        assert store.claim(an_event(), NOW, NOW + LEASE).kind == "done"
        assert store.accept(an_event(), NOW).kind == "done"
        assert store.lease(["orders"], NOW + DAY, NOW + DAY + LEASE, 10) == ([], None)

    def test_an_event_is_kept_whole(self, store):
        event = an_event(text="Grüße 🎉")
        self.claim(store, event)
        kept = store.get(event.key)
        assert (kept.key, kept.source, kept.id, kept.type) == (event.key, "orders", event.id, "made")
        assert (kept.state, kept.received_at, kept.replays) == ("pending", event.received_at, 0)
        assert (kept.body, kept.body_bytes, kept.body_expired) == (event.body, len(event.body), False)
        assert kept.headers == event.headers
        assert store.get("0" * 32) is None

    def test_of_many_claims_exactly_one_has_the_lease(self, store):
        event = an_event()
        gate = threading.Barrier(8)

        def claim(_):
            gate.wait()
            try:
                return store.claim(event, NOW, NOW + LEASE).kind
            finally:
                self.leave_thread()

        with ThreadPoolExecutor(8) as pool:
            kinds = sorted(pool.map(claim, range(8)))
        assert kinds == ["claimed"] + ["running"] * 7

    def leave_thread(self):
        """Called by a thread of a test when it is done."""

    def test_a_lapsed_lease_is_taken_and_its_holder_fenced(self, store):
        first = self.claim(store).lease
        later = NOW + LEASE
        second = self.claim(store, now=later)
        assert (second.new, second.lease.token > first.token) == (False, True)
        for outcome in ("done", "again", "release", "dead"):
            with pytest.raises(_core.Fenced):
                store.settle(first, outcome, later, due_at=later)
        with pytest.raises(_core.Fenced):
            store.extend(first, later, later + LEASE)
        store.settle(second.lease, "done", later)
        assert store.get(first.key).state == "done"

    def test_nobody_settles_twice(self, store):
        lease = self.claim(store).lease
        store.settle(lease, "done", NOW)
        with pytest.raises(_core.Fenced):
            store.settle(lease, "done", NOW)
        with pytest.raises(_core.Fenced):
            store.extend(lease, NOW, NOW + LEASE)

    def test_a_lease_is_extended(self, store):
        lease = self.claim(store).lease
        extended = store.extend(lease, NOW + SECOND, NOW + 2 * LEASE)
        assert (extended.token, extended.until) == (lease.token, NOW + 2 * LEASE)
        assert store.claim(an_event(), NOW + LEASE + SECOND, NOW + 3 * LEASE).kind == "running"
        store.settle(extended, "done", NOW + LEASE + SECOND)

    def test_tried_again_when_due_or_when_it_comes_again(self, store):
        lease = self.claim(store).lease
        store.settle(lease, "again", NOW, due_at=NOW + 30 * SECOND, status=500, note="not yet")
        kept = store.get(lease.key)
        assert (kept.state, kept.attempts, kept.due_at) == ("pending", 1, NOW + 30 * SECOND)
        assert kept.history == [(NOW, 500, "not yet")]
        assert store.lease(["orders"], NOW + SECOND, NOW + LEASE, 10) == ([], NOW + 30 * SECOND)
        sent_again = self.claim(store, now=NOW + 2 * SECOND)
        assert (sent_again.attempts, sent_again.new) == (1, False)
        store.settle(sent_again.lease, "again", NOW + 2 * SECOND, due_at=NOW + 40 * SECOND)
        [leased], _ = store.lease(["orders"], NOW + 40 * SECOND, NOW + 100 * SECOND, 10)
        assert (leased.event.attempts, leased.event.body) == (2, an_event().body)
        store.settle(leased.lease, "done", NOW + 41 * SECOND)

    def test_given_back_counts_no_attempt(self, store):
        lease = self.claim(store).lease
        store.settle(lease, "release", NOW, due_at=NOW)
        assert store.get(lease.key).attempts == 0
        [leased], _ = store.lease(["orders"], NOW, NOW + LEASE, 10)
        assert leased.lease.token > lease.token

    def test_given_up_is_dead(self, store):
        lease = self.claim(store).lease
        store.settle(lease, "dead", NOW, note="the handler raised ValueError")
        kept = store.get(lease.key)
        assert (kept.state, kept.attempts, kept.due_at) == ("dead", 1, None)
        assert kept.dead_reason
        assert store.claim(an_event(), NOW, NOW + LEASE).kind == "dead"
        assert store.accept(an_event(), NOW).kind == "dead"

    def test_accepted_is_leased_by_one(self, store):
        assert (store.accept(an_event(), NOW).kind, store.accept(an_event(), NOW).kind) == ("kept", "running")
        [leased], _ = store.lease(["orders", "users"], NOW, NOW + LEASE, 10)
        assert (leased.event.key, leased.lease.until) == (an_event().key, NOW + LEASE)
        assert store.lease(["orders"], NOW, NOW + LEASE, 10)[0] == []
        assert store.claim(an_event(), NOW, NOW + LEASE).kind == "running"
        [again], _ = store.lease(["orders"], NOW + LEASE, NOW + 2 * LEASE, 10)
        with pytest.raises(_core.Fenced):
            store.settle(leased.lease, "done", NOW + LEASE)
        store.settle(again.lease, "done", NOW + LEASE)

    def test_a_claim_whose_holder_died_is_leased(self, store):
        lease = self.claim(store).lease
        assert store.lease(["orders"], NOW + SECOND, NOW + LEASE, 10)[0] == []
        [leased], _ = store.lease(["orders"], NOW + LEASE, NOW + 2 * LEASE, 10)
        assert leased.lease.token > lease.token

    def test_leases_are_of_the_sources_asked_for_and_no_more_than_asked(self, store):
        for event_id in ("1", "2", "3"):
            store.accept(an_event(event_id, now=NOW + int(event_id)), NOW + int(event_id))
        store.accept(an_event("4", "users"), NOW)
        leased, next_due = store.lease(["orders"], NOW + SECOND, NOW + LEASE, 2)
        assert [it.event.source for it in leased] == ["orders"] * 2
        assert next_due is not None
        assert next_due <= NOW + SECOND
        rest, _ = store.lease(["orders"], NOW + SECOND, NOW + LEASE, 10)
        assert {it.event.id for it in [*leased, *rest]} == {an_event(event_id).id for event_id in "123"}

    def test_the_same_id_with_other_content_is_a_conflict(self, store):
        event = an_event(amount=1)
        store.settle(self.claim(store, event).lease, "done", NOW)
        other = an_event(amount=2)
        assert other.key == event.key
        assert store.claim(other, NOW, NOW + LEASE).kind == "conflict"
        assert store.claim(other, NOW, NOW + LEASE).kind == "conflict"
        assert store.accept(other, NOW).kind == "conflict"
        assert (store.get(event.key).state, store.get(event.key).body) == ("done", event.body)
        [dead] = listed(store, state="dead")
        assert (dead.key != event.key, dead.dead_reason) == (True, "id_conflict")

    def test_what_is_nothing_to_handle_is_a_dead_letter(self, store):
        event = an_event(body=b"no json")
        assert event.quarantine == "not_json"
        first = store.claim(event, NOW, NOW + LEASE)
        assert (first.kind, first.new, first.lease) == ("quarantined", True, None)
        second = store.accept(event, NOW)
        assert (second.kind, second.new) == ("quarantined", False)
        assert store.get(event.key).dead_reason == "not_json"
        assert store.lease(["orders"], NOW + DAY, NOW + DAY + LEASE, 10)[0] == []

    def test_an_operator_runs_it_again(self, store):
        lease = self.claim(store).lease
        store.settle(lease, "dead", NOW)
        store.requeue(lease.key, NOW + SECOND)
        kept = store.get(lease.key)
        assert (kept.state, kept.attempts, kept.replays, kept.dead_reason) == ("pending", 0, 1, None)
        [leased], _ = store.lease(["orders"], NOW + SECOND, NOW + LEASE, 10)
        assert leased.event.replays == 1
        with pytest.raises(_core.Fenced):
            store.settle(lease, "done", NOW + SECOND)
        store.requeue(lease.key, NOW + 2 * SECOND)
        with pytest.raises(_core.Fenced):
            store.settle(leased.lease, "done", NOW + 2 * SECOND)
        with pytest.raises(_core.NotFound):
            store.requeue("0" * 32, NOW)

    def test_an_operator_drops_a_dead_letter(self, store):
        lease = self.claim(store).lease
        with pytest.raises(_core.NotFound):
            store.discard(lease.key, NOW)
        store.settle(lease, "dead", NOW)
        store.discard(lease.key, NOW)
        assert store.get(lease.key).state == "dropped"
        assert store.claim(an_event(), NOW, NOW + LEASE).kind == "done"
        with pytest.raises(_core.NotFound):
            store.discard("0" * 32, NOW)

    def test_lists_newest_first_a_page_at_a_time(self, store):
        events = [an_event(str(number), "users" if number == 3 else "orders", NOW + number) for number in range(5)]
        for event in events:
            store.accept(event, event.received_at)
        seen = listed(store, state="pending", limit=2)
        assert [it.key for it in seen] == [event.key for event in reversed(events)]
        assert {it.body for it in seen} == {b""}
        assert seen[0].body_bytes == len(events[4].body)
        assert [it.key for it in listed(store, source="users", state="pending")] == [events[3].key]
        assert listed(store, state="dead") == []
        between = {"since": events[1].received_at, "before": events[3].received_at}
        assert [it.key for it in listed(store, state="pending", **between)] == [events[2].key, events[1].key]

    def test_notes_are_clipped_and_the_history_is_short(self, store):
        for number in range(20):
            lease = self.claim(store, now=NOW + number).lease
            store.settle(lease, "again", NOW + number, due_at=NOW + number, note=f"{number} " + "é" * 600)
        kept = store.get(lease.key)
        assert kept.attempts == 20
        assert len(kept.history) <= 16
        assert kept.history[-1][2].startswith("19 é")
        assert len(kept.history[-1][2].encode()) <= 512

    def test_an_event_in_work_is_never_forgotten(self, store):
        lease = self.claim(store).lease
        store.expire(NOW + 4_000 * DAY)
        assert store.get(lease.key).body == an_event().body
        assert store.claim(an_event(), NOW + SECOND, NOW + LEASE).kind == "running"

    def test_it_is_well(self, store):
        assert store.health() is None


class ForgettingSuite:
    """Of stores that forget when they are told to."""

    def test_bodies_go_first_and_then_keys(self, store):
        event = an_event()
        lease = store.claim(event, NOW, NOW + LEASE).lease
        store.settle(lease, "done", NOW)
        assert store.expire(event.body_expires_at - 1) == 0
        assert store.expire(event.body_expires_at) == 1
        kept = store.get(event.key)
        assert (kept.body, kept.body_expired, kept.state) == (b"", True, "done")
        assert store.list()[0] == []
        with pytest.raises(_core.BodyExpired):
            store.requeue(event.key, event.body_expires_at)
        assert store.claim(event, event.body_expires_at, event.body_expires_at + LEASE).kind == "done"
        store.expire(event.key_expires_at)
        assert store.get(event.key) is None
        assert store.claim(event, event.key_expires_at, event.key_expires_at + LEASE).kind == "claimed"

    def test_a_key_past_its_time_may_be_used_before_it_is_swept(self, store):
        event = an_event()
        store.settle(store.claim(event, NOW, NOW + LEASE).lease, "done", NOW)
        late = event.key_expires_at
        claimed = store.claim(event, late, late + LEASE)
        assert (claimed.kind, claimed.new) == ("claimed", True)

    def test_counts(self, store):
        store.settle(store.claim(an_event("1"), NOW, NOW + LEASE).lease, "done", NOW)
        store.accept(an_event("2"), NOW)
        store.accept(an_event(body=b"no json"), NOW)
        assert store.counts() == {"pending": 1, "done": 1, "archived": 0, "dead": 1, "dropped": 0}

"""Events in the memory of one process: for tests. Everything is gone when the process is."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hookward import _core
from hookward.django.stores.base import Claimed, Kept, Lease, Leased, Outcome, State, Tried, with_attempt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class MemoryStore:
    """Keeps what every store promises, except that it forgets with its process. Any thread may call it."""

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def claim(self, event: _core.Event, now: int, until: int) -> Claimed:
        with self._lock:
            claimed, record = self._append(event, now)
            if record is None or record.kept.state != "pending":
                return claimed
            if record.leased(now):
                return Claimed("running", attempts=record.kept.attempts, until=record.until)
            lease = record.take(now, until)
            return Claimed("claimed", lease, record.kept.attempts, claimed.new, until)

    def accept(self, event: _core.Event, now: int) -> Claimed:
        with self._lock:
            claimed, record = self._append(event, now)
            if record is None or record.kept.state != "pending" or claimed.new:
                return claimed
            return Claimed("running", attempts=record.kept.attempts, until=record.until)

    def lease(self, sources: Sequence[str], now: int, until: int, limit: int) -> tuple[list[Leased], int | None]:
        with self._lock:
            waiting = [
                record
                for record in self._records.values()
                if record.kept.state == "pending" and record.kept.source in sources
            ]
            waiting.sort(key=lambda record: record.due())
            leased: list[Leased] = []
            for record in waiting:
                if len(leased) < limit and record.due() <= now:
                    lease = record.take(now, until)
                    leased.append(Leased(lease, record.seen()))
            handed_out = {item.lease.key for item in leased}
            left = [record.due() for record in waiting if record.kept.key not in handed_out]
            return leased, min(left, default=None)

    def extend(self, lease: Lease, now: int, until: int) -> Lease:
        with self._lock:
            record = self._held(lease)
            record.until = until
            return replace(lease, until=until)

    def settle(
        self,
        lease: Lease,
        outcome: Outcome,
        now: int,
        due_at: int | None = None,
        status: int | None = None,
        note: str = "",
    ) -> None:
        with self._lock:
            record = self._held(lease)
            record.until = None
            if outcome != "release":
                record.kept = replace(record.kept, attempts=record.kept.attempts + 1)
                record.history = with_attempt(record.history, now, status, note)
            if outcome in ("again", "release"):
                if due_at is None:
                    raise ValueError(f"{outcome} needs a time at which the event is due again")
                record.kept = replace(record.kept, due_at=due_at)
            elif outcome == "done":
                record.kept = replace(record.kept, state="done", due_at=None)
            else:
                record.kept = replace(record.kept, state="dead", due_at=None, dead_reason="undeliverable")

    def get(self, key: str) -> Kept | None:
        with self._lock:
            record = self._records.get(key)
            return None if record is None else record.seen()

    def list(
        self,
        *,
        source: str | None = None,
        state: State | None = None,
        since: int | None = None,
        before: int | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> tuple[list[Kept], str | None]:
        behind = None if cursor is None else int(cursor)
        with self._lock:
            found = [
                record.seen()
                for record in self._newest_first()
                if (source is None or record.kept.source == source)
                and (state is None or record.kept.state == state)
                and (since is None or record.kept.received_at >= since)
                and (before is None or record.kept.received_at < before)
                and (behind is None or record.number < behind)
                and not record.kept.body_expired
            ]
            page = [replace(kept, body=b"") for kept in found[:limit]]
            more = len(found) > limit
            return page, str(self._records[page[-1].key].number) if more and page else None

    def counts(self) -> dict[str, int]:
        with self._lock:
            counts = dict.fromkeys(("pending", "done", "archived", "dead", "dropped"), 0)
            for record in self._records.values():
                counts[record.kept.state] += 1
            return counts

    def requeue(self, key: str, now: int) -> None:
        with self._lock:
            record = self._records.get(key)
            if record is None:
                raise _core.NotFound(f"no event has the key {key}")
            if record.kept.body_expired:
                raise _core.BodyExpired(f"the body of {key} was forgotten: it cannot be run again")
            record.until = None
            record.token += 1
            replays = record.kept.replays + 1
            record.kept = replace(
                record.kept, state="pending", dead_reason=None, attempts=0, replays=replays, due_at=now
            )

    def discard(self, key: str, now: int) -> None:
        with self._lock:
            record = self._records.get(key)
            if record is None or record.kept.state != "dead" or record.kept.body_expired:
                raise _core.NotFound(f"no dead letter has the key {key}")
            record.kept = replace(record.kept, state="dropped")

    def expire(self, now: int) -> int:
        with self._lock:
            forgotten = 0
            for key, record in list(self._records.items()):
                if record.kept.state == "pending":
                    continue
                if record.body_expires_at <= now and not record.kept.body_expired:
                    record.kept = replace(record.kept, body=b"", body_expired=True)
                    forgotten += 1
                if record.forgotten(now):
                    del self._records[key]
            return forgotten

    def health(self) -> None:
        return None

    def _append(self, event: _core.Event, now: int) -> tuple[Claimed, _Record | None]:
        """Keeps the event unless its key is held: what to answer, and the record to work on where there is one."""
        held = self._records.get(event.key)
        if held is not None and held.forgotten(now):
            del self._records[event.key]
            held = None
        if held is None:
            record = self._keep(event)
            return Claimed("quarantined" if event.quarantine else "kept", new=True), record
        if held.content != event.content:
            conflict = event.into_conflict()
            if conflict.key not in self._records:
                self._keep(conflict)
            return Claimed("conflict"), None
        state = held.kept.state
        if state == "pending":
            return Claimed("kept"), held
        if state != "dead":
            return Claimed("done", attempts=held.kept.attempts), held
        given_up = held.kept.dead_reason == "undeliverable"
        return Claimed("dead" if given_up else "quarantined", attempts=held.kept.attempts), held

    def _keep(self, event: _core.Event) -> _Record:
        kept = Kept(
            key=event.key,
            source=event.source,
            type=event.type,
            id=event.id,
            received_at=event.received_at,
            state="dead" if event.quarantine else "pending",
            dead_reason=event.quarantine,
            attempts=0,
            replays=0,
            due_at=None if event.quarantine else event.received_at,
            body=event.body,
            body_bytes=len(event.body),
            body_expired=False,
            headers=list(event.headers),
        )
        record = _Record(kept, event.content, event.body_expires_at, event.key_expires_at, next(self._numbers))
        self._records[event.key] = record
        return record

    def _held(self, lease: Lease) -> _Record:
        record = self._records.get(lease.key)
        if record is None or record.token != lease.token or record.until is None or record.kept.state != "pending":
            raise _core.Fenced(f"the lease of {lease.key} is not the caller's any more")
        return record

    def _newest_first(self) -> Iterator[_Record]:
        return iter(sorted(self._records.values(), key=lambda record: record.number, reverse=True))


@dataclass(slots=True)
class _Record:
    kept: Kept
    content: bytes
    body_expires_at: int
    key_expires_at: int | None
    number: int
    token: int = 0
    until: int | None = None
    history: list[Tried] = field(default_factory=list)

    def leased(self, now: int) -> bool:
        return self.until is not None and self.until > now

    def due(self) -> int:
        return self.until if self.until is not None else self.kept.due_at or 0

    def forgotten(self, now: int) -> bool:
        """Whether the key may be used again: never while the event still has to be handled."""
        return self.kept.state != "pending" and self.key_expires_at is not None and self.key_expires_at <= now

    def take(self, now: int, until: int) -> Lease:
        self.token += 1
        self.until = until
        return Lease(self.kept.key, self.token, until)

    def seen(self) -> Kept:
        return replace(self.kept, history=list(self.history))

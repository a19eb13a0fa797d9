"""Events on a DynamoDB table, through the Rust core: for many machines, and for teams that have their events there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hookward.django.stores.base import Claimed, Kept, Lease, Leased, Outcome, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hookward import _core


class DynamoDbStore:
    """The core's client in the words of `Store`. Connects at its first call in each process."""

    def __init__(self, table: _core.DynamoDb) -> None:
        self.table = table

    def claim(self, event: _core.Event, now: int, until: int) -> Claimed:
        return _claimed(event, self.table.claim(event, now, until))

    def accept(self, event: _core.Event, now: int) -> Claimed:  # noqa: ARG002, the event has its time
        return _claimed(event, self.table.accept(event))

    def lease(self, sources: Sequence[str], now: int, until: int, limit: int) -> tuple[list[Leased], int | None]:
        leased, next_due = self.table.lease(sources, now, until, limit)
        return [Leased(Lease(it.event.key, it.token, it.until), _kept(it.event)) for it in leased], next_due

    def extend(self, lease: Lease, now: int, until: int) -> Lease:
        self.table.extend(lease.key, lease.token, now, until)
        return Lease(lease.key, lease.token, until)

    def settle(
        self,
        lease: Lease,
        outcome: Outcome,
        now: int,
        due_at: int | None = None,
        status: int | None = None,
        note: str = "",
    ) -> None:
        self.table.settle(lease.key, lease.token, outcome, now, due_at, status, note)

    def get(self, key: str) -> Kept | None:
        found = self.table.get(key)
        return found and _kept(found)

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
        page, cursor = self.table.list(
            source=source, state=state, since=since, before=before, cursor=cursor, limit=limit
        )
        return [_kept(it) for it in page], cursor

    def counts(self) -> dict[str, int]:
        return self.table.counts()

    def requeue(self, key: str, now: int) -> None:
        self.table.requeue(key, now)

    def discard(self, key: str, now: int) -> None:
        self.table.discard(key, now)

    def expire(self, now: int) -> int:  # noqa: ARG002, DynamoDB deletes by itself what is past its time
        return 0

    def health(self) -> None:
        self.table.health()


def _claimed(event: _core.Event, found: _core.Claimed) -> Claimed:
    lease = None if found.token is None or found.until is None else Lease(event.key, found.token, found.until)
    return Claimed(found.kind, lease, found.attempts, found.new, found.until)


def _kept(found: _core.Kept) -> Kept:
    return Kept(
        key=found.key,
        source=found.source,
        type=found.type,
        id=found.id,
        received_at=found.received_at,
        state=found.state,
        dead_reason=found.dead_reason,
        attempts=found.attempts,
        replays=found.replays,
        due_at=found.due_at,
        body=found.body,
        body_bytes=found.body_bytes,
        body_expired=found.body_expired,
        headers=found.headers,
        history=found.history,
    )

"""What every store promises, and the words it is said in. `tests/django/store_suite.py` is its meaning.

Times are whole microseconds since 1970 (UTC); a store never asks the clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from hookward import _core

# As the stores of the gateway: what a person reads, not an archive.
NOTE_BYTES_MAX = 512
HISTORY_MAX = 16

State = Literal["pending", "done", "archived", "dead", "dropped"]
Outcome = Literal["done", "again", "release", "dead"]


Tried = tuple[int, int | None, str]
"""An attempt that ended: time, status, note."""


def with_attempt(history: Sequence[Tried], now: int, status: int | None, note: str) -> list[Tried]:
    """A history after one more attempt: the latest ones, their notes cut to what is kept."""
    clipped = note.encode("utf-8", "replace")[:NOTE_BYTES_MAX].decode("utf-8", "ignore")
    return [*history, (now, status, clipped)][-HISTORY_MAX:]


@dataclass(frozen=True, slots=True)
class Lease:
    """The exclusive, expiring right to work on an event; only the highest token may settle."""

    key: str
    token: int
    until: int


@dataclass(frozen=True, slots=True)
class Kept:
    """What a store knows of one event. `body` is empty in lists and once it was forgotten."""

    key: str
    source: str
    type: str | None
    id: str | None
    received_at: int
    state: State
    dead_reason: str | None
    attempts: int
    replays: int
    due_at: int | None
    body: bytes
    body_bytes: int
    body_expired: bool
    headers: list[tuple[str, bytes]]
    history: list[Tried] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Leased:
    lease: Lease
    event: Kept


@dataclass(frozen=True, slots=True)
class Claimed:
    """The answer to `claim` and `accept`. In each case but a raised error the key is durably held.

    - `claimed`: the caller has `lease`; `new` tells a first claim from one after a lapsed or released lease
    - `kept`: durable, for whoever leases next (`accept` only)
    - `running`: somebody else has the lease until `until`, or (`accept`) it waits already
    - `done`, `dead`, `quarantined`: what has become of it
    - `conflict`: the key is held by other content; this event was kept as a dead letter of its own
    """

    kind: Literal["claimed", "kept", "running", "done", "dead", "conflict", "quarantined"]
    lease: Lease | None = None
    attempts: int = 0
    new: bool = False
    until: int | None = None


class Store(Protocol):
    """Where events are kept. Its errors are the core's: Unavailable, Fenced, NotFound, BodyExpired, TooLarge."""

    def claim(self, event: _core.Event, now: int, until: int) -> Claimed:
        """Keeps the event under a lease in one atomic step; of concurrent calls exactly one has the lease.

        A key that is held: takes the lease if it lapsed or was given back (due or not), otherwise says what there is.
        """
        ...

    def accept(self, event: _core.Event, now: int) -> Claimed:
        """Keeps the event for whoever leases next. Never hands out a lease."""
        ...

    def lease(self, sources: Sequence[str], now: int, until: int, limit: int) -> tuple[list[Leased], int | None]:
        """Up to `limit` events that are due and nobody's, oldest due first; and when the next one is due."""
        ...

    def extend(self, lease: Lease, now: int, until: int) -> Lease: ...

    def settle(
        self,
        lease: Lease,
        outcome: Outcome,
        now: int,
        due_at: int | None = None,
        status: int | None = None,
        note: str = "",
    ) -> None:
        """Says how the work ended, and gives the lease back. `again` and `release` need `due_at`.

        `release` counts no attempt.
        """
        ...

    def get(self, key: str) -> Kept | None: ...

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
        """Newest first, without bodies; and where it goes on."""
        ...

    def counts(self) -> dict[str, int]:
        """How many events are in each state; `-1` where counting would need a scan."""
        ...

    def requeue(self, key: str, now: int) -> None:
        """An operator's replay: due at once, attempts back at zero, its replay number one higher."""
        ...

    def discard(self, key: str, now: int) -> None:
        """An operator's decision that a dead letter is done with."""
        ...

    def expire(self, now: int) -> int:
        """Forgets what is past its time; how many. Never an event that still has to be handled."""
        ...

    def health(self) -> None:
        """Raises Unavailable when events cannot be kept."""
        ...

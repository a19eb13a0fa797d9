"""Events in the project's own database: nothing to set up, any number of processes, and effects that commit together
with the mark that they happened.

Every step is one statement that a unique key or a condition guards, so that the isolation level does not matter and
SQLite, PostgreSQL and MySQL do the same.
"""

from __future__ import annotations

import json
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, IntegrityError, InterfaceError, connections, transaction
from django.db.models import Count, F, Q, QuerySet

from hookward import _core
from hookward.django.models import Effect, StoredEvent
from hookward.django.stores.base import Claimed, Kept, Lease, Leased, Outcome, State, with_attempt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# A key that was just forgotten may be used again; that it is forgotten again and again has another cause.
_INSERTS_MAX = 3
# How many rows one statement of `expire` takes: enough to get through, and no long lock.
_EXPIRE_BATCH = 500


class OrmStore:
    """The store of one database alias."""

    def __init__(self, alias: str = "default") -> None:
        self.alias = alias

    def claim(self, event: _core.Event, now: int, until: int) -> Claimed:
        with _faults_told():
            held = self._insert_or_find(event, now, until)
            if held is None:
                if event.quarantine is not None:
                    return Claimed("quarantined", new=True)
                return Claimed("claimed", Lease(event.key, 1, until), new=True, until=until)
            verdict = self._verdict(event, held, now)
            if verdict is not None:
                return verdict
            if held.leased and held.due_at is not None and held.due_at > now:
                return Claimed("running", attempts=held.attempts, until=held.due_at)
            if self._take(held, until):
                return Claimed("claimed", Lease(held.key, held.token + 1, until), held.attempts, until=until)
            # Somebody else was faster, and has just taken or settled it.
            return Claimed("running", attempts=held.attempts, until=until)

    def accept(self, event: _core.Event, now: int) -> Claimed:
        with _faults_told():
            held = self._insert_or_find(event, now, None)
            if held is None:
                return Claimed("kept" if event.quarantine is None else "quarantined", new=True)
            return self._verdict(event, held, now) or Claimed("running", attempts=held.attempts, until=held.due_at)

    def lease(self, sources: Sequence[str], now: int, until: int, limit: int) -> tuple[list[Leased], int | None]:
        with _faults_told():
            waiting = self._rows().filter(state="pending", source__in=list(sources))
            due = waiting.filter(due_at__lte=now).order_by("due_at")
            if connections[self.alias].features.has_select_for_update_skip_locked:
                with transaction.atomic(using=self.alias):
                    rows = list(due.select_for_update(skip_locked=True)[:limit])
                    taken = [row for row in rows if self._take(row, until)]
            else:
                taken = [row for row in due[:limit] if self._take(row, until)]
            next_due = (
                waiting.exclude(key__in=[row.key for row in taken])
                .order_by("due_at")
                .values_list("due_at", flat=True)
                .first()
            )
            return [Leased(Lease(row.key, row.token + 1, until), _kept(row)) for row in taken], next_due

    def extend(self, lease: Lease, now: int, until: int) -> Lease:  # noqa: ARG002, the conditions need no time
        with _faults_told():
            if not self._leased(lease).update(due_at=until):
                raise _fenced(lease)
            return replace(lease, until=until)

    def hold(self, lease: Lease) -> None:
        """To be called first in a transaction that is to settle: raises Fenced where it could not.

        On SQLite it also makes the transaction a writer from its start. One that read first could not become one while
        others write.
        """
        if connections[self.alias].vendor == "sqlite":
            with _faults_told():
                if not self._leased(lease).update(leased=True):
                    raise _fenced(lease)

    def settle(
        self,
        lease: Lease,
        outcome: Outcome,
        now: int,
        due_at: int | None = None,
        status: int | None = None,
        note: str = "",
    ) -> None:
        changes: dict[str, Any] = {"leased": False}
        if outcome in ("again", "release"):
            if due_at is None:
                raise ValueError(f"{outcome} needs a time at which the event is due again")
            changes["due_at"] = due_at
        elif outcome == "done":
            changes |= {"state": "done", "due_at": None, "forget_at": F("body_expires_at")}
        else:
            changes |= {
                "state": "dead",
                "due_at": None,
                "dead_reason": "undeliverable",
                "forget_at": F("body_expires_at"),
            }
        with _faults_told():
            if outcome != "release":
                changes["attempts"] = F("attempts") + 1
                changes["history"] = self._history_with(lease, now, status, note)
            if not self._leased(lease).update(**changes):
                raise _fenced(lease)

    def get(self, key: str) -> Kept | None:
        with _faults_told():
            row = self._rows().filter(key=key).first()
            return row and _kept(row)

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
        rows = self._rows().filter(body_expired=False).defer("body")
        for condition in (
            source and Q(source=source),
            state and Q(state=state),
            since is not None and Q(received_at__gte=since),
            before is not None and Q(received_at__lt=before),
            cursor and _behind(cursor),
        ):
            if condition:
                rows = rows.filter(condition)
        with _faults_told():
            page = list(rows.order_by("-received_at", "-key")[: limit + 1])
        more, page = len(page) > limit, page[:limit]
        return [_kept(row, with_body=False) for row in page], f"{page[-1].received_at}-{page[-1].key}" if more else None

    def counts(self) -> dict[str, int]:
        with _faults_told():
            found = self._rows().values_list("state").annotate(Count("key")).order_by()
            return dict.fromkeys(("pending", "done", "archived", "dead", "dropped"), 0) | dict(found)

    def requeue(self, key: str, now: int) -> None:
        with _faults_told():
            changed = (
                self._rows()
                .filter(key=key, body_expired=False)
                .update(
                    state="pending",
                    dead_reason=None,
                    due_at=now,
                    leased=False,
                    token=F("token") + 1,
                    attempts=0,
                    replays=F("replays") + 1,
                    forget_at=None,
                )
            )
            if changed:
                return
            if self._rows().filter(key=key).exists():
                raise _core.BodyExpired(f"the body of {key} was forgotten: it cannot be run again")
            raise _core.NotFound(f"no event has the key {key}")

    def discard(self, key: str, now: int) -> None:  # noqa: ARG002, the history has attempts only
        with _faults_told():
            if not self._rows().filter(key=key, state="dead", body_expired=False).update(state="dropped"):
                raise _core.NotFound(f"no dead letter has the key {key}")

    def expire(self, now: int) -> int:
        with _faults_told():
            return self._forget_bodies(now) + self._forget_keys(now)

    def health(self) -> None:
        with _faults_told():
            self._rows().filter(key="").exists()

    def _rows(self) -> QuerySet[StoredEvent]:
        return StoredEvent.objects.using(self.alias)

    def _leased(self, lease: Lease) -> QuerySet[StoredEvent]:
        """The row, if the lease is still the caller's."""
        return self._rows().filter(key=lease.key, token=lease.token, state="pending", leased=True)

    def _insert(self, event: _core.Event, now: int, until: int | None) -> bool:
        """Keeps the event, unless its key is held: for the caller until then, or for whoever leases next."""
        pending = event.quarantine is None
        leased = pending and until is not None
        row = StoredEvent(
            key=event.key,
            content=event.content.hex(),
            source=event.source,
            type=_label(event.type),
            sender_id=_label(event.id),
            received_at=event.received_at,
            state="pending" if pending else "dead",
            dead_reason=event.quarantine,
            due_at=(until if leased else now) if pending else None,
            leased=leased,
            token=1 if leased else 0,
            headers=json.dumps([[name, value.decode("latin-1")] for name, value in event.headers]),
            body=event.body,
            body_bytes=len(event.body),
            body_expires_at=event.body_expires_at,
            key_expires_at=event.key_expires_at,
            forget_at=None if pending else event.body_expires_at,
        )
        # In a transaction, a refused insert would spoil it: PostgreSQL goes on only after a savepoint.
        inside = connections[self.alias].in_atomic_block
        try:
            with transaction.atomic(using=self.alias) if inside else nullcontext():
                row.save(using=self.alias, force_insert=True)
        except IntegrityError:
            return False
        return True

    def _insert_or_find(self, event: _core.Event, now: int, until: int | None) -> StoredEvent | None:
        """Keeps the event, or finds who holds its key."""
        for _ in range(_INSERTS_MAX):
            if self._insert(event, now, until):
                return None
            held = self._rows().filter(key=event.key).defer("body", "headers").first()
            if held is not None and not _is_forgotten(held, now):
                return held
            if held is not None:
                self._rows().filter(key=held.key, state=held.state, token=held.token).delete()
        raise _core.Unavailable(f"the database neither keeps {event.key} nor shows who holds it")

    def _verdict(self, event: _core.Event, held: StoredEvent, now: int) -> Claimed | None:
        """What has become of a key that is held; None while it is to be worked on."""
        if held.content != event.content.hex():
            self._insert(event.into_conflict(), now, None)
            return Claimed("conflict")
        if held.state == "pending":
            return None
        if held.state == "dead":
            given_up = held.dead_reason == "undeliverable"
            return Claimed("dead" if given_up else "quarantined", attempts=held.attempts)
        return Claimed("done", attempts=held.attempts)

    def _take(self, row: StoredEvent, until: int) -> bool:
        """Takes the lease, if nobody has touched the event since it was read."""
        unchanged = self._rows().filter(
            key=row.key, token=row.token, state="pending", leased=row.leased, due_at=row.due_at
        )
        return bool(unchanged.update(token=row.token + 1, leased=True, due_at=until))

    def _history_with(self, lease: Lease, now: int, status: int | None, note: str) -> str:
        # Under the first lease nothing has been tried before: there is nothing to read.
        before = "[]" if lease.token == 1 else self._leased(lease).values_list("history", flat=True).first() or "[]"
        return json.dumps(with_attempt(json.loads(before), now, status, note))

    def _forget_bodies(self, now: int) -> int:
        past = self._rows().filter(forget_at__lte=now, body_expired=False).exclude(state="pending")
        forgotten = 0
        while keys := list(past.values_list("key", flat=True)[:_EXPIRE_BATCH]):
            changes = {"body": b"", "headers": "[]", "body_expired": True, "forget_at": F("key_expires_at")}
            changed = past.filter(key__in=keys).update(**changes)
            forgotten += changed
            if not changed:
                break
        return forgotten

    def _forget_keys(self, now: int) -> int:
        past = self._rows().filter(forget_at__lte=now, key_expires_at__lte=now, body_expired=True)
        past = past.exclude(state="pending")
        forgotten = 0
        while keys := list(past.values_list("key", flat=True)[:_EXPIRE_BATCH]):
            deleted = past.filter(key__in=keys).delete()[0]
            forgotten += deleted
            if not deleted:
                break
        return forgotten


def forget_effects(alias: str, now: int) -> int:
    """Forgets marks of effects whose events may not come again; how many."""
    with _faults_told():
        return Effect.objects.using(alias).filter(expires_at__lte=now).delete()[0]


@contextmanager
def _faults_told() -> Iterator[None]:
    """Whatever the database cannot do now is Unavailable: the sender comes again, and nothing is acknowledged."""
    try:
        yield
    except (DatabaseError, InterfaceError) as error:
        raise _core.Unavailable(f"the database did not do it: {error}") from error


def _kept(row: StoredEvent, *, with_body: bool = True) -> Kept:
    return Kept(
        key=row.key,
        source=row.source,
        type=row.type,
        id=row.sender_id,
        received_at=row.received_at,
        state=row.state,  # type: ignore[arg-type]
        dead_reason=row.dead_reason,
        attempts=row.attempts,
        replays=row.replays,
        due_at=row.due_at,
        body=bytes(row.body) if with_body else b"",
        body_bytes=row.body_bytes,
        body_expired=row.body_expired,
        headers=[(name, value.encode("latin-1")) for name, value in json.loads(row.headers)],
        history=[(at, status, note) for at, status, note in json.loads(row.history)],
    )


def _is_forgotten(row: StoredEvent, now: int) -> bool:
    """Whether the key may be used again: never while the event still has to be handled."""
    if row.state == "pending" or row.key_expires_at is None:
        return False
    return max(row.key_expires_at, row.body_expires_at) <= now


def _behind(cursor: str) -> Q:
    at, _, key = cursor.partition("-")
    return Q(received_at__lt=int(at)) | Q(received_at=int(at), key__lt=key)


def _label(text: str | None) -> str | None:
    """A sender's text for people to read; PostgreSQL takes no NUL in one."""
    return None if text is None else text.replace("\0", "\ufffd")[:256]


def _fenced(lease: Lease) -> _core.Fenced:
    return _core.Fenced(f"the lease of {lease.key} is not the caller's any more")

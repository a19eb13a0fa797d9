"""What a person does with kept events: the words that the commands and the admin pages share.

Times are whole microseconds since 1970 (UTC).
"""

from __future__ import annotations

import base64
import heapq
import json
import re
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from hookward import _core
from hookward.django.event import EPOCH, moment
from hookward.django.runtime import current

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hookward.django.stores.base import Kept, State, Store

STATES: tuple[State, ...] = ("pending", "done", "archived", "dead", "dropped")

# A page of the store: on DynamoDB each one is a query.
_PAGE = 100


def store() -> Store:
    """Where the project's events are kept."""
    return current().store


def now() -> int:
    """By the project's clock, which tests stop."""
    return current().clock()


def source_names() -> list[str]:
    """The sources of the settings."""
    return sorted(current().settings.sources)


def listable() -> tuple[State, ...] | None:
    """The states that the store lists by, one at a time; None where it lists everything at once.

    A DynamoDB table has no index: it lists what somebody has to look at, and finds the rest by key.
    """
    return ("dead", "pending") if current().settings.table is not None else None


def is_key(text: str) -> bool:
    return _KEY.fullmatch(text) is not None


def matching(
    store: Store,
    *,
    source: str | None = None,
    state: State | None = None,
    since: int | None = None,
    limit: int | None = None,
) -> Iterator[Kept]:
    """Events, newest first, without bodies, read a page at a time; `limit` at most. Without a state, of all that the
    store lists.
    """
    states = listable()
    if state is None and states is not None:
        of_each = [matching(store, source=source, state=one, since=since, limit=limit) for one in states]
        yield from islice(heapq.merge(*of_each, key=lambda event: -event.received_at), limit)
        return
    cursor, left = None, limit
    while left is None or left > 0:
        page, cursor = store.list(
            source=source, state=state, since=since, cursor=cursor, limit=_PAGE if left is None else min(_PAGE, left)
        )
        yield from page
        left = None if left is None else left - len(page)
        if cursor is None:
            return


def summary(event: Kept) -> dict[str, Any]:
    """An event as JSON, without its body and headers: those are the sender's, and may be private."""
    return {
        "key": event.key,
        "source": event.source,
        "type": event.type,
        "id": event.id,
        "received_at": iso(event.received_at),
        "state": event.state,
        "dead_reason": event.dead_reason,
        "attempts": event.attempts,
        "replays": event.replays,
        "due_at": None if event.due_at is None else iso(event.due_at),
        "body_bytes": event.body_bytes,
        "body_expired": event.body_expired,
    }


def details(event: Kept, *, body: bool) -> dict[str, Any]:
    """An event as JSON with its attempts; `body` adds headers and body: as text, or as base64 where it is none."""
    found = summary(event)
    found["history"] = [{"at": iso(at), "status": status, "note": note} for at, status, note in event.history]
    if body:
        found["headers"] = [[name, value.decode("latin-1")] for name, value in event.headers]
        try:
            found["body"] = event.body.decode()
        except UnicodeDecodeError:
            found["body_base64"] = base64.b64encode(event.body).decode()
    return found


def readable(body: bytes, limit: int) -> str:
    """A body for the eyes: JSON indented, other text as it is, else hex; of a larger one its first `limit` bytes."""
    shown = body[:limit]
    try:
        body.decode()
    except UnicodeDecodeError:
        return shown.hex(" ")
    if len(body) <= limit:
        try:
            return json.dumps(_core.parse_json(body), indent=2, ensure_ascii=False)
        except (ValueError, RecursionError):
            pass
    return shown.decode(errors="ignore")


def plain(text: str | None) -> str:
    """Text of a stranger for a terminal: what is not printable is written as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text or "")


def iso(at: int) -> str:
    """A time as people and programs read it, such as `2026-11-24T15:28:02Z`."""
    return moment(at).strftime("%Y-%m-%dT%H:%M:%SZ")


def since(text: str, now: int) -> int:
    """When `2h`, `3d` (before `now`), `2026-11-24` or `2026-11-24T15:00:00Z` was. Raises ValueError."""
    if found := _AGE.fullmatch(text.strip()):
        return now - int(found[1]) * _UNITS[found[2]] * 1_000_000
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(
            f"{text!r} is no time: write an age such as 2h or 3d, or a date such as 2026-11-24T15:00:00Z"
        ) from None
    return (at.replace(tzinfo=at.tzinfo or UTC) - EPOCH) // timedelta(microseconds=1)


_KEY = re.compile(r"[0-9a-f]{32}")
_AGE = re.compile(r"([0-9]{1,6})(s|m|h|d)")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

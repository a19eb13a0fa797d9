"""What a person does with kept events: the words that the commands and the admin pages share.

Times are whole microseconds since 1970 (UTC).
"""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hookward import _core

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hookward.django.stores.base import Kept, State, Store

STATES: tuple[State, ...] = ("pending", "done", "archived", "dead", "dropped")

# A page of the store: on DynamoDB each one is a query.
_PAGE = 100


def matching(
    store: Store,
    *,
    source: str | None = None,
    state: State | None = None,
    since: int | None = None,
    limit: int | None = None,
) -> Iterator[Kept]:
    """Events, newest first, without bodies, read a page at a time; `limit` at most."""
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
    return (_EPOCH + timedelta(microseconds=at)).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(at: int) -> datetime:
    """A time as Django's templates take it."""
    return _EPOCH + timedelta(microseconds=at)


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
    return (at.replace(tzinfo=at.tzinfo or UTC) - _EPOCH) // timedelta(microseconds=1)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AGE = re.compile(r"([0-9]{1,6})(s|m|h|d)")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


# --- TEMPORARY bridge until the request path is merged ---
import re as _re
import time as _time
import uuid as _uuid

APP_LABEL = "hookward"
_STORE: list[Store] = []


def store() -> Store:
    return _STORE[0]


def now() -> int:
    return _time.time_ns() // 1000


def is_key(text: str) -> bool:
    return _re.fullmatch(r"[0-9a-f]{32}", text) is not None


def _written() -> dict[str, Any]:
    from django.conf import settings

    names = {
        "SECRETS": "secrets",
        "RATE": "budget",
        "MAX_BODY": "body_max",
        "TOLERANCE": "tolerance",
        "REMEMBER": "remember",
        "SCHEME": "provider",
    }
    return {
        "sources": {
            n: {"provider": n} | {names.get(k, k.lower()): v for k, v in s.items()}
            for n, s in settings.WEBHOOKS["SOURCES"].items()
        }
    }


def config(only: str | None = None) -> _core.Config:
    w = _written()
    if only:
        w = {"sources": {only: w["sources"][only]}}
    return _core.Config.parse(w, literals=True)


def receiver() -> _core.Receiver:
    return _core.Receiver(config())


def source_names() -> list[str]:
    from django.conf import settings

    return sorted(settings.WEBHOOKS["SOURCES"])


def trusts_proxies() -> bool:
    from django.conf import settings

    return bool(settings.WEBHOOKS.get("TRUSTED_PROXIES"))


def table_endpoint() -> str | None:
    return None


def table() -> _core.DynamoDb | None:
    return None


def keeps_nothing() -> bool:
    return False


def database() -> str:
    return "default"


def fresh_id() -> str:
    return f"msg_{_uuid.uuid4().hex}"


def path_of(source: str) -> str | None:
    return None


def as_gateway_config() -> dict[str, Any]:
    return _written()

"""Events that the standalone gateway delivers, when it stands before the project.

It has verified, limited, de-duplicated and kept them, and signs each delivery with Standard Webhooks: its id, its time,
and the body. The id is made of the event's key and replay number, so those are taken from it and are proven. Its other
headers are not covered by the signature: source, type, the sender's id, the time of receipt and the attempt are as
trustworthy as the way between gateway and project, and as whoever could capture a delivery there. So a delivery whose
header names another source is refused, and nothing that must hold depends on the others.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hookward.django.event import Event

if TYPE_CHECKING:
    from django.http import HttpRequest

    from hookward import _core
    from hookward.django.request import Header

_ID = re.compile(r"hw_([0-9a-f]{32})(?:_([1-9][0-9]{0,9}))?")
_NUMBER_MAX = 10


class NotOurs(Exception):
    """A delivery for another endpoint, or by somebody who is no gateway."""


def as_json(headers: list[Header]) -> list[Header]:
    """The headers of a delivery as the core is to judge them: what a body may be was the gateway's to decide, form or
    JSON.
    """
    others = [(name, value) for name, value in headers if name not in (b"content-type", "content-type")]
    return [*others, ("content-type", "application/json")]


def of_delivery(delivery: _core.Event, request: HttpRequest, source: str, *, database: str) -> Event:
    """The event of a delivery that was verified. Raises NotOurs."""
    headers = request.headers
    found = _ID.fullmatch(delivery.id or "")
    if found is None:
        raise NotOurs("its webhook-id is none of a gateway")
    if headers.get("hookward-source") != source:
        raise NotOurs("its hookward-source is another one: is the gateway's destination for this source elsewhere?")
    key, replay = found[1], int(found[2] or 0)
    if headers.get("hookward-event-key", key) != key:
        raise NotOurs("its hookward-event-key is not what was signed")
    return Event(
        key=key,
        source=source,
        id=headers.get("hookward-event-id"),
        type=headers.get("hookward-event-type"),
        raw=delivery.body,
        headers=headers,
        received_at=_time(headers.get("hookward-received-at")) or _now(delivery),
        attempt=_number(headers.get("hookward-attempt")),
        replay=replay,
        _database=database,
    )


def _time(written: str | None) -> datetime | None:
    try:
        at = datetime.fromisoformat(written or "")
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _now(delivery: _core.Event) -> datetime:
    return datetime.fromtimestamp(delivery.received_at / 1_000_000, UTC)


def _number(written: str | None) -> int:
    is_one = written is not None and written.isascii() and written.isdigit() and len(written) <= _NUMBER_MAX
    return max(1, int(written)) if is_one and written is not None else 1

"""What a handler gets. Public."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ParamSpec

from asgiref.sync import sync_to_async
from django.db import IntegrityError, transaction
from django.utils.datastructures import CaseInsensitiveMapping

from hookward import _core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from hookward.django.stores.base import Kept
    from hookward.django.validation import Validate

P = ParamSpec("P")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAME_MAX = 128
_FORM = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"


@dataclass(frozen=True, eq=False)
class Event:
    """A webhook whose sender is proven, once for all its attempts."""

    key: str
    """What makes it this event, from signed bytes: 32 hex digits, the same for each attempt and each copy."""
    source: str
    id: str | None
    """The sender's own id, if it sends one. To search by; not every sender signs it."""
    type: str | None
    raw: bytes = field(repr=False)
    """The body, byte for byte."""
    headers: Mapping[str, str] = field(repr=False)
    """The headers that are kept, by name in any case. They are not signed, unless the sender signs them."""
    received_at: datetime
    """When it came first."""
    attempt: int
    """Which attempt this is, from 1."""
    replay: int
    """How often an operator has run it again: 0, if never."""
    _database: str = field(default="default", repr=False)
    _forget_at: int | None = field(default=None, repr=False)
    _validate: Validate | None = field(default=None, repr=False)

    @cached_property
    def data(self) -> Any:
        """The body as what the handler's `model` makes of it; without one, JSON or a form as plain objects, None for
        another body.
        """
        if self._validate is None:
            return self._plain()
        return self._validate(self.raw, self._plain, self._kind not in (_FORM, _MULTIPART))

    @contextmanager
    def once(self, name: str = "") -> Iterator[bool]:
        """A transaction whose changes are made exactly once for the event, however often its handler runs.

        ```
        with event.once() as first:
            if first:
                Invoice.objects.filter(pk=event.data["invoice"]).update(paid=True)
        ```

        The mark that it has happened commits together with the changes, or neither does. That holds for what is changed
        in the database of `WEBHOOKS["DATABASE"]` within the block, and for nothing else: not for an e-mail, nor for
        another service. A handler with several effects gives each a `name` of at most 128 characters. In async
        handlers, use `aonce`.
        """
        if len(name) > _NAME_MAX:
            raise ValueError(f"the name of an effect has at most {_NAME_MAX} characters")
        with transaction.atomic(using=self._database):
            yield self._mark(name)

    async def aonce(self, effect: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> bool:
        """Calls `effect(*args)` within `once`, in a thread, if it has not happened yet; says whether it was called.

        The mark has the function's qualified name.
        """

        def happen() -> bool:
            with self.once(effect.__qualname__[-_NAME_MAX:]) as first:
                if first:
                    effect(*args, **kwargs)
                return first

        return await sync_to_async(happen)()

    def validated_by(self, validate: Validate | None) -> Event:
        """The same with `data` that this makes. For Hookward itself."""
        return self if validate is None else replace(self, _validate=validate)

    def _mark(self, name: str) -> bool:
        from hookward.django.models import Effect

        mark = Effect(key=self.key, name=name, expires_at=self._forget_at)
        try:
            with transaction.atomic(using=self._database):
                mark.save(using=self._database, force_insert=True)
        except IntegrityError:
            return False
        return True

    def _plain(self) -> Any:
        return _core.read_body(self.headers.get("content-type", ""), self.raw)

    @property
    def _kind(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


def of_admitted(event: _core.Event, *, attempt: int, database: str) -> Event:
    """An event that has just come."""
    return Event(
        key=event.key,
        source=event.source,
        id=event.id,
        type=event.type,
        raw=event.body,
        headers=_headers(event.headers),
        received_at=moment(event.received_at),
        attempt=attempt,
        replay=0,
        _database=database,
        _forget_at=event.key_expires_at,
    )


def of_kept(kept: Kept, *, remember_secs: int | None, database: str) -> Event:
    """An event that a store has kept; its key is remembered for so long."""
    return Event(
        key=kept.key,
        source=kept.source,
        id=kept.id,
        type=kept.type,
        raw=kept.body,
        headers=_headers(kept.headers),
        received_at=moment(kept.received_at),
        attempt=kept.attempts + 1,
        replay=kept.replays,
        _database=database,
        _forget_at=None if remember_secs is None else kept.received_at + remember_secs * 1_000_000,
    )


def _headers(headers: list[tuple[str, bytes]]) -> Mapping[str, str]:
    return CaseInsensitiveMapping({name: value.decode("latin-1") for name, value in headers})


def moment(at: int) -> datetime:
    """A time of the stores."""
    return EPOCH + timedelta(microseconds=at)

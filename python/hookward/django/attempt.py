"""One attempt at an event: its handler is called, and the store is told how it ended.

The ways in which it can end are the same whoever makes the attempt: a request, a worker, a task queue. With the ORM
store and a sync handler, the handler's changes and the event's end commit together, fenced by the lease: an attempt
that was given up for dead changes nothing.
"""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from django.db import InterfaceError, OperationalError, transaction
from django.http.response import HttpResponseBase

from hookward import _core
from hookward.django import signals
from hookward.django.handlers import Handler, Ignore, Retry
from hookward.django.observe import observe
from hookward.django.steps import Step, Steps
from hookward.django.validation import Invalid

if TYPE_CHECKING:
    from django.http import HttpRequest

    from hookward.django.event import Event
    from hookward.django.runtime import Runtime
    from hookward.django.stores.base import Lease

logger = logging.getLogger("hookward")

_HTTP_ERROR = 400


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended.

    - `done`: handled, ignored, or nobody's
    - `again`: the handler asked for another attempt
    - `failed`: it raised, or answered with an error; there is another attempt
    - `invalid`: the body does not match the handler's model
    - `dead`: like `failed`, and it was the last attempt
    - `superseded`: somebody else has taken the event meanwhile; nothing was changed
    """

    kind: Literal["done", "again", "failed", "invalid", "dead", "superseded"]
    note: str
    after: float | None = None
    """Seconds until the next attempt."""
    unavailable: bool = False
    """Whether it failed for a reason that is nobody's mistake: the database is not there."""
    response: HttpResponseBase | None = None
    """What the handler answers itself, if it does."""


class _Unhappy(Exception):
    """The handler answered with an error: what it changed is rolled back."""

    def __init__(self, response: HttpResponseBase) -> None:
        self.response = response


def attempt(
    runtime: Runtime, event: Event, handler: Handler | None, *, lease: Lease | None, request: HttpRequest | None
) -> Steps[Ending]:
    """Makes it. Without a lease (behind the gateway) nobody but the caller is told how it ended.

    Raises Unavailable when the handler has done it and the store could not be told.
    """
    try:
        returned, settled = yield from _handle(runtime, event, handler, lease, request)
    except Ignore as ignored:
        ending, settled = Ending("done", ignored.reason), False
    except _core.Fenced:
        logger.warning("webhook superseded: %s: its lease was too short; nothing was changed", _name(event))
        return Ending("superseded", "its lease lapsed, and somebody else has taken it")
    except _core.Unavailable:
        yield from _give_back(runtime, lease)
        raise
    except Exception as error:  # noqa: BLE001, what a handler raises is how it ended
        ending, settled = _failed(runtime, event, error), False
        yield from _tell(event, ending, error)
    except BaseException:
        # The process is told to end, or the sender has hung up: not the event's fault.
        yield from _give_back(runtime, lease)
        raise
    else:
        ending = Ending("done", "handled" if handler else "no handler takes this type", response=returned)
    if lease is not None and not settled:
        yield from _settle(runtime, lease, ending)
    logger.info("webhook %s: %s: %s", ending.kind, _name(event), ending.note)
    return ending


def _handle(
    runtime: Runtime, event: Event, handler: Handler | None, lease: Lease | None, request: HttpRequest | None
) -> Steps[tuple[HttpResponseBase | None, bool]]:
    """What the handler answered, and whether the store knows already that it is done."""
    if handler is None:
        return None, False
    event.data  # noqa: B018, what does not match the model is known before a transaction begins
    args = (request, event) if handler.takes_request else (event,)
    is_atomic = handler.atomic
    if is_atomic is None:
        is_atomic = not handler.is_async and runtime.settings.sources[event.source].atomic
    if not is_atomic:
        returned = yield Step(handler.function, args)
        return _happy(returned), False
    settles = lease is not None and runtime.is_transactional
    returned = yield Step(_together, (runtime, handler, args, lease if settles else None))
    return returned, settles


def _together(
    runtime: Runtime, handler: Handler, args: tuple[Any, ...], lease: Lease | None
) -> HttpResponseBase | None:
    """The handler's changes and the end of the event, both or neither."""
    store: Any = runtime.store if lease is not None else None
    with transaction.atomic(using=runtime.settings.database):
        if lease is not None:
            store.hold(lease)
        returned = _happy(handler.function(*args))
        if lease is not None:
            store.settle(lease, "done", runtime.clock(), note="handled")
        return returned


def _happy(returned: Any) -> HttpResponseBase | None:
    if not isinstance(returned, HttpResponseBase):
        return None
    if returned.status_code >= _HTTP_ERROR:
        raise _Unhappy(returned)
    return returned


def _failed(runtime: Runtime, event: Event, error: Exception) -> Ending:
    """What is done about a handler's exception."""
    asked = error.after if isinstance(error, Retry) else None
    after = _core.retry_wait(event.attempt, asked, random.random()) / 1_000_000
    is_last = event.attempt >= runtime.settings.attempts
    match error:
        case Invalid():
            return Ending("invalid", str(error))
        case Retry():
            return Ending("dead" if is_last else "again", error.reason, after)
        case _Unhappy():
            note = f"the handler answered {error.response.status_code}"
            return Ending("dead" if is_last else "failed", note, after, response=error.response)
        case OperationalError() | InterfaceError():
            # Never the text of an exception: it may quote the body.
            return Ending("dead" if is_last else "failed", f"the database: {_kind(error)}", after, unavailable=True)
        case _:
            return Ending("dead" if is_last else "failed", f"the handler raised {_kind(error)}", after)


def _tell(event: Event, ending: Ending, error: Exception) -> Steps[None]:
    """Logs and signals a failure."""
    if isinstance(error, Retry | Invalid | _Unhappy):
        logger.warning("webhook failed: %s, attempt %d: %s", _name(event), event.attempt, ending.note)
    else:
        logger.error("webhook failed: %s, attempt %d", _name(event), event.attempt, exc_info=error)
    is_dead = ending.kind in ("dead", "invalid")
    signal = signals.webhook_dead if is_dead else signals.webhook_failed
    shown = None if isinstance(error, _Unhappy) else error
    yield from observe(signal, source=event.source, event=event, reason=ending.note, error=shown)


def _settle(runtime: Runtime, lease: Lease, ending: Ending) -> Steps[None]:
    """Tells the store."""
    now = runtime.clock()
    status = None if ending.response is None else ending.response.status_code
    try:
        match ending.kind:
            case "done":
                yield _of_store(runtime, "settle", lease, "done", now, None, status, ending.note)
            case "again" | "failed":
                due_at = now + round((ending.after or 0) * 1_000_000)
                yield _of_store(runtime, "settle", lease, "again", now, due_at, status, ending.note)
            case "dead" | "invalid":
                yield _of_store(runtime, "settle", lease, "dead", now, None, status, ending.note)
            case "superseded":
                pass
    except _core.Fenced:
        logger.warning("webhook superseded: %s was taken by somebody else while its handler ran", lease.key)
    except _core.Unavailable:
        if ending.kind == "done":
            raise
        logger.exception("webhook not settled: %s: it is tried again when its lease lapses", lease.key)


def _give_back(runtime: Runtime, lease: Lease | None) -> Steps[None]:
    """Gives the lease back, so that the next one need not wait for its end."""
    if lease is None:
        return
    now = runtime.clock()
    try:
        yield _of_store(runtime, "settle", lease, "release", now, now, None, "")
    except _core.StoreError:
        logger.warning("webhook not given back: %s: it is tried again when its lease lapses", lease.key)


def _of_store(runtime: Runtime, method: str, *args: Any) -> Step:
    return Step(getattr(runtime.store, method), args, uses_database=runtime.is_transactional)


def _kind(error: Exception) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")


def _name(event: Event) -> str:
    kind = "".join(c if c.isprintable() else "?" for c in event.type or "-")
    return f"{event.source} {kind} {event.key}"

"""The whole path of one request: is it a webhook of this source, is it new, has its handler done it, and what is its
sender told.

Cheap and safe first. Nothing is stored or run for a request whose signature was not verified, and none makes anything
raise.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.http.response import HttpResponseBase

from hookward import _core
from hookward.django import request as incoming
from hookward.django import signals
from hookward.django.attempt import Ending, attempt
from hookward.django.event import Event, of_admitted
from hookward.django.gateway import NotOurs, as_json, of_delivery
from hookward.django.handlers import Handler, registry
from hookward.django.observe import observe
from hookward.django.refusals import failed, log, refused, response
from hookward.django.runtime import Runtime, current
from hookward.django.settings import SettingsError
from hookward.django.steps import Step, Steps
from hookward.django.tasks import enqueue
from hookward.django.validation import Invalid

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from hookward.django.stores.base import Claimed

logger = logging.getLogger("hookward")

Answered = Steps[HttpResponseBase]
Read = Callable[["HttpRequest", int], Any]


def receive(request: HttpRequest, source: str, own: Handler | None = None) -> Answered:
    """Receives one request. `own` is the handler of the view that it came to; without one, the registry has it."""
    judged = yield from judge(request, source)
    if isinstance(judged, HttpResponseBase):
        return judged
    return (yield from take(judged, request, source, own))


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request whose sender is proven, and the settings by which it was."""

    runtime: Runtime
    event: _core.Event
    client: str


def judge(request: HttpRequest, source: str, read: Read = incoming.body) -> Steps[Admitted | HttpResponseBase]:
    """Whether it is a webhook of this source; if not, the answer. `read` gives the body, or a coroutine does."""
    try:
        runtime = current()
        receiver = runtime.receiver
    except (SettingsError, _core.HookwardError) as error:
        log(logging.ERROR, source, "not_set_up", str(error), None)
        return _unavailable()
    runtime.keeper.ensure()
    screened = receiver.screen(
        runtime.settings.sender(source),
        request.method or "",
        incoming.target(request),
        as_json(incoming.headers(request)) if runtime.settings.mode == "gateway" else incoming.headers(request),
        incoming.peer(request, runtime.settings.proxies),
        runtime.clock(),
    )
    if isinstance(screened, _core.Answer):
        return (yield from _answer(runtime, source, screened, None))
    try:
        if inspect.iscoroutinefunction(read):
            body = yield Step(read, (request, screened.body_max))
        else:
            body = read(request, screened.body_max)
    except incoming.Refused as why:
        return (yield from _refuse(source, why, screened.client))
    verified = screened.verify(body)
    if isinstance(verified, _core.Answer):
        return (yield from _answer(runtime, source, verified, screened.client))
    return Admitted(runtime, verified, screened.client)


def take(admitted: Admitted, request: HttpRequest, source: str, own: Handler | None) -> Answered:
    """Does what the mode says about an event, and answers when that is durable."""
    runtime = admitted.runtime
    try:
        match runtime.settings.mode:
            case "inline":
                return (yield from _run_now(runtime, request, admitted.event, own))
            case "queue":
                return (yield from _keep_for_later(runtime, admitted.event, own))
            case "gateway":
                return (yield from _run_for_gateway(runtime, request, admitted.event, source, own))
    except _core.TooLarge as error:
        return (yield from _too_large(source, error, admitted.client))
    except _core.StoreError as error:
        logger.error("webhook not taken: source=%s key=%s: %s", source, admitted.event.key, error)
        return _later(runtime, source, None)


def _run_now(runtime: Runtime, request: HttpRequest, admitted: _core.Event, own: Handler | None) -> Answered:
    """Claims the event, runs its handler, and answers how that ended."""
    handler, event = _prepared(runtime, admitted, own)
    if mistake := _mistake_to_refuse(runtime, admitted, event):
        return (yield from _unprocessable(mistake, event))
    now = runtime.clock()
    store = runtime.store
    claimed: Claimed = yield Step(
        store.claim, (admitted, now, now + runtime.settings.lease), uses_database=runtime.is_transactional
    )
    if claimed.kind != "claimed" or claimed.lease is None:
        return (yield from _not_claimed(runtime, event, claimed, now))
    if claimed.new:
        yield from observe(signals.webhook_accepted, source=event.source, event=event)
    elif claimed.attempts:
        handler, event = _prepared(runtime, admitted, own, attempt=claimed.attempts + 1)
    ending = yield from attempt(runtime, event, handler, lease=claimed.lease, request=request)
    return _told(runtime, event.source, ending)


def _keep_for_later(runtime: Runtime, admitted: _core.Event, own: Handler | None) -> Answered:
    """Makes the event durable, and answers. A worker or a task runs its handler."""
    _, event = _prepared(runtime, admitted, own)
    if mistake := _mistake_to_refuse(runtime, admitted, event):
        return (yield from _unprocessable(mistake, event))
    now = runtime.clock()
    kept: Claimed = yield Step(runtime.store.accept, (admitted, now), uses_database=runtime.is_transactional)
    if kept.kind != "kept":
        return (yield from _not_claimed(runtime, event, kept, now))
    yield from observe(signals.webhook_accepted, source=event.source, event=event)
    yield Step(enqueue, (runtime, event.key))
    return _acknowledged(runtime, event.source)


def _run_for_gateway(
    runtime: Runtime, request: HttpRequest, delivery: _core.Event, source: str, own: Handler | None
) -> Answered:
    """Runs the handler of an event that the gateway keeps: it tries again, as the answer asks it to."""
    try:
        event = of_delivery(delivery, request, source, database=runtime.settings.database)
    except NotOurs as why:
        log(logging.WARNING, source, "not_for_this_source", str(why), None)
        return refused(403, "forbidden", "This is not a delivery for this endpoint.")
    handler = own or registry.find(source, event.type)
    event = _with_model(runtime, event, handler)
    ending = yield from attempt(runtime, event, handler, lease=None, request=request)
    if ending.kind == "invalid":
        return refused(422, "invalid", "The event does not match its model.")
    return _told(runtime, source, ending)


def _not_claimed(runtime: Runtime, event: Event, claimed: Claimed, now: int) -> Answered:
    """Answers for an event that is not the caller's to run. In each case it is durable."""
    source = event.source
    match claimed.kind:
        case "running" if runtime.settings.mode == "inline":
            yield from observe(signals.webhook_duplicate, source=source, event=event, state="running")
            return _later(runtime, source, max(1.0, ((claimed.until or now) - now) / 1_000_000))
        case "conflict":
            reason = "id_conflict"
            logger.warning("webhook kept as a dead letter: source=%s key=%s: same id, other content", source, event.key)
            yield from observe(signals.webhook_dead, source=source, event=event, reason=reason, error=None)
            return _acknowledged(runtime, source)
        case "quarantined" if claimed.new:
            reason = "quarantined"
            logger.warning("webhook kept as a dead letter: source=%s key=%s: nothing to handle", source, event.key)
            yield from observe(signals.webhook_dead, source=source, event=event, reason=reason, error=None)
            return _acknowledged(runtime, source)
        case state:
            logger.debug("webhook came again: source=%s key=%s, which is %s", source, event.key, state)
            yield from observe(signals.webhook_duplicate, source=source, event=event, state=state)
            return _acknowledged(runtime, source, duplicate=True)


def _told(runtime: Runtime, source: str, ending: Ending) -> HttpResponseBase:
    """How an attempt ended, as its sender is told."""
    match ending.kind:
        case "done" if ending.response is not None:
            return ending.response
        case "done" | "invalid":
            return _acknowledged(runtime, source)
        case "superseded":
            return _later(runtime, source, None)
        case "again":
            return _later(runtime, source, ending.after)
        case "failed" | "dead" if ending.response is not None:
            return ending.response
        case "failed" | "dead" if ending.unavailable:
            return _later(runtime, source, ending.after)
        case "failed" | "dead":
            return failed()


def _prepared(
    runtime: Runtime, admitted: _core.Event, own: Handler | None, attempt: int = 1
) -> tuple[Handler | None, Event]:
    """Who handles the event, and what they get."""
    event = of_admitted(admitted, attempt=attempt, database=runtime.settings.database)
    handler = own or registry.find(event.source, event.type)
    return handler, _with_model(runtime, event, handler)


def _with_model(runtime: Runtime, event: Event, handler: Handler | None) -> Event:
    validate = handler.validate if handler is not None else None
    return event.validated_by(validate or runtime.validator_of(event.source))


def _mistake_to_refuse(runtime: Runtime, admitted: _core.Event, event: Event) -> str | None:
    """What is wrong with the data, for sources whose malformed events are refused instead of kept."""
    if admitted.quarantine is not None or not runtime.settings.sources[event.source].rejects_malformed:
        return None
    try:
        event.data  # noqa: B018, reading it validates it
    except Invalid as mistake:
        return str(mistake)
    return None


def _answer(runtime: Runtime, source: str, answer: _core.Answer, client: str | None) -> Answered:
    """Sends the core's answer: a refusal, or what a sender's question is answered."""
    if answer.reason == "handshake":
        logger.info("webhook question answered: source=%s", source)
    else:
        log(logging.WARNING if answer.verified else logging.INFO, source, answer.reason, answer.message, client)
        yield from observe(
            signals.webhook_rejected, source=source, reason=answer.reason, status=answer.status, client=client
        )
    if answer.visit is not None:
        runtime.keeper.visit(answer.visit)
    elif not answer.verified:
        # A wrong signature makes secrets doubted, and an unknown key has it looked for.
        runtime.keeper.wake()
    return response(answer)


def _refuse(source: str, why: incoming.Refused, client: str) -> Answered:
    log(logging.ERROR if why.status == 500 else logging.INFO, source, why.code, str(why), client)
    yield from observe(signals.webhook_rejected, source=source, reason=why.code, status=why.status, client=client)
    return refused(why.status, why.code, why.told)


def _unprocessable(mistake: str, event: Event) -> Answered:
    log(logging.WARNING, event.source, "invalid", mistake, None)
    yield from observe(signals.webhook_rejected, source=event.source, reason="invalid", status=422, client=None)
    return refused(422, "invalid", "The event does not match its model.")


def _too_large(source: str, error: _core.TooLarge, client: str) -> Answered:
    log(logging.WARNING, source, "body_too_large", str(error), client)
    yield from observe(signals.webhook_rejected, source=source, reason="body_too_large", status=413, client=client)
    return refused(413, "body_too_large", "The body is too large.")


def _later(runtime: Runtime, source: str, after: float | None) -> HttpResponse:
    return response(_core.retry_later(runtime.receiver, runtime.settings.sender(source), after))


def _acknowledged(runtime: Runtime, source: str, *, duplicate: bool = False) -> HttpResponse:
    return response(_core.accepted(runtime.receiver, runtime.settings.sender(source), duplicate=duplicate))


def _unavailable() -> HttpResponse:
    """For whoever asks while settings or secrets are wrong: everybody, so that it tells nothing."""
    told = refused(503, "unavailable", "Try again later.")
    told.headers["Retry-After"] = "30"
    return told

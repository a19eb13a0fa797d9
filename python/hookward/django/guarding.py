"""Webhooks before all of Django that they have no use for. Public: `guard`.

    application = guard(get_wsgi_application())        # in wsgi.py
    application = guard(get_asgi_application())        # in asgi.py

Requests to views of webhooks do not pass through MIDDLEWARE then: there is no session, no login and no CSRF token in
them. What is refused is answered at once, under ASGI without a thread, and an event goes to its handler. All other
requests are Django's.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import io
import logging
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from django.core import signals
from django.core.handlers.asgi import ASGIHandler, ASGIRequest, get_script_prefix
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest, get_path_info, get_script_name
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve, set_script_prefix

from hookward.django import request as incoming
from hookward.django.handlers import Handler, registry
from hookward.django.receiving import Admitted, judge, receive, take
from hookward.django.refusals import refused
from hookward.django.routes import routes
from hookward.django.steps import arun, run

logger = logging.getLogger("hookward")

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

# Handlers at once in each process under ASGI. Each thread has a database connection of its own.
_THREADS = 16


def guard(application: Any) -> Any:
    """An application that takes webhooks itself, and leaves all else to `application`, Django's for WSGI or ASGI."""
    if isinstance(application, WSGIHandler):
        return _Wsgi(application)
    if isinstance(application, ASGIHandler):
        return _Asgi(application)
    raise TypeError("guard takes what get_wsgi_application() or get_asgi_application() gives")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request is to go: a source, and the view's own handler, if it has one."""

    source: str
    own: Handler | None


class _Places:
    """The views of webhooks, by path."""

    def __init__(self) -> None:
        self._prefixes: tuple[str, ...] | None = None

    def find(self, path: str) -> Place | None:
        """The place, where it is a view of webhooks that nothing is wrapped around."""
        if self._prefixes is None:
            self._prefixes = tuple({"/" + route.path.partition("<")[0].lstrip("^/") for route in routes()})
        if not path.startswith(self._prefixes):
            return None
        # Not earlier: settings may not be known yet where wsgi.py imports this.
        from hookward.django.views import handler_of, takes_webhooks

        try:
            match = resolve(path)
        except Resolver404:
            return None
        if not takes_webhooks(match.func):
            return None
        return Place(match.func.webhook_source or match.kwargs["source"], handler_of(match.func))


class _Wsgi:
    def __init__(self, application: WSGIHandler) -> None:
        self._application = application
        self._places = _Places()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        place = self._places.find(get_path_info(environ))
        if place is None:
            return self._application(environ, start_response)
        set_script_prefix(get_script_name(environ))
        signals.request_started.send(sender=self.__class__, environ=environ)
        request = WSGIRequest(environ)
        try:
            response = run(receive(request, place.source, place.own))
        except Exception:  # noqa: BLE001, it is logged, and the sender comes again
            response = _broken(place)
        response._handler_class = self.__class__  # type: ignore[attr-defined]
        _tell_length(response)
        start_response(f"{response.status_code} {response.reason_phrase}", list(response.items()))
        # The server closes it, and with that tells request_finished.
        return response  # type: ignore[return-value]


class _Asgi:
    def __init__(self, application: ASGIHandler) -> None:
        self._application = application
        self._places = _Places()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="webhooks")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        place = self._places.find(_path_info(scope)) if scope["type"] == "http" else None
        if place is None:
            await self._application(scope, receive, send)
            return
        try:
            request = ASGIRequest(scope, io.BytesIO())
            judged = await arun(judge(request, place.source, functools.partial(incoming.body_of, receive)))
            response = await self._take(judged, request, place) if isinstance(judged, Admitted) else judged
        except Exception:  # noqa: BLE001, it is logged, and the sender comes again
            response = _broken(place)
        _tell_length(response)
        headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in response.items()]
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": response.getvalue()})  # type: ignore[attr-defined]

    async def _take(self, admitted: Admitted, request: ASGIRequest, place: Place) -> HttpResponseBase:
        handler = place.own or registry.find(place.source, admitted.event.type)
        if handler is not None and handler.is_async:
            return await arun(take(admitted, request, place.source, place.own))
        context = contextvars.copy_context()
        work = functools.partial(context.run, self._take_here, admitted, request, place)
        # A handler that has begun is let come to its end, also when its sender has hung up.
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _take_here(self, admitted: Admitted, request: ASGIRequest, place: Place) -> HttpResponseBase:
        set_script_prefix(get_script_prefix(request.scope))
        signals.request_started.send(sender=self.__class__, scope=request.scope)
        try:
            return run(take(admitted, request, place.source, place.own))
        finally:
            signals.request_finished.send(sender=self.__class__)


def _path_info(scope: Scope) -> str:
    path: str = scope["path"]
    prefix = get_script_prefix(scope)
    return path.removeprefix(prefix) if prefix else path


def _tell_length(response: HttpResponseBase) -> None:
    """As CommonMiddleware does, so that the server need not cut the body into chunks."""
    if not response.streaming and not response.has_header("Content-Length"):
        response.headers["Content-Length"] = str(len(response.content))  # type: ignore[attr-defined]


def _broken(place: Place) -> HttpResponseBase:
    """For a mistake of ours or of the project's settings: the sender comes again."""
    logger.exception("webhook not taken: source=%s", place.source)
    return refused(500, "handler_failed", "The event could not be handled. Send it again.")

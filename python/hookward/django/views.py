"""Where webhooks come in. Public: `webhook`, `WebhookView`, `receive_any`, `areceive_any`.

Each view is exempt from what no sender can pass (CSRF check, login), from `ATOMIC_REQUESTS` (it has transactions of its
own), and has the mark `webhook_source` by which checks and commands find it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.utils.functional import classproperty
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from hookward.django.handlers import Handler, registry
from hookward.django.receiving import receive
from hookward.django.steps import arun, run

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponseBase

V = TypeVar("V", bound=Callable[..., Any])

_handlers: dict[Callable[..., Any], Handler | None] = {}


def webhook(
    source: str, *, model: Any = None, atomic: bool | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Makes a view of `def hook(request, event)`, sync or async, that takes the webhooks of a source.

    The function is called with events whose sender is proven, once for all copies of one. `model` says what
    `event.data` is to be: a pydantic model, a DRF serializer, a dataclass or TypedDict (those need pydantic). `atomic`:
    whether it runs in a transaction that commits together with the mark that the event is done; the default for sync
    functions.

    It returns nothing, or a response of its own. It raises `Retry` or `Ignore`, or any other exception when it fails.
    In queue mode it is called by the worker, with a request that is made of what was kept.
    """
    if not isinstance(source, str):
        raise ImproperlyConfigured('name the source: @webhook("stripe")')

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        handler = Handler.of(function, model=model, atomic=atomic, takes_request=True)
        registry.add_view(source, handler)
        if handler.is_async:

            @functools.wraps(function)
            async def view(request: HttpRequest) -> HttpResponseBase:
                return await arun(receive(request, source, handler))

        else:

            @functools.wraps(function)
            def view(request: HttpRequest) -> HttpResponseBase:
                return run(receive(request, source, handler))

        return _marked(view, source, handler)

    return decorate


class WebhookView(View):
    """The same as a class: give it a `source`, and a `handle(request, event)`, sync or async."""

    source: ClassVar[str] = ""
    model: ClassVar[Any] = None
    atomic: ClassVar[bool | None] = None
    http_method_names: ClassVar[list[str]] = ["get", "head", "post"]

    def handle(self, request: HttpRequest, event: Any) -> Any:
        """Called as a function that is decorated with `webhook` would be."""
        raise NotImplementedError(f"{type(self).__qualname__} needs a method handle(self, request, event)")

    @classproperty
    def view_is_async(cls) -> bool:
        return inspect.iscoroutinefunction(cls.handle)

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        source = initkwargs.get("source", cls.source)
        if not source:
            raise ImproperlyConfigured(f'{cls.__qualname__} needs the name of its source: source = "stripe"')
        view = super().as_view(**initkwargs)
        # What a worker calls: an instance of its own for each event.
        handler = cls._handler(cls._worker(initkwargs))
        registry.add_view(source, handler)
        return _marked(view, source, handler)

    def dispatch(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> Any:
        steps = receive(request, self.source, self._handler(self.handle))
        return arun(steps) if self.view_is_async else run(steps)

    @classmethod
    def _handler(cls, function: Callable[..., Any]) -> Handler:
        return Handler.of(function, model=cls.model, atomic=cls.atomic, takes_request=True)

    @classmethod
    def _worker(cls, initkwargs: dict[str, Any]) -> Callable[..., Any]:
        def instance(request: HttpRequest) -> WebhookView:
            made = cls(**initkwargs)
            made.setup(request)
            return made

        if cls.view_is_async:

            @functools.wraps(cls.handle)
            async def handle(request: HttpRequest, event: Any) -> Any:
                return await instance(request).handle(request, event)

        else:

            @functools.wraps(cls.handle)
            def handle(request: HttpRequest, event: Any) -> Any:
                return instance(request).handle(request, event)

        return handle


def receive_any(request: HttpRequest, source: str) -> HttpResponseBase:
    """Takes the webhooks of whichever source the path names, for the handlers that were registered with `on`."""
    return run(receive(request, source))


async def areceive_any(request: HttpRequest, source: str) -> HttpResponseBase:
    """The same for servers that speak ASGI: forgeries cost no thread there."""
    return await arun(receive(request, source))


def _marked(view: V, source: str | None, handler: Handler | None = None) -> V:
    view = login_not_required(csrf_exempt(view))
    view._non_atomic_requests = set(connections)  # type: ignore[attr-defined]
    view.webhook_source = source  # type: ignore[attr-defined]
    _handlers[view] = handler
    return view


def takes_webhooks(view: Callable[..., Any]) -> bool:
    """Whether it is a view of webhooks itself, and nothing that a project has wrapped around one."""
    return view in _handlers


def handler_of(view: Callable[..., Any]) -> Handler | None:
    """The handler that a view of webhooks has for itself."""
    return _handlers.get(view)


receive_any = _marked(receive_any, None)
areceive_any = _marked(areceive_any, None)

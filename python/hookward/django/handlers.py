"""Who does what is to be done about an event: the registry. Public: `on`, `Retry`, `Ignore`.

An event has one owner, so that its outcome is one: done, tried again, or a dead letter. Of the patterns of a source
that match its type, the most specific one has it: the type itself, then the longest of those that end in `*`. Two
handlers for one pattern are refused when they are registered. What several parts of a project want to do about one
event, its owner calls in order, in its one transaction.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.core.exceptions import ImproperlyConfigured

from hookward.django.validation import Validate, validator

F = TypeVar("F", bound=Callable[..., Any])


class Retry(Exception):
    """Raised by a handler that cannot do it yet. Its changes are rolled back, and the event is tried again.

    `after`: seconds to wait at least. `reason`: for the log and the event's history; nothing secret.
    It counts as an attempt: after `ATTEMPTS` of them, the event is a dead letter.
    """

    def __init__(self, after: float | None = None, reason: str = "") -> None:
        super().__init__(reason or "the handler asked to be called again")
        self.after = after
        self.reason = str(self)


class Ignore(Exception):
    """Raised by a handler that has nothing to do about the event: it is done. Changes made before are rolled back."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason or "the handler ignored it")
        self.reason = str(self)


@dataclass(frozen=True, slots=True, eq=False)
class Handler:
    """A function that events are given to."""

    function: Callable[..., Any]
    name: str
    """Its module and qualified name, for logs."""
    is_async: bool
    takes_request: bool
    validate: Validate | None
    atomic: bool | None
    """Whether it runs in a transaction; None: as the settings say."""

    @staticmethod
    def of(
        function: Callable[..., Any], *, model: Any = None, atomic: bool | None = None, takes_request: bool = False
    ) -> Handler:
        """Raises ImproperlyConfigured for what cannot be done."""
        is_async = inspect.iscoroutinefunction(function)
        name = f"{function.__module__}.{function.__qualname__}"
        if atomic and is_async:
            raise ImproperlyConfigured(
                f"{name} is async, and Django has no async transactions: leave atomic out, and use event.aonce()"
            )
        validate = None if model is None else validator(model)
        return Handler(function, name, is_async, takes_request, validate, atomic)


def on(source: str, *types: str, model: Any = None, atomic: bool | None = None) -> Callable[[F], F]:
    """Makes a function, sync or async, the handler of a source's events: `def paid(event): ...`.

    `types`: an event type, or the beginning of some and `*`: `"invoice.paid"`, `"invoice.*"`, `"*"`; none means all.
    `model`: what `event.data` is to be, see `hookward.django.webhook`. `atomic`: whether it runs in a transaction that
    commits together with the mark that the event is done (the default for sync functions).

    Handlers are found in the `webhooks` module of each installed app.
    """
    patterns = types or ("*",)
    for pattern in patterns:
        if not pattern or "*" in pattern[:-1]:
            raise ImproperlyConfigured(f"{pattern!r} is no type: a * stands at the end, or not at all")

    def register(function: F) -> F:
        registry.add(source, patterns, Handler.of(function, model=model, atomic=atomic))
        return function

    return register


class Registry:
    """The handlers of a project."""

    def __init__(self) -> None:
        self._of_type: dict[str, dict[str, Handler]] = {}
        self._of_view: dict[str, dict[str, Handler]] = {}

    def add(self, source: str, patterns: tuple[str, ...], handler: Handler) -> None:
        """Raises ImproperlyConfigured where another handler has the pattern already."""
        owners = self._of_type.setdefault(source, {})
        for pattern in patterns:
            owner = owners.get(pattern)
            if owner is not None and owner.name != handler.name:
                raise ImproperlyConfigured(
                    f"{owner.name} and {handler.name} both handle {pattern!r} of {source!r}: an event has one owner,"
                    " which may call others"
                )
        owners.update(dict.fromkeys(patterns, handler))

    def add_view(self, source: str, handler: Handler) -> None:
        """A view that handles what is sent to it; where a worker handles events, it is called there."""
        self._of_view.setdefault(source, {})[handler.name] = handler

    def find(self, source: str, event_type: str | None) -> Handler | None:
        """The owner of events of this type among the functions that were registered with `on`."""
        owners = self._of_type.get(source, {})
        if event_type is None:
            return owners.get("*")
        if exact := owners.get(event_type):
            return exact
        matching = [it for it in owners if it.endswith("*") and event_type.startswith(it[:-1])]
        return owners[max(matching, key=len)] if matching else None

    def owner(self, source: str, event_type: str | None) -> Handler | None:
        """The owner where there is no request that came to one: the source's view, or whom `find` finds.

        Raises ImproperlyConfigured for a source that has several of those.
        """
        views = list(self._of_view.get(source, {}).values())
        if len(views) + bool(self._of_type.get(source)) > 1:
            names = [view.name for view in views] + [it.name for it in self._of_type.get(source, {}).values()]
            raise ImproperlyConfigured(
                f"who handles an event of {source!r} that was kept? It has {' and '.join(names)}: use one view, or `on`"
            )
        return views[0] if views else self.find(source, event_type)

    def sources(self) -> set[str]:
        """Sources that somebody handles."""
        return set(self._of_type) | set(self._of_view)


registry = Registry()

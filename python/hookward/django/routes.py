"""Where in the URLconf webhooks come in, found by the mark that their views carry."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.urls import NoReverseMatch, Resolver404, URLPattern, URLResolver, get_resolver, resolve, reverse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# How deep a view may be wrapped: an end to the search, not a rule.
_WRAPPERS_MAX = 32


@dataclass(frozen=True)
class Route:
    """One pattern of the URLconf behind which a view of webhooks is."""

    path: str
    """As the URLconf writes it, such as `hooks/stripe/`."""
    view: Callable[..., Any]
    """What Django calls: the view itself, or what a project has wrapped around it."""
    inner: Callable[..., Any]
    """The view that carries the mark."""
    names: tuple[str, ...]
    """Parameters of the path."""
    lookup: str | None
    """What `reverse` finds it by, if the pattern has a name."""

    @property
    def source(self) -> str | None:
        """The source that it takes; None where the path names it."""
        mark = self.inner.webhook_source  # type: ignore[attr-defined]
        return mark if isinstance(mark, str) else None

    @property
    def lost(self) -> bool:
        """Whether a wrapper hides the mark, and with it everything that Django was told of the view."""
        return self.view is not self.inner and not hasattr(self.view, "webhook_source")


def routes() -> list[Route]:
    """All patterns behind which a marked view is, in the URLconf's order."""
    return list(_walk(get_resolver().url_patterns, "", ""))


def _walk(patterns: list[URLPattern | URLResolver], before: str, namespace: str) -> Iterator[Route]:
    for pattern in patterns:
        path = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
            yield from _walk(pattern.url_patterns, path, inner)
        elif marked := _marked(pattern.callback):
            lookup = namespace + pattern.name if pattern.name else None
            yield Route(path, pattern.callback, marked, tuple(pattern.pattern.converters), lookup)


def _marked(view: Callable[..., Any]) -> Callable[..., Any] | None:
    """The view that carries the mark: this one, or one that it wraps."""
    if hasattr(view, "webhook_source"):
        return view
    seen: list[Any] = [view]
    for candidate in seen:
        for inside in _wrapped(candidate):
            if hasattr(inside, "webhook_source"):
                return inside
            if inside not in seen and len(seen) < _WRAPPERS_MAX:
                seen.append(inside)
    return None


def _wrapped(view: Any) -> Iterator[Callable[..., Any]]:
    """What a wrapper may call: what it says that it wraps, and functions that it has closed over."""
    if isinstance(view, functools.partial):
        yield view.func
    if callable(named := getattr(view, "__wrapped__", None)):
        yield named
    for cell in getattr(view, "__closure__", None) or ():
        try:
            held = cell.cell_contents
        except ValueError:  # not filled yet
            continue
        if callable(held) and not isinstance(held, type):
            yield held


def path_of(source: str) -> str | None:
    """The path at which webhooks of a source come in; None where no view of the URLconf takes them."""
    for route in routes():
        if route.source not in (None, source):
            continue
        arguments = {"source": source} if route.source is None else {}
        try:
            if route.lookup is not None:
                return reverse(route.lookup, kwargs=arguments)
        except NoReverseMatch:
            continue
        path = "/" + route.path.replace("<str:source>", source).replace("<slug:source>", source)
        try:
            found = resolve(path)
        except Resolver404:
            continue
        if found.func is route.view:
            return path
    return None

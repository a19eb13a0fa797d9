"""Webhooks in Django. Add `"hookward.django"` to `INSTALLED_APPS`, describe the senders in `WEBHOOKS`, and write
handlers.

What is named here is public, and may be imported before Django's apps are ready.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hookward.django.event import Event
    from hookward.django.guarding import guard
    from hookward.django.handlers import Ignore, Retry, on
    from hookward.django.signals import (
        webhook_accepted,
        webhook_dead,
        webhook_duplicate,
        webhook_failed,
        webhook_rejected,
    )
    from hookward.django.views import WebhookView, webhook

__all__ = [
    "Event",
    "Ignore",
    "Retry",
    "WebhookView",
    "guard",
    "on",
    "webhook",
    "webhook_accepted",
    "webhook_dead",
    "webhook_duplicate",
    "webhook_failed",
    "webhook_rejected",
]

_HOMES = {
    "Event": "event",
    "guard": "guarding",
    "Ignore": "handlers",
    "Retry": "handlers",
    "on": "handlers",
    "WebhookView": "views",
    "webhook": "views",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'signals')}"), name)

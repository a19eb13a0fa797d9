"""Webhooks that cannot be abused.

`verify` is all that Flask, FastAPI or AWS Lambda need. In a Django project, `webhook`, `on`, `WebhookView`, `Retry` and
`Ignore` are here too, and come from `hookward.django`.
"""

from __future__ import annotations

from typing import Any

try:
    from hookward import _core
except ImportError as error:
    if "subinterpreters" in str(error):
        raise ImportError(
            "Hookward's Rust core does not run in a sub-interpreter. Under mod_wsgi, keep the application in the main"
            " one: write `WSGIApplicationGroup %{GLOBAL}` into Apache's configuration."
        ) from error
    raise

from hookward._core import ConfigError, HookwardError, SecretError, __version__
from hookward.verification import Handshake, InvalidSignature, NotAnEvent, Refused, VerifiedEvent, providers, verify

__all__ = [
    "ConfigError",
    "Handshake",
    "HookwardError",
    "InvalidSignature",
    "NotAnEvent",
    "Refused",
    "SecretError",
    "VerifiedEvent",
    "__version__",
    "_core",
    "providers",
    "verify",
]

OF_DJANGO = frozenset({"Ignore", "Retry", "WebhookView", "on", "webhook"})


def __getattr__(name: str) -> Any:
    """What needs Django is imported when it is asked for."""
    if name not in OF_DJANGO:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from hookward import django
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "django":
            raise ImportError(f"hookward.{name} needs Django: pip install 'hookward[django]'") from error
        raise
    return getattr(django, name)

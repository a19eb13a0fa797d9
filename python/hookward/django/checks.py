"""System checks: what is wrong with the settings and the URLconf, told without asking anybody.

Ids are stable. No check uses the network or the database, and no message has a secret in it. The command
`webhooks_check` looks at the live parts.
"""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

from hookward import _core
from hookward.django import operate
from hookward.django.routes import Route, routes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.apps import AppConfig

TAG = "webhooks"

# A captured request is good for as long as it is tolerated; senders' clocks are seldom off by more.
_TOLERANCE_MAX_SECS = 600


def check_settings(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """E001, E002: `WEBHOOKS` cannot be read."""
    try:
        config = operate.config()
    except _core.ConfigError as error:
        return [_of_settings(diagnostic) for diagnostic in error.diagnostics]
    return [_of_settings(diagnostic) for diagnostic in config.warnings]


def check_literal_secrets(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """E003: a secret stands in the settings themselves."""
    config = _config()
    if settings.DEBUG or config is None:
        return []
    return [
        Error(
            f"A secret of the source {source.name!r} is written in the settings.",
            hint='Refer to it: "env:NAME", "file:/path", "credential:NAME", "aws-sm:NAME" or "aws-ssm:/NAME".',
            obj=_name("SOURCES", source.name),
            id="hookward.E003",
        )
        for source in config.sources
        if "literal" in source.secrets
    ]


def check_local_secrets(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """E004, W108: secrets of this machine that are weak or not there. Those of AWS are left to `webhooks_check`."""
    config = _config()
    if config is None:
        return []
    found: list[CheckMessage] = []
    for source in config.sources:
        local = [reference for reference in source.secrets if reference.startswith(("env:", "file:"))]
        missing = [reference for reference in local if not (reference.endswith("?") or _is_there(reference))]
        found += [
            checks.Warning(
                f"The secret {reference} of the source {source.name!r} is not there.",
                hint="Set it where the server runs; `manage.py webhooks_secrets` looks all of them up.",
                obj=_name("SOURCES", source.name),
                id="hookward.W108",
            )
            for reference in missing
        ]
        if missing or len(local) < len(source.secrets):
            continue
        try:
            _core.Receiver(operate.config(only=source.name))
        except _core.SecretError as error:
            found += [
                Error(
                    f"A secret of the source {source.name!r} is not fit for use: {diagnostic.message}.",
                    hint=diagnostic.help or "Make a new one, of at least 32 random bytes, and give it to the sender.",
                    obj=_name("SOURCES", source.name),
                    id="hookward.E004",
                )
                for diagnostic in error.diagnostics
            ]
    return found


def check_views(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """E005, E007, E009: views of webhooks that Django would keep senders away from."""
    if not settings.ROOT_URLCONF:
        return []
    config = _config()
    known = None if config is None else [source.name for source in config.sources]
    found: list[CheckMessage] = []
    for route in routes():
        found += _of_view(route)
        if known is not None and route.source is not None and route.source not in known:
            found.append(
                Error(
                    f"The view at {route.path!r} takes webhooks of {route.source!r}, which WEBHOOKS does not have.",
                    hint=f"Its sources are: {', '.join(known) or 'none'}.",
                    obj=route.path,
                    id="hookward.E009",
                )
            )
    return found


def check_limits(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """W101, W102, W104, W105, W107: sources that are open to more than they need to be."""
    config = _config()
    if config is None:
        return []
    found: list[CheckMessage] = []
    memory = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    for source in config.sources:
        for wrong, message, hint, number in (
            (
                source.rate is None,
                "has no rate limit for what is verified.",
                'Set its RATE, such as "50/s": above it the sender is told to come later, and nothing is lost.',
                101,
            ),
            (
                memory is not None and source.body_max > memory,
                f"takes bodies of {source.body_max} bytes, and Django no more than {memory}.",
                "Raise DATA_UPLOAD_MAX_MEMORY_SIZE, or lower its MAX_BODY: until then larger ones are answered 413.",
                102,
            ),
            (
                source.tolerance_secs is not None and source.tolerance_secs > _TOLERANCE_MAX_SECS,
                f"takes requests that were signed {source.tolerance_secs} s ago.",
                "Lower its TOLERANCE to what the sender needs: five minutes are usual.",
                104,
            ),
            (
                _forgets_early(source),
                f"remembers events for {_days(source.remember_secs)}, and its sender tries again for "
                f"{_days(source.retry_horizon_secs)}.",
                "Remember longer: a late retry would be handled as a new event.",
                105,
            ),
            (
                "body" not in source.covers,
                f"signs no body, only: {source.covers or 'nothing'}. Whoever captures a request can change its body.",
                "Take from the body only what to ask the sender for, or let the sender sign it if it can.",
                107,
            ),
        ):
            if wrong:
                found.append(
                    checks.Warning(
                        f"The source {source.name!r} {message}",
                        hint=hint,
                        obj=_name("SOURCES", source.name),
                        id=f"hookward.W{number}",
                    )
                )
    return found


def check_deployment(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """W103, W106: what fits a laptop and not a server."""
    found: list[CheckMessage] = []
    if (settings.SECURE_PROXY_SSL_HEADER or settings.USE_X_FORWARDED_HOST) and not operate.trusts_proxies():
        found.append(
            checks.Warning(
                "The project is behind a proxy (SECURE_PROXY_SSL_HEADER, USE_X_FORWARDED_HOST), and WEBHOOKS trusts none.",
                hint="Set TRUSTED_PROXIES: until then all senders share the one budget of the proxy's address.",
                obj="WEBHOOKS",
                id="hookward.W103",
            )
        )
    endpoint = operate.table_endpoint()
    if endpoint is not None and endpoint.startswith("http://"):
        found.append(
            checks.Warning(
                "Events go to DynamoDB without TLS: its endpoint is an http:// URL.",
                hint="Unset AWS_ENDPOINT_URL_DYNAMODB, or whatever else names it: it is meant for DynamoDB Local.",
                obj="WEBHOOKS",
                id="hookward.W106",
            )
        )
    return found


def register_checks() -> None:
    """Called once, when the app is ready."""
    register(check_settings, TAG)
    register(check_views, TAG, Tags.urls)
    register(check_literal_secrets, TAG, Tags.security)
    for check in (check_local_secrets, check_limits, check_deployment):
        register(check, TAG, Tags.security, deploy=True)


def _config() -> _core.Config | None:
    """The settings, if they can be read: `check_settings` says what is wrong with them."""
    try:
        return operate.config()
    except _core.ConfigError:
        return None


def _of_settings(diagnostic: _core.Diagnostic) -> CheckMessage:
    kind = Error if diagnostic.severity == "error" else checks.Warning
    number = "E002" if "without a secret" in diagnostic.message else "E001"
    return kind(
        f"{diagnostic.path}: {diagnostic.message}",
        hint=diagnostic.help,
        obj="WEBHOOKS",
        id=f"hookward.{number if kind is Error else 'W100'}",
    )


def _of_view(route: Route) -> Iterator[CheckMessage]:
    if route.lost:
        yield Error(
            f"The view at {route.path!r} is wrapped by something that hides what it is.",
            hint="Put it inside of @webhook, or let it use functools.wraps. Until then senders get 403 or a redirect.",
            obj=route.path,
            id="hookward.E005",
        )
        return
    view = route.view
    if not getattr(view, "csrf_exempt", False):
        yield Error(
            f"The view at {route.path!r} is not exempt from the CSRF check, which no sender can pass.",
            hint="Let @webhook be the outermost decorator, and no csrf_protect around it.",
            obj=route.path,
            id="hookward.E005",
        )
    if getattr(view, "login_required", True) and _asks_for_login():
        yield Error(
            f"The view at {route.path!r} asks for a login, which no sender has.",
            hint="Let @webhook be the outermost decorator, and no login_required around it.",
            obj=route.path,
            id="hookward.E005",
        )
    exempt = getattr(view, "_non_atomic_requests", set())
    atomic = [
        alias
        for alias, database in connections.settings.items()
        if database.get("ATOMIC_REQUESTS") and alias not in exempt
    ]
    if atomic:
        effect = (
            "is async, and answers 500"
            if inspect.iscoroutinefunction(view)
            else "loses what it kept when a handler fails"
        )
        yield Error(
            f"The view at {route.path!r} runs within ATOMIC_REQUESTS of {', '.join(map(repr, atomic))}: it {effect}.",
            hint="Let @webhook be the outermost decorator: it exempts the view, and gives the handler its own transaction.",
            obj=route.path,
            id="hookward.E007",
        )


def _asks_for_login() -> bool:
    return "django.contrib.auth.middleware.LoginRequiredMiddleware" in settings.MIDDLEWARE


def _is_there(reference: str) -> bool:
    kind, _, name = reference.partition(":")
    return bool(os.environ.get(name)) if kind == "env" else Path(name).is_file()


def _forgets_early(source: _core.SourceFacts) -> bool:
    if source.remember_secs is None or source.retry_horizon_secs is None:
        return False
    return source.remember_secs < source.retry_horizon_secs


def _days(secs: int | None) -> str:
    return f"{(secs or 0) / 86_400:g} days"


def _name(*parts: str) -> str:
    return "WEBHOOKS" + "".join(f"[{part!r}]" for part in parts)

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
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from hookward import _core
from hookward.django import settings as webhook_settings
from hookward.django.findings import endpoint_of
from hookward.django.handlers import registry
from hookward.django.routes import Route, routes
from hookward.django.runtime import Runtime
from hookward.django.settings import SettingsError
from hookward.django.worker import load_handlers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.apps import AppConfig

    from hookward.django.settings import Problem, WebhookSettings

TAG = "webhooks"

# A captured request is good for as long as it is tolerated; senders' clocks are seldom off by more.
_TOLERANCE_MAX_SECS = 600


def check_settings(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """E001, E002, W100: `WEBHOOKS` cannot be read, or says what nobody means; E011: a MODEL that is none."""
    try:
        read = _read()
    except SettingsError as error:
        return [_of_settings(diagnostic) for diagnostic in error.diagnostics]
    found = [_of_settings(diagnostic) for diagnostic in read.config.warnings]
    runtime = Runtime(read)
    for name in read.sources:
        try:
            runtime.validator_of(name)
        except ImproperlyConfigured as error:
            found.append(Error(f"The MODEL of {name!r}: {error}.", obj=_name("SOURCES", name), id="hookward.E011"))
    return found


def check_literal_secrets(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """E003: a secret stands in the settings themselves."""
    read = _read_or_none()
    if settings.DEBUG or read is None:
        return []
    return [
        Error(
            f"A secret of the source {source.name!r} is written in the settings.",
            hint='Refer to it: "env:NAME", "file:/path", "credential:NAME", "aws-sm:NAME" or "aws-ssm:/NAME".',
            obj=_name("SOURCES", source.name),
            id="hookward.E003",
        )
        for source in read.facts.values()
        if "literal" in source.secrets
    ]


def check_local_secrets(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """E004, W108: secrets of this machine that are weak or not there. Those of AWS are left to `webhooks_check`."""
    read = _read_or_none()
    if read is None:
        return []
    found: list[CheckMessage] = []
    for source in read.facts.values():
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
        written = settings.WEBHOOKS
        if read.mode != "gateway":  # one by one: what is missing elsewhere does not hide what is wrong here
            written = {**written, "SOURCES": {source.name: written["SOURCES"][source.name]}}
        try:
            _core.Receiver(webhook_settings.read(written, literals=True).config)
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
    """E005, E007, W110: views of webhooks that Django would keep senders away from, and sources without one."""
    if not settings.ROOT_URLCONF:
        return []
    read = _read_or_none()
    found: list[CheckMessage] = []
    everywhere = routes()
    for route in everywhere:
        found += _of_view(route)
    return found + [
        checks.Warning(
            f"No URL takes webhooks of the source {name!r}.",
            hint='Add path("hooks/", include("hookward.django.urls")) to the URLconf, or a view of its own.',
            obj=_name("SOURCES", name),
            id="hookward.W110",
        )
        for name in (read.sources if read is not None else ())
        if not any(route.source in (None, name) for route in everywhere)
    ]


def check_handlers(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """E009, E010, W109: handlers of sources that do not exist, several of one, and sources without any."""
    read = _read_or_none()
    if read is None:
        return []
    if settings.ROOT_URLCONF:
        load_handlers()
    found: list[CheckMessage] = []
    for name in sorted(registry.sources()):
        if name not in read.sources:
            found.append(  # noqa: PERF401, one of three findings
                Error(
                    f"There is a handler of {name!r}, and WEBHOOKS has no such source.",
                    hint=f"Its sources are: {', '.join(sorted(read.sources)) or 'none'}.",
                    obj="WEBHOOKS",
                    id="hookward.E009",
                )
            )
    for name in sorted(read.sources):
        if name not in registry.sources():
            found.append(
                checks.Warning(
                    f"Nobody handles webhooks of the source {name!r}: they are kept, and nothing comes of them.",
                    hint=f"Write a function @on({name!r}) in webhooks.py of an app, or a view @webhook({name!r}).",
                    obj=_name("SOURCES", name),
                    id="hookward.W109",
                )
            )
        try:
            registry.owner(name, None)
        except ImproperlyConfigured as error:
            found.append(
                Error(
                    f"It is not clear {error}.",
                    hint="A worker, a retry and a replay have no request to tell it by.",
                    obj=_name("SOURCES", name),
                    id="hookward.E010",
                )
            )
    return found


def check_limits(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """W101, W102, W104, W105, W107: sources that are open to more than they need to be."""
    read = _read_or_none()
    if read is None:
        return []
    found: list[CheckMessage] = []
    memory = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    is_gateway = read.mode == "gateway"  # it has the limits then
    for source in read.facts.values():
        for wrong, message, hint, number in (
            (
                source.rate is None and not is_gateway,
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
                _forgets_early(source) and not is_gateway,
                f"remembers events for {_days(source.remember_secs)}, and its sender tries again for "
                f"{_days(source.retry_horizon_secs)}.",
                "Remember longer: a late retry would be handled as a new event.",
                105,
            ),
            (
                "body" not in source.covers and not is_gateway,
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
    read = _read_or_none()
    if read is None:
        return []
    found: list[CheckMessage] = []
    is_behind_one = settings.SECURE_PROXY_SSL_HEADER or settings.USE_X_FORWARDED_HOST
    if is_behind_one and not settings.WEBHOOKS.get("TRUSTED_PROXIES"):
        found.append(
            checks.Warning(
                "SECURE_PROXY_SSL_HEADER or USE_X_FORWARDED_HOST says that there is a proxy, and WEBHOOKS trusts none.",
                hint="Set TRUSTED_PROXIES: until then all senders share the one budget of the proxy's address.",
                obj="WEBHOOKS",
                id="hookward.W103",
            )
        )
    endpoint = endpoint_of(read)
    if endpoint is not None and not settings.DEBUG and endpoint.startswith("http://"):
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
    register(check_handlers, TAG)
    register(check_literal_secrets, TAG, Tags.security)
    for check in (check_local_secrets, check_limits, check_deployment):
        register(check, TAG, Tags.security, deploy=True)


def _read() -> WebhookSettings:
    """What the settings mean; a literal secret is a finding of its own. Raises SettingsError."""
    return webhook_settings.read(getattr(settings, "WEBHOOKS", {}), literals=True)


def _read_or_none() -> WebhookSettings | None:
    """The settings, if they can be read: `check_settings` says what is wrong with them."""
    try:
        return _read()
    except SettingsError:
        return None


def _of_settings(diagnostic: _core.Diagnostic | Problem) -> CheckMessage:
    kind = Error if diagnostic.severity == "error" else checks.Warning
    number = "E002" if "without a secret" in diagnostic.message else "E001"
    return kind(
        f"{diagnostic.path or 'WEBHOOKS'}: {diagnostic.message}.",
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
    exempt: set[str] = getattr(view, "_non_atomic_requests", set())
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
            hint="Let @webhook be the outermost decorator: it exempts the view.",
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

"""What a look at the live parts finds: each is fine, or somebody has to do something."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal

from django.apps import apps
from django.db import DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor

from hookward import _core
from hookward.django.runtime import current
from hookward.django.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hookward.django.settings import WebhookSettings

Status = Literal["ok", "warning", "failed"]

# A sender's clock may be off too: half of the usual five minutes is left to it.
_SKEW_MAX_SECS = 30
_PATIENCE_SECS = 5


@dataclass(frozen=True)
class Finding:
    part: str
    status: Status
    message: str
    help: str = ""


def findings(now: int) -> Iterator[Finding]:
    """Looks at everything, in the order in which it is needed. Nothing is written, and no secret is in any text."""
    try:
        settings = current().settings
    except SettingsError as error:
        for diagnostic in error.diagnostics:
            yield Finding("settings", "failed", f"{diagnostic.path}: {diagnostic.message}", diagnostic.help or "")
        return
    yield Finding("settings", "ok", f"{settings.mode} mode; sources: {', '.join(settings.sources) or 'none'}")
    yield from _secrets(settings.config)
    yield from _migrations(settings.database)
    if settings.mode == "gateway":
        yield Finding("store", "ok", "none here: the gateway keeps events")
        return
    if settings.table is not None:
        yield from _table(current().store)
    yield from _health()
    yield from clock(now, settings)


def _secrets(config: _core.Config) -> Iterator[Finding]:
    try:
        _core.Receiver(config)
    except _core.SecretError as error:
        for diagnostic in error.diagnostics:
            status: Status = "failed" if diagnostic.severity == "error" else "warning"
            yield Finding("secrets", status, f"{diagnostic.path}: {diagnostic.message}", diagnostic.help or "")
    else:
        count = sum(len(source.secrets) for source in config.sources)
        yield Finding("secrets", "ok", f"{count} looked up; all are there and strong")


def _migrations(alias: str) -> Iterator[Finding]:
    """The tables of the ORM store, and those of `event.once`, which every store needs."""
    label = apps.get_app_config("hookward").label
    try:
        executor = MigrationExecutor(connections[alias])
        targets = [node for node in executor.loader.graph.leaf_nodes() if node[0] == label]
        plan = [migration.name for migration, _ in executor.migration_plan(targets) if migration.app_label == label]
    except DatabaseError as error:
        yield Finding("migrations", "failed", f"the database {alias!r} does not answer: {type(error).__name__}")
        return
    if plan:
        yield Finding("migrations", "failed", f"not applied: {', '.join(plan)}", "Run `manage.py migrate`.")
    else:
        yield Finding("migrations", "ok", f"applied on the database {alias!r}")


def _table(store: Any) -> Iterator[Finding]:
    try:
        found = store.table.description()
    except _core.StoreError as error:
        help_text = "May these credentials describe it? `manage.py webhooks_table create` makes one that is missing."
        yield Finding("table", "failed", str(error), help_text)
        return
    yield from judged(found)


def judged(found: dict[str, Any]) -> Iterator[Finding]:
    """What `_core.DynamoDb.description` says, and whether that is as it should be."""
    active = found["status"] == "ACTIVE"
    yield Finding("table", "ok" if active else "failed", f"the table is {found['status']}")
    create = "`manage.py webhooks_table create` turns on what is off."
    for part, on, off, weight in (
        (
            "ttl",
            "forgets what is past its time",
            "time to live is off: nothing is ever forgotten, and storage grows",
            "failed",
        ),
        ("encryption", "is encrypted", "encryption says nothing", "ok"),
        (
            "point_in_time_recovery",
            "can be restored",
            "there is no point-in-time recovery: what is lost stays lost",
            "warning",
        ),
        ("deletion_protection", "is protected from deletion", "anyone who may delete tables can delete it", "warning"),
    ):
        value = found.get(part)
        if _is_on(value):
            yield Finding(part, "ok", on)
        elif value is None:
            yield Finding(
                part, "warning", "could not be read: the credentials may not, or what is asked does not know it"
            )
        else:
            yield Finding(part, weight, off, create)  # type: ignore[arg-type]


def _is_on(value: Any) -> bool:
    return value is True or (
        isinstance(value, str) and value.upper() not in ("", "DISABLED", "DISABLING", "OFF", "FALSE")
    )


def _health() -> Iterator[Finding]:
    try:
        current().store.health()
    except _core.StoreError as error:
        yield Finding("store", "failed", str(error), "Senders are answered 503 until it is back, and try again.")
    else:
        yield Finding("store", "ok", "answers")


def clock(now: int, settings: WebhookSettings) -> Iterator[Finding]:
    """Compares clocks with the other side of the store, where it tells the time."""
    endpoint = endpoint_of(settings)
    there = _database_time(settings.database) if endpoint is None else _http_date(endpoint)
    if there is None:
        yield Finding("clock", "ok", "not compared: the store does not tell the time")
        return
    off = now / 1_000_000 - there
    message = f"differs from the store's by {abs(off):.0f} s"
    if abs(off) > _SKEW_MAX_SECS:
        help_text = (
            "Signed times are judged by this clock: synchronise it (NTP), or genuine webhooks are refused as stale."
        )
        yield Finding("clock", "failed", message, help_text)
    else:
        yield Finding("clock", "ok", message)


def endpoint_of(settings: WebhookSettings) -> str | None:
    """Where DynamoDB is, as the AWS SDK finds it; None where events are in the database, or no region is known."""
    table = settings.table
    if table is None:
        return None
    named = table.endpoint or os.environ.get("AWS_ENDPOINT_URL_DYNAMODB") or os.environ.get("AWS_ENDPOINT_URL")
    region = table.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return named or (f"https://dynamodb.{region}.amazonaws.com/" if region else None)


def _http_date(url: str) -> float | None:
    if not url.startswith(("http://", "https://")):
        return None
    try:
        with urllib.request.urlopen(url, timeout=_PATIENCE_SECS) as response:
            date = response.headers["Date"]
    except urllib.error.HTTPError as error:
        date = error.headers["Date"]
    except OSError:
        return None
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except ValueError:
        return None


def _database_time(alias: str) -> float | None:
    connection = connections[alias]
    if connection.vendor not in ("postgresql", "mysql"):
        return None  # SQLite has this machine's clock
    asked = {"postgresql": "SELECT extract(epoch from clock_timestamp())", "mysql": "SELECT unix_timestamp(now(6))"}
    with connection.cursor() as cursor:
        cursor.execute(asked[connection.vendor])
        return float(cursor.fetchone()[0])

"""What the commands of an operator share: their errors, their tables, their JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from hookward import _core
from hookward.django import operate
from hookward.django.settings import SettingsError

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterable, Sequence

    from hookward.django.stores.base import Kept


class OperatorCommand(BaseCommand):
    """A command over kept events. Works while system checks fail: that is when it is needed."""

    requires_system_checks: Sequence[str] = ()
    requires_migrations_checks = False

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Turns what the store says into errors that say what to do."""
        try:
            return super().execute(*args, **options)
        except SettingsError as error:
            raise CommandError(str(error)) from None
        except _core.SecretError as error:
            raise CommandError("\n".join(told(diagnostic) for diagnostic in error.diagnostics) or str(error)) from None
        except _core.Unavailable as error:
            raise CommandError(
                f"The store does not answer: {error}. `manage.py webhooks_check` says what is wrong."
            ) from None
        except _core.HookwardError as error:
            raise CommandError(str(error)) from None

    def print_json(self, found: Any) -> None:
        self.stdout.write(json.dumps(found, indent=2, ensure_ascii=False))

    def print_table(self, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Columns as wide as their widest cell; what a stranger wrote cannot move the cursor."""
        cells = [[operate.plain(str(cell)) for cell in row] for row in rows]
        widths = [max(len(row[column]) for row in [list(header), *cells]) for column in range(len(header))]
        for row in [list(header), *cells]:
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            self.stdout.write(self.style.MIGRATE_HEADING(line) if row == list(header) else line)

    def print_events(self, events: Iterable[Kept]) -> int:
        """A table of events; how many."""
        rows = [
            (
                event.key,
                operate.iso(event.received_at),
                event.source,
                event.type or "-",
                event.id or "-",
                event.state if event.dead_reason is None else f"{event.state}: {event.dead_reason}",
                event.attempts,
            )
            for event in events
        ]
        if rows:
            self.print_table(("KEY", "RECEIVED", "SOURCE", "TYPE", "ID", "STATE", "ATTEMPTS"), rows)
        return len(rows)


def add_json(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="Answer in JSON.")


def add_selection(parser: ArgumentParser) -> None:
    """Which events: what `selected` reads."""
    parser.add_argument("--source", help="Only those of this source.")
    parser.add_argument("--since", metavar="WHEN", help="Only those received since: 2h, 3d, or 2026-11-24T15:00:00Z.")


def selected(options: dict[str, Any]) -> dict[str, Any]:
    """`--source` and `--since` as `operate.matching` takes them. Raises CommandError."""
    source = options["source"]
    if source is not None:
        check_source(source)
    try:
        since = None if options["since"] is None else operate.since(options["since"], operate.now())
    except ValueError as error:
        raise CommandError(f"--since: {error}") from None
    return {"source": source, "since": since}


def check_source(source: str) -> None:
    """Raises CommandError for one that the settings do not have."""
    names = operate.source_names()
    if source not in names:
        raise CommandError(f"WEBHOOKS has no source {source!r}. It has: {', '.join(names) or 'none'}.")


def checked_key(key: str) -> str:
    """A key as the commands print them. Raises CommandError."""
    if not operate.is_key(key.lower()):
        raise CommandError(f"{key!r} is no key of an event: 32 hex digits, as `manage.py webhooks_list` shows them.")
    return key.lower()


def told(diagnostic: _core.Diagnostic) -> str:
    help_text = f" ({diagnostic.help})" if diagnostic.help else ""
    return f"{diagnostic.path}: {diagnostic.message}{help_text}"

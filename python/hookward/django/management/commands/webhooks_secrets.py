"""`manage.py webhooks_secrets`: whether secrets are there and strong. Never what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from hookward import _core
from hookward.django.management.command import OperatorCommand, add_json
from hookward.django.runtime import current

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(OperatorCommand):
    help = (
        "Looks all secrets up, as the server does when it starts, and says which are missing or weak. Shows "
        "references, never secrets. Fails if a source could not verify."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        config = current().settings.config
        try:
            _core.Receiver(config)
            wrong: list[_core.Diagnostic] = []
        except _core.SecretError as error:
            wrong = error.diagnostics
        rows = [
            {
                "source": source.name,
                "secret": reference,
                "status": _status(source.name, index, len(source.secrets), wrong),
            }
            for source in config.sources
            for index, reference in enumerate(source.secrets)
        ]
        told = {row["status"] for row in rows}
        others = [diagnostic for diagnostic in wrong if diagnostic.message not in told]
        if options["json"]:
            self.print_json(rows + [{"source": None, "secret": d.path, "status": d.message} for d in others])
        else:
            self.print_table(("SOURCE", "SECRET", "STATUS"), [tuple(row.values()) for row in rows])
            for diagnostic in others:
                self.stderr.write(f"{diagnostic.path}: {diagnostic.message}")
        if any(diagnostic.severity == "error" for diagnostic in wrong):
            raise CommandError("Not all secrets can be used: see above.")


def _status(source: str, index: int, count: int, wrong: list[_core.Diagnostic]) -> str:
    """What is wrong with one reference: it is found by the key that the diagnostic is about."""
    paths = {f"sources.{source}.secrets[{index}]"} | ({f"sources.{source}.secret"} if count == 1 else set())
    return next((diagnostic.message for diagnostic in wrong if diagnostic.path in paths), "ok")

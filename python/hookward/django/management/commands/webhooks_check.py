"""`manage.py webhooks_check`: the live parts: secrets, store, table, migrations, clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from hookward.django import operate
from hookward.django.findings import Finding, findings
from hookward.django.management.command import OperatorCommand, add_json

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(OperatorCommand):
    help = (
        "Looks at what `manage.py check` cannot: asks the store, looks secrets up, compares clocks. Writes nothing. "
        "Fails when webhooks would not be taken; with --strict also on warnings."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--strict", action="store_true", help="Fail on warnings too.")
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        found = list(findings(operate.now()))
        if options["json"]:
            self.print_json([{"part": f.part, "status": f.status, "message": f.message, "help": f.help} for f in found])
        else:
            for finding in found:
                self._tell(finding)
        bad = {"failed"} | ({"warning"} if options["strict"] else set())
        if count := sum(finding.status in bad for finding in found):
            raise CommandError(f"{count} of {len(found)} need somebody: see above.")

    def _tell(self, finding: Finding) -> None:
        style = {"ok": self.style.SUCCESS, "warning": self.style.WARNING, "failed": self.style.ERROR}[finding.status]
        self.stdout.write(f"{style(finding.status.ljust(8))} {finding.part.ljust(22)} {operate.plain(finding.message)}")
        if finding.help:
            self.stdout.write(f"{'':32}{operate.plain(finding.help)}")

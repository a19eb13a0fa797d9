"""`manage.py webhooks_stats`: how many webhooks are where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hookward.django import operate
from hookward.django.management.command import OperatorCommand, add_json

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(OperatorCommand):
    help = "Counts webhooks by state, and says since when the oldest waits."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        counts = operate.store().counts()
        if options["json"]:
            self.print_json({state: None if n < 0 else n for state, n in counts.items()})
            return
        self.print_table(("STATE", "WEBHOOKS"), [(state, "not counted" if n < 0 else n) for state, n in counts.items()])

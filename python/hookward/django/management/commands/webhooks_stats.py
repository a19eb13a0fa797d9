"""`manage.py webhooks_stats`: how many webhooks are where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hookward.django import operate
from hookward.django.management.command import OperatorCommand, add_json

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(OperatorCommand):
    help = "Counts webhooks by state, and says since when the oldest waits where the store knows it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        found = operate.store().counts()
        counts = {state: found.get(state, -1) for state in operate.STATES}
        oldest = found.get("oldest_pending")
        if options["json"]:
            told: dict[str, Any] = {state: None if n < 0 else n for state, n in counts.items()}
            self.print_json(told | ({} if oldest is None else {"oldest_pending": operate.iso(oldest)}))
            return
        self.print_table(("STATE", "WEBHOOKS"), [(state, "not counted" if n < 0 else n) for state, n in counts.items()])
        if oldest is not None:
            self.stdout.write(f"The oldest that waits came {operate.iso(oldest)}.")

"""`manage.py webhooks_list`: which webhooks there are."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from hookward.django import operate
from hookward.django.management.command import OperatorCommand, add_json, add_selection, selected

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(OperatorCommand):
    help = "Lists webhooks, newest first, without their bodies."

    def add_arguments(self, parser: ArgumentParser) -> None:
        state = parser.add_mutually_exclusive_group()
        state.add_argument("--dead", dest="state", action="store_const", const="dead", help="Only dead letters.")
        state.add_argument(
            "--pending", dest="state", action="store_const", const="pending", help="Only those that wait."
        )
        state.add_argument("--state", choices=operate.STATES, help="Only those in this state.")
        add_selection(parser)
        parser.add_argument("--limit", type=int, default=50, help="At most so many (50).")
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        limit = max(1, options["limit"])
        chosen = selected(options)
        events = list(operate.matching(operate.store(), state=options["state"], limit=limit + 1, **chosen))
        if options["json"]:
            self.print_json([operate.summary(event) for event in islice(events, limit)])
        elif self.print_events(islice(events, limit)) == 0:
            self.stdout.write("No webhooks match.")
        elif len(events) > limit:
            self.stdout.write(f"There are more: --limit {limit * 10} shows older ones.")

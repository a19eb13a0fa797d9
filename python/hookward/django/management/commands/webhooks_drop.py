"""`manage.py webhooks_drop`: dead letters that are done with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from hookward import _core
from hookward.django import operate
from hookward.django.management.command import OperatorCommand, add_json, checked_key

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(OperatorCommand):
    help = (
        "Takes dead letters off the list. They are kept until their time is over, and webhooks_replay still runs them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("keys", nargs="+", metavar="KEY", help="Keys, as webhooks_list --dead shows them.")
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        store = operate.store()
        dropped, failed = [], []
        for key in dict.fromkeys(checked_key(key) for key in options["keys"]):
            try:
                store.discard(key, operate.now())
            except _core.NotFound as error:
                failed.append({"key": key, "error": str(error)})
            else:
                dropped.append(key)
        if options["json"]:
            self.print_json({"dropped": dropped, "failed": failed})
        else:
            for failure in failed:
                self.stderr.write(f"{failure['key']}: {failure['error']}")
            self.stdout.write(self.style.SUCCESS(f"{len(dropped)} dropped."))
        if failed:
            raise CommandError(f"{len(failed)} could not be dropped: they are no dead letters.")

"""`manage.py webhooks_replay`: handlers run again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from hookward import _core
from hookward.django import operate
from hookward.django.management.command import OperatorCommand, add_json, add_selection, checked_key, selected

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from hookward.django.stores.base import Kept


class Command(OperatorCommand):
    help = (
        "Makes webhooks due again, as if they had just arrived, whatever became of them. A worker (webhooks_worker) or "
        "webhooks_sweep then runs their handlers."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("keys", nargs="*", metavar="KEY", help="Keys, as webhooks_list shows them.")
        parser.add_argument(
            "--dead", action="store_true", help="All dead letters; with --source and --since only those."
        )
        add_selection(parser)
        parser.add_argument("--dry-run", action="store_true", help="Show which they are, and do nothing.")
        parser.add_argument("--yes", action="store_true", help="Do not ask.")
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        store = operate.store()
        events = self._events(options)
        if options["dry_run"] or not (options["keys"] or options["yes"]):
            self._show(events, options)
            if options["dry_run"] or not events:
                return
            if options["json"] or input(f"Run {len(events)} again? [y/N] ").strip().lower() not in ("y", "yes"):
                raise CommandError("Nothing was done. --yes does it without asking.")
        done, failed = [], []
        for event in events:
            try:
                store.requeue(event.key, operate.now())
            except _core.Unavailable:
                raise
            except _core.StoreError as error:
                failed.append({"key": event.key, "error": str(error)})
            else:
                done.append(event.key)
        if options["json"]:
            self.print_json({"replayed": done, "failed": failed})
        else:
            for failure in failed:
                self.stderr.write(f"{failure['key']}: {failure['error']}")
            self.stdout.write(self.style.SUCCESS(f"{len(done)} will run again."))
        if failed:
            raise CommandError(f"{len(failed)} could not be replayed.")

    def _events(self, options: dict[str, Any]) -> list[Kept]:
        """The events that are meant, oldest first: the order in which they came."""
        store = operate.store()
        if bool(options["keys"]) == options["dead"]:
            raise CommandError("Say which: one or more keys, or --dead (with --source and --since).")
        if options["dead"]:
            return list(operate.matching(store, state="dead", **selected(options)))[::-1]
        if options["source"] or options["since"]:
            raise CommandError("--source and --since go with --dead; keys say already which ones.")
        found = {key: store.get(key) for key in dict.fromkeys(checked_key(key) for key in options["keys"])}
        if missing := [key for key, event in found.items() if event is None]:
            raise CommandError(f"Nothing was done: no webhook has the key {', '.join(missing)}.")
        return [event for event in found.values() if event is not None]

    def _show(self, events: list[Kept], options: dict[str, Any]) -> None:
        if options["json"]:
            if options["dry_run"]:
                self.print_json([operate.summary(event) for event in events])
        elif self.print_events(events) == 0:
            self.stdout.write("No webhooks match.")

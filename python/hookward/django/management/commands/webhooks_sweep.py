"""`manage.py webhooks_sweep`: what is due, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from hookward.django.management.command import OperatorCommand, add_json
from hookward.django.runtime import current
from hookward.django.worker import run_some

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(OperatorCommand):
    help = (
        "Runs once, one after the other, the handlers of what is due: retries, replays, events of queue mode, and "
        "those whose process died. Then forgets what is past its time. For a cron job, or a schedule of AWS Lambda, "
        "where no webhooks_worker runs. Any number may run at once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--limit", type=int, default=1000, help="At most so many attempts (1000).")
        parser.add_argument("--expire-only", action="store_true", help="Run nothing, only forget.")
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        runtime = current()
        if runtime.settings.mode == "gateway":
            raise CommandError("In gateway mode events are kept, tried again and forgotten by the gateway.")
        ran = 0 if options["expire_only"] else run_some(runtime, max(0, options["limit"]))
        forgotten = runtime.expire()
        if options["json"]:
            self.print_json({"attempts": ran, "forgotten": forgotten})
        else:
            self.stdout.write(f"{ran} attempts; {forgotten} events or marks forgotten.")

"""`manage.py webhooks_worker`: runs kept events."""

from __future__ import annotations

import signal
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from hookward.django.runtime import current
from hookward.django.worker import POLL_SECS, Worker


class Command(BaseCommand):
    help = (
        "Runs the handlers of webhooks that were kept: those of queue mode, those that are to be tried again, and those"
        " whose request died. Any number of workers may run. SIGTERM and SIGINT let what runs end; then it stops."
    )
    requires_system_checks = "__all__"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--threads", type=int, default=4, help="handlers at once (4)")
        parser.add_argument(
            "--poll", type=float, default=POLL_SECS, help="seconds between two looks for new events (1)"
        )
        parser.add_argument("--once", action="store_true", help="run what is due, and stop")

    def handle(self, *_args: Any, **options: Any) -> None:
        worker = Worker(current(), threads=max(1, options["threads"]), poll=max(0.05, options["poll"]))
        former = {it: signal.signal(it, lambda *_: worker.stop()) for it in (signal.SIGTERM, signal.SIGINT)}
        try:
            attempts = worker.work(until_idle=options["once"])
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
        if options["verbosity"]:
            self.stdout.write(f"{attempts} attempts")

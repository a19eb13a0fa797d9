"""`manage.py webhooks_show`: one webhook, with what became of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from hookward.django import operate
from hookward.django.management.command import OperatorCommand, add_json, checked_key

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(OperatorCommand):
    help = "Shows one webhook and its attempts. Its body and headers are shown only with --body: they may be private."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("key", help="The key, as webhooks_list shows it.")
        parser.add_argument("--body", action="store_true", help="The headers that were kept, and the body, too.")
        parser.add_argument("--raw", action="store_true", help="Write the body and nothing else, byte for byte.")
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        key = checked_key(options["key"])
        event = operate.store().get(key)
        if event is None:
            raise CommandError(f"No webhook has the key {key}: it never came, or it was forgotten after its time.")
        if options["raw"]:
            if event.body_expired:
                raise CommandError(f"The body of {key} was forgotten after its time.")
            sys.stdout.buffer.write(event.body)
            return
        if options["json"]:
            self.print_json(operate.details(event, body=options["body"]))
            return
        for name, value in operate.summary(event).items():
            if value is not None and value is not False:
                self.stdout.write(f"{name + ':':<14}{operate.plain(str(value))}")
        for at, status, note in event.history:
            status_text = "" if status is None else f" {status}"
            self.stdout.write(f"{'attempt:':<14}{operate.iso(at)}{status_text} {operate.plain(note)}")
        if options["body"] and not event.body_expired:
            for name, value in event.headers:
                self.stdout.write(f"{'header:':<14}{operate.plain(name)}: {operate.plain(value.decode('latin-1'))}")
            self.stdout.write("")
            for line in operate.readable(event.body, len(event.body)).splitlines():
                self.stdout.write(operate.plain(line))

"""`manage.py webhooks_table`: the DynamoDB table of the settings, made or as a template."""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from hookward.django.management.command import OperatorCommand
from hookward.django.runtime import current

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterable

    from hookward import _core
    from hookward.django.settings import TableSettings


class Command(OperatorCommand):
    help = (
        "Makes the DynamoDB table that WEBHOOKS names, or prints it as a template, or prints the least that an IAM "
        "role needs. What follows is handed on to `hookward dynamodb`: `webhooks_table iam -- --account 123456789012`."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=("create", "cloudformation", "terraform", "iam", "cost"))
        parser.add_argument("rest", nargs="*", metavar="ARGUMENT", help="Put -- before those that begin with a dash.")

    def handle(self, *args: Any, **options: Any) -> None:
        settings = current().settings
        if settings.table is None:
            raise CommandError(
                "WEBHOOKS keeps events in the project's database: `manage.py migrate` makes its tables. "
                "A DynamoDB table is named by its STORE."
            )
        written = gateway_config(settings.table, settings.facts.values())
        command = _hookward()
        with tempfile.TemporaryDirectory(prefix="hookward-") as folder:
            file = Path(folder) / "hookward.toml"
            file.write_text("\n".join(f"{json.dumps(key)} = {toml(value)}" for key, value in written.items()))
            done = subprocess.run(
                [command, "dynamodb", options["action"], "-c", str(file), *options["rest"]],
                stdout=subprocess.PIPE,
                text=True,
                check=False,
            )
        self.stdout.write(done.stdout, ending="")
        if done.returncode:
            raise CommandError(
                f"`hookward dynamodb {options['action']}` failed: see above.", returncode=done.returncode
            )


def gateway_config(table: TableSettings, sources: Iterable[_core.SourceFacts]) -> dict[str, Any]:
    """What the command has to know, in the language of its file: the table, and which secrets are in AWS."""
    written: dict[str, Any] = {
        "store": {
            "kind": "dynamodb",
            "completion": "each",
            "table": table.table,
            "region": table.region,
            "endpoint": table.endpoint,
            "large_bodies_bucket": table.large_bodies_bucket,
        },
        "sources": {},
    }
    written["store"] = {key: value for key, value in written["store"].items() if value is not None}
    for source in sources:
        # How it signs is of no account here.
        if secrets := [reference for reference in source.secrets if reference.startswith("aws-")]:
            written["sources"][source.name] = {"provider": "hmac", "secrets": secrets}
    return written


def toml(value: Any) -> str:
    """A value as TOML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)  # texts, numbers, truth: as in JSON


def _hookward() -> str:
    """The command that comes with the package: of this environment first."""
    found = shutil.which("hookward", path=sysconfig.get_path("scripts")) or shutil.which("hookward")
    if found is None:
        raise CommandError("The `hookward` command is not installed: it comes with `pip install hookward`.")
    return found

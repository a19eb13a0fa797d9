"""The project of `site/` in a folder of its own: served, worked for, and looked at from outside."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, Self

from tests.dynamodb_local import CREDENTIALS
from tests.process import until
from tests.servers.control import Control
from tests.servers.sender import Sender
from tests.servers.server import Server

PROJECT = Path(__file__).resolve().parent / "site"
Mode = Literal["inline", "queue"]


class Site:
    def __init__(self, folder: Path, mode: Mode, store: Mapping[str, Any] | None, more: Mapping[str, Any]) -> None:
        """`store` is `WEBHOOKS["STORE"]`; None is the project's own database. `more` goes into `WEBHOOKS` too."""
        self.folder = folder
        self.database = folder / "db.sqlite3"
        self.secret = secrets.token_hex(32)
        self.control = Control(folder / "control")
        self.log = folder / "log"
        self._mail = folder / "mail"
        self._runs = folder / "runs"
        self._mail.mkdir()
        self._runs.touch()
        webhooks = {"MODE": mode, **({"STORE": dict(store)} if store else {}), **more}
        self.environment = {
            **CREDENTIALS,
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "SITE_CONTROL": str(self.control.path),
            "SITE_DATABASE": str(self.database),
            "SITE_MAIL": str(self._mail),
            "SITE_RUNS": str(self._runs),
            "SITE_SECRET": self.secret,
            "SITE_WEBHOOKS": json.dumps(webhooks),
        }

    def serve(self, command: list[str]) -> Server:
        return Server(command, PROJECT, self.environment, self.log)

    def sender(self, server: Server) -> Sender:
        return Sender(server.port, self.secret)

    def manage(self, *arguments: str) -> str:
        """Runs a command of `manage.py` to its end."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=PROJECT,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def worker(self) -> Worker:
        return Worker(self)

    def effects(self) -> Counter[str]:
        """How often each event had its effect."""
        return Counter(row[0] for row in self.rows("SELECT event FROM project_effect"))

    def runs(self) -> Counter[str]:
        """How often the handler ran for each event, to its end or not."""
        return Counter(self._runs.read_text().split())

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.database, timeout=30)) as database:
            return database.execute(query).fetchall()

    def until_effect(self, event: str) -> None:
        until(lambda: self.effects()[event] or None, f"the effect of {event}")

    def mails(self) -> list[Path]:
        """What was written to the admins."""
        return list(self._mail.iterdir())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.control.__exit__()


class Worker:
    """`manage.py webhooks_worker`."""

    def __init__(self, site: Site) -> None:
        with site.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "webhooks_worker"],
                cwd=PROJECT,
                env={**os.environ, **site.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self, patience: float = 30.0) -> int:
        """Asks it to end, and waits until it has finished what it was at."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

"""The other end of the socket through which a handler asks a test how to go on."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.process import PATIENCE


@dataclass
class Held:
    """A handler that waits."""

    pid: int
    event: str
    connection: socket.socket

    def go_on(self) -> None:
        self._say(b"go on\n")

    def fail(self, reason: str) -> None:
        self._say(reason.encode() + b"\n")

    def _say(self, line: bytes) -> None:
        with self.connection:
            self.connection.sendall(line)


class Control:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(128)
        self._listener.settimeout(PATIENCE)

    def held(self) -> Held:
        """The next handler that waits."""
        connection, _ = self._listener.accept()
        connection.settimeout(PATIENCE)
        with connection.makefile() as lines:
            told = json.loads(lines.readline())
        return Held(told["pid"], told["event"], connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

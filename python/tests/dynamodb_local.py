"""Amazon's own DynamoDB Local, as `scripts/install-tools` installs it."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.process import children, free_port

FOLDER = Path(__file__).resolve().parents[2] / ".cache/dynamodb-local/node_modules/amplify-dynamodb-simulator/emulator"
# Java takes some seconds to come up, and on a busy machine a minute.
PATIENCE = 120.0
# It takes any credentials, but some.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "hookwardtest",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1",
}


@dataclass(frozen=True)
class Engine:
    port: int
    pid: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def dynamodb_local() -> Iterator[Engine]:
    """A running one. A shell ends it when this process ends, however that happens: its input is closed then."""
    if not (FOLDER / "DynamoDBLocal.jar").exists():
        raise RuntimeError("DynamoDB Local is not installed: run scripts/install-tools")
    for _ in range(5):  # the port is free when it is asked for; if somebody else is faster, the next one is tried
        port = free_port()
        process = subprocess.Popen(
            [
                "sh",
                "-c",
                "java -Xmx512m -Djava.library.path=DynamoDBLocal_lib -jar DynamoDBLocal.jar"
                ' -inMemory -sharedDb -disableTelemetry -port "$0" >/dev/null 2>&1 </dev/null &'
                ' engine=$!; read -r _; kill "$engine"; wait "$engine"',
                str(port),
            ],
            cwd=FOLDER,
            stdin=subprocess.PIPE,
        )
        try:
            if _comes_up(port):
                yield Engine(port, children(process.pid)[0])
                return
        finally:
            process.communicate()
    raise RuntimeError("DynamoDB Local does not start")


def _comes_up(port: int) -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.1)
        else:
            return True
    return False

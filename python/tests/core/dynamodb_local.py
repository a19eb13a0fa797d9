"""Amazon's own DynamoDB Local, which `scripts/install-tools` installs."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(__file__).parents[3] / ".cache/dynamodb-local/node_modules/amplify-dynamodb-simulator/emulator"

# It ends when its standard input does, so also when the tests are killed.
START = (
    "java -Xmx512m -Djava.library.path=DynamoDBLocal_lib -jar DynamoDBLocal.jar"
    ' -inMemory -sharedDb -disableTelemetry -port "$0" >/dev/null 2>&1 </dev/null &'
    ' engine=$!; read -r _; kill "$engine"'
)


@contextmanager
def dynamodb_local() -> Iterator[str]:
    """Its URL."""
    assert (FOLDER / "DynamoDBLocal.jar").exists(), "DynamoDB Local is not installed: run scripts/install-tools"
    with socket.socket() as picked:
        picked.bind(("127.0.0.1", 0))
        port = picked.getsockname()[1]
    process = subprocess.Popen(["sh", "-c", START, str(port)], cwd=FOLDER, stdin=subprocess.PIPE)
    try:
        _wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


def _wait_for(port: int) -> None:
    """Java takes some seconds, and on a busy machine minutes."""
    deadline = time.monotonic() + 600
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, "DynamoDB Local does not start"
            time.sleep(0.1)
        else:
            return

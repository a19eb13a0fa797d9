import json
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest
from django.test import AsyncClient, Client, override_settings
from hookward import _core
from hookward.django import runtime

from tests.django import effects
from tests.django.settings import WEBHOOKS


@pytest.fixture(autouse=True)
def _clean():
    runtime.replace(None)
    effects.script.clear()
    effects.seen.clear()
    yield
    runtime.replace(None)


@pytest.fixture
def configured():
    """Settings for one test: `configured(MODE="queue")`; changes of single sources by their names."""
    stack = []

    def configure(sources=None, **top):
        changed = {name: {**source, **(sources or {}).get(name, {})} for name, source in WEBHOOKS["SOURCES"].items()}
        override = override_settings(WEBHOOKS={"SOURCES": changed, **top})
        override.enable()
        stack.append(override)
        return runtime.current()

    yield configure
    for override in reversed(stack):
        override.disable()


class Sender:
    """Sends as a sender does; CSRF checks are on."""

    def __init__(self):
        self.client = Client(enforce_csrf_checks=True)

    def signed(self, source, body=None, event_id="evt_1", event_type="invoice.paid", at=None, **fields):
        """The body and the headers of Django's test client."""
        receiver = runtime.current().receiver
        if body is None:
            body = json.dumps({"id": event_id, "type": event_type, **fields}).encode()
        signed = receiver.sign(source, body, event_id, at or runtime.current().clock())
        return signed.body, dict(signed.headers)

    def send(self, source, path=None, *, headers=None, content_type="application/json", **what):
        body, signed = self.signed(source, **what)
        return self.client.generic(
            "POST", path or f"/hooks/{source}/", body, content_type, headers={**signed, **(headers or {})}
        )

    async def asend(self, source, path=None, *, headers=None, content_type="application/json", **what):
        body, signed = self.signed(source, **what)
        client = AsyncClient(enforce_csrf_checks=True)
        return await client.generic(
            "POST", path or f"/ahooks/{source}/", body, content_type, headers={**signed, **(headers or {})}
        )


@pytest.fixture
def sender():
    return Sender()


def pytest_configure(config):
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.django.settings")


@pytest.fixture(scope="session")
def dynamodb_local():
    """The address of a DynamoDB Local of our own. It ends with its standard input, so also if tests are killed."""
    tools = Path(__file__).parents[3] / ".cache" / "dynamodb-local"
    folder = tools / "node_modules" / "amplify-dynamodb-simulator" / "emulator"
    if not (folder / "DynamoDBLocal.jar").exists():
        pytest.skip("DynamoDB Local is not installed: run scripts/install-tools")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = (
        "java -Xmx512m -Djava.library.path=DynamoDBLocal_lib -jar DynamoDBLocal.jar -inMemory -sharedDb"
        ' -disableTelemetry -port "$0" >/dev/null 2>&1 </dev/null & engine=$!; read -r _; kill "$engine"'
    )
    process = subprocess.Popen(["sh", "-c", command, str(port)], cwd=folder, stdin=subprocess.PIPE)
    address = f"http://127.0.0.1:{port}"
    os.environ.update(AWS_ACCESS_KEY_ID="local", AWS_SECRET_ACCESS_KEY="local")
    until_it_answers(_core.DynamoDb("warm", region="eu-central-1", endpoint=address).create)
    yield address
    process.stdin.close()
    process.wait()


def until_it_answers(call):
    """Java says nothing when it is ready, and its first answers take longer than the store waits for one."""
    deadline = time.monotonic() + 120
    while True:
        try:
            return call()
        except _core.Unavailable:
            assert time.monotonic() < deadline, "DynamoDB Local does not start"
            time.sleep(0.1)

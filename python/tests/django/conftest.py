import json
import os

import pytest
from django.test import AsyncClient, Client, override_settings
from hookward import _core
from hookward.django import runtime

from tests.django import effects
from tests.django.settings import WEBHOOKS
from tests.dynamodb_local import CREDENTIALS
from tests.dynamodb_local import dynamodb_local as running
from tests.process import until


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
    """The address of a DynamoDB Local of our own, which answers."""
    with running() as engine:
        os.environ.update(CREDENTIALS)
        until_it_answers(_core.DynamoDb("warm", region="eu-central-1", endpoint=engine.endpoint).create)
        yield engine.endpoint


def until_it_answers(call):
    """Java's first answers take longer than the store waits for one."""

    def answers():
        try:
            call()
        except _core.Unavailable:
            return False
        return True

    until(answers, "DynamoDB Local to answer", 120)

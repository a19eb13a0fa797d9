import importlib.metadata
import os

import pytest
from hookward.django import runtime, settings
from hookward.django.stores.memory import MemoryStore

from tests.ops.events import NOW, SECRET


@pytest.fixture
def store(monkeypatch):
    """The project with its secrets, a store in memory, and a clock that stands still."""
    monkeypatch.setenv("OPS_STRIPE", SECRET + "stripe")
    monkeypatch.setenv("OPS_GITHUB", SECRET + "github")
    store = MemoryStore()
    runtime.replace(runtime.Runtime(settings.current(), clock=lambda: NOW, store=store))
    yield store
    runtime.replace(None)


def pytest_configure(config):
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.ops.settings")
    # Where the package is installed, its entry point has loaded it.
    if not importlib.metadata.entry_points(group="pytest11", name="hookward"):
        config.pluginmanager.import_plugin("hookward.pytest_plugin")

import importlib.metadata
import os

import pytest
from hookward.django import runtime, settings
from hookward.django.stores.memory import MemoryStore
from hookward.django.stores.orm import OrmStore

from tests.ops.events import NOW, SECRET


@pytest.fixture(params=["memory", "database"])
def store(request, monkeypatch):
    """The project with its secrets, each kind of store, and a clock that stands still."""
    monkeypatch.setenv("OPS_STRIPE", SECRET + "stripe")
    monkeypatch.setenv("OPS_GITHUB", SECRET + "github")
    if request.param == "database":
        request.getfixturevalue("db")
    store = MemoryStore() if request.param == "memory" else OrmStore()
    runtime.replace(runtime.Runtime(settings.current(), clock=lambda: NOW, store=store))
    yield store
    runtime.replace(None)


def pytest_configure(config):
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.ops.settings")
    # Where the package is installed, its entry point has loaded it.
    if not importlib.metadata.entry_points(group="pytest11", name="hookward"):
        config.pluginmanager.import_plugin("hookward.pytest_plugin")

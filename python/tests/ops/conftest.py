import pytest
from hookward.django import operate
from hookward.django.stores.memory import MemoryStore

from tests.ops.events import SECRET


@pytest.fixture
def store(monkeypatch):
    store = MemoryStore()
    monkeypatch.setattr(operate, "store", lambda: store)
    monkeypatch.setenv("OPS_STRIPE", SECRET + "stripe")
    monkeypatch.setenv("OPS_GITHUB", SECRET + "github")
    return store

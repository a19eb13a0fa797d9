import pytest
from hookward.django import operate
from hookward.django.stores.memory import MemoryStore

@pytest.fixture
def store(monkeypatch):
    store = MemoryStore()
    monkeypatch.setattr(operate, "store", lambda: store)
    monkeypatch.setenv("OPS_STRIPE", "s" * 40)
    monkeypatch.setenv("OPS_GITHUB", "g" * 40)
    return store

import json
from hookward import _core
NOW = 1_764_000_000_000_000
def event(source, payload, **more):
    return _core.Event(source, json.dumps(payload).encode(), payload.get("id"), NOW, payload.get("type"), **more)

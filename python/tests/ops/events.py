"""Genuine events, made as the sender and the receiver make them."""

import itertools
import json
from typing import Any

from hookward import _core

NOW = 1_764_000_000_000_000
SECRET = "correct-horse-battery-staple-1234"

_RECEIVER = _core.Receiver(
    _core.Config.parse(
        {"sources": {name: {"provider": name, "secrets": [SECRET + name]} for name in ("stripe", "github")}},
        literals=True,
    )
)


_MICROSECONDS = itertools.count()


def event(source: str, payload: dict[str, Any]) -> _core.Event:
    """An event of `stripe` (whose id is in the body) or `github` (whose content is its identity), each later."""
    now = NOW + next(_MICROSECONDS)
    signed = _RECEIVER.sign(source, json.dumps(payload).encode(), "msg_1", now)
    headers = [*signed.headers, ("content-type", "application/json")]
    screened = _RECEIVER.screen(source, "POST", f"/hooks/{source}", headers, "127.0.0.1", now)
    assert isinstance(screened, _core.Screened), screened.message
    admitted = screened.verify(signed.body)
    assert isinstance(admitted, _core.Event), admitted.message
    return admitted

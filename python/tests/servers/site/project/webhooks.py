import json
import os
import socket
from pathlib import Path

from hookward.django import Event, on

from .models import Effect


@on("orders", "*")
def order(event: Event) -> None:
    """One effect an event. One with `hold` waits in the middle of its handler until the test says how it goes on."""
    assert event.id
    Effect.objects.create(event=event.id)
    with Path(os.environ["SITE_RUNS"]).open("a") as runs:
        runs.write(f"{event.id}\n")  # a short line, appended in one write
    if event.data.get("hold"):
        _ask(event.id)


def _ask(event: str) -> None:
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(os.environ["SITE_CONTROL"])
        control.sendall(json.dumps({"pid": os.getpid(), "event": event}).encode() + b"\n")
        answer = control.makefile().readline().strip()
    if answer != "go on":
        raise RuntimeError(answer or "the test has hung up")

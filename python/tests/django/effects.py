"""What the handlers of the tests do: they write down that they were called, then whatever the test wants."""

import os
import time
from pathlib import Path

from asgiref.sync import sync_to_async

from tests.django.models import Order

script = []
"""What each call does after it has changed the database: a function of the event."""
seen = []
"""The events that handlers got."""


def happen(event, how="view"):
    seen.append(event)
    wait_if_told()
    Order.objects.create(key=event.key, how=how)
    return script.pop(0)(event) if script else None


def wait_if_told():
    """In a server of the tests' own: until a file is there."""
    go = os.environ.get("TESTS_HANDLER_WAITS_FOR")
    while go and not Path(go).exists():
        time.sleep(0.05)


async def ahappen(event, how="view"):
    return await sync_to_async(happen)(event, how)


def orders():
    return list(Order.objects.order_by("pk").values_list("how", flat=True))

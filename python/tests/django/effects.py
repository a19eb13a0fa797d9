"""What the handlers of the tests do: they write down that they were called, then whatever the test wants."""

from asgiref.sync import sync_to_async

from tests.django.models import Order

script = []
"""What each call does after it has changed the database: a function of the event."""
seen = []
"""The events that handlers got."""


def happen(event, how="view"):
    seen.append(event)
    Order.objects.create(key=event.key, how=how)
    return script.pop(0)(event) if script else None


async def ahappen(event, how="view"):
    return await sync_to_async(happen)(event, how)


def orders():
    return list(Order.objects.order_by("pk").values_list("how", flat=True))

from hookward.django import Event, on

from .plain import OrderEvent, handle


@on("orders", "*", model=OrderEvent)
def order(event: Event) -> None:
    handle(event.data)

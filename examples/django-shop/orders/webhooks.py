from hookward.django import Event, Retry, on

from .events import CheckoutCompleted, CheckoutSession
from .models import Order


@on("stripe", "checkout.session.completed", model=CheckoutCompleted)
def paid(event: Event) -> None:
    """Books the payment of an order.

    Runs inside a transaction together with the note that this event was handled: both are there, or neither is. So an
    order is paid exactly once, however often Stripe tells of it and whenever a process dies.
    """
    session: CheckoutSession = event.data.data.object
    order = Order.objects.select_for_update().filter(number=session.client_reference_id).first()
    if order is None:
        # Stripe can be faster than the transaction that writes the order: it is asked to come again.
        raise Retry(after=30, reason=f"order {session.client_reference_id} is not here yet")
    order.pay(session.payment_intent, session.amount_total, at=event.received_at)

from hookward.django import Event, Retry, on

from .events import CheckoutCompleted, CheckoutSession
from .models import Order


@on("stripe", "checkout.session.completed", model=CheckoutCompleted)
def paid(event: Event) -> None:
    """Books the payment of an order: exactly once, however often it is told, and whenever a process dies."""
    session: CheckoutSession = event.data.data.object
    order = Order.objects.filter(number=session.client_reference_id).first()
    if order is None:
        # Stripe can be faster than the transaction that writes the order: it is asked to come again.
        raise Retry(after=30, reason=f"order {session.client_reference_id} is not here yet")
    with event.once() as first:  # the booking and the note that it was made: both are kept, or neither is
        if first:
            order.pay(session.payment_intent, session.amount_total, at=event.received_at)

from datetime import timedelta
from typing import Any

import pytest
from hookward.test import Attack, Webhooks, webhooks_attacks

from orders.models import Booking, Order

pytestmark = pytest.mark.django_db


def completed(order: str, event: str = "evt_1") -> dict[str, Any]:
    """What Stripe sends when a checkout was paid, with a few of the many fields that the shop does not read."""
    session = {
        "id": "cs_1",
        "object": "checkout.session",
        "client_reference_id": order,
        "amount_total": 4_200,
        "currency": "eur",
        "payment_intent": "pi_1",
        "payment_status": "paid",
    }
    return {"id": event, "type": "checkout.session.completed", "livemode": True, "data": {"object": session}}


def test_an_order_is_paid_once(webhooks: Webhooks, order: Order) -> None:
    assert webhooks.deliver("stripe", completed(order.number)).status_code == 200
    assert webhooks.deliver_again().status_code == 200
    order.refresh_from_db()
    assert order.paid_at is not None
    assert [(booking.payment, booking.amount) for booking in order.bookings.all()] == [("pi_1", 4_200)]
    assert webhooks.processed == ["evt_1"]


def test_stripe_is_faster_than_the_shop(webhooks: Webhooks) -> None:
    early = webhooks.deliver("stripe", completed("A-1002"))
    assert early.status_code == 503
    assert int(early.headers["Retry-After"]) >= 30

    Order.objects.create(number="A-1002", total=4_200)
    webhooks.advance(minutes=1)
    assert webhooks.deliver("stripe", completed("A-1002")).status_code == 200
    assert Booking.objects.count() == 1


def test_other_events_are_taken_and_do_nothing(webhooks: Webhooks) -> None:
    assert webhooks.deliver("stripe", {"id": "evt_2", "type": "customer.created"}).status_code == 200
    assert Booking.objects.count() == 0


def test_an_event_without_an_order_is_kept_for_a_person(webhooks: Webhooks) -> None:
    """Asking Stripe to send it again would not make it any better."""
    event = completed("A-1001")
    del event["data"]["object"]["client_reference_id"]
    assert webhooks.deliver("stripe", event).status_code == 200
    assert webhooks.dead == ["evt_1"]


@pytest.mark.parametrize("attack", webhooks_attacks("stripe", completed("A-1001")), ids=lambda attack: attack.name)
def test_attacks(webhooks: Webhooks, order: Order, attack: Attack) -> None:
    """Forged, stale, replayed, malformed: whatever comes, an order is paid by genuine events only, and by each once."""
    webhooks.withstand(attack)
    assert Booking.objects.count() <= attack.effects


def test_a_captured_request_is_worth_nothing_later(webhooks: Webhooks, order: Order) -> None:
    captured = webhooks.request("stripe", completed(order.number))
    webhooks.advance(seconds=timedelta(minutes=10).total_seconds())
    assert webhooks.send("stripe", captured).status_code == 403
    assert Booking.objects.count() == 0

"""What Stripe sends, as far as the shop reads it. Fields that Stripe adds some day are no mistake."""

from pydantic import BaseModel, NonNegativeInt


class CheckoutSession(BaseModel):
    client_reference_id: str
    """The order's number, as the shop gave it to Stripe."""
    amount_total: NonNegativeInt
    payment_intent: str


class Data(BaseModel):
    object: CheckoutSession


class CheckoutCompleted(BaseModel):
    id: str
    data: Data

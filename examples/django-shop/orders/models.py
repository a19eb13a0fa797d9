from __future__ import annotations

from datetime import datetime

from django.db import models


class Order(models.Model):
    number = models.CharField(max_length=32, unique=True)
    total = models.PositiveIntegerField(help_text="In cents.")
    paid_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.number

    def pay(self, payment: str, amount: int, at: datetime) -> None:
        """Books a payment. Nothing here guards against the same payment twice: the webhook does."""
        self.paid_at = at
        self.save(update_fields=["paid_at"])
        Booking.objects.create(order=self, payment=payment, amount=amount)


class Booking(models.Model):
    """A line of the ledger: money that came in. Two of them for one payment would be wrong."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="bookings")
    payment = models.CharField(max_length=255)
    amount = models.PositiveIntegerField(help_text="In cents.")

    def __str__(self) -> str:
        return f"{self.amount} for {self.order}"

"""The tables of the ORM store, and the marks of effects that happen once.

Times are whole microseconds since 1970 (UTC), as everywhere below the handlers. Texts of strangers are kept as JSON or
bytes, so that no database has an opinion on them.
"""

from __future__ import annotations

from django.db import models

from hookward.django.delivery import Delivery

__all__ = ["Delivery", "Effect", "StoredEvent"]


class StoredEvent(models.Model):
    """An event as the ORM store keeps it. Private: `hookward.django.stores.orm` reads and writes it."""

    key = models.CharField(max_length=32, primary_key=True)
    content = models.CharField(max_length=32)
    """Digest of what was signed: the same key with another one is a conflict."""
    source = models.CharField(max_length=64)
    type = models.CharField(max_length=256, null=True)
    sender_id = models.CharField(max_length=256, null=True)
    received_at = models.BigIntegerField()

    state = models.CharField(max_length=8)
    dead_reason = models.CharField(max_length=32, null=True)
    due_at = models.BigIntegerField(null=True)
    """While pending: when it is due, or when the lease on it lapses. Null in all other states."""
    leased = models.BooleanField(default=False)
    token = models.BigIntegerField(default=0)
    """One higher with each lease and each replay: only who has the latest may settle."""
    attempts = models.PositiveIntegerField(default=0)
    replays = models.PositiveIntegerField(default=0)
    history = models.TextField(default="[]")
    """The latest attempts as JSON: `[[time, status, note], …]`."""

    headers = models.TextField(default="[]")
    """As JSON: `[[name, value in Latin-1], …]`."""
    body = models.BinaryField()
    body_bytes = models.PositiveIntegerField()
    body_expired = models.BooleanField(default=False)
    body_expires_at = models.BigIntegerField()
    key_expires_at = models.BigIntegerField(null=True)
    forget_at = models.BigIntegerField(null=True)
    """When something of it may be forgotten next: its body, then its key. Null: nothing any more."""

    class Meta:
        db_table = "hookward_event"
        indexes = [
            models.Index(fields=["due_at"], name="hookward_event_due"),
            models.Index(fields=["received_at", "key"], name="hookward_event_received"),
            models.Index(fields=["state", "received_at"], name="hookward_event_state"),
            models.Index(fields=["forget_at"], name="hookward_event_forget"),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.key}"


class Effect(models.Model):
    """A mark that an effect of an event has happened, committed together with the effect. See `Event.once`."""

    key = models.CharField(max_length=32)
    name = models.CharField(max_length=128)
    expires_at = models.BigIntegerField(null=True)

    class Meta:
        db_table = "hookward_effect"
        constraints = [models.UniqueConstraint(fields=["key", "name"], name="hookward_effect_once")]
        indexes = [models.Index(fields=["expires_at"], name="hookward_effect_expires")]

    def __str__(self) -> str:
        return f"{self.key} {self.name}".rstrip()

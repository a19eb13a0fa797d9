"""What an observer may want to know: for metrics, alerts, an audit. Public.

Work belongs into handlers, which have an outcome; what a receiver of these raises is logged and changes nothing. Each
is sent with `sender=hookward.django.Event` and `source`, the source's name. Never with secrets.
"""

from __future__ import annotations

from django.dispatch import Signal

webhook_accepted = Signal()
"""An event is new and durable: `event`."""

webhook_duplicate = Signal()
"""An event came again: `event`, and `state`: `running`, `done`, `dead` or `quarantined`."""

webhook_rejected = Signal()
"""A request was refused: `reason`, a stable name such as `wrong_signature`, `status`, and `client`, an address or None.
"""

webhook_failed = Signal()
"""A handler did not do it, and the event is tried again: `event`, `reason`, and `error`, an exception or None."""

webhook_dead = Signal()
"""An event needs a person: `event`, `reason`, and `error`, an exception or None."""

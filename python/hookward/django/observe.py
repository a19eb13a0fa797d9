"""Signals, sent so that no receiver changes an outcome."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from hookward.django.event import Event
from hookward.django.steps import Step, Steps

if TYPE_CHECKING:
    from django.dispatch import Signal

logger = logging.getLogger("hookward")


def observe(signal: Signal, **facts: Any) -> Steps[None]:
    """Tells the signal's receivers, if it has any. What they raise is logged."""
    if signal.has_listeners(Event):
        yield Step(_Sending(signal, facts).send)


class _Sending:
    def __init__(self, signal: Signal, facts: dict[str, Any]) -> None:
        self._signal = signal
        self._facts = facts

    def send(self) -> None:
        for receiver, answer in self._signal.send_robust(Event, **self._facts):
            if isinstance(answer, BaseException):
                logger.error("webhooks: %r raised and was ignored", receiver, exc_info=answer)

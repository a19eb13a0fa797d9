"""What is said of refused requests: one answer, and a line in the log now and then, whatever a flood of them says.

A refusal never raises, so that no forger can have admins mailed or an error tracker filled.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from django.http import HttpResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from hookward import _core

logger = logging.getLogger("hookward")

# As the gateway: enough to see what goes on, too little to fill a disk.
_PER_SECOND = 5.0
_BURST = 20.0


def response(answer: _core.Answer) -> HttpResponse:
    """An answer of the core as Django sends it."""
    told = HttpResponse(answer.body, status=answer.status)
    del told.headers["Content-Type"]
    for name, value in answer.headers:
        told.headers[name] = value
    return _logged(told)


def refused(status: int, code: str, message: str) -> HttpResponse:
    """What the core does not refuse, in its words."""
    body = b'{"error":{"code":"%s","message":"%s"}}' % (code.encode(), message.encode())
    return _logged(HttpResponse(body, status=status, content_type="application/json"))


def failed() -> HttpResponse:
    """For an event whose handler failed: the one refusal that Django may tell the admins of."""
    body = b'{"error":{"code":"handler_failed","message":"The event could not be handled. Send it again."}}'
    return HttpResponse(body, status=500, content_type="application/json")


def _logged(told: HttpResponse) -> HttpResponse:
    """Lets Django say nothing of it: it would log each forgery, and mail admins about what senders only have to send
    again.
    """
    told._has_been_logged = True  # type: ignore[attr-defined]
    return told


class Sampler:
    """Lets some through, and counts the others."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._left = _BURST
        self._at = clock()
        self._dropped = 0

    def lets_through(self) -> int | None:
        """How many were left out before this one; None, if this one is left out too."""
        with self._lock:
            now = self._clock()
            self._left = min(_BURST, self._left + (now - self._at) * _PER_SECOND)
            self._at = now
            if self._left < 1:
                self._dropped += 1
                return None
            self._left -= 1
            dropped, self._dropped = self._dropped, 0
            return dropped


_sampler = Sampler()


def log(level: int, source: str, reason: str, message: str, client: str | None) -> None:
    """Logs that a request was refused, unless that was said often enough."""
    if not logger.isEnabledFor(level):
        return
    dropped = _sampler.lets_through()
    if dropped is None:
        return
    more = f" ({dropped} more were not logged)" if dropped else ""
    logger.log(
        level,
        "webhook refused: source=%s reason=%s client=%s: %s%s",
        _plain(source),
        reason,
        client or "-",
        message,
        more,
        extra={"webhook_source": source, "webhook_reason": reason, "webhook_client": client},
    )


def _plain(text: str) -> str:
    """A stranger's text in a log line."""
    return "".join(c if c.isprintable() else "?" for c in text[:64])

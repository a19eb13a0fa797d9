"""When an event whose handler failed is tried again: the rule of the gateway's destinations, so that both run events
alike.
"""

from __future__ import annotations

SECOND = 1_000_000
FIRST = 5 * SECOND
"""The longest wait before the second attempt; doubles with each further one."""
LONGEST = 4 * 3600 * SECOND
"""No wait is longer, unless the handler asks for it."""
AFTER_MAX = 24 * 3600 * SECOND
"""What a handler may ask for."""


def wait(attempt: int, after: float | None, jitter: float) -> int:
    """Microseconds to wait after the `attempt`-th attempt, the first being 1.

    Exponential backoff with full jitter (`jitter` in 0 … 1, uniformly random), so that events that failed together do
    not come back together. `after`, in seconds, is a lower bound.
    """
    bound = min(FIRST * 2 ** min(attempt - 1, 32), LONGEST)
    asked = min(max(0, round((after or 0) * SECOND)), AFTER_MAX)
    return max(round(bound * min(max(jitter, 0.0), 1.0)), asked)

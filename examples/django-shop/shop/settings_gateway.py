"""The shop behind the gateway: handlers, URLs and tests stay as they are.

The gateway (hookward.toml) verifies, limits, de-duplicates and keeps the webhooks. The shop takes them from nobody
else, and has none of the senders' secrets.
"""

from .settings import *  # noqa: F403
from .settings import WEBHOOKS as DIRECT

WEBHOOKS = DIRECT | {"MODE": "gateway", "GATEWAY": {"SECRETS": ["env:HOOKWARD_DELIVERY_SECRET"]}}

"""The shop with real processes, and moved behind the gateway by its settings alone."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from running import environment, gateway, manage, send, shop, until
from test_orders import completed

ORDER = "from orders.models import Order; Order.objects.create(number='A-1001', total=4200)"


def test_the_shop_takes_webhooks_itself(tmp_path: Path) -> None:
    env = prepared(tmp_path, "shop.settings")
    with shop(env) as url:
        for _ in range(3):
            assert send(env, "stripe", f"{url}/hooks/stripe/", event(tmp_path)) == 200
    assert bookings(env) == [("pi_1", 4_200)]


def test_the_shop_behind_the_gateway(tmp_path: Path) -> None:
    env = prepared(tmp_path, "shop.settings_gateway")
    with shop(env) as url, gateway(env, tmp_path, url) as front:
        for _ in range(3):
            assert send(env, "stripe", f"{front}/hooks/stripe", event(tmp_path)) == 200
        until(lambda: bookings(env) or None, "the booking")
        # Whoever reaches the shop itself does not get in with what Stripe signs.
        assert send(env, "stripe", f"{url}/hooks/stripe/", event(tmp_path)) == 403
        # A later event that was delivered as well: the copies of the first one had their time.
        later = event(tmp_path, completed("A-1001", "evt_2"))
        assert send(env, "stripe", f"{front}/hooks/stripe", later) == 200
        until(lambda: len(bookings(env)) == 2 or None, "the second booking")
    assert bookings(env) == [("pi_1", 4_200), ("pi_1", 4_200)]


def prepared(folder: Path, settings: str) -> dict[str, str]:
    env = environment(folder, settings)
    manage(env, "migrate", "--verbosity", "0")
    manage(env, "shell", "--command", ORDER)
    manage(env, "check", "--deploy", "--tag", "webhooks", "--fail-level", "WARNING")
    return env


def event(folder: Path, payload: dict[str, Any] | None = None) -> Path:
    file = folder / "event.json"
    file.write_text(json.dumps(payload or completed("A-1001")))
    return file


def bookings(env: dict[str, str]) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(env["SHOP_DATABASE"], timeout=30)) as database:
        return database.execute("SELECT payment, amount FROM orders_booking").fetchall()

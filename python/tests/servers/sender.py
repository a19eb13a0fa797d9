"""A sender: signs as the provider `hmac` does, and comes again as long as it is told to."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.process import PATIENCE


@dataclass
class Answer:
    status: int
    headers: dict[str, str] = field(repr=False)
    body: bytes

    @property
    def retry_after(self) -> float | None:
        value = self.headers.get("retry-after")
        return None if value is None else float(value)


@dataclass
class Sender:
    port: int
    secret: str
    path: str = "/hooks/orders/"

    def signed(self, event: str, **fields: Any) -> tuple[dict[str, str], bytes]:
        body = json.dumps({"id": event, "type": "order.paid", **fields}).encode()
        signature = hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
        return {"content-type": "application/json", "x-signature": signature}, body

    def forged(self, event: str) -> tuple[dict[str, str], bytes]:
        headers, body = self.signed(event)
        return headers, body.replace(b"paid", b"gift")

    def post(self, request: tuple[dict[str, str], bytes]) -> Answer:
        """Over a connection of its own. Raises OSError or HTTPException when there is no answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            return exchange(connection, self.path, request)
        finally:
            connection.close()

    def send(self, event: str, **fields: Any) -> Answer:
        return self.post(self.signed(event, **fields))

    def send_until_taken(self, event: str, **fields: Any) -> list[int]:
        """As a sender that is told 503, or hears nothing: again, until it is taken. The statuses, 0 for no answer."""
        statuses: list[int] = []
        deadline = time.monotonic() + PATIENCE
        request = self.signed(event, **fields)
        while time.monotonic() < deadline:
            try:
                statuses.append(self.post(request).status)
            except (OSError, http.client.HTTPException):
                statuses.append(0)
            if 200 <= statuses[-1] < 300:
                return statuses
            time.sleep(0.05)
        raise AssertionError(f"{event} was not taken within {PATIENCE:.0f} s: {statuses[-20:]}")

    def send_at_once(self, requests: Sequence[tuple[dict[str, str], bytes]]) -> list[Answer]:
        """All of them at the same moment, each over a connection of its own."""
        answers: list[Answer | None] = [None] * len(requests)
        start = threading.Barrier(len(requests))

        def one(number: int) -> None:
            start.wait(PATIENCE)
            answers[number] = self.post(requests[number])

        threads = [threading.Thread(target=one, args=[number]) for number in range(len(requests))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(answers), "a request had no answer"
        return [answer for answer in answers if answer is not None]


def exchange(connection: http.client.HTTPConnection, path: str, request: tuple[dict[str, str], bytes]) -> Answer:
    headers, body = request
    connection.request("POST", path, body, headers)
    response = connection.getresponse()
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())

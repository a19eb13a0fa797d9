"""Many copies of one event at the same moment have one effect."""

from __future__ import annotations

import pytest

from tests.servers.conftest import NewSite
from tests.servers.server import gunicorn, uvicorn

COPIES = 64

SERVERS = {
    "gunicorn": gunicorn(workers=2, threads=8),
    "gunicorn, preloaded": gunicorn(2, 8, "--preload"),
    "uvicorn": uvicorn(workers=1),
    "gunicorn, guarded": gunicorn(2, 8, wsgi="project.wsgi:guarded"),
    "uvicorn, guarded": uvicorn(1, asgi="project.asgi:guarded"),
}


@pytest.mark.parametrize("server", SERVERS)
def test_inline_one_effect(new_site: NewSite, server: str) -> None:
    site = new_site("inline")
    with site.serve(SERVERS[server]) as running:
        sender = site.sender(running)
        answers = sender.send_at_once([sender.signed("evt_1")] * COPIES)
        told_later = [answer for answer in answers if answer.status == 503]
        assert {answer.status for answer in answers} <= {200, 503}, [answer.status for answer in answers]
        assert all(answer.retry_after is not None for answer in told_later)
        # Whoever was told to come again is told then that it is done.
        for _ in told_later:
            sender.send_until_taken("evt_1")
        assert site.effects() == {"evt_1": 1}
        assert site.runs() == {"evt_1": 1}


@pytest.mark.parametrize("server", SERVERS)
def test_queue_one_effect(new_site: NewSite, server: str) -> None:
    site = new_site("queue")
    with site.serve(SERVERS[server]) as running, site.worker(), site.worker():
        sender = site.sender(running)
        answers = sender.send_at_once([sender.signed("evt_1")] * COPIES)
        assert {answer.status for answer in answers} <= {200, 503}, [answer.status for answer in answers]
        assert {200} == {sender.send_until_taken("evt_1")[-1] for answer in answers if answer.status != 200} | {200}
        # A later event is handled after it: there was time for a second effect.
        sender.send_until_taken("evt_2")
        site.until_effect("evt_1")
        site.until_effect("evt_2")
    assert site.effects() == {"evt_1": 1, "evt_2": 1}


def test_many_events_each_once(new_site: NewSite) -> None:
    """Distinct events do not stand in each other's way, and each sent twice has one effect."""
    site = new_site("inline")
    with site.serve(gunicorn(2, 8)) as running:
        sender = site.sender(running)
        events = [f"evt_{number}" for number in range(COPIES // 2)]
        sender.send_at_once([sender.signed(event) for event in events * 2])
        for event in events:
            sender.send_until_taken(event)
    assert site.effects() == dict.fromkeys(events, 1)

"""A process that is killed in the middle of a handler loses nothing, and what it had written is not there twice."""

from __future__ import annotations

import http.client
import threading

import pytest

from tests.process import until
from tests.servers.conftest import NewSite
from tests.servers.server import gunicorn, uvicorn

SERVERS = {
    "gunicorn": gunicorn(2, 8),
    "gunicorn, preloaded": gunicorn(2, 8, "--preload"),
    "uvicorn": uvicorn(workers=2),
    "gunicorn, guarded": gunicorn(2, 8, wsgi="project.wsgi:guarded"),
    "uvicorn, guarded": uvicorn(2, asgi="project.asgi:guarded"),
}


@pytest.mark.parametrize("server", SERVERS)
def test_inline(new_site: NewSite, server: str) -> None:
    site = new_site("inline")
    with site.serve(SERVERS[server]) as running:
        sender = site.sender(running)
        lost: list[Exception] = []

        def send() -> None:
            try:
                sender.send("evt_1", hold=True)
            except (OSError, http.client.HTTPException) as error:
                lost.append(error)

        first = threading.Thread(target=send)
        first.start()
        running.killed(site.control.held().pid)
        first.join()
        assert lost, "the sender had an answer from a process that was killed"
        assert site.effects() == {}, "the handler's transaction was not rolled back"

        # The sender comes again, is told to wait as long as the lease holds, and then the handler runs once more.
        again = threading.Thread(target=sender.send_until_taken, args=["evt_1"], kwargs={"hold": True})
        again.start()
        site.control.held().go_on()
        again.join()
        assert sender.send("evt_1", hold=True).status == 200
    assert site.effects() == {"evt_1": 1}
    assert site.runs() == {"evt_1": 2}


def test_queue(new_site: NewSite) -> None:
    site = new_site("queue")
    with site.serve(gunicorn(2, 8)) as running:
        assert site.sender(running).send("evt_1", hold=True).status == 200
        first = site.worker()
        assert site.control.held().pid == first.pid
        first.kill()
        assert site.effects() == {}
        with site.worker() as second:
            held = site.control.held()
            assert held.pid == second.pid
            held.go_on()
            site.until_effect("evt_1")
    assert site.effects() == {"evt_1": 1}
    assert site.runs() == {"evt_1": 2}


def test_an_accepted_event_outlives_the_server(new_site: NewSite) -> None:
    """What was acknowledged is there when every process that knew of it was killed."""
    site = new_site("queue")
    with site.serve(gunicorn(2, 8)) as running:
        assert site.sender(running).send("evt_1").status == 200
        for pid in running.workers():
            running.killed(pid)
        until(lambda: running.workers(), "workers in their place")
    with site.worker():
        site.until_effect("evt_1")
    assert site.effects() == {"evt_1": 1}

"""A server or worker that is asked to end finishes what it is at."""

from __future__ import annotations

import signal
import threading

import pytest

from tests.servers.conftest import NewSite
from tests.servers.server import gunicorn, uvicorn

SERVERS = {
    "gunicorn": gunicorn(2, 8),
    "gunicorn, preloaded": gunicorn(2, 8, "--preload"),
    "uvicorn": uvicorn(workers=1),
    "gunicorn, guarded": gunicorn(2, 8, wsgi="project.wsgi:guarded"),
    "uvicorn, guarded": uvicorn(1, asgi="project.asgi:guarded"),
}


@pytest.mark.parametrize("server", SERVERS)
def test_server(new_site: NewSite, server: str) -> None:
    site = new_site("inline")
    with site.serve(SERVERS[server]) as running:
        sender = site.sender(running)
        answers: list[int] = []
        request = threading.Thread(target=lambda: answers.append(sender.send("evt_1", hold=True).status))
        request.start()
        held = site.control.held()
        running.process.terminate()
        held.go_on()
        request.join()
        assert answers == [200]
        # uvicorn ends by the signal that it was sent, when it has finished.
        assert running.stop() in (0, -signal.SIGTERM)
    assert site.effects() == {"evt_1": 1}


def test_worker(new_site: NewSite) -> None:
    site = new_site("queue")
    with site.serve(gunicorn(2, 8)) as running:
        assert site.sender(running).send("evt_1", hold=True).status == 200
        worker = site.worker()
        held = site.control.held()
        worker.process.terminate()
        held.go_on()
        assert worker.stop() == 0
    assert site.effects() == {"evt_1": 1}
    assert site.runs() == {"evt_1": 1}

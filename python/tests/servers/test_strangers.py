"""What strangers send costs no row and no mail, and does not stand in a sender's way."""

from __future__ import annotations

import http.client
import socket

import pytest

from tests.process import PATIENCE
from tests.servers.conftest import NewSite
from tests.servers.sender import exchange
from tests.servers.server import gunicorn, uvicorn

SERVERS = {
    "gunicorn": gunicorn(2, 8),
    "uvicorn": uvicorn(workers=1),
    "gunicorn, guarded": gunicorn(2, 8, wsgi="project.wsgi:guarded"),
    "uvicorn, guarded": uvicorn(1, asgi="project.asgi:guarded"),
}
# Requests that are sent at once, in turns.
CROWD, TURNS = 32, 8


@pytest.mark.parametrize("server", SERVERS)
def test_a_forged_flood(new_site: NewSite, server: str) -> None:
    site = new_site("inline")
    with site.serve(SERVERS[server]) as running:
        sender = site.sender(running)
        tables = [name for (name,) in site.rows("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        before = {name: site.rows(f"SELECT count(*) FROM {name}") for name in tables}
        statuses: set[int] = set()
        for turn in range(TURNS):
            answers = sender.send_at_once([sender.forged(f"evt_{turn}_{number}") for number in range(CROWD)])
            statuses |= {answer.status for answer in answers}
        assert statuses <= {403, 429}
        assert {name: site.rows(f"SELECT count(*) FROM {name}") for name in tables} == before
        assert sender.send("evt_genuine").status == 200
    assert site.effects() == {"evt_genuine": 1}
    assert site.mails() == []
    assert "Traceback" not in site.log.read_text()


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("store", ["orm"], indirect=True)
def test_one_connection_for_many_requests(new_site: NewSite, server: str) -> None:
    """Good and forged ones in turns over one connection: no answer leaves a part of a request unread."""
    site = new_site("inline")
    with site.serve(SERVERS[server]) as running:
        sender = site.sender(running)
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=PATIENCE)
        for number in range(10):
            assert exchange(connection, sender.path, sender.signed(f"evt_{number}")).status == 200
            first = connection.sock
            assert exchange(connection, sender.path, sender.forged(f"evt_{number}")).status == 403
            unsigned = ({"content-type": "application/json"}, b"x" * 2_000)
            assert exchange(connection, sender.path, unsigned).status == 403
            assert connection.sock is first or connection.sock is None
        connection.close()
    assert len(site.effects()) == 10


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("store", ["orm"], indirect=True)
def test_a_slow_body_keeps_nobody_waiting(new_site: NewSite, server: str) -> None:
    """Half a body, then nothing: others are served meanwhile, and the rest of it is taken when it comes."""
    site = new_site("inline")
    with site.serve(SERVERS[server]) as running:
        sender = site.sender(running)
        headers, body = sender.signed("evt_slow")
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        with socket.create_connection(("127.0.0.1", running.port), timeout=PATIENCE) as slow:
            slow.sendall(
                f"POST {sender.path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n{head}\r\n".encode()
            )
            slow.sendall(body[:10])
            for number in range(8):
                assert sender.send(f"evt_{number}").status == 200
            slow.sendall(body[10:])
            assert slow.recv(65_536).startswith(b"HTTP/1.1 200 ")
    assert site.effects()["evt_slow"] == 1

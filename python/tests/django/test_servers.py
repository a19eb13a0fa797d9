"""Real servers with several processes, over HTTP."""

import http.client
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

SERVERS = {
    "gunicorn": ["gunicorn", "--workers", "2", "--threads", "8", "--preload", "--graceful-timeout", "2",
                 "--control-socket", "{folder}/control", "--bind", "fd://{fd}",
                 "django.core.wsgi:get_wsgi_application()"],
    "uvicorn": ["uvicorn", "--factory", "--lifespan", "off", "--fd", "{fd}", "django.core.asgi:get_asgi_application"],
}  # fmt: skip


class Server:
    def __init__(self, kind, folder):
        self.folder = folder
        self.environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(sys.path),
            "DJANGO_SETTINGS_MODULE": "tests.django.settings",
            "TMPDIR": str(folder),
        }
        migrate = [sys.executable, "-m", "django", "migrate", "--run-syncdb", "--verbosity", "0"]
        subprocess.run(migrate, env=self.environment, check=True)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        fd = self.listener.fileno()
        command = [part.format(fd=fd, folder=folder) for part in SERVERS[kind]]
        self.log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command], env=self.environment, pass_fds=[fd], stdout=self.log, stderr=self.log
        )

    def post(self, path, body, headers, timeout=120):
        """Connections wait in the listener until a worker is there."""
        connection = http.client.HTTPConnection(*self.listener.getsockname(), timeout=timeout)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def rows(self, query):
        connection = sqlite3.connect(self.folder / "hookward-tests.sqlite3", timeout=30)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def workers(self):
        """The processes that gunicorn has forked."""
        listed = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False)
        return [int(pid) for pid in listed.stdout.split()]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.listener.close()
        self.log.close()


@pytest.fixture(params=list(SERVERS))
def server(request, tmp_path):
    pytest.importorskip(request.param)
    server = Server(request.param, tmp_path)
    yield server
    server.stop()


@pytest.mark.parametrize("path", ["/hooks/stripe/", "/ahooks/stripe/"])
def test_64_copies_at_once_have_one_effect(server, sender, path):
    body, headers = sender.signed("stripe")
    assert server.post(path, body, {"stripe-signature": "t=1,v1=00"}) == 403
    with ThreadPoolExecutor(64) as pool:
        statuses = list(pool.map(lambda _: server.post(path, body, headers), range(64)))
    assert set(statuses) <= {200, 503}, (server.folder / "log").read_text()
    assert 200 in statuses
    assert server.rows("SELECT how FROM django_order") == [("paid",)]
    assert server.rows("SELECT state, attempts FROM hookward_event") == [("done", 1)]


def test_a_worker_killed_while_it_handles_loses_nothing(tmp_path, sender, monkeypatch):
    pytest.importorskip("gunicorn")
    monkeypatch.setenv("TESTS_HANDLER_WAITS_FOR", str(tmp_path / "go"))
    server = Server("gunicorn", tmp_path)
    try:
        body, headers = sender.signed("stripe")
        with ThreadPoolExecutor(1) as pool:
            lost = pool.submit(server.post, "/hooks/stripe/", body, headers)
            until(lambda: server.rows("SELECT leased FROM hookward_event") == [(1,)])
            for pid in server.workers():
                os.kill(pid, signal.SIGKILL)
            with pytest.raises((OSError, http.client.HTTPException)):
                lost.result()
        assert server.rows("SELECT how FROM django_order") == []
        (tmp_path / "go").touch()
        assert server.post("/hooks/stripe/", body, headers) == 503
        connection = sqlite3.connect(tmp_path / "hookward-tests.sqlite3", timeout=30)
        with connection:
            connection.execute("UPDATE hookward_event SET due_at = 0")
        connection.close()
        assert server.post("/hooks/stripe/", body, headers) == 200
        assert server.rows("SELECT how FROM django_order") == [("paid",)]
    finally:
        server.stop()


def until(holds):
    """Looks at what another process has written, again and again: it tells nobody when."""
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)

"""What is fetched for the core: over https or from this machine, without redirects, and no more than is asked for."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from hookward.django import keeper, runtime


class Pages(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/keys")
            self.end_headers()
            return
        body = b"x" * 400_000 if self.path == "/large" else b'{"keys": []}'
        self.send_response(200)
        self.send_header("Cache-Control", "public, max-age=600")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def pages():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def at(pages, path):
    return f"http://127.0.0.1:{pages.server_port}{path}"


def test_a_page_and_for_how_long_it_is_good(pages):
    assert keeper._fetch(at(pages, "/keys")) == (b'{"keys": []}', 600)


@pytest.mark.parametrize("path", ["/moved", "/large"])
def test_redirects_and_floods_are_not_followed(pages, path):
    with pytest.raises((OSError, ValueError)):
        keeper._fetch(at(pages, path))
    assert pages.asked == [path]


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1/keys", "file:///etc/passwd", "ftp://127.0.0.1/", "http://localhost.example/"]
)
def test_nothing_else_is_asked(url):
    with pytest.raises(ValueError, match="https"):
        keeper._fetch(url)


class Asked:
    """As the core's KeyFetch."""

    post = None

    def __init__(self, url):
        self.url = url
        self.told = []

    def here(self, body, max_age, now):
        self.told.append(("here", body, max_age))
        return True

    def not_there(self, now):
        self.told.append(("not there",))

    def failed(self, now):
        self.told.append(("failed",))


def test_the_core_is_told_what_came(pages):
    for path, told in [("/keys", ("here", b'{"keys": []}', 600)), ("/large", ("failed",))]:
        asked = Asked(at(pages, path))
        keeper._fetch_keys(asked, runtime.current())
        assert asked.told == [told]


def test_a_subscription_is_confirmed_by_the_thread(pages):
    kept = runtime.current().keeper
    kept.ensure()
    kept.visit(at(pages, "/confirm"))
    for _ in range(1_000):
        if pages.asked:
            break
        threading.Event().wait(0.02)
    assert pages.asked == ["/confirm"]
    kept.stop()


def test_there_is_one_thread_in_each_process(monkeypatch):
    started = []
    monkeypatch.setattr(keeper.threading.Thread, "start", lambda thread: started.append(thread))
    kept = keeper.Keeper(runtime.current())
    kept.ensure()
    kept.ensure()
    assert len(started) == 1
    monkeypatch.setattr(keeper.os, "getpid", lambda: -1)
    kept.ensure()
    kept.ensure()
    assert len(started) == 2
    assert all(thread.daemon for thread in started)


# More than rounds of five seconds make an hour.
ROUNDS = 2_000


def test_a_flood_of_forgeries_makes_nobody_forget_more_often():
    """Each forgery wakes the keeper. What it forgets then is a write to the database, which no forgery may cost."""
    rounds, expired = [], []

    def keys_due(_now):
        rounds.append(1)
        it.wake()
        if len(rounds) == ROUNDS:
            it.stop()
        return []

    receiver = SimpleNamespace(tend_after=100.0, keys_due=keys_due)
    it = keeper.Keeper(SimpleNamespace(receiver=receiver, clock=lambda: 0, expire=lambda: expired.append(1)))
    it._run(it._stopped, it._wanted)
    assert len(rounds) == ROUNDS
    assert expired == []

"""What a look at the live parts finds."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import override_settings
from hookward import _core
from hookward.django import findings, settings

from tests.ops.events import NOW
from tests.ops.settings import WEBHOOKS

GOOD = {
    "status": "ACTIVE",
    "ttl": True,
    "encryption": "KMS",
    "point_in_time_recovery": True,
    "deletion_protection": True,
}


def wrong(**changes):
    """What is found of a table that is as it should be, but for these."""
    return {found.part: found.status for found in findings.judged({**GOOD, **changes}) if found.status != "ok"}


def test_a_table_as_it_should_be():
    assert wrong() == {}


@pytest.mark.parametrize(
    ("part", "value", "status"),
    [
        ("status", "DELETING", "failed"),
        ("ttl", False, "failed"),
        ("ttl", "DISABLED", "failed"),
        ("point_in_time_recovery", False, "warning"),
        ("deletion_protection", False, "warning"),
        ("deletion_protection", None, "warning"),
    ],
)
def test_a_table_that_is_not(part, value, status):
    assert wrong(**{part: value}) == {"table" if part == "status" else part: status}


@pytest.fixture
def clock(monkeypatch):
    """An endpoint that tells the time: what it answers, and in which second."""

    class Endpoint(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(400)
            self.send_header("Date", self.date_time_string(NOW / 1_000_000 + self.server.ahead))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            return None

    server = HTTPServer(("127.0.0.1", 0), Endpoint)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{server.server_port}/")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("ahead", "status"), [(0, "ok"), (20, "ok"), (40, "failed"), (-3600, "failed")])
def test_a_clock_that_is_off(clock, ahead, status):
    clock.ahead = ahead
    (found,) = findings.clock(NOW, settings.read({**WEBHOOKS, "STORE": {"TABLE": "webhooks"}}, literals=True))
    assert found.status == status
    assert f"{abs(ahead)} s" in found.message


def test_a_store_that_tells_no_time(db):
    (found,) = findings.clock(NOW, settings.read(WEBHOOKS, literals=True))
    assert (found.status, "not compared" in found.message) == ("ok", True)


def look(capsys, *args):
    call_command("webhooks_check", *args, no_color=True)
    return capsys.readouterr().out


def test_check_of_a_project_that_is_well(store, db, capsys):
    out = look(capsys, "--strict")
    assert [line.split()[:2] for line in out.splitlines()] == [
        ["ok", "settings"],
        ["ok", "secrets"],
        ["ok", "migrations"],
        ["ok", "store"],
        ["ok", "clock"],
    ]
    assert {it["status"] for it in json.loads(look(capsys, "--json"))} == {"ok"}


def test_check_of_secrets_that_are_missing(store, db, capsys, monkeypatch):
    monkeypatch.delenv("OPS_GITHUB")
    with pytest.raises(CommandError, match="1 of 5 need somebody"):
        look(capsys)
    out = capsys.readouterr().out
    assert "failed   secrets" in out
    assert "OPS_GITHUB" in out


def test_check_of_a_store_that_is_down(store, db, capsys, monkeypatch):
    def down():
        raise _core.Unavailable("nobody answers")

    monkeypatch.setattr(store, "health", down)
    with pytest.raises(CommandError, match="need somebody"):
        look(capsys)
    assert "nobody answers" in capsys.readouterr().out


def test_check_of_migrations_that_are_missing(store, db, capsys):
    MigrationRecorder(connection).record_unapplied("hookward", "0001_initial")
    with pytest.raises(CommandError, match="need somebody"):
        look(capsys)
    assert "0001_initial" in capsys.readouterr().out


def test_check_of_settings_that_are_wrong(capsys, db):
    with override_settings(WEBHOOKS={**WEBHOOKS, "MOD": "queue"}), pytest.raises(CommandError, match="did you mean"):
        look(capsys)


def test_migrations_are_complete(db):
    call_command("makemigrations", "hookward", check=True, dry_run=True)

"""The commands of an operator."""

import io
import json
import re
import sysconfig
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings
from hookward import _core
from hookward.django import runtime, settings
from hookward.django.management.commands.webhooks_table import gateway_config, toml
from hookward.django.stores.memory import MemoryStore

from tests.ops.events import NOW, event
from tests.ops.settings import WEBHOOKS


def run(command: str, *args: str, **options: object) -> str:
    out = io.StringIO()
    call_command(command, *args, stdout=out, stderr=out, no_color=True, **options)
    return out.getvalue()


def keep(store, id: str, source: str = "stripe", state: str = "pending") -> str:
    """An event in this state: its key."""
    lease = store.claim(event(source, {"id": id, "type": "invoice.paid"}), NOW, NOW + 60).lease
    if state == "pending":
        store.settle(lease, "again", NOW + 1, NOW + 5, status=500, note="ValueError: no such invoice")
    else:
        store.settle(lease, state, NOW + 1, status=500, note="ValueError: no such invoice")
    return lease.key


def test_list_shows_newest_first(store):
    keys = [keep(store, f"evt_{n}") for n in range(3)]
    lines = run("webhooks_list").splitlines()
    assert lines[0].split() == ["KEY", "RECEIVED", "SOURCE", "TYPE", "ID", "STATE", "ATTEMPTS"]
    assert [line.split()[0] for line in lines[1:]] == keys[::-1]


def test_list_filters(store):
    dead, waits = keep(store, "evt_dead", state="dead"), keep(store, "evt_waits")
    other = keep(store, "evt_other", source="github", state="dead")
    assert dead in run("webhooks_list", "--dead")
    assert waits not in run("webhooks_list", "--dead")
    assert waits in run("webhooks_list", "--pending")
    assert dead not in run("webhooks_list", "--pending")
    assert dead not in run("webhooks_list", "--dead", "--source", "github")
    assert other in run("webhooks_list", "--dead", "--source", "github")
    assert run("webhooks_list", "--since", "1970-01-01").count("\n") == 4
    assert run("webhooks_list", "--since", "2999-01-01") == "No webhooks match.\n"


def test_list_says_that_there_are_more(store):
    for n in range(3):
        keep(store, f"evt_{n}")
    assert "There are more" in run("webhooks_list", "--limit", "2")
    assert len(json.loads(run("webhooks_list", "--limit", "2", "--json"))) == 2


def test_list_reads_pages_of_the_store(store):
    for n in range(150):
        keep(store, f"evt_{n}")
    assert len(json.loads(run("webhooks_list", "--limit", "1000", "--json"))) == 150


class ListsByState(MemoryStore):
    """As a table without an index."""

    def list(self, *, state=None, **more):
        if state not in ("dead", "pending"):
            raise _core.StoreError("finding others would need a scan")
        return super().list(state=state, **more)


@pytest.fixture
def table(store):
    """The project on a DynamoDB table, which lists by state only."""
    with override_settings(WEBHOOKS={**WEBHOOKS, "STORE": {"TABLE": "webhooks"}}):
        table = ListsByState()
        runtime.replace(runtime.Runtime(settings.current(), clock=lambda: NOW, store=table))
        yield table


def test_list_of_a_table_without_an_index(table):
    keys = [keep(table, f"evt_{n}", state="dead" if n % 2 else "pending") for n in range(4)]
    keep(table, "evt_done", state="done")
    assert [it["key"] for it in json.loads(run("webhooks_list", "--json"))] == keys[::-1]
    assert [it["key"] for it in json.loads(run("webhooks_list", "--json", "--limit", "2"))] == keys[:1:-1]


def test_admin_of_a_table_without_an_index(table, admin_client):
    keep(table, "evt_waits")
    keep(table, "evt_dead", state="dead")
    for query, shown in (("", "evt_dead"), ("?state=pending", "evt_waits"), ("?state=done", "evt_dead")):
        page = admin_client.get("/admin/hookward/delivery/" + query)
        assert page.status_code == 200
        assert re.findall(r"evt_[a-z]+", page.content.decode()) == [shown]
        assert ">done</a>" not in page.content.decode()


def test_list_says_what_is_wrong_with_its_arguments(store):
    with pytest.raises(CommandError, match=r"no source 'strpe'. It has: github, stripe"):
        run("webhooks_list", "--source", "strpe")
    with pytest.raises(CommandError, match=r"--since: '2 weeks' is no time: write an age such as 2h"):
        run("webhooks_list", "--since", "2 weeks")


def test_a_strangers_text_does_not_move_the_cursor(store):
    store.accept(event("stripe", {"id": "\x1b[2Jevil\r\nline", "type": "\u202etxt"}), NOW)
    out = run("webhooks_list")
    assert "\x1b" not in out
    assert "\r" not in out
    assert "\u202e" not in out
    assert "\\x1b[2Jevil\\r\\nline" in out


def test_show_hides_the_body_until_asked(store):
    key = keep(store, "evt_1", state="dead")
    out = run("webhooks_show", key)
    assert "ValueError: no such invoice" in out
    assert '"type"' not in out
    assert "content-type" not in out
    out = run("webhooks_show", key.upper(), "--body")
    assert '"type": "invoice.paid"' in out
    assert "content-type: application/json" in out


def test_show_in_json(store):
    key = keep(store, "evt_1")
    shown = json.loads(run("webhooks_show", key, "--json"))
    assert shown["state"] == "pending"
    assert shown["history"][0]["status"] == 500
    assert "body" not in shown
    shown = json.loads(run("webhooks_show", key, "--json", "--body"))
    assert json.loads(shown["body"])["id"] == "evt_1"


def test_show_writes_the_body_byte_for_byte(store, capfdbinary):
    key = keep(store, "evt_1")
    run("webhooks_show", key, "--raw")
    assert capfdbinary.readouterr().out == store.get(key).body


def test_show_knows_no_other_keys(store):
    with pytest.raises(CommandError, match="No webhook has the key"):
        run("webhooks_show", "0" * 32)
    with pytest.raises(CommandError, match="is no key of an event: 32 hex digits"):
        run("webhooks_show", "evt_1")


def test_replay_by_key(store):
    key = keep(store, "evt_1", state="done")
    assert "1 will run again" in run("webhooks_replay", key)
    assert store.get(key).state == "pending"


def test_replay_asks_before_it_runs_many(store, monkeypatch):
    keys = [keep(store, f"evt_{n}", state="dead") for n in range(2)]
    monkeypatch.setattr("builtins.input", lambda question: "n")
    with pytest.raises(CommandError, match="Nothing was done"):
        run("webhooks_replay", "--dead")
    assert {store.get(key).state for key in keys} == {"dead"}
    monkeypatch.setattr("builtins.input", lambda question: "y")
    assert "2 will run again" in run("webhooks_replay", "--dead")
    assert {store.get(key).state for key in keys} == {"pending"}


def test_replay_of_dead_letters_of_one_source(store):
    stripe, github = keep(store, "a", state="dead"), keep(store, "b", source="github", state="dead")
    run("webhooks_replay", "--dead", "--source", "github", "--yes")
    assert (store.get(stripe).state, store.get(github).state) == ("dead", "pending")


def test_replay_dry_run_does_nothing(store):
    key = keep(store, "evt_1", state="dead")
    assert key in run("webhooks_replay", "--dead", "--dry-run")
    assert json.loads(run("webhooks_replay", "--dead", "--dry-run", "--json"))[0]["key"] == key
    assert store.get(key).state == "dead"


def test_replay_never_asks_a_program(store):
    key = keep(store, "evt_1", state="dead")
    with pytest.raises(CommandError, match="--yes"):
        run("webhooks_replay", "--dead", "--json")
    assert json.loads(run("webhooks_replay", "--dead", "--json", "--yes")) == {"replayed": [key], "failed": []}


def test_replay_does_nothing_when_one_key_is_wrong(store):
    key = keep(store, "evt_1", state="dead")
    with pytest.raises(CommandError, match="Nothing was done"):
        run("webhooks_replay", key, "0" * 32)
    assert store.get(key).state == "dead"


@pytest.mark.parametrize("args", [[], ["--dead", "0" * 32], ["0" * 32, "--since", "2h"]])
def test_replay_must_be_told_what(store, args):
    with pytest.raises(CommandError):
        run("webhooks_replay", *args)


def test_replay_tells_what_cannot_run_again(store):
    key = keep(store, "evt_1", state="dead")
    store.expire(store.get(key).received_at + 30 * 86_400 * 1_000_000)  # its body's time, not its key's
    with pytest.raises(CommandError, match="1 could not be replayed"):
        run("webhooks_replay", key)


def test_drop(store):
    key, waits = keep(store, "evt_1", state="dead"), keep(store, "evt_2")
    assert "1 dropped" in run("webhooks_drop", key)
    assert store.get(key).state == "dropped"
    with pytest.raises(CommandError, match="they are no dead letters"):
        run("webhooks_drop", waits)


def test_stats(store):
    keep(store, "evt_1", state="dead")
    keep(store, "evt_2")
    assert {k: v for k, v in json.loads(run("webhooks_stats", "--json")).items() if k != "oldest_pending"} == {
        "pending": 1,
        "done": 0,
        "archived": 0,
        "dead": 1,
        "dropped": 0,
    }
    assert ["dead", "1"] in [line.split() for line in run("webhooks_stats").splitlines()]


def test_a_store_that_is_down_is_an_error_that_says_what_to_do(store, monkeypatch):
    def down():
        raise _core.Unavailable("nobody answers")

    monkeypatch.setattr(store, "counts", down)
    with pytest.raises(CommandError, match=r"nobody answers.*webhooks_check"):
        run("webhooks_stats")


def test_secrets_tells_their_status_and_not_them(store, monkeypatch):
    secret = "correct-horse-battery-staple-1234"
    monkeypatch.setenv("OPS_STRIPE", secret)
    out = run("webhooks_secrets")
    assert ["stripe", "env:OPS_STRIPE", "ok"] in [line.split() for line in out.splitlines()]
    assert secret not in out
    monkeypatch.delenv("OPS_GITHUB")
    with pytest.raises(CommandError, match="Not all secrets"):
        run("webhooks_secrets")


class Receiver(BaseHTTPRequestHandler):
    """Answers what it is told and remembers what came."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, dict(self.headers.items()), body))
        self.send_response(self.server.status)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        return None


@pytest.fixture
def receiver():
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    server.seen, server.status = [], 200
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_send_posts_the_file_signed(store, receiver, tmp_path):
    fixture = tmp_path / "event.json"
    fixture.write_bytes(b'{ "id": "evt_1",\n "type": "invoice.paid" }')
    url = f"http://127.0.0.1:{receiver.server_port}/hooks/stripe/"
    assert run("webhooks_send", "stripe", str(fixture), "--url", url, "--header", "X-Try: 1").startswith("200")
    path, headers, body = receiver.seen[0]
    assert path == "/hooks/stripe/"
    assert body == fixture.read_bytes()
    assert headers["X-Try"] == "1"
    assert headers["Stripe-Signature"].startswith("t=")
    assert headers["Content-Type"] == "application/json"


def test_send_follows_no_redirect(store, receiver, tmp_path):
    fixture = tmp_path / "event.json"
    fixture.write_text("{}")
    receiver.status = 301
    with pytest.raises(CommandError, match="not accepted"):
        run("webhooks_send", "stripe", str(fixture), "--url", f"http://127.0.0.1:{receiver.server_port}/")
    assert len(receiver.seen) == 1


def test_send_says_what_is_wrong(store, tmp_path):
    fixture = tmp_path / "event.json"
    with pytest.raises(CommandError, match="no source 'strpe'"):
        run("webhooks_send", "strpe", str(fixture))
    with pytest.raises(CommandError, match="Cannot read"):
        run("webhooks_send", "stripe", str(fixture))
    fixture.write_text("{}")
    with pytest.raises(CommandError, match="absolute http or https URL"):
        run("webhooks_send", "stripe", str(fixture), "--url", "file:///etc/passwd")
    with pytest.raises(CommandError, match="write a name, a colon"):
        run("webhooks_send", "stripe", str(fixture), "--url", "http://127.0.0.1:1/", "--header", "nothing")


def test_table_is_for_dynamodb(store):
    with pytest.raises(CommandError, match=r"manage\.py migrate"):
        run("webhooks_table", "create")


def test_toml_is_what_was_meant():
    tomllib = pytest.importorskip("tomllib")
    value = {"store": {"kind": "dynamodb", "table": 'we"b\\h\u00fcks\n', "on": True, "n": 3}, "list": [{"a": "b"}, "c"]}
    assert tomllib.loads(f"value = {toml(value)}")["value"] == value


@pytest.mark.parametrize(
    "command",
    ["list", "show", "replay", "drop", "stats", "secrets", "send", "table", "check", "sweep", "worker"],
)
def test_each_has_a_help_that_says_what_it_does(command, capsys):
    with pytest.raises(SystemExit):
        from django.core.management import execute_from_command_line

        execute_from_command_line(["manage.py", f"webhooks_{command}", "--help"])
    assert len(capsys.readouterr().out.splitlines()) > 10


def test_the_command_is_told_the_table_and_which_secrets_are_in_aws():
    written = {
        "SOURCES": {**WEBHOOKS["SOURCES"], "erp": {"SCHEME": "linear", "SECRETS": ["env:ERP", "aws-sm:prod/erp"]}}
    }
    table = {"TABLE": "webhooks", "REGION": "eu-central-1"}
    read = settings.read({**written, "STORE": table}, literals=True)
    assert gateway_config(read.table, read.facts.values()) == {
        "store": {"kind": "dynamodb", "completion": "each", "table": "webhooks", "region": "eu-central-1"},
        "sources": {"erp": {"provider": "hmac", "secrets": ["aws-sm:prod/erp"]}},
    }


def test_the_table_is_the_commands_to_make(monkeypatch, tmp_path, capsys):
    command = tmp_path / "hookward"
    command.write_text('#!/bin/sh\nwhile [ $# -gt 0 ]; do echo "$1"; [ "$1" = -c ] && cat "$2" && echo; shift; done\n')
    command.chmod(0o755)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    with override_settings(WEBHOOKS={**WEBHOOKS, "STORE": {"TABLE": "webhooks"}}):
        call_command("webhooks_table", "iam", "--", "--account", "123456789012")
    out = capsys.readouterr().out.splitlines()
    assert out[:3] == ["dynamodb", "iam", "-c"]
    assert '"store" = {"kind" = "dynamodb", "completion" = "each", "table" = "webhooks"}' in out
    assert out[-2:] == ["--account", "123456789012"]

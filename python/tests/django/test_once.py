"""Effects in the project's database happen once, whatever dies."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import OperationalError, connection
from django.test import Client
from hookward import _core
from hookward.django import runtime
from hookward.django.models import Effect, StoredEvent
from hookward.django.tasks import run_due

from tests.django import effects
from tests.django.models import Order

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_attempt_that_dies_before_the_commit_leaves_nothing(sender):
    def die(event):
        raise KeyboardInterrupt

    effects.script[:] = [die]
    with pytest.raises(KeyboardInterrupt):
        sender.send("stripe")
    assert effects.orders() == []
    assert StoredEvent.objects.get().state == "pending"
    assert sender.send("stripe").status_code == 200
    assert effects.orders() == ["paid"]


def test_a_superseded_attempt_changes_nothing(sender):
    """Its lease lapses while it runs, and another one takes the event."""

    def be_slow(event):
        StoredEvent.objects.update(token=99)

    effects.script[:] = [be_slow]
    answer = sender.send("stripe")
    assert answer.status_code == 503
    assert effects.orders() == []


def test_a_process_killed_between_effect_and_commit_leaves_nothing(sender):
    """A real one, by SIGKILL, on the same database."""
    body, headers = sender.signed("stripe")
    code = f"""
import os, signal, django
django.setup()
from django.db import connection
connection.settings_dict["NAME"] = {str(connection.settings_dict["NAME"])!r}
from django.test import Client
from django.test.utils import setup_test_environment
setup_test_environment()
from tests.django import effects
effects.script[:] = [lambda event: os.kill(os.getpid(), signal.SIGKILL)]
Client().generic("POST", "/hooks/stripe/", {body!r}, "application/json", headers={headers!r})
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    died = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert died.returncode == -signal.SIGKILL
    event = StoredEvent.objects.get()
    assert (event.state, event.leased, effects.orders()) == ("pending", True, [])
    assert sender.send("stripe").status_code == 503
    StoredEvent.objects.update(due_at=0)
    assert run_due() == 1
    assert effects.orders() == ["paid"]


def test_of_many_copies_at_once_one_has_an_effect(sender):
    body, headers = sender.signed("stripe")
    gate = threading.Barrier(16)

    def send(_):
        gate.wait()
        try:
            client = Client()
            return client.generic("POST", "/hooks/stripe/", body, "application/json", headers=headers).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(send, range(16)))
    assert set(answers) <= {200, 503}
    assert 200 in answers
    assert effects.orders() == ["paid"]


def test_many_events_at_once_are_all_handled(sender):
    requests = [sender.signed("stripe", event_id=f"evt_{number}") for number in range(24)]

    def send(request):
        try:
            body, headers = request
            client = Client()
            return client.generic("POST", "/hooks/stripe/", body, "application/json", headers=headers).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(send, requests)) == {200}
    assert effects.orders() == ["paid"] * 24


def pay_once(event):
    with event.once("pay") as first:
        if first:
            Order.objects.create(key=event.key, how="paid once")


def test_once_holds_over_attempts_and_replays(sender, configured):
    configured(MODE="queue", ATOMIC=False)
    sender.send("stripe")

    def fail_after(event):
        pay_once(event)
        raise ValueError

    def fail_within(event):
        with event.once("pay") as first:
            Order.objects.create(key=event.key, how="rolled back")
            assert first
            raise ValueError

    effects.script[:] = [fail_within, fail_after, pay_once, pay_once]
    for _ in range(3):
        StoredEvent.objects.update(due_at=0)
        assert run_due() == 1
    runtime.current().store.requeue(StoredEvent.objects.get().key, runtime.now())
    assert run_due() == 1
    assert [how for how in effects.orders() if how != "paid"] == ["paid once"]
    assert len(effects.seen) == 4


async def test_aonce(sender):
    from asgiref.sync import sync_to_async

    counted = []

    def count(number, *, by):
        counted.append(number * by)

    await sender.asend("stripe")
    [event] = effects.seen
    assert await event.aonce(count, 2, by=3)
    assert not await event.aonce(count, 2, by=3)
    assert counted == [6]
    assert await sync_to_async(Effect.objects.filter(key=event.key).count)() == 1


def test_marks_are_forgotten_with_the_key(sender):
    sender.send("stripe")
    [event] = effects.seen
    with event.once():
        pass
    key_expires_at = StoredEvent.objects.get().key_expires_at
    at = {"now": key_expires_at - 1}
    runtime.current().clock = lambda: at["now"]
    runtime.current().expire()
    assert Effect.objects.count() == 1
    at["now"] = key_expires_at
    runtime.current().expire()
    assert (Effect.objects.count(), StoredEvent.objects.count()) == (0, 0)


def test_a_database_that_is_down_loses_nothing(sender):
    store = runtime.current().store
    claim = store.claim

    def down(*_):
        raise _core.Unavailable("the database is locked")

    store.claim = down
    answer = sender.send("stripe")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    store.claim = claim
    assert sender.send("stripe").status_code == 200
    assert effects.orders() == ["paid"]


def test_a_handler_whose_database_is_down_is_tried_again(sender, mailoutbox):
    def locked(event):
        raise OperationalError("database is locked")

    effects.script[:] = [locked]
    assert sender.send("stripe").status_code == 503
    assert (effects.orders(), mailoutbox) == ([], [])
    assert sender.send("stripe").status_code == 200
    assert effects.orders() == ["paid"]


def test_a_locked_sqlite_is_answered_503(sender, settings):
    """Another process writes, for longer than a request waits."""
    import sqlite3

    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    connection.ensure_connection()
    connection.cursor().execute("PRAGMA busy_timeout = 50")
    try:
        other.execute("BEGIN IMMEDIATE")
        assert sender.send("stripe").status_code == 503
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert sender.send("stripe").status_code == 200
    connection.close()
    assert effects.orders() == ["paid"]

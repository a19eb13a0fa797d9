"""The same handlers in the request, in a worker, and behind the gateway."""

import base64
import hashlib
import hmac
import json
import threading

import django
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection
from hookward import _core
from hookward.django import Retry, runtime
from hookward.django.models import StoredEvent
from hookward.django.stores.orm import OrmStore
from hookward.django.tasks import run_due
from hookward.django.worker import Worker

from tests.django import effects
from tests.django.conftest import until_it_answers
from tests.django.settings import SECRETS
from tests.django.store_suite import LEASE, NOW, an_event

pytestmark = pytest.mark.django_db(transaction=True)


def raises(error):
    def effect(event):
        raise error

    return effect


def state():
    return StoredEvent.objects.values_list("state", "attempts").get()


class TestQueue:
    @pytest.fixture(autouse=True)
    def _queue(self, configured):
        configured(MODE="queue")

    def test_it_is_kept_answered_and_run_later(self, sender):
        assert sender.send("stripe").status_code == 200
        assert sender.send("stripe").status_code == 200
        assert effects.seen == []
        assert run_due() == 1
        assert run_due() == 0
        assert effects.orders() == ["paid"]
        assert state() == ("done", 1)
        assert sender.send("stripe").status_code == 200
        assert run_due() == 0

    @pytest.mark.parametrize(
        ("source", "path", "how"),
        [("shop", "/shop/", "shop POST"), ("crm", "/crm/", "crm POST"), ("bank", "/bank/", "bank True")],
    )
    def test_views_are_run_with_a_request_made_of_what_was_kept(self, sender, source, path, how):
        assert sender.send(source, path).status_code == 200
        assert run_due() == 1
        assert effects.orders() == [how]
        [event] = effects.seen
        assert event.data["id"] == "evt_1"

    def test_a_failure_is_tried_again_when_due_until_it_is_dead(self, sender, configured):
        configured(MODE="queue", ATTEMPTS=2)
        sender.send("stripe")
        effects.script[:] = [raises(Retry(after=60)), raises(ValueError())]
        assert run_due() == 1
        assert (run_due(), state()) == (0, ("pending", 1))
        StoredEvent.objects.update(due_at=0)
        assert (run_due(), state()) == (1, ("dead", 2))
        assert [event.attempt for event in effects.seen] == [1, 2]
        assert effects.orders() == []

    def test_an_operator_runs_it_again(self, sender):
        sender.send("stripe")
        run_due()
        [first] = effects.seen
        runtime.current().store.requeue(first.key, runtime.now())
        assert run_due() == 1
        assert [(event.key, event.replay, event.attempt) for event in effects.seen] == [
            (first.key, 0, 1),
            (first.key, 1, 1),
        ]

    def test_a_worker_runs_all_there_is_and_stops(self, sender):
        for number in range(5):
            sender.send("stripe", event_id=f"evt_{number}")
        call_command("webhooks_worker", "--once", "--threads", "2", verbosity=0)
        assert effects.orders() == ["paid"] * 5
        assert set(StoredEvent.objects.values_list("state", flat=True)) == {"done"}

    def test_a_worker_is_stopped_while_a_handler_runs_and_lets_it_end(self, sender):
        sender.send("stripe")
        worker = Worker(runtime.current(), threads=1, poll=0.05)
        effects.script[:] = [lambda event: worker.stop()]
        thread = threading.Thread(target=worker.work)
        thread.start()
        thread.join(30)
        assert not thread.is_alive()
        assert state() == ("done", 1)

    def test_a_lease_is_extended_while_a_handler_runs(self, sender, configured):
        configured(MODE="queue", LEASE=1, ATOMIC=False)
        sender.send("stripe")
        extended = threading.Event()
        store = runtime.current().store
        extend = store.extend

        def watched(lease, now, until):
            found = extend(lease, now, until)
            extended.set()
            return found

        store.extend = watched
        effects.script[:] = [lambda event: extended.wait(20)]
        assert run_due() == 1
        assert extended.is_set()
        assert state() == ("done", 1)

    def test_tasks_say_that_something_is_due(self, sender, configured, monkeypatch):
        configured(MODE="queue", QUEUE="tests.django.test_modes.ring")
        ring.rung = 0
        sender.send("stripe")
        sender.send("stripe")
        assert ring.rung == 1

    def test_django_tasks_runs_it(self, sender, configured, settings):
        pytest.importorskip("django_tasks" if django.VERSION < (6, 0) else "django.tasks")
        package = "django_tasks" if django.VERSION < (6, 0) else "django.tasks"
        settings.TASKS = {"default": {"BACKEND": f"{package}.backends.immediate.ImmediateBackend"}}
        configured(MODE="queue", QUEUE="django.tasks")
        assert sender.send("stripe").status_code == 200
        assert (effects.orders(), state()) == (["paid"], ("done", 1))

    def test_celery_runs_it(self, sender, configured):
        celery = pytest.importorskip("celery")
        app = celery.Celery("tests", broker="memory://", set_as_current=True)
        app.conf.task_always_eager = True
        configured(MODE="queue", QUEUE="celery")
        assert sender.send("stripe").status_code == 200
        assert "hookward.run_due" in app.tasks
        assert (effects.orders(), state()) == (["paid"], ("done", 1))

    def test_a_queue_that_is_not_installed_is_told_in_the_log(self, sender, configured, caplog):
        configured(MODE="queue", QUEUE="rq")
        assert sender.send("stripe").status_code == 200
        assert "pip install django-rq" in caplog.text
        assert run_due() == 1

    def test_a_task_queue_that_is_not_there_loses_nothing(self, sender, configured):
        configured(MODE="queue", QUEUE="tests.django.test_modes.broken")
        assert sender.send("stripe").status_code == 200
        assert run_due() == 1
        assert effects.orders() == ["paid"]

    def test_two_owners_are_refused_and_the_event_waits(self, sender):
        from hookward.django.handlers import Handler, Registry

        registry = Registry()
        registry.add("shop", ("*",), Handler.of(ring))
        registry.add_view("shop", Handler.of(broken))
        with pytest.raises(ImproperlyConfigured, match="ring"):
            registry.owner("shop", None)


def ring():
    ring.rung += 1


def broken():
    raise OSError("the broker is down")


def test_what_a_dead_request_has_left_is_run_by_a_worker(sender):
    """In inline mode, too."""

    def die(event):
        raise KeyboardInterrupt

    store = runtime.current().store
    store.settle = lambda *_, **__: (_ for _ in ()).throw(_core.Unavailable("killed"))
    effects.script[:] = [die]
    with pytest.raises(KeyboardInterrupt):
        sender.send("stripe")
    assert (effects.orders(), state()) == ([], ("pending", 0))
    runtime.replace(None)
    assert run_due() == 0
    StoredEvent.objects.update(due_at=0)
    assert run_due() == 1
    assert (effects.orders(), state()) == (["paid"], ("done", 1))


class TestGateway:
    @pytest.fixture(autouse=True)
    def _gateway(self, configured):
        configured(MODE="gateway", GATEWAY={"SECRETS": ["env:HOOKS_GATEWAY"]})

    KEY = "0123456789abcdef0123456789abcdef"

    def deliver(
        self, sender, source="stripe", path=None, *, body=None, delivery=None, secret="HOOKS_GATEWAY", **headers
    ):
        body = body or json.dumps({"id": "evt_1", "type": "invoice.paid"}).encode()
        delivery = delivery or f"hw_{self.KEY}"
        at = runtime.now() // 1_000_000
        key = base64.b64decode(SECRETS[secret].removeprefix("whsec_"))
        mac = hmac.new(key, f"{delivery}.{at}.".encode() + body, hashlib.sha256).digest()
        told = {
            "webhook-id": delivery,
            "webhook-timestamp": str(at),
            "webhook-signature": "v1," + base64.b64encode(mac).decode(),
            "hookward-source": source,
            "hookward-event-type": "invoice.paid",
            "hookward-event-id": "evt_1",
            "hookward-event-key": self.KEY,
            "hookward-received-at": "2026-11-24T15:28:02.000001Z",
            "hookward-attempt": "3",
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        content_type = told.pop("content-type", "application/json")
        return sender.client.generic("POST", path or f"/hooks/{source}/", body, content_type, headers=told)

    def test_the_same_handlers_get_the_same_events(self, sender):
        assert self.deliver(sender).status_code == 200
        [event] = effects.seen
        assert (event.key, event.source, event.id, event.type) == (self.KEY, "stripe", "evt_1", "invoice.paid")
        assert (event.attempt, event.replay, event.data["id"]) == (3, 0, "evt_1")
        assert event.received_at.isoformat() == "2026-11-24T15:28:02.000001+00:00"
        assert effects.orders() == ["paid"]
        assert not StoredEvent.objects.exists()

    def test_a_view_gets_it_too(self, sender):
        assert self.deliver(sender, "crm", "/crm/").status_code == 200
        assert effects.orders() == ["crm POST"]

    def test_a_replay_is_told_by_what_is_signed(self, sender):
        assert self.deliver(sender, delivery=f"hw_{self.KEY}_2").status_code == 200
        assert [event.replay for event in effects.seen] == [2]

    def test_a_form_arrives_as_one(self, sender):
        form = {"content_type": "application/x-www-form-urlencoded"}
        assert self.deliver(sender, body=b"a=1&b=x+y&b=%C3%A9", **form).status_code == 200
        assert [event.data for event in effects.seen] == [{"a": "1", "b": ["x y", "é"]}]

    def test_the_senders_own_signature_counts_no_longer(self, sender, configured):
        assert self.deliver(sender, secret="HOOKS_ERP").status_code == 403
        assert effects.seen == []

    @pytest.mark.parametrize(
        "wrong",
        [{"hookward_source": "github"}, {"hookward_event_key": "f" * 32}, {"delivery": "evt_1"}, {"delivery": "hw_1"}],
    )
    def test_a_delivery_for_another_endpoint_is_refused(self, sender, wrong):
        assert self.deliver(sender, **wrong).status_code == 403
        assert effects.seen == []

    def test_an_unknown_source_is_not_there(self, sender):
        assert self.deliver(sender, "nobody").status_code == 404

    def test_outcomes_are_what_the_gateway_understands(self, sender):
        effects.script[:] = [raises(Retry(after=7)), raises(ValueError())]
        answer = self.deliver(sender)
        assert (answer.status_code, int(answer.headers["Retry-After"]) >= 7) == (503, True)
        assert self.deliver(sender).status_code == 500
        assert effects.orders() == []

    def test_once_holds_without_a_store(self, sender):
        def pay(event):
            with event.once() as first:
                firsts.append(first)

        firsts = []
        effects.script[:] = [pay, pay]
        self.deliver(sender)
        self.deliver(sender)
        assert firsts == [True, False]


class TestDynamoDb:
    @pytest.fixture(autouse=True)
    def _table(self, dynamodb_local, configured):
        table = _core.DynamoDb("modes", region="eu-central-1", endpoint=dynamodb_local)
        until_it_answers(table.create)
        store = {"TABLE": "modes", "REGION": "eu-central-1", "ENDPOINT": dynamodb_local}

        def configure(**top):
            configured(STORE=store, **top)
            made = runtime.current().store
            until_it_answers(lambda: made.claim(an_event("warm"), NOW, NOW + LEASE))

        self.configure = configure

    def test_inline(self, sender):
        self.configure()
        assert sender.send("stripe", event_id="evt_a").status_code == 200
        assert sender.send("stripe", event_id="evt_a").status_code == 200
        assert effects.orders() == ["paid"]
        assert not StoredEvent.objects.exists()

    def test_a_failure_rolls_back_and_comes_again(self, sender):
        self.configure()
        effects.script[:] = [raises(ValueError())]
        assert sender.send("stripe", event_id="evt_b").status_code == 500
        assert effects.orders() == []
        assert sender.send("stripe", event_id="evt_b").status_code == 200
        assert effects.orders() == ["paid"]

    def test_queue(self, sender):
        self.configure(MODE="queue")
        assert sender.send("stripe", event_id="evt_c").status_code == 200
        assert effects.seen == []
        assert run_due(10) == 1
        assert effects.orders() == ["paid"]
        assert effects.seen[0].data["id"] == "evt_c"

    def test_a_table_that_is_not_there_is_answered_503(self, sender, configured):
        configured(STORE={"TABLE": "missing", "REGION": "eu-central-1", "ENDPOINT": "http://127.0.0.1:9"})
        assert sender.send("stripe", event_id="evt_d").status_code == 503
        assert effects.seen == []


def test_the_database_is_the_default():
    assert isinstance(runtime.current().store, OrmStore)
    assert runtime.current().is_transactional
    assert connection.alias == runtime.current().settings.database

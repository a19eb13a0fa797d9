"""The path of a request, over Django's whole stack."""

import pytest
from hookward.django import Ignore, Retry, runtime
from hookward.django.models import StoredEvent

from tests.django import effects

pytestmark = pytest.mark.django_db(transaction=True)

VIEWS = [
    ("shop", "/shop/", "shop POST"),
    ("crm", "/crm/", "crm POST"),
    ("bank", "/bank/", "bank True"),
    ("post", "/post/", "post True"),
]


def raises(error):
    def effect(event):
        raise error

    return effect


def states():
    return sorted(StoredEvent.objects.values_list("source", "state", "attempts"))


@pytest.mark.parametrize(("source", "path", "how"), VIEWS)
def test_a_view_of_each_kind_is_called_once_for_all_copies(sender, source, path, how):
    assert sender.send(source, path).status_code == 200
    assert sender.send(source, path).status_code == 200
    assert effects.orders() == [how]
    assert states() == [(source, "done", 1)]


@pytest.mark.parametrize(("source", "path", "how"), VIEWS)
async def test_so_it_is_under_asgi(sender, source, path, how):
    assert (await sender.asend(source, path)).status_code == 200
    assert (await sender.asend(source, path)).status_code == 200
    assert [event.key for event in effects.seen] == [effects.seen[0].key]


def test_the_most_specific_handler_owns_an_event(sender):
    sender.send("stripe", event_id="evt_1", event_type="invoice.paid")
    sender.send("stripe", event_id="evt_2", event_type="invoice.voided")
    sender.send("stripe", event_id="evt_3", event_type="customer.created")
    sender.send("github", body=b'{"zen":"Keep it logically awesome."}')
    sender.send("erp")
    assert effects.orders() == ["paid", "invoice", "github", "erp"]
    assert states() == [("erp", "done", 1), ("github", "done", 1)] + [("stripe", "done", 1)] * 3


def test_what_an_event_knows(sender):
    before = runtime.now()
    sender.send("stripe", amount=10**30)
    [event] = effects.seen
    assert (event.source, event.id, event.type, event.attempt, event.replay) == (
        "stripe",
        "evt_1",
        "invoice.paid",
        1,
        0,
    )
    assert event.data == {"id": "evt_1", "type": "invoice.paid", "amount": 10**30}
    assert event.headers["CONTENT-TYPE"] == "application/json"
    assert before <= int(event.received_at.timestamp() * 1_000_000) + 1
    assert event.received_at.tzinfo is not None
    assert len(event.key) == 32


@pytest.mark.parametrize("path", ["/hooks/stripe/", "/hooks/stripe"])
def test_with_and_without_the_slash(sender, path):
    assert sender.send("stripe", path).status_code == 200
    assert effects.orders() == ["paid"]


@pytest.mark.parametrize(("source", "path"), [("stripe", "/hooks/stripe/"), ("shop", "/shop/"), ("crm", "/crm/")])
def test_forgeries_are_answered_and_tell_nobody(sender, mailoutbox, source, path):
    for _ in range(20):
        answer = sender.client.post(
            path, {"id": "evt_1"}, content_type="application/json", headers={"stripe-signature": "t=1,v1=00"}
        )
        assert answer.status_code == 403
        answer = sender.client.post(path, {"id": "evt_1"}, content_type="application/json")
        assert answer.status_code == 403
    assert mailoutbox == []
    assert effects.seen == []
    assert states() == []


def test_an_unknown_source_and_another_method(sender):
    assert sender.client.post("/hooks/nobody/", b"{}", content_type="application/json").status_code == 404
    answer = sender.client.get("/hooks/stripe/")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_a_handler_that_fails_is_tried_again(sender):
    effects.script[:] = [raises(KeyError("secret text"))]
    assert sender.send("stripe").status_code == 500
    assert effects.orders() == []
    assert states() == [("stripe", "pending", 1)]
    assert sender.send("stripe").status_code == 200
    assert effects.orders() == ["paid"]
    assert [event.attempt for event in effects.seen] == [1, 2]
    assert "secret text" not in StoredEvent.objects.get().history


def test_a_handler_asks_for_time(sender):
    effects.script[:] = [raises(Retry(after=30, reason="order not there yet"))]
    answer = sender.send("stripe")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 30
    assert effects.orders() == []
    event = StoredEvent.objects.get()
    assert event.state == "pending"
    assert event.due_at >= event.received_at + 30_000_000
    assert "order not there yet" in event.history


def test_a_handler_ignores(sender):
    effects.script[:] = [raises(Ignore("not ours"))]
    assert sender.send("stripe").status_code == 200
    assert effects.orders() == []
    assert states() == [("stripe", "done", 1)]
    assert sender.send("stripe").status_code == 200
    assert len(effects.seen) == 1


def test_after_the_last_attempt_it_is_a_dead_letter(sender, configured):
    configured(ATTEMPTS=2)
    effects.script[:] = [raises(ValueError()), raises(ValueError())]
    assert sender.send("stripe").status_code == 500
    assert sender.send("stripe").status_code == 500
    assert states() == [("stripe", "dead", 2)]
    assert sender.send("stripe").status_code == 200
    assert len(effects.seen) == 2

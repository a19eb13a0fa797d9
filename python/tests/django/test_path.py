"""The path of a request, over Django's whole stack."""

import asyncio

import pytest
from asgiref.sync import sync_to_async
from django.http import HttpResponse
from django.test import AsyncRequestFactory
from hookward.django import Ignore, Retry, refusals, runtime
from hookward.django.handlers import Handler
from hookward.django.models import StoredEvent
from hookward.django.receiving import receive
from hookward.django.steps import arun

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


async def test_a_sender_that_hangs_up_gives_its_lease_back(sender):
    """Django cancels the view then."""
    entered = asyncio.Event()

    async def handle(request, event):
        entered.set()
        await asyncio.Event().wait()

    body, headers = sender.signed("stripe")
    request = AsyncRequestFactory().generic("POST", "/", body, "application/json", headers=headers)
    view = asyncio.create_task(arun(receive(request, "stripe", Handler.of(handle, takes_request=True))))
    await entered.wait()
    view.cancel()
    with pytest.raises(asyncio.CancelledError):
        await view
    [kept], _ = await sync_to_async(runtime.current().store.list)()
    assert (kept.state, kept.attempts) == ("pending", 0)
    assert (await sender.asend("stripe")).status_code == 200


def test_a_response_of_the_handlers_own(sender):
    effects.script[:] = [lambda event: HttpResponse("text of mine", status=202)]
    answer = sender.send("shop", "/shop/")
    assert (answer.status_code, answer.content) == (202, b"text of mine")
    assert states() == [("shop", "done", 1)]
    effects.script[:] = [lambda event: HttpResponse("no", status=418)]
    assert sender.send("shop", "/shop/", event_id="evt_2").status_code == 418
    assert ("shop", "pending", 1) in states()
    assert len(effects.orders()) == 1


def test_a_type_that_nobody_handles_is_done(sender):
    assert sender.send("stripe", event_type="customer.created").status_code == 200
    assert (effects.seen, states()) == ([], [("stripe", "done", 1)])


def test_a_copy_of_an_event_that_runs_is_told_to_come_again(sender):
    answers = []
    effects.script[:] = [lambda event: answers.append(sender.send("erp"))]
    # Async handlers hold no transaction: a copy sees the claim.
    assert sender.send("erp").status_code == 200
    [copy] = answers
    assert copy.status_code == 503
    assert int(copy.headers["Retry-After"]) >= 1


def test_a_conflict_and_a_malformed_event_are_acknowledged_and_kept_as_dead_letters(sender, configured):
    configured({"erp": {"ID": "/id"}})
    assert sender.send("erp", amount=1).status_code == 200
    assert sender.send("erp", amount=2).status_code == 200
    assert sender.send("erp", body=b"no json").status_code == 200
    assert len(effects.seen) == 1
    reasons = StoredEvent.objects.filter(state="dead").values_list("dead_reason", flat=True)
    assert sorted(reasons) == ["id_conflict", "not_json"]


def test_forgeries_are_logged_now_and_then(sender, caplog, monkeypatch):
    at = [0.0]
    monkeypatch.setattr(refusals, "_sampler", refusals.Sampler(lambda: at[0]))
    caplog.set_level("INFO")
    for _ in range(60):
        sender.client.post("/hooks/stripe/", b"{}", content_type="application/json")
    assert {record.name for record in caplog.records} == {"hookward"}
    assert len(caplog.records) == 20
    assert "stripe" in caplog.text
    at[0] = 1.0
    sender.client.post("/hooks/stripe/", b"{}", content_type="application/json")
    assert "40 more were not logged" in caplog.records[-1].getMessage()

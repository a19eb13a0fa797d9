"""What `model` makes of bodies."""

import dataclasses

import pydantic
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import RequestFactory
from hookward.django import runtime, webhook
from hookward.django.handlers import Handler, registry
from hookward.django.models import StoredEvent
from hookward.django.receiving import receive
from hookward.django.steps import run
from rest_framework import serializers
from typing_extensions import TypedDict

pytestmark = pytest.mark.django_db(transaction=True)


class PydanticInvoice(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)
    id: str
    amount: int


class SerializedInvoice(serializers.Serializer):
    id = serializers.CharField()
    amount = serializers.IntegerField()


@dataclasses.dataclass
class DataclassInvoice:
    id: str
    amount: int


class DictInvoice(TypedDict):
    id: str
    amount: int


MODELS = [PydanticInvoice, SerializedInvoice, DataclassInvoice, DictInvoice]


def receive_one(sender, model, source="stripe", **what):
    seen = []
    handler = Handler.of(lambda event: seen.append(event.data), model=model)
    body, headers = sender.signed(source, **what)
    request = RequestFactory().generic("POST", "/", body, "application/json", headers=headers)
    return run(receive(request, source, handler)), seen


@pytest.mark.parametrize("model", MODELS)
def test_data_is_of_the_model(sender, model):
    answer, [data] = receive_one(sender, model, amount=7)
    assert answer.status_code == 200
    if model in (PydanticInvoice, DataclassInvoice):
        assert isinstance(data, model)
        assert (data.id, data.amount) == ("evt_1", 7)
    else:
        assert {name: data[name] for name in ("id", "amount")} == {"id": "evt_1", "amount": 7}


@pytest.mark.parametrize("model", MODELS)
def test_what_does_not_match_is_a_dead_letter_and_quotes_nothing(sender, model):
    answer, seen = receive_one(sender, model, amount="a secret amount")
    assert (answer.status_code, seen) == (200, [])
    event = StoredEvent.objects.get()
    assert event.state == "dead"
    assert "amount: " in event.history
    assert "secret" not in event.history


def test_or_is_refused_where_the_source_says_so(sender, configured):
    configured({"stripe": {"MALFORMED": "reject"}})
    answer, seen = receive_one(sender, PydanticInvoice, amount="seven")
    assert (answer.status_code, seen) == (422, [])
    assert not StoredEvent.objects.exists()


def test_the_model_of_a_source(sender, configured):
    configured({"stripe": {"MODEL": "tests.django.test_models.PydanticInvoice"}})
    answer, [data] = receive_one(sender, None, amount=7)
    assert answer.status_code == 200
    assert data == PydanticInvoice(id="evt_1", amount=7)


def test_a_replay_validates_what_was_kept(sender, configured):
    configured({"stripe": {"MODEL": "tests.django.test_models.PydanticInvoice"}}, MODE="queue")
    from hookward.django.tasks import run_due

    from tests.django import effects

    sender.send("stripe", amount=7)
    assert run_due() == 1
    assert effects.seen[0].data == PydanticInvoice(id="evt_1", amount=7)


@pytest.mark.parametrize("model", [int, "tests.nowhere.Model", dict])
def test_what_is_no_model_is_told_when_it_is_declared(model):
    with pytest.raises(ImproperlyConfigured, match="model"):
        webhook("nobody", model=model)(lambda request, event: None)


def test_async_functions_have_no_transaction():
    async def handle(request, event): ...

    with pytest.raises(ImproperlyConfigured, match="async"):
        webhook("nobody", atomic=True)(handle)


def test_one_owner_for_one_type():
    from hookward.django import on

    def other(event): ...

    with pytest.raises(ImproperlyConfigured, match="one owner"):
        on("stripe", "invoice.paid")(other)
    with pytest.raises(ImproperlyConfigured, match="at the end"):
        on("stripe", "*.paid")(other)
    assert registry.find("stripe", "invoice.paid").name == "tests.django.webhooks.paid"
    assert registry.find("stripe", "invoice.x").name == "tests.django.webhooks.invoice"
    assert registry.find("stripe", "invoice") is None
    assert registry.find("stripe", None) is None
    assert runtime.current().settings.attempts == 16

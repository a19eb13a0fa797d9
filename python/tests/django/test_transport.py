"""Bodies and headers, as servers hand them on."""

import io

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest
from django.test import AsyncRequestFactory, RequestFactory, override_settings
from hookward.django import request as incoming
from hookward.django import signals
from hookward.django.models import StoredEvent

from tests.django import effects

pytestmark = pytest.mark.django_db(transaction=True)

BOUNDARY = "b0undary"
MULTIPART = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--{BOUNDARY}--\r\n".encode()


class ReadsForms:
    """A middleware as projects have them."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        request.POST.get("user")
        return self.get_response(request)


def test_a_body_over_the_sources_limit_is_refused(sender, configured):
    configured({"stripe": {"MAX_BODY": 2048}})
    assert sender.send("stripe", text="x" * 3000).status_code == 413
    assert sender.send("stripe", text="x" * 1000).status_code == 200


def test_a_body_over_djangos_limit_is_refused_and_tells_nobody(sender, mailoutbox):
    with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=2048):
        assert sender.send("stripe", text="x" * 3000).status_code == 413
        assert sender.send("stripe", text="x" * 1000).status_code == 200
    assert mailoutbox == []


def test_a_declared_length_is_not_waited_for(sender):
    body, headers = sender.signed("stripe")
    answer = sender.client.generic(
        "POST", "/hooks/stripe/", body, "application/json", headers=headers, CONTENT_LENGTH=str(10**9)
    )
    assert answer.status_code == 413


def test_a_form_read_by_a_middleware_can_be_verified(sender):
    with override_settings(MIDDLEWARE=["tests.django.test_transport.ReadsForms"]):
        assert sender.send("stripe").status_code == 200


def test_a_multipart_body_read_by_a_middleware_is_told_in_the_log(sender, caplog, mailoutbox):
    with override_settings(MIDDLEWARE=["tests.django.test_transport.ReadsForms"]):
        request = {"data": MULTIPART, "content_type": f"multipart/form-data; boundary={BOUNDARY}"}
        _, headers = sender.signed("stripe")
        answer = sender.client.generic("POST", "/hooks/stripe/", **request, headers=headers)
    # The core refuses the type from the head; a source that takes multipart is told what is wrong.
    assert answer.status_code in (415, 500)
    assert mailoutbox == []
    read = RequestFactory().generic("POST", "/", **request)
    read.POST.get("user")
    with pytest.raises(incoming.Refused, match=r"request\.POST") as told:
        incoming.body(read, 10_000)
    assert told.value.status == 500


def test_a_chunked_body_is_read_where_the_server_says_its_end(sender):
    body, headers = sender.signed("stripe")
    request = RequestFactory().generic("POST", "/hooks/stripe/", b"", "application/json", headers=headers)
    environ = {**request.environ, "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_TYPE": "application/json"}
    environ |= {"wsgi.input": io.BytesIO(body)}
    environ.pop("CONTENT_LENGTH", None)
    statuses = []
    handler = WSGIHandler()
    b"".join(handler(dict(environ), lambda status, _: statuses.append(status)))
    environ |= {"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True}
    b"".join(handler(dict(environ), lambda status, _: statuses.append(status)))
    assert [status[:3] for status in statuses] == ["411", "200"]
    assert effects.orders() == ["paid"]


def test_a_chunked_body_is_bounded():
    request = RequestFactory().generic("POST", "/", b"")
    request.META["HTTP_TRANSFER_ENCODING"] = "chunked"
    request.META.pop("CONTENT_LENGTH", None)
    request.environ |= {"wsgi.input": io.BytesIO(b"x" * 5000), "wsgi.input_terminated": True}
    with pytest.raises(incoming.Refused) as told:
        incoming.body(request, 2048)
    assert told.value.status == 413


def test_under_asgi_each_of_two_headers_is_seen():
    request = AsyncRequestFactory().generic("POST", "/", b"{}", "application/json")
    request.scope["headers"] = [(b"stripe-signature", b"t=1"), (b"stripe-signature", b"t=2")]
    assert incoming.headers(request) == [(b"stripe-signature", b"t=1"), (b"stripe-signature", b"t=2")]


@pytest.mark.parametrize(
    ("forwarded", "proxies", "expected"),
    [
        ("198.51.100.7", 0, "192.0.2.1"),
        ("198.51.100.7", 1, "198.51.100.7"),
        ("203.0.113.9, 198.51.100.7", 1, "198.51.100.7"),
        ("203.0.113.9, 198.51.100.7", 2, "203.0.113.9"),
        ("198.51.100.7", 2, "192.0.2.1"),
        ("198.51.100.7:4711", 1, "198.51.100.7"),
        ("[2001:db8::1]:4711", 1, "2001:db8::1"),
        ("2001:db8::1", 1, "2001:db8::1"),
        ("unknown", 1, "192.0.2.1"),
        ("", 1, "192.0.2.1"),
    ],
)
def test_whom_a_proxy_speaks_for(forwarded, proxies, expected):
    request = HttpRequest()
    request.META = {"REMOTE_ADDR": "192.0.2.1", "HTTP_X_FORWARDED_FOR": forwarded}
    assert incoming.peer(request, proxies) == expected


def test_a_budget_is_told_in_the_familiar_words(sender, configured):
    runtime = configured({"stripe": {"RATE": "1/m", "OVER_BUDGET": 429}})
    runtime.receiver.set_budget_clock(0.0)
    assert sender.send("stripe", event_id="evt_1").status_code == 200
    answer = sender.send("stripe", event_id="evt_2")
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1
    runtime.receiver.set_budget_clock(3600.0)
    assert sender.send("stripe", event_id="evt_2").status_code == 200
    assert StoredEvent.objects.count() == 2


def test_a_flood_of_forgeries_from_one_address_is_held_off(sender, configured, mailoutbox):
    runtime = configured(LIMITS={"UNVERIFIED": "1/s", "UNVERIFIED_BURST": 5})
    runtime.receiver.set_budget_clock(0.0)
    forged = {"stripe-signature": "t=1,v1=00"}
    statuses = [
        sender.client.post("/hooks/stripe/", b"{}", content_type="application/json", headers=forged).status_code
        for _ in range(8)
    ]
    assert statuses[0] == 403
    assert statuses[-1] == 429
    assert mailoutbox == []


def test_observers_are_told_and_change_nothing(sender):
    told = []

    def observer(signal, sender, **facts):
        told.append((signal, facts["source"], facts.get("reason") or facts.get("state")))
        raise ValueError("an observer's own fault")

    watched = [getattr(signals, name) for name in dir(signals) if name.startswith("webhook_")]
    for signal in watched:
        signal.connect(observer)
    try:
        sender.send("stripe")
        sender.send("stripe")
        sender.client.post("/hooks/stripe/", b"{}", content_type="application/json")
    finally:
        for signal in watched:
            signal.disconnect(observer)
    assert [(it[0], it[1]) for it in told] == [
        (signals.webhook_accepted, "stripe"),
        (signals.webhook_duplicate, "stripe"),
        (signals.webhook_rejected, "stripe"),
    ]
    assert told[1][2] == "done"


def test_secrets_that_are_not_there_are_answered_503(sender, configured, mailoutbox, monkeypatch):
    configured({"stripe": {"SECRETS": ["env:HOOKS_NOWHERE"]}})
    answer = sender.client.post("/hooks/stripe/", b"{}", content_type="application/json")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert mailoutbox == []

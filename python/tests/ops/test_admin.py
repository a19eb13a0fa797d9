"""The admin pages: who may see and do what, over a store that is not the database."""

import re
from collections.abc import Callable

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from hookward import _core
from hookward.django.stores.memory import MemoryStore

from tests.ops.events import NOW, event

pytestmark = pytest.mark.django_db

LIST = reverse("admin:hookward_delivery_changelist")
REPLAY = reverse("admin:hookward_delivery_replay")
DROP = reverse("admin:hookward_delivery_drop")


def detail(key: str) -> str:
    return reverse("admin:hookward_delivery_change", args=[key])


@pytest.fixture
def staff() -> Callable[..., Client]:
    """A client of somebody who has these permissions and no others."""

    def login(*permissions: str) -> Client:
        user = User.objects.create_user("staff", is_staff=True)
        for name in permissions:
            user.user_permissions.add(Permission.objects.get(codename=name))
        client = Client(enforce_csrf_checks=False)
        client.force_login(user)
        return client

    return login


def dead(store: MemoryStore, id: str = "evt_dead") -> str:
    """A dead letter: its key."""
    claimed = store.claim(event("stripe", {"id": id, "type": "invoice.paid"}), NOW, NOW + 60)
    store.settle(claimed.lease, "dead", NOW + 1, status=500, note="<b>ValueError</b>")
    return claimed.lease.key


def test_needs_a_login(store):
    assert Client().get(LIST).status_code == 302


@pytest.mark.parametrize("url", [LIST, detail("0" * 32)])
def test_needs_the_permission_to_look(store, staff, url):
    assert staff("view_payload", "replay_delivery").get(url).status_code == 403


def test_lists_newest_first_and_filters(store, staff):
    store.claim(event("github", {"id": "a"}), NOW, NOW + 60)
    key = dead(store)
    client = staff("view_delivery")
    page = client.get(LIST).content.decode()
    assert page.index("evt_dead") < page.index("github</td>")
    page = client.get(LIST, {"source": "github"}).content.decode()
    assert "evt_dead" not in page
    page = client.get(LIST, {"state": "dead"}).content.decode()
    assert key in page
    assert "github</td>" not in page
    assert client.get(LIST, {"state": "nonsense"}).status_code == 404


def test_pages_by_cursor(store, staff, monkeypatch):
    monkeypatch.setattr("hookward.django.admin.PAGE", 2)
    for n in range(5):
        store.accept(event("stripe", {"id": f"evt_{n}"}), NOW)
    client, seen, query = staff("view_delivery"), [], ""
    for _ in range(3):
        page = client.get(LIST + query).content.decode()
        seen += re.findall(r"evt_\d", page)
        older = re.search(r'href="(\?[^"]*cursor=[^"]*)">Older', page)
        query = older[1].replace("&amp;", "&") if older else None
    assert seen == ["evt_4", "evt_3", "evt_2", "evt_1", "evt_0"]
    assert query is None


def test_made_up_cursors_lead_back_to_the_list(store, staff):
    assert staff("view_delivery").get(LIST, {"cursor": "x'\x00"}).status_code == 302


def test_a_key_leads_to_its_webhook(store, staff):
    key = dead(store)
    assert staff("view_delivery").get(LIST, {"key": f" {key} "}).url == detail(key)


def test_keys_that_are_none_are_not_found(store, staff):
    client = staff("view_delivery")
    assert client.get(detail("0" * 32)).status_code == 404
    assert client.get(detail("..%2f")).status_code == 404


def test_shows_attempts_and_hides_the_body(store, staff):
    key = dead(store)
    client = staff("view_delivery")
    page = client.get(detail(key)).content.decode()
    assert "500" in page
    assert "&lt;b&gt;ValueError" in page
    assert "invoice.paid" in page  # its type
    assert '"id"' not in page
    assert "&quot;id&quot;" not in page
    assert "?payload" not in page
    assert client.get(detail(key) + "?payload").status_code == 403


def test_shows_the_body_to_who_may_and_asks(store, staff):
    key = dead(store)
    client = staff("view_delivery", "view_payload")
    assert "&quot;id&quot;" not in client.get(detail(key)).content.decode()
    page = client.get(detail(key) + "?payload").content.decode()
    assert "&quot;id&quot;: &quot;evt_dead&quot;" in page
    assert "content-type" in page


def test_escapes_what_strangers_wrote(store, staff):
    hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    key = (
        store.accept(event("stripe", {"id": hostile, "type": hostile, "note": hostile}), NOW) and store.list()[0][0].key
    )
    client = staff("view_delivery", "view_payload", "replay_delivery", "drop_delivery")
    for page in (client.get(LIST), client.get(detail(key) + "?payload"), client.post(REPLAY, {"key": key})):
        assert b"<script>alert" not in page.content
        assert b"<img src=x" not in page.content


def test_has_no_inline_scripts_or_styles(store, staff):
    key = dead(store)
    client = staff("view_delivery", "view_payload", "replay_delivery", "drop_delivery")
    for page in (client.get(LIST), client.get(detail(key) + "?payload"), client.post(REPLAY, {"key": key})):
        text = page.content.decode()
        content = text[text.index('id="content"') :]
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son[a-z]+=|\sstyle=", content)


def test_replays_after_a_confirmation_and_says_who(store, staff):
    key = dead(store)
    client = staff("view_delivery", "replay_delivery")
    page = client.post(REPLAY, {"key": key})
    assert page.status_code == 200
    assert store.get(key).state == "dead"
    assert client.post(REPLAY, {"key": key, "confirmed": "yes"}).url == detail(key)
    assert store.get(key).state == "pending"
    assert store.get(key).replays == 1
    entry = LogEntry.objects.get(object_id=key)
    assert entry.user.username == "staff"
    assert entry.get_change_message() == "Asked for another run."
    assert "Asked for another run." in client.get(detail(key)).content.decode()


def test_drops_after_a_confirmation(store, staff):
    key, other = dead(store), dead(store, "evt_other")
    client = staff("view_delivery", "drop_delivery")
    assert client.post(DROP, {"key": [key, other], "confirmed": "yes"}).url == LIST
    assert store.get(key).state == store.get(other).state == "dropped"
    assert LogEntry.objects.count() == 2


def test_says_what_could_not_be_dropped(store, staff):
    key = store.accept(event("stripe", {"id": "evt_waits"}), NOW) and store.list()[0][0].key
    client = staff("view_delivery", "drop_delivery")
    page = client.post(DROP, {"key": key, "confirmed": "yes"}, follow=True).content.decode()
    assert "no dead letter has the key" in page
    assert LogEntry.objects.count() == 0


@pytest.mark.parametrize("url", [REPLAY, DROP])
def test_acts_only_by_post_and_for_who_may(store, staff, url):
    key = dead(store)
    assert staff("view_delivery", "view_payload").post(url, {"key": key, "confirmed": "yes"}).status_code == 403
    assert store.get(key).state == "dead"
    assert store.get(key).replays == 0


@pytest.mark.parametrize("url", [REPLAY, DROP])
def test_does_nothing_by_get(store, staff, url):
    key = dead(store)
    client = staff("view_delivery", "replay_delivery", "drop_delivery")
    assert client.get(url, {"key": key, "confirmed": "yes"}).status_code == 405


@pytest.mark.parametrize("url", [REPLAY, DROP])
def test_acts_only_with_a_csrf_token(store, admin_user, url):
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    assert client.post(url, {"key": dead(store), "confirmed": "yes"}).status_code == 403


def test_offers_only_what_is_allowed(store, staff):
    page = staff("view_delivery").get(detail(dead(store))).content.decode()
    assert "Run again" not in page
    assert "Drop" not in page


def test_there_is_nothing_to_add_change_or_delete(store, admin_client):
    index = admin_client.get(reverse("admin:index")).content.decode()
    assert LIST in index
    assert "delivery/add" not in index


def test_says_that_the_store_is_down(store, staff, monkeypatch):
    def down(*args, **kwargs):
        raise _core.Unavailable("nobody answers")

    monkeypatch.setattr(store, "list", down)
    monkeypatch.setattr(store, "get", down)
    client = staff("view_delivery")
    for url in (LIST, detail("0" * 32)):
        page = client.get(url)
        assert page.status_code == 503
        assert "nobody answers" in page.content.decode()

"""Every store means the same."""

import uuid

import pytest
from django.db import connection, transaction
from hookward import _core
from hookward.django.models import StoredEvent
from hookward.django.stores.dynamodb import DynamoDbStore
from hookward.django.stores.memory import MemoryStore
from hookward.django.stores.orm import OrmStore

from tests.django.conftest import until_it_answers
from tests.django.store_suite import LEASE, NOW, ForgettingSuite, StoreSuite, an_event, listed


@pytest.mark.django_db(transaction=True)
class TestOrm(StoreSuite, ForgettingSuite):
    @pytest.fixture
    def store(self):
        return OrmStore()

    def leave_thread(self):
        connection.close()

    def test_a_settlement_is_rolled_back_with_what_it_stands_beside(self, store):
        lease = store.claim(an_event(), NOW, NOW + LEASE).lease

        def settle_and_die():
            with transaction.atomic():
                store.hold(lease)
                store.settle(lease, "done", NOW)
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            settle_and_die()
        assert store.get(lease.key).state == "pending"

    def test_a_claim_within_a_transaction_leaves_it_usable(self, store):
        with transaction.atomic():
            assert store.claim(an_event(), NOW, NOW + LEASE).kind == "claimed"
            assert store.claim(an_event(), NOW, NOW + LEASE).kind == "running"
        assert store.get(an_event().key).state == "pending"

    def test_a_database_that_is_not_there_is_told(self, store):
        with connection.schema_editor() as editor:
            editor.alter_db_table(StoredEvent, "hookward_event", "elsewhere")
        try:
            for call in (
                lambda: store.claim(an_event(), NOW, NOW + LEASE),
                lambda: store.accept(an_event(), NOW),
                lambda: store.lease(["orders"], NOW, NOW + LEASE, 1),
                store.health,
            ):
                with pytest.raises(_core.Unavailable):
                    call()
        finally:
            with connection.schema_editor() as editor:
                editor.alter_db_table(StoredEvent, "elsewhere", "hookward_event")

    def test_it_lists_what_is_done_too(self, store):
        store.settle(store.claim(an_event("1"), NOW, NOW + LEASE).lease, "done", NOW)
        store.accept(an_event("2", now=NOW + 1), NOW + 1)
        assert [it.state for it in listed(store)] == ["pending", "done"]
        assert [it.id for it in listed(store, state="done")] == [an_event("1").id]

    def test_a_label_with_a_nul_is_kept_readable(self, store):
        event = an_event(body=b'{"id": "1", "type": "a\\u0000b"}')
        assert event.type == "a\0b"
        store.accept(event, NOW)
        assert store.get(event.key).type == "a\ufffdb"


class TestMemory(StoreSuite, ForgettingSuite):
    @pytest.fixture
    def store(self):
        return MemoryStore()


class TestDynamoDb(StoreSuite):
    @pytest.fixture
    def store(self, dynamodb_local):
        table = _core.DynamoDb(f"t{uuid.uuid4().hex}", region="eu-central-1", endpoint=dynamodb_local)
        until_it_answers(table.create)
        return DynamoDbStore(table)

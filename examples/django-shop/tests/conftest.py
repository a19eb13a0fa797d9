import pytest

from orders.models import Order


@pytest.fixture
def order(db: None) -> Order:
    return Order.objects.create(number="A-1001", total=4_200)

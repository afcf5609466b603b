"""Put it back: what it takes, what it locks, and how much of it a cart still holds."""

from decimal import Decimal

import pytest
from django.utils import timezone

from accounts.models import User
from accounts.visitors import Visitor
from cart.counting import CART_ROWS, rows_in_cart
from events.models import CalendarEntry, Ticket
from market.models import ProductItem
from orders.returning import put_back
from orders.states import OrderState
from tests.factories import EventFactory, UserFactory
from tests.ledger.locks import locks
from tests.orders.test_others import House, ended, house, ordered

__all__ = ["house"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("merchant")]


def copies(of: User) -> tuple[int, int, int]:
    """How many tickets, bookings and pieces lie in the cart that replace something."""
    visitor = Visitor(user=of)
    rows = (
        Ticket.objects.pending_for(of),
        CalendarEntry.objects.in_cart_of(visitor),
        ProductItem.objects.in_cart_of(visitor),
    )
    tickets, bookings, items = (queryset.exclude(replaces=None).count() for queryset in rows)
    return tickets, bookings, items


@pytest.mark.parametrize(
    ("there", "back"), [(CART_ROWS - 4, (1, 1, 1)), (CART_ROWS - 3, (1, 1, 1)), (CART_ROWS - 2, (1, 1, 0)),
                        (CART_ROWS - 1, (1, 0, 0)), (CART_ROWS, (0, 0, 0)), (CART_ROWS + 2, (0, 0, 0))]
)  # fmt: skip
def test_what_a_cart_has_no_room_for_stays_out(house: House, there: int, back: tuple[int, int, int]) -> None:
    buyer = UserFactory.create()
    order = ended(ordered(buyer, house, days=20), OrderState.EXPIRED)
    entry = EventFactory.create()
    Ticket.objects.bulk_create(Ticket(entry=entry, user=buyer, price=Decimal(12), currency="EUR") for _ in range(there))

    assert put_back(order, at=timezone.now()) == sum(back)

    assert copies(buyer) == back
    assert rows_in_cart(Visitor(user=buyer)) == there + sum(back)


def test_the_cart_and_the_order_are_locked_and_nothing_else(house: House) -> None:
    buyer = UserFactory.create()
    order = ended(ordered(buyer, house, days=20), OrderState.CANCELLED)

    with locks() as locked:
        assert put_back(order, at=timezone.now()) == 3

    assert locked == [("accounts_user", (buyer.pk,)), ("orders_order", (order.pk,))]

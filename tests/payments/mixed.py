"""A page that sells all three kinds, and what tests of their refunds share."""

from collections.abc import Collection
from dataclasses import dataclass

import pytest
from django.utils import timezone

from accounts.models import User
from events.models import Calendar, CalendarEntry, Page
from market.models import Product
from orders.models import Order
from payments.checkouts.settling import settle
from payments.models import Checkout, Refund
from payments.refunds.asking import Wish
from payments.refunds.rows import rows_of
from payments.refunds.sending import Sent
from payments.states import RefundKind
from tests.factories import EventFactory, PageFactory, ProductFactory, RoomFactory, UserFactory
from tests.payments.money import requested, sent
from tests.simulator import SimulatorProcess
from tests.steps import all_states_of, book, fill, order_cart, paid_at_sumup, take


@dataclass
class Shop:
    """A page that sells all three: seats at 12.00, a room at 20.00 an hour, a product at 5.00 of which there are 3."""

    page: Page
    entry: CalendarEntry
    room: Calendar
    product: Product


@pytest.fixture
def shop(db: None) -> Shop:
    page = PageFactory.create(name="Linde")
    entry = EventFactory.create(calendar__page=page, capacity=10)
    room = RoomFactory.create(page=page, name="Rehearsal room", slug="room")
    return Shop(page, entry, room, ProductFactory.create(page=page, name="Tote bag", stock=3))


def sold(sumup: SimulatorProcess, shop: Shop) -> tuple[Order, Checkout]:
    """A ticket, an hour in the room and two bags in one payment of 42.00, given."""
    user = UserFactory.create()
    fill(user, shop.entry, 1)
    book(user, shop.room)
    take(user, shop.product, 2)
    return paid(sumup, user)


def paid(sumup: SimulatorProcess, user: User) -> tuple[Order, Checkout]:
    """What lies in the cart of `user`, ordered, paid and given."""
    order = order_cart(user)
    checkout = paid_at_sumup(sumup, order)
    settle(checkout.pk, who="webhook", at=timezone.now())
    checkout.refresh_from_db()
    order.refresh_from_db()
    assert checkout.is_applied
    return order, checkout


def keys(order: Order, *kinds: str) -> list[str]:
    """What the order took, of `kinds` or all, as forms name it."""
    return [row.key for row in rows_of(order) if not kinds or row.kind in kinds]


def wished(chosen: Collection[str]) -> list[Wish]:
    return [Wish(RefundKind.ROW, key) for key in chosen]


def states(order: Order) -> tuple[list[str], list[str], list[str]]:
    """Of tickets, bookings and items."""
    found = all_states_of(order)
    return found["tickets"], found["bookings"], found["items"]


def failed(sumup: SimulatorProcess, checkout: Checkout, chosen: Collection[str]) -> Refund:
    """A refund that SumUp refuses once: what it was for is owed."""
    sumup.faults(refund="not_enough_balance", times=1)
    refund = requested(checkout, wished(chosen))
    assert sent(refund) is Sent.FAILED
    return refund

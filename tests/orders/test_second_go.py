"""A second go: what is put back costs what it costs today, and lies in a cart as long as if it were new."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.db import transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.utils import timezone

from accounts.models import User
from accounts.visitors import Visitor
from cart.adopting import adopt
from cart.jobs import lapse_carts, lapse_items
from events.models import BookingRules, Calendar, CalendarEntry, Page, Ticket, TicketType
from ledger.money import Money
from market.models import Product, ProductItem
from orders.models import Order
from orders.releasing import free
from orders.returning import put_back
from orders.states import OrderState
from tests.factories import EventFactory, PageFactory, ProductFactory, RoomFactory, TicketTypeFactory
from tests.steps import book, fill, order_cart, shown, take

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("merchant")]

WEEK, TWO_DAYS, SECOND = timedelta(days=7), timedelta(days=2), timedelta(seconds=1)


@dataclass
class House:
    """Sells a seat of a type at 12.00, a place without one at 9.00, an hour in a room at 20.00, a bag at 5.00."""

    page: Page
    seat: TicketType
    plain: CalendarEntry
    room: Calendar
    bag: Product


@pytest.fixture
def house(db: None) -> House:
    page = PageFactory.create()
    far = timezone.now() + timedelta(days=60)
    seat = TicketTypeFactory.create(entry=EventFactory.create(calendar__page=page, starts_at=far))
    plain = EventFactory.create(calendar__page=page, starts_at=far, ticket_price=Decimal(9))
    room = RoomFactory.create(page=page)
    return House(page, seat, plain, room, ProductFactory.create(page=page))


def filled(buyer: User, house: House) -> None:
    """One of each; all at least ten days ahead."""
    fill(buyer, house.seat.entry, {house.seat.pk: 1})
    fill(buyer, house.plain, 1)
    book(buyer, house.room, days=20)
    take(buyer, house.bag)


def let_go(buyer: User) -> Order:
    """An order of the cart of `buyer` whose hold is over."""
    order = order_cart(buyer)
    with transaction.atomic():
        free(Order.objects.filter(pk=order.pk).locked().get(), ending=OrderState.EXPIRED)
    return order


def in_cart(visitor: Visitor) -> list[Any]:
    """The pending rows: tickets by their event, then the booking, then the piece."""
    rows: list[Any] = []
    if visitor.user is not None:
        rows += Ticket.objects.pending_for(visitor.user).order_by("pk")
    rows += CalendarEntry.objects.in_cart_of(visitor).order_by("pk")
    rows += ProductItem.objects.in_cart_of(visitor).order_by("pk")
    return rows


def prices(rows: Iterable[Any]) -> list[Decimal]:
    return [row.price for row in rows]


# --- The price


@pytest.mark.parametrize("factor", [Decimal("0.5"), Decimal(3)])
@pytest.mark.promise("put-back-costs")
def test_put_back_costs_what_it_costs_today(buyer: User, house: House, factor: Decimal) -> None:
    """Each kind by itself, dearer or cheaper; what was ordered keeps its own price."""
    filled(buyer, house)
    before = [Decimal(12), Decimal(9), Decimal(20), Decimal(5)]
    assert prices(in_cart(Visitor(user=buyer))) == before
    order = let_go(buyer)
    today = [factor * price for price in before]
    TicketType.objects.update(price=today[0])
    CalendarEntry.objects.filter(pk=house.plain.pk).update(ticket_price=today[1])
    BookingRules.objects.update(price=today[2])
    Product.objects.update(price=today[3])

    assert put_back(order, at=timezone.now()) == 4

    assert prices(in_cart(Visitor(user=buyer))) == today
    assert shown(buyer).total == Money(sum(today, Decimal(0)), "EUR")
    assert sorted(line.unit_price for line in order.lines.all()) == sorted(before)
    again = order_cart(buyer)
    assert again.total == sum(today)
    assert sorted(line.unit_price for line in again.lines.all()) == sorted(today)


def test_an_order_of_what_was_put_back_holds_as_long_as_any(buyer: User, house: House) -> None:
    filled(buyer, house)
    first = let_go(buyer)
    with time_machine.travel(first.hold_until + timedelta(hours=5), tick=False):
        put_back(first, at=timezone.now())
        again = order_cart(buyer)
        assert again.hold_until == timezone.now() + timedelta(minutes=settings.HOLD_MINUTES)


# --- The time in a cart


def fresh(buyer: User, house: House) -> Visitor:
    filled(buyer, house)
    return Visitor(user=buyer)


def once_more(buyer: User, house: House) -> Visitor:
    """Ordered, let go and, six days after it was first in the cart, put back."""
    filled(buyer, house)
    order = let_go(buyer)
    with time_machine.travel(timezone.now() + timedelta(days=6), tick=False):
        put_back(order, at=timezone.now())
    return Visitor(user=buyer)


def twice_more(buyer: User, house: House) -> Visitor:
    """A copy of a copy: the first copy was ordered and let go too."""
    visitor = once_more(buyer, house)
    with time_machine.travel(timezone.now() + timedelta(days=7), tick=False):
        order = let_go(buyer)
    with time_machine.travel(timezone.now() + timedelta(days=9), tick=False):
        put_back(order, at=timezone.now())
    return visitor


def signed_out(_buyer: User, house: House) -> Visitor:
    browser = Visitor(cart_key="a-browser")
    book(browser, house.room, days=20)
    take(browser, house.bag)
    return browser


def adopted(buyer: User, house: House) -> Visitor:
    """Put in a cart signed out; a day later its browser signed in."""
    signed_out(buyer, house)
    with time_machine.travel(timezone.now() + timedelta(days=1), tick=False):
        adopt(buyer, "a-browser", at=timezone.now())
    return Visitor(user=buyer)


def at_hour(moment: datetime) -> None:
    """Both jobs that empty carts, run at `moment`."""
    with time_machine.travel(moment, tick=False):
        lapse_carts(timestamp=0)
        lapse_items(timestamp=0)


@pytest.mark.parametrize(
    ("path", "number", "put_in", "kept"),
    [
        (fresh, 4, timedelta(0), WEEK),
        (once_more, 4, timedelta(days=6), WEEK),
        (twice_more, 4, timedelta(days=9), WEEK),
        (signed_out, 2, timedelta(0), TWO_DAYS),
        (adopted, 2, timedelta(0), WEEK),
    ],
)
@pytest.mark.promise("fresh-put-back")
def test_each_way_into_a_cart_lasts_its_time_and_no_longer(
    buyer: User,
    house: House,
    path: Callable[[User, House], Visitor],
    number: int,
    put_in: timedelta,
    kept: timedelta,
) -> None:
    """Seven days signed in, two signed out, from when it was put in; signing in begins no second span."""
    began = timezone.now().replace(microsecond=0)
    with time_machine.travel(began, tick=False):
        visitor = path(buyer, house)
    assert len(in_cart(visitor)) == number

    at_hour(began + put_in + kept)
    assert len(in_cart(visitor)) == number
    at_hour(began + put_in + kept + SECOND)
    assert in_cart(visitor) == []


@pytest.mark.parametrize("path", [fresh, once_more, adopted])
@pytest.mark.promise("fresh-put-back")
def test_each_way_into_a_cart_ends_with_the_event_and_before_the_booked_time(
    buyer: User, house: House, path: Callable[[User, House], Visitor]
) -> None:
    began = timezone.now().replace(microsecond=0)
    with time_machine.travel(began, tick=False):
        visitor = path(buyer, house)
    soon = began + timedelta(days=7)  # nothing is too old by then
    for row in (house.plain, house.seat.entry):
        CalendarEntry.objects.filter(pk=row.pk).update(starts_at=soon - SECOND, ends_at=soon)
    CalendarEntry.objects.in_cart_of(visitor).update(
        starts_at=soon, ends_at=soon + timedelta(hours=1), blocks=DateTimeTZRange(soon, soon + timedelta(hours=1))
    )
    before = in_cart(visitor)

    at_hour(soon - SECOND)
    assert in_cart(visitor) == before
    at_hour(soon)
    assert [type(row) for row in in_cart(visitor)] == [ProductItem], "a piece of a product has no end"


def test_what_lapsed_after_it_was_put_back_can_be_put_back_once_more(buyer: User, house: House) -> None:
    filled(buyer, house)
    order = let_go(buyer)
    assert put_back(order, at=timezone.now()) == 4
    at_hour(timezone.now() + WEEK + timedelta(minutes=1))
    assert in_cart(Visitor(user=buyer)) == []

    with time_machine.travel(timezone.now() + WEEK + timedelta(minutes=2), tick=False):
        assert put_back(order, at=timezone.now()) == 4
        assert put_back(order, at=timezone.now()) == 0

"""What is done to one order changes nothing of any other: not of other buyers, not of the same buyer's other orders."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from events.models import Calendar, CalendarEntry, Ticket, TicketType
from ledger.arrows import IllegalTransition
from market.models import Product, ProductItem
from orders.fulfilling import fulfil
from orders.holdings import Holdings
from orders.models import Order
from orders.releasing import ending_of, free, request_cancel
from orders.returning import put_back
from orders.states import OrderState
from tests.factories import EventFactory, PageFactory, ProductFactory, RoomFactory, TicketTypeFactory, UserFactory
from tests.steps import all_states_of, book, fill, order_cart, take

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("merchant")]


@dataclass
class House:
    seat: TicketType
    room: Calendar
    bag: Product


@pytest.fixture
def house(db: None) -> House:
    page = PageFactory.create()
    far = timezone.now() + timedelta(days=60)
    seat = TicketTypeFactory.create(entry=EventFactory.create(calendar__page=page, starts_at=far))
    return House(seat, RoomFactory.create(page=page), ProductFactory.create(page=page))


def ordered(buyer: User, house: House, *, days: int) -> Order:
    """A seat, an hour in `days` days, a bag; it awaits payment."""
    fill(buyer, house.seat.entry, {house.seat.pk: 1})
    book(buyer, house.room, days=days)
    take(buyer, house.bag)
    return order_cart(buyer)


def ended(order: Order, state: OrderState) -> Order:
    with transaction.atomic():
        assert free(Order.objects.filter(pk=order.pk).locked().get(), ending=state) == 3
    return Order.objects.get(pk=order.pk)


def paid(order: Order, at: datetime) -> bool:
    with transaction.atomic():
        return fulfil(Order.objects.filter(pk=order.pk).locked().get(), at=at)


def of_each(state: str) -> dict[str, list[str]]:
    return {"tickets": [state], "bookings": [state], "items": [state]}


def lived_in(house: House, buyer: User) -> None:
    """Somebody's order of each state and full cart, and an order of `buyer` that is over and one that is paid."""
    other = UserFactory.create()
    ended(ordered(other, house, days=10), OrderState.EXPIRED)
    ended(ordered(other, house, days=11), OrderState.CANCELLED)
    paid(ordered(other, house, days=12), timezone.now())
    ordered(other, house, days=13)
    fill(other, house.seat.entry, {house.seat.pk: 1})
    book(other, house.room, days=14)
    take(other, house.bag)
    ended(ordered(buyer, house, days=15), OrderState.CANCELLED)
    paid(ordered(buyer, house, days=16), timezone.now())


def all_but(order: Order) -> list[Any]:
    """Every column of every other order and of what it took; and of what lies in other carts."""
    return [
        *Order.objects.exclude(pk=order.pk).order_by("pk").values(),
        *(
            row
            for model in (Ticket, ProductItem, CalendarEntry)
            for row in model._default_manager.exclude(user=None).order_by("pk").values()
            if row["order_id"] != order.pk and (row["user_id"] != order.user_id or row["order_id"])
        ),
    ]


@pytest.mark.promise("cancelling-ending-putting")
def test_what_is_done_to_one_order_changes_no_other(house: House) -> None:
    buyer, now = UserFactory.create(), timezone.now()
    lived_in(house, buyer)
    order = ordered(buyer, house, days=20)
    others = all_but(order)

    assert request_cancel(order, at=now)
    assert all_but(order) == others
    ended(order, OrderState.CANCELLED)
    assert all_states_of(order) == of_each("cancelled")
    assert all_but(order) == others
    assert put_back(order, at=now) == 3
    assert put_back(order, at=now) == 0
    assert all_but(order) == others
    assert paid(order, now)
    assert all_states_of(order) == of_each("confirmed")
    assert all_but(order) == others
    assert not Ticket.objects.pending_for(buyer).exists()
    assert not paid(order, now)

    order = ordered(buyer, house, days=21)
    others = all_but(order)
    assert paid(order, now)
    assert all_states_of(order) == of_each("confirmed")
    assert all_but(order) == others


@pytest.mark.promise("buyer-holds-order")
def test_a_buyer_holds_what_is_of_the_order_and_nothing_else(house: House) -> None:
    buyer = UserFactory.create()
    lived_in(house, buyer)
    order = ordered(buyer, house, days=20)
    ticket, booking, item = order.tickets.get(), order.bookings.get(), order.items.get()

    held = Holdings.of(order, list(order.lines.all()))

    assert (held.tickets, held.bookings, held.items) == ([ticket], [booking], [item])
    assert held.rows == [ticket, booking, item]
    assert not held.valid
    assert not held.printable
    paid(order, timezone.now())
    held = Holdings.of(order, list(order.lines.all()))
    assert held.valid
    assert held.printable
    assert held.dated == [ticket.entry, booking]
    assert held.owed == []


def test_a_cancel_is_written_down_once(house: House) -> None:
    order, now = ordered(UserFactory.create(), house, days=20), timezone.now()

    assert request_cancel(order, at=now)
    assert not request_cancel(order, at=now + timedelta(minutes=1))
    assert Order.objects.get(pk=order.pk).cancel_requested_at == now


@pytest.mark.parametrize("state", [OrderState.EXPIRED, OrderState.CANCELLED])
def test_what_is_over_is_not_cancelled(house: House, state: OrderState) -> None:
    order = ended(ordered(UserFactory.create(), house, days=20), state)

    assert not request_cancel(order, at=timezone.now())
    assert Order.objects.get(pk=order.pk).cancel_requested_at is None


def test_an_order_ends_with_its_hold_or_when_its_buyer_cancels(house: House) -> None:
    order = ordered(UserFactory.create(), house, days=20)
    end = order.placed_at + timedelta(minutes=settings.HOLD_MINUTES)

    assert ending_of(order, at=end - timedelta(microseconds=1)) is None
    assert ending_of(order, at=end) is OrderState.EXPIRED
    order.cancel_requested_at = order.placed_at
    assert ending_of(order, at=order.placed_at) is OrderState.CANCELLED
    assert ending_of(order, at=end) is OrderState.CANCELLED
    order.state = OrderState.PAID
    assert ending_of(order, at=end) is None


def test_what_has_ended_is_not_ended_again(house: House) -> None:
    order = ended(ordered(UserFactory.create(), house, days=20), OrderState.EXPIRED)
    row = Order.objects.filter(pk=order.pk).locked()

    with transaction.atomic():
        assert free(row.get(), ending=OrderState.EXPIRED) == 0
    with pytest.raises(IllegalTransition), transaction.atomic():
        free(row.get(), ending=OrderState.CANCELLED)
    assert Order.objects.get(pk=order.pk).state == OrderState.EXPIRED


def test_what_was_ordered_again_and_let_go_can_be_put_back_from_either_order(house: House) -> None:
    buyer, now = UserFactory.create(), timezone.now()
    first = ended(ordered(buyer, house, days=20), OrderState.EXPIRED)
    assert put_back(first, at=now) == 3
    second = order_cart(buyer)
    assert put_back(first, at=now) == 0
    ended(second, OrderState.CANCELLED)

    assert put_back(first, at=now) == 3

"""What an order took, read and locked: all of its own in one state, with what was put back in a cart for it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from events.models import Ticket
from market.models import ProductItem
from orders.goods import Goods, Wanted, locked_goods
from orders.models import Order
from orders.returning import put_back
from orders.states import OrderState
from tests.factories import EventFactory, RoomFactory, UserFactory
from tests.ledger.lives import a_line, an_order
from tests.ledger.locks import locks
from tests.ledger.watching import watched
from tests.orders.test_others import House, ended, house, lived_in, ordered, paid
from tests.steps import fill, order_cart, take

__all__ = ["house"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("merchant")]


def locked(order: Order, state: str, *, with_copies: bool | None = None) -> Goods:
    with transaction.atomic():
        row = Order.objects.filter(pk=order.pk).locked().get()
        return (
            locked_goods(row, state=state)
            if with_copies is None
            else locked_goods(row, state=state, with_copies=with_copies)
        )


def pending(buyer: User) -> tuple[Ticket, int, ProductItem]:
    """What lies in the cart: a ticket, the pk of a booking, a piece."""
    return (
        Ticket.objects.pending_for(buyer).get(),
        buyer.bookings.get(state="pending").pk,
        ProductItem.objects.get(user=buyer, state="pending"),
    )


def test_lines_name_what_is_locked(house: House) -> None:
    order = ordered(UserFactory.create(), house, days=20)
    booking = order.bookings.get()

    assert Wanted.of(order) == Wanted(
        rooms=frozenset([house.room.pk]),
        entries=frozenset([house.seat.entry_id, booking.pk]),
        types=frozenset([house.seat.pk]),
        products=frozenset([house.bag.pk]),
        kinds=frozenset(["ticket", "booking", "product"]),
    )


def test_room_of_an_event_is_not_counted_against() -> None:
    order, starts = an_order(), timezone.now() + timedelta(days=2)
    entry = EventFactory.create(
        starts_at=starts,
        ends_at=starts + timedelta(hours=2),
        room=RoomFactory.create(),
        blocks=(starts, starts + timedelta(hours=2)),
    )
    a_line(order, entry)

    assert Wanted.of(order) == replace(
        Wanted.of(an_order()), entries=frozenset([entry.pk]), kinds=frozenset(["ticket"])
    )


def test_an_order_without_lines_names_nothing() -> None:
    nothing = frozenset[int]()

    assert Wanted.of(an_order()) == Wanted(nothing, nothing, nothing, nothing, frozenset())


def test_own_rows_in_the_state_and_no_others(house: House) -> None:
    buyer = UserFactory.create()
    lived_in(house, buyer)
    order = ordered(buyer, house, days=20)
    ticket, booking, item = order.tickets.get(), order.bookings.get(), order.items.get()

    found = locked(order, "reserved")

    assert (found.tickets, found.bookings, found.items) == ([ticket], [booking], [item])
    assert found.entries == {house.seat.entry_id: house.seat.entry, booking.pk: booking}
    assert (found.types, found.products) == ({house.seat.pk: house.seat}, {house.bag.pk: house.bag})
    none = locked(order, "confirmed")
    assert (none.tickets, none.bookings, none.items) == ([], [], [])


@pytest.mark.django_db(transaction=True)
def test_all_of_it_is_locked_in_the_agreed_order(house: House) -> None:
    order = ordered(UserFactory.create(), house, days=20)

    with watched() as watch:
        locked(order, "reserved")

    assert [table for verb, table in watch.seen if verb == "LOCK"] == [
        "orders_order", "events_calendar", "events_calendarentry", "events_tickettype", "market_product",
        "events_ticket", "market_productitem",
    ]  # fmt: skip
    assert watch.breaches == []


def test_copies_are_those_of_its_own_rows_in_the_state(house: House) -> None:
    """Two orders of one buyer are over, both are put back; what became of a copy does not matter."""
    buyer, now = UserFactory.create(), timezone.now()
    first = ended(ordered(buyer, house, days=20), OrderState.EXPIRED)
    assert put_back(first, at=now) == 3
    paid_one = ordered(buyer, house, days=21)  # the first one's copies with what is new
    paid(paid_one, now)
    second = ended(ordered(buyer, house, days=22), OrderState.CANCELLED)
    assert put_back(second, at=now) == 3
    ticket, booking, item = pending(buyer)

    found = locked(second, "cancelled", with_copies=True)

    assert found.ticket_copies == {ticket.pk: second.tickets.get().pk}
    assert found.booking_copies == {booking: second.bookings.get().pk}
    assert found.item_copies == {item.pk: second.items.get().pk}
    assert {row.pk for row in found.tickets} == {ticket.pk, second.tickets.get().pk}
    assert {row.pk for row in found.bookings} == {booking, second.bookings.get().pk}
    assert {row.pk for row in found.items} == {item.pk, second.items.get().pk}
    old = locked(first, "cancelled", with_copies=True)
    assert {len(old.ticket_copies), len(old.booking_copies), len(old.item_copies)} == {1}
    for rows in (
        [row.state for row in old.tickets],
        [row.state for row in old.bookings],
        [row.state for row in old.items],
    ):
        assert set(rows) == {"cancelled", "confirmed"}
    for order, state in ((second, "confirmed"), (paid_one, "cancelled")):
        none = locked(order, state, with_copies=True)
        assert [none.ticket_copies, none.booking_copies, none.item_copies] == [{}, {}, {}]


@pytest.mark.parametrize("with_copies", [None, False])
def test_copies_are_left_alone_when_nobody_asks(house: House, with_copies: bool | None) -> None:
    buyer = UserFactory.create()
    order = ended(ordered(buyer, house, days=20), OrderState.EXPIRED)
    assert put_back(order, at=timezone.now()) == 3

    found = locked(order, "cancelled", with_copies=with_copies)

    assert [found.ticket_copies, found.booking_copies, found.item_copies] == [{}, {}, {}]
    assert (found.tickets, found.items) == ([order.tickets.get()], [order.items.get()])
    assert found.bookings == [order.bookings.get()]


def test_nothing_is_locked_but_what_the_lines_name(house: House) -> None:
    buyer = UserFactory.create()
    take(buyer, house.bag)
    piece = order_cart(buyer)
    fill(buyer, EventFactory.create())
    seat = order_cart(buyer)
    entry, ticket, item = seat.tickets.get().entry_id, seat.tickets.get(), piece.items.get()

    with locks() as locked_for_the_piece:
        assert locked(piece, "reserved").items == [item]
    with locks() as locked_for_the_seat:
        assert locked(seat, "reserved").tickets == [ticket]

    assert locked_for_the_piece == [
        ("orders_order", (piece.pk,)),
        ("market_product", (house.bag.pk,)),
        ("market_productitem", (piece.pk, "reserved")),
    ]
    assert locked_for_the_seat == [
        ("orders_order", (seat.pk,)),
        ("events_calendarentry", (entry,)),
        ("events_ticket", (seat.pk, "reserved")),
    ]

"""Rooms, stock and mixed carts in a rush: one has the time, exactly the stock is sold, nobody meets a deadlock."""

import threading
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from functools import partial
from itertools import pairwise

import pytest
from django.db import models
from django.db.utils import IntegrityError
from django.utils import timezone

from accounts.models import User
from accounts.visitors import Visitor
from cart.adopting import adopt
from events.models import Calendar, CalendarEntry
from events.states import HELD
from events.transitions import SoldTable, mark_reserved
from ledger.locking import LockableQuerySet
from market.models import Product, ProductItem
from orders.models import Order
from payments.books.checking import read_books
from tests.factories import EventFactory, ProductFactory, RoomFactory, UserFactory
from tests.races.threads import PATIENCE, at_once
from tests.steps import a_time, book, fill, held, order_cart, shown, take

pytestmark = pytest.mark.usefixtures("merchant")


def outcomes(answers: list[Order | Exception]) -> Counter[str]:
    return Counter(type(answer).__name__ for answer in answers)


def rush(buyers: list[User]) -> list[Order | Exception]:
    """All buyers order at once what they saw in their carts before anybody had ordered."""
    return at_once([partial(order_cart, buyer, seen=shown(buyer).digest()) for buyer in buyers])


def booked(room: Calendar, hour: int, minutes: int) -> User:
    buyer = UserFactory.create()
    book(buyer, room, hour=hour, minutes=minutes)
    return buyer


def held_in(room: Calendar) -> list[CalendarEntry]:
    return list(CalendarEntry.objects.filter(room=room, state__in=sorted(HELD)).order_by("starts_at"))


@pytest.mark.promise("hundred-people-one")
def test_a_hundred_people_for_one_time_half_of_them_with_overlapping_lengths() -> None:
    room = RoomFactory.create()
    buyers = [booked(room, 10, 60 if number % 2 else 90) for number in range(100)]

    answers = rush(buyers)

    assert outcomes(answers) == {"Order": 1, "ShortLines": 99}
    assert len(held_in(room)) == 1


@pytest.mark.promise("hundred-people-one")
def test_overlapping_times_never_both_stand_and_neighbours_do() -> None:
    """Of 9 to 11, 10 to 12 and so on, no two that are held touch; what does not touch is not kept from anybody."""
    room = RoomFactory.create(rules__cleanup_minutes=30)
    buyers = [booked(room, hour, 120) for hour in range(9, 20) for _twice in range(2)]

    rush(buyers)

    standing = held_in(room)
    for one, other in pairwise(standing):
        assert one.ends_at + timedelta(minutes=30) <= other.starts_at
    hours = [entry.starts_at.astimezone(room.page.zone()).hour for entry in standing]
    gaps = [hour for hour in range(9, 20) if all(abs(hour - taken) >= 3 for taken in hours)]
    assert gaps == []


@pytest.mark.promise("hundred-people-one")
def test_without_the_room_s_lock_only_the_constraint_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: both see the time free, and one runs into the exclusion constraint."""
    room = RoomFactory.create()
    both_have_seen = threading.Barrier(2)
    claim = mark_reserved

    def claim_together(prices: Mapping[int, Decimal], *, order_id: int, of: SoldTable = CalendarEntry) -> int:
        if of is CalendarEntry:
            both_have_seen.wait(PATIENCE)
        return claim(prices, order_id=order_id, of=of)

    def unlocked(rows: LockableQuerySet[models.Model]) -> models.QuerySet[models.Model]:
        return rows.order_by("pk")

    monkeypatch.setattr(LockableQuerySet, "locked", unlocked)
    monkeypatch.setattr("orders.placing.mark_reserved", claim_together)

    answers = rush([booked(room, 10, 60), booked(room, 10, 90)])

    assert outcomes(answers) == {"Order": 1, IntegrityError.__name__: 1}
    assert len(held_in(room)) == 1


def test_ten_in_stock_and_two_hundred_buyers() -> None:
    product = ProductFactory.create(stock=10)
    buyers = [UserFactory.create() for _ in range(200)]
    ProductItem.objects.bulk_create(
        ProductItem(product=product, user=buyer, price=product.price, currency="EUR") for buyer in buyers
    )

    answers = rush(buyers)

    assert outcomes(answers) == {"Order": 10, "ShortLines": 190}
    assert Product.objects.get(pk=product.pk).held == 10


@pytest.mark.promise("fifty-mixed-carts")
def test_opposite_orders_of_two_events_a_room_and_a_product_meet_no_deadlock() -> None:
    """Fifty carts, filled in one order or the other: all are ordered, or short; nobody is shown an error."""
    first, second = EventFactory.create(capacity=40), EventFactory.create(capacity=40)
    product, room = ProductFactory.create(stock=45), RoomFactory.create()
    buyers = []
    for number in range(50):
        buyer = UserFactory.create()
        for entry in (first, second) if number % 2 else (second, first):
            fill(buyer, entry)
        take(buyer, product)
        if number % 10 == 0:
            book(buyer, room, hour=8 + number // 5)
        buyers.append(buyer)

    answers = rush(buyers)

    assert outcomes(answers) == {"Order": 40, "ShortLines": 10}
    assert (held(first), held(second)) == (40, 40)
    assert Product.objects.get(pk=product.pk).held == 40
    assert read_books() == []


@pytest.mark.promise("browser-cart-joins")
def test_two_requests_that_bring_one_cart_along_bring_it_once() -> None:
    buyer, product, room = UserFactory.create(), ProductFactory.create(), RoomFactory.create()
    browser = Visitor(cart_key="a-browser")
    take(browser, product, 4)
    book(browser, room)

    answers = at_once([partial(adopt, buyer, "a-browser", at=timezone.now())] * 6)

    assert sorted(map(str, answers)) == ["0"] * 5 + ["5"]
    assert (shown(buyer).product_count, shown(buyer).booking_count) == (4, 1)


def test_the_same_time_clicked_twice_at_once_is_one_booking() -> None:
    buyer, room = UserFactory.create(), RoomFactory.create()
    start, _end = a_time(room)

    at_once([partial(book, buyer, room)] * 4)

    assert [line.booking.starts_at for line in shown(buyer).groups[0].bookings] == [start]

"""More buyers than seats, all at the same moment: exactly the seats are sold, and everyone else is told so."""

import threading
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial

import pytest
from django.db import models
from django.db.utils import IntegrityError

import orders.placing
from accounts.models import User
from cart.contents import Cart
from events.models import CalendarEntry, Page, Ticket
from events.states import TicketState
from events.transitions import SoldTable, mark_reserved
from ledger.locking import LockableQuerySet
from orders.models import Order
from orders.placing import ShortLines
from tests.factories import EventFactory, TicketTypeFactory, UserFactory
from tests.races.threads import PATIENCE, at_once, in_a_thread
from tests.steps import held, order_cart, shown

pytestmark = pytest.mark.usefixtures("merchant")


def outcomes(answers: list[Order | Exception]) -> Counter[str]:
    return Counter(type(answer).__name__ for answer in answers)


def rush(buyers: list[User]) -> list[Order | Exception]:
    """All buyers order at once what they saw in their carts before anybody had ordered."""
    works = [partial(order_cart, buyer, seen=shown(buyer).digest()) for buyer in buyers]
    return at_once(works)


def buyers_of(entry: CalendarEntry, number: int, key: int = 0) -> list[User]:
    """`number` buyers with one ticket each in their carts."""
    buyers = [UserFactory.create() for _ in range(number)]
    Ticket.objects.bulk_create(
        Ticket(entry=entry, ticket_type_id=key or None, user=buyer, price=Decimal(12), currency="EUR")
        for buyer in buyers
    )
    return buyers


@pytest.mark.promise("200-buyers-one")
def test_two_hundred_buyers_of_one_seat_make_one_order_and_no_error() -> None:
    entry = EventFactory.create(capacity=1)

    answers = rush(buyers_of(entry, 200))

    assert outcomes(answers) == {"Order": 1, "ShortLines": 199}
    assert held(entry) == 1
    assert Ticket.objects.filter(state=TicketState.RESERVED).count() == 1
    assert Order.objects.count() == 1


@pytest.mark.promise("types-add-up")
def test_sixty_four_buyers_of_two_types_never_pass_the_entry_s_capacity() -> None:
    entry = EventFactory.create(capacity=20)
    stalls, balcony = (TicketTypeFactory.create(entry=entry, capacity=15) for _ in range(2))

    answers = rush(buyers_of(entry, 32, stalls.pk) + buyers_of(entry, 32, balcony.pk))

    assert outcomes(answers) == {"Order": 20, "ShortLines": 44}
    assert held(entry) == 20
    for kind in (stalls, balcony):
        kind.refresh_from_db()
        assert kind.held == Ticket.objects.filter(ticket_type=kind, state=TicketState.RESERVED).count() <= 15
    assert stalls.held + balcony.held == 20


def test_a_rush_for_the_last_seats_of_one_type_leaves_the_other_type_its_seats() -> None:
    entry = EventFactory.create(capacity=20)
    small, large = (TicketTypeFactory.create(entry=entry, capacity=capacity) for capacity in (3, 18))

    answers = rush(buyers_of(entry, 10, small.pk) + buyers_of(entry, 10, large.pk))

    assert outcomes(answers) == {"Order": 13, "ShortLines": 7}
    small.refresh_from_db()
    large.refresh_from_db()
    assert (small.held, large.held) == (3, 10)


def unlocked(rows: LockableQuerySet[CalendarEntry]) -> models.QuerySet[CalendarEntry]:
    """What `.locked()` would be without the lock."""
    return rows.order_by("pk")


@pytest.mark.promise("test-can-fail")
def test_without_the_lock_two_buyers_of_one_seat_are_not_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: with the row lock out, both count one free seat, and only the constraint stands."""
    entry = EventFactory.create(capacity=1)
    both_have_counted = threading.Barrier(2)
    claim = mark_reserved

    def claim_together(prices: Mapping[int, Decimal], *, order_id: int, of: SoldTable = Ticket) -> int:
        if of is Ticket:
            both_have_counted.wait(PATIENCE)
        return claim(prices, order_id=order_id, of=of)

    monkeypatch.setattr(LockableQuerySet, "locked", unlocked)
    monkeypatch.setattr("orders.placing.mark_reserved", claim_together)

    answers = rush(buyers_of(entry, 2))

    assert outcomes(answers) == {"Order": 1, IntegrityError.__name__: 1}
    assert held(entry) == 1


def test_the_rival_who_orders_between_reading_and_locking_gets_the_seat(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rival at the seam: after the buyer has read which tickets are in the cart, before the entry is locked."""
    entry = EventFactory.create(capacity=1)
    buyer, rival = buyers_of(entry, 2)
    seen = shown(buyer).digest()
    read = orders.placing._locked_cart
    rivals: list[User] = [rival]

    def rival_first(user: User, pages: Collection[Page] | None, at: datetime) -> Cart:
        if rivals:
            in_a_thread(partial(order_cart, rivals.pop()))
        return read(user, pages, at)

    monkeypatch.setattr(orders.placing, "_locked_cart", rival_first)

    with pytest.raises(ShortLines):
        order_cart(buyer, seen=seen)
    assert held(entry) == 1

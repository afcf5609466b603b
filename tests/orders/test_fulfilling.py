"""A payment that comes late gives what there is still time for, to the moment."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from orders.fulfilling import fulfil
from orders.models import Order
from orders.releasing import free
from orders.states import OrderState
from tests.factories import EventFactory, RoomFactory, TicketTypeFactory, UserFactory
from tests.steps import all_states_of, book, fill, mail_jobs, order_cart, ordered, states_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("merchant")]

INSTANT = timedelta(microseconds=1)


@pytest.mark.parametrize(("before", "state"), [(INSTANT, "confirmed"), (timedelta(0), "refund_due")])
@pytest.mark.promise("late-payment-gives")
def test_a_late_ticket_is_given_until_its_event_ends(before: timedelta, state: str) -> None:
    seat = TicketTypeFactory.create(entry=EventFactory.create(starts_at=timezone.now() + timedelta(days=1)))
    buyer = UserFactory.create()
    fill(buyer, seat.entry, {seat.pk: 1})
    order = _let_go(order_cart(buyer))

    with transaction.atomic():
        assert fulfil(order, at=seat.entry.ends_at - before)

    assert all_states_of(order)["tickets"] == [state]


@pytest.mark.parametrize(("before", "state"), [(INSTANT, "confirmed"), (timedelta(0), "refund_due")])
@pytest.mark.promise("late-payment-gives")
def test_a_late_booking_is_given_until_its_time_begins(before: timedelta, state: str) -> None:
    buyer = UserFactory.create()
    booking = book(buyer, RoomFactory.create())
    order = _let_go(order_cart(buyer))

    with transaction.atomic():
        assert fulfil(order, at=booking.starts_at - before)

    assert all_states_of(order)["bookings"] == [state]


def test_who_read_the_order_before_it_was_paid_gives_nothing_twice() -> None:
    order = ordered()
    stale = Order.objects.get(pk=order.pk)
    with transaction.atomic():
        assert fulfil(order, at=timezone.now())
        assert not fulfil(stale, at=timezone.now())

    assert states_of(order) == ["confirmed"]
    assert mail_jobs() == 1


def _let_go(order: Order) -> Order:
    with transaction.atomic():
        free(Order.objects.filter(pk=order.pk).locked().get(), ending=OrderState.EXPIRED)
    return Order.objects.get(pk=order.pk)

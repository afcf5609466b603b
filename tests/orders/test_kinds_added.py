"""Kinds of tickets that an event gets while its own ticket lies in a cart: that one is no offer any more, anywhere."""

from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from cart.adding import PurchaseRefusal, put_in_cart
from events.models import CalendarEntry, Ticket
from events.selling import Obstacle
from orders.models import Order
from orders.placing import ShortLines
from orders.releasing import free
from orders.returning import put_back
from orders.states import OrderState
from tests.factories import EventFactory, TicketTypeFactory
from tests.steps import fill, order_cart, shown

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("merchant")]


@pytest.fixture
def entry() -> CalendarEntry:
    return EventFactory.create(ticket_price=Decimal(0))


@pytest.mark.promise("event-sells-kinds")
def test_the_free_ticket_of_before_is_not_ordered(buyer: User, entry: CalendarEntry, client: Client) -> None:
    fill(buyer, entry, 2)
    kind = TicketTypeFactory.create(entry=entry, price=Decimal(25))

    (line,) = shown(buyer).lines
    assert (line.fits, line.problem) == (0, str(Obstacle.KINDS.value))
    client.force_login(buyer)
    assert str(Obstacle.KINDS.value) in client.get("/cart/").content.decode()
    for seen in (shown(buyer).digest(), shown(buyer).digest_of_rest()):
        with pytest.raises(ShortLines):
            order_cart(buyer, seen=seen)
    assert not Order.objects.exists()
    with pytest.raises(PurchaseRefusal):
        put_in_cart(buyer, entry, {0: 1}, at=timezone.now())

    fill(buyer, entry, {kind.pk: 1})
    order = order_cart(buyer, seen=shown(buyer).digest_of_rest())
    assert (order.total, order.tickets.get().ticket_type) == (Decimal(25), kind)
    assert Ticket.objects.pending_for(buyer).count() == 2


@pytest.mark.promise("event-sells-kinds")
def test_it_is_not_put_back(buyer: User, entry: CalendarEntry) -> None:
    CalendarEntry.objects.filter(pk=entry.pk).update(ticket_price=Decimal(5))
    fill(buyer, entry, 2)
    order = order_cart(buyer)
    with transaction.atomic():
        free(Order.objects.filter(pk=order.pk).locked().get(), ending=OrderState.EXPIRED)
    TicketTypeFactory.create(entry=entry, price=Decimal(25))

    assert put_back(order, at=timezone.now()) == 0
    assert not Ticket.objects.pending_for(buyer).exists()


def test_what_was_ordered_before_is_what_was_ordered(buyer: User, entry: CalendarEntry) -> None:
    """The order was made at what its buyer agreed to pay."""
    fill(buyer, entry, 2)
    order = order_cart(buyer)
    TicketTypeFactory.create(entry=entry, price=Decimal(25))

    assert Order.objects.get().state == OrderState.PAID
    assert [ticket.price for ticket in order.tickets.all()] == [Decimal(0)] * 2


def test_it_is_on_sale_again_when_the_kinds_are_gone(buyer: User, entry: CalendarEntry) -> None:
    fill(buyer, entry)
    TicketTypeFactory.create(entry=entry).delete()

    order_cart(buyer)
    assert Order.objects.get().state == OrderState.PAID


def test_the_cart_asks_no_more_for_more_events(buyer: User) -> None:
    def asked() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            shown(buyer)
        return len(queries)

    fill(buyer, EventFactory.create())
    one = asked()
    for _each in range(3):
        fill(buyer, EventFactory.create(), 2)
    assert asked() == one

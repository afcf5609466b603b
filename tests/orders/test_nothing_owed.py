"""What was free in an order that cost something, and cannot be given once it is paid: cancelled, nothing is owed."""

import pytest
from django.utils import timezone

from events.models import CalendarEntry, Ticket
from events.organising.calling_off import call_off
from orders.models import Order
from payments.checkouts.ending import release
from payments.checkouts.settling import settle
from tests.factories import EventFactory, TicketTypeFactory, UserFactory
from tests.simulator import SimulatorProcess
from tests.steps import fill, opened, order_cart, sumup_id

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def entry(db: None) -> CalendarEntry:
    return EventFactory.create(capacity=2)


def of_both(entry: CalendarEntry) -> Order:
    """One ticket that costs 12 and a free one."""
    kinds = [TicketTypeFactory.create(entry=entry), TicketTypeFactory.create(entry=entry, price=0)]
    user = UserFactory.create()
    fill(user, entry, {kind.pk: 1 for kind in kinds})
    return order_cart(user)


def states(order: Order) -> dict[str, str]:
    return {str(row.price): row.state for row in Ticket.objects.filter(order=order)}


@pytest.mark.promise("something-free-paid")
def test_free_ticket_of_an_event_called_off_before_payment_is_cancelled(
    sumup: SimulatorProcess, entry: CalendarEntry
) -> None:
    order = of_both(entry)
    checkout = opened(order)
    call_off(entry.pk, money_back=True, who="user:1", why="Rain.")
    sumup.pay(sumup_id(checkout))
    settle(checkout.pk, who="webhook", at=timezone.now())
    assert states(order) == {"12.00": "refund_due", "0.00": "cancelled"}


@pytest.mark.promise("something-free-paid")
def test_free_ticket_without_a_place_paid_late_stays_cancelled(sumup: SimulatorProcess, entry: CalendarEntry) -> None:
    order = of_both(entry)
    checkout = opened(order)
    release(order.pk, who="sweep", at=order.hold_until)
    CalendarEntry.objects.filter(pk=entry.pk).update(capacity=0)
    sumup.pay(sumup_id(checkout), force=True)
    settle(checkout.pk, who="webhook", at=timezone.now())
    order.refresh_from_db()
    assert order.state == "paid"
    assert states(order) == {"12.00": "refund_due", "0.00": "cancelled"}

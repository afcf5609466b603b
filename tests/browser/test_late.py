"""Too late to pay, and paid too late: what the buyer reads, and what can be done."""

from datetime import timedelta

from django.utils import timezone

from events.models import Ticket
from orders.models import Order
from payments.checkouts.ending import Release, release
from payments.checkouts.settling import settle
from payments.models import Checkout
from tests.browser.conftest import Visit
from tests.browser.test_buying import put
from tests.browser.visitor import Way
from tests.factories import EventFactory, UserFactory
from tests.simulator import SimulatorProcess
from tests.steps import opened, order_cart, ordered, sumup_id


def test_the_hold_ends_and_all_is_put_back_in_the_cart(visit: Visit, way: Way, sumup: SimulatorProcess) -> None:
    user = UserFactory.create()
    put(user, EventFactory.create(title="Jazz night", capacity=2), 2)
    order = order_cart(user)
    opened(order)
    buyer = visit(way, user)
    buyer.go(order.get_absolute_url())
    buyer.sees("held for you until")
    buyer.stop("10-hold")
    assert release(order.pk, who="sweep", at=order.hold_until) is Release.FREED
    if not way.scripts:
        buyer.link("Have I paid? Check again").click()
    buyer.sees("Not paid in time")
    buyer.stop("10-lapsed")
    buyer.button("Put it back in my cart").click()
    buyer.sees("2 things are back in your cart.")
    buyer.badge_is(2)
    assert Ticket.objects.pending_for(user).count() == 2


def test_late_payment_gives_what_is_left_and_says_what_is_owed(visit: Visit, sumup: SimulatorProcess) -> None:
    user, entry = UserFactory.create(), EventFactory.create(title="Jazz night", capacity=3)
    put(user, entry, 2)
    order = order_cart(user)
    checkout = opened(order)
    release(order.pk, who="sweep", at=order.hold_until)
    ordered(entry, 2)  # somebody else has two of the three seats
    sumup.pay(sumup_id(checkout), force=True)
    Checkout.objects.update(asked_at=None)
    settle(checkout.pk, who="sweep", at=timezone.now() + timedelta(minutes=40))
    buyer = visit(user=user, axe=True)
    buyer.go(order.get_absolute_url())
    buyer.sees("We owe you € 12.00.")
    buyer.stop("10-part-owed")
    assert Order.objects.get(pk=order.pk).state == "paid"
    buyer.link("Show the code").first.click()
    buyer.sees("Send this ticket to somebody else")
    buyer.stop("10-ticket")

"""The way of a buyer, each step on its own: at a desk, on a phone, and on a phone without scripts."""

import contextlib
from decimal import Decimal
from typing import Any

from django.utils import timezone
from playwright.sync_api import TimeoutError, expect

from accounts.models import User
from cart.adding import put_in_cart
from events.models import CalendarEntry, Ticket
from events.states import TicketState
from orders.models import Order
from payments.models import Checkout
from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor, Way
from tests.factories import EventFactory, TicketTypeFactory, UserFactory
from tests.simulator import SimulatorProcess, until


def jazz_night(**changes: Any) -> CalendarEntry:  # what the factory takes
    """An event with two kinds of tickets, Adult at 15.00 and Student at 8.00."""
    entry = EventFactory.create(**({"title": "Jazz night", "capacity": 50} | changes))
    TicketTypeFactory.create(entry=entry, name="Adult", price="15.00", position=1)
    TicketTypeFactory.create(entry=entry, name="Student", price="8.00", position=2)
    return entry


def put(user: User, entry: CalendarEntry, *numbers: int) -> None:
    """Put so many tickets of each kind, in the organiser's order, into the cart of `user`."""
    keys = [row.pk for row in entry.ticket_types.all()] or [0]
    put_in_cart(user, entry, dict(zip(keys, numbers, strict=False)), at=timezone.now())


def to_hosted_page(buyer: Visitor, sumup: SimulatorProcess) -> None:
    """From the cart to SumUp's page."""
    buyer.go("/cart/")
    buyer.button("Pay now").click()
    buyer.page.wait_for_url(f"{sumup.url}/**")


def is_confirmed(order: Order) -> bool:
    return set(Ticket.objects.filter(order=order).values_list("state", flat=True)) == {TicketState.CONFIRMED}


def waits_for(buyer: Visitor, text: str) -> None:
    """Until the order's page says so. Without scripts somebody clicks, again when the last question was too recent."""

    def is_told() -> bool:
        if text in buyer.page.locator("#status").inner_text():
            return True
        with contextlib.suppress(TimeoutError):  # the page that comes may be the one that tells
            buyer.link("Have I paid? Check again").click(timeout=1000)
        return False

    if not buyer.way.scripts:
        until(is_told)
    buyer.sees(text)


def test_signed_out_visitor_signs_in_and_comes_back(visit: Visit, way: Way) -> None:
    entry = jazz_night()
    visitor = visit(way)
    visitor.go(entry.get_absolute_url())
    visitor.stop("1-event-signed-out")
    expect(visitor.button("Buy")).to_have_count(0)
    visitor.link("Sign in to buy tickets").click()
    visitor.stop("1-sign-in")
    visitor.page.get_by_label("E-mail").fill("newcomer@example.org")
    visitor.button("Continue").click()
    visitor.sees("We sent a code to newcomer@example.org")
    visitor.stop("1-code")
    visitor.type_code()
    visitor.page.wait_for_url(f"**{entry.get_absolute_url()}#buy")
    expect(visitor.button("Buy")).to_be_visible()
    assert User.objects.get().email == "newcomer@example.org"


def test_buy_puts_pending_tickets_in_the_cart(visit: Visit, way: Way) -> None:
    entry, user = jazz_night(), UserFactory.create()
    buyer = visit(way, user)
    buyer.go(entry.get_absolute_url())
    buyer.stop("2-event")
    buyer.badge_is(0)
    buyer.choose("Adult", 2)
    buyer.choose("Student", 1)
    with buyer.in_place():
        buyer.button("Buy").click()
        buyer.sees("3 tickets added to")
    buyer.sees("refunded")
    buyer.badge_is(3)
    buyer.stop("2-added")
    if way.scripts:
        assert buyer.path == entry.get_absolute_url()
        expect(buyer.page.locator("[data-focus]")).to_be_focused()
        buyer.link("Go to the cart").click()
    buyer.page.wait_for_url("**/cart/")
    entry.refresh_from_db()
    assert (Ticket.objects.pending_for(user).count(), entry.held) == (3, 0)


def test_cart_lines_change_in_place(visit: Visit, way: Way) -> None:
    entry, user = jazz_night(), UserFactory.create()
    put(user, entry, 2, 1)
    buyer = visit(way, user)
    buyer.go("/cart/")
    adult, student = "Jazz night – Adult", "Jazz night – Student"
    total = buyer.page.locator(".checkout-bar .grand").last
    expect(total).to_have_text("€ 38.00")
    buyer.badge_is(3)
    buyer.stop("3-cart")

    def change(label: str, number: int) -> None:
        buyer.choose(label, number)
        if not way.scripts:
            line = buyer.page.locator(".cart-line").filter(has=buyer.quantity(label))
            line.get_by_role("button", name="Update").click()

    with buyer.in_place():
        change(adult, 3)
        expect(total).to_have_text("€ 53.00")
        buyer.badge_is(4)
        change(adult, 1)
        expect(total).to_have_text("€ 23.00")
        buyer.badge_is(2)
        buyer.button(f"Remove {student}").click()
        expect(total).to_have_text("€ 15.00")
        buyer.badge_is(1)
        expect(buyer.quantity(student)).to_have_count(0)
        buyer.button(f"Remove {adult}").click()
        buyer.sees("Your cart is empty")
        buyer.badge_is(0)
    buyer.stop("3-cart-empty")
    assert not Ticket.objects.exists()


def test_checkout_leads_to_the_hosted_page(visit: Visit, way: Way, sumup: SimulatorProcess) -> None:
    entry, user = jazz_night(), UserFactory.create()
    put(user, entry, 2)
    buyer = visit(way, user)
    to_hosted_page(buyer, sumup)
    buyer.sees("30.00 EUR")
    buyer.stop("4-hosted-page")
    entry.refresh_from_db()
    order = Order.objects.get()
    assert (entry.held, order.state, str(order.money)) == (2, "awaiting_payment", "€ 30.00")
    [checkout] = sumup.ledger()["checkouts"]
    assert Decimal(checkout["amount"]) == order.total
    assert checkout["description"].startswith(order.code)


def test_paid_order_shows_its_tickets(visit: Visit, way: Way, sumup: SimulatorProcess) -> None:
    """By the webhook: nobody asks until SumUp calls."""
    entry, user = jazz_night(), UserFactory.create()
    put(user, entry, 1, 1)
    buyer = visit(way, user)
    to_hosted_page(buyer, sumup)
    order = Order.objects.get()
    buyer.button("Pay").click()
    until(lambda: is_confirmed(order))
    buyer.link("Back to merchant website").click()
    buyer.sees("Paid. Thank you!")
    assert buyer.path == order.get_absolute_url()
    expect(buyer.page.locator(".ticket")).to_have_count(2)
    buyer.badge_is(0)
    buyer.stop("5-order-paid")
    buyer.go("/orders/")
    buyer.stop("5-orders")
    buyer.go("/tickets/")
    expect(buyer.page.locator(".ticket")).to_have_count(2)
    buyer.stop("5-tickets")
    assert Checkout.objects.get().is_applied


def test_order_page_alone_confirms_when_no_webhook_comes(visit: Visit, way: Way, sumup: SimulatorProcess) -> None:
    entry, user = jazz_night(), UserFactory.create()
    put(user, entry, 1)
    sumup.faults(webhook="never")
    buyer = visit(way, user)
    to_hosted_page(buyer, sumup)
    order = Order.objects.get()
    buyer.go(order.get_absolute_url())
    buyer.sees("Waiting for your payment")
    buyer.stop("5-order-waiting")
    sumup.pay(Checkout.objects.get().sumup_id or "")
    waits_for(buyer, "Paid. Thank you!")
    expect(buyer.page.locator(".ticket")).to_have_count(1)
    assert is_confirmed(order)


def test_declined_card_is_told_and_tried_again(visit: Visit, way: Way, sumup: SimulatorProcess) -> None:
    entry, user = jazz_night(), UserFactory.create()
    put(user, entry, 1)
    buyer = visit(way, user)
    to_hosted_page(buyer, sumup)
    hosted = buyer.page.url
    buyer.button("Decline").click()
    buyer.sees("Payment failed")
    buyer.stop("5-hosted-declined")
    until(lambda: Checkout.objects.get().sumup_status == "FAILED")
    order = Order.objects.get()
    buyer.go(order.get_absolute_url())
    waits_for(buyer, "The card was declined")
    buyer.stop("5-order-declined")
    buyer.button("Pay € 15.00").click()
    buyer.page.wait_for_url(hosted)
    buyer.button("Try again and pay").click()
    buyer.link("Back to merchant website").click()
    waits_for(buyer, "Paid. Thank you!")
    assert is_confirmed(order)
    assert Checkout.objects.count() == 1


def test_badge_counts_what_is_in_the_cart_on_every_page(visit: Visit, way: Way) -> None:
    entry, user = jazz_night(), UserFactory.create()
    put(user, entry, 2, 1)
    buyer = visit(way, user)
    for path in ("/", entry.get_absolute_url(), "/cart/", "/orders/", "/tickets/"):
        buyer.go(path)
        buyer.badge_is(3)
        buyer.stop(f"6-{path.strip('/').replace('/', '-')[:8] or 'home'}")
    other = visit(way, UserFactory.create())
    other.go("/")
    other.badge_is(0)


def test_availability_counts_what_is_held_and_not_what_is_pending(
    visit: Visit, way: Way, sumup: SimulatorProcess
) -> None:
    entry = EventFactory.create(title="Reading", capacity=5)
    user = UserFactory.create()
    put(user, entry, 3)
    onlooker = visit(way, UserFactory.create())
    onlooker.go(entry.get_absolute_url())
    onlooker.sees("5 left")
    to_hosted_page(visit(way, user), sumup)
    onlooker.page.reload()
    onlooker.sees("2 left")
    onlooker.stop("7-few-left")

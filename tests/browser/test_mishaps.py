"""What goes wrong between a cart and a ticket, and what a buyer is told then; each with and without scripts."""

import re

from playwright.sync_api import Route, expect

from events.models import Ticket
from events.states import TicketState
from orders.models import Order
from payments.models import Checkout
from tests.browser.conftest import Visit
from tests.browser.test_buying import jazz_night, put, to_hosted_page
from tests.browser.visitor import AT_A_DESK, Way
from tests.factories import EventFactory, UserFactory
from tests.simulator import SimulatorProcess


def test_line_sold_out_before_checkout_is_named_and_one_click_goes_on_without_it(
    visit: Visit, way: Way, sumup: SimulatorProcess
) -> None:
    small = EventFactory.create(title="Reading", capacity=2)
    large, user, rival = jazz_night(), UserFactory.create(), UserFactory.create()
    put(user, small, 2)
    put(user, large, 1)
    put(rival, small, 2)
    buyer = visit(way, user)
    buyer.go("/cart/")
    to_hosted_page(visit(way, rival), sumup)
    buyer.button("Pay now").click()
    buyer.sees("Nothing was ordered")
    line = buyer.page.locator(".cart-line").filter(has_text="Reading")
    expect(line).to_contain_text("Sold out")
    buyer.stop("8-sold-out")
    assert Order.objects.filter(user=user).count() == 0
    buyer.button(re.compile("Continue with")).click()
    buyer.page.wait_for_url(f"{sumup.url}/**")
    assert str(Order.objects.get(user=user).money) == "€ 15.00"
    buyer.forgive("422")
    buyer.go("/cart/")
    buyer.sees("Sold out")
    assert Ticket.objects.pending_for(user).count() == 2


def test_line_of_which_too_few_are_left_goes_on_with_what_there_is(
    visit: Visit, way: Way, sumup: SimulatorProcess
) -> None:
    small = EventFactory.create(title="Reading", capacity=3)
    user, rival = UserFactory.create(), UserFactory.create()
    put(user, small, 2)
    put(rival, small, 2)
    to_hosted_page(visit(way, rival), sumup)
    buyer = visit(way, user)
    buyer.go("/cart/")
    buyer.sees("Only 1 is left.")
    buyer.stop("8-too-few")
    buyer.button(re.compile(r"Continue with .*12\.00")).click()
    buyer.page.wait_for_url(f"{sumup.url}/**")
    small.refresh_from_db()
    assert (small.held, Ticket.objects.pending_for(user).count()) == (3, 1)


def test_double_click_on_pay_makes_one_order(visit: Visit, way: Way, sumup: SimulatorProcess) -> None:
    entry, user = jazz_night(), UserFactory.create()
    put(user, entry, 2)
    buyer = visit(way, user)
    buyer.go("/cart/")
    buyer.button("Pay now").dblclick()
    buyer.page.wait_for_url(f"{sumup.url}/**")
    assert (Order.objects.count(), Checkout.objects.count()) == (1, 1)
    assert len(sumup.ledger()["checkouts"]) == 1


def test_back_from_the_hosted_page_leads_to_the_same_order(visit: Visit, way: Way, sumup: SimulatorProcess) -> None:
    entry, user = jazz_night(), UserFactory.create()
    put(user, entry, 2)
    buyer = visit(way, user)
    to_hosted_page(buyer, sumup)
    hosted = buyer.page.url
    buyer.page.go_back()
    buyer.page.wait_for_url("**/cart/")
    buyer.sees("is not paid yet")
    buyer.stop("8-back")
    buyer.button("Go on paying").click()
    buyer.page.wait_for_url(hosted)
    assert Order.objects.count() == 1


def test_second_checkout_offers_the_unpaid_order_first(visit: Visit, way: Way, sumup: SimulatorProcess) -> None:
    entry, user = jazz_night(), UserFactory.create()
    put(user, entry, 2)
    buyer = visit(way, user)
    to_hosted_page(buyer, sumup)
    put(user, entry, 1)
    buyer.go("/cart/")
    buyer.button("Pay now").click()
    buyer.sees("not paid yet")
    buyer.stop("8-second-checkout")
    buyer.forgive("422")
    buyer.button("Cancel that order").click()
    buyer.sees("Your order is cancelled and nothing was charged.")
    buyer.stop("8-cancelled")
    assert set(Ticket.objects.values_list("state", flat=True)) == {TicketState.CANCELLED, TicketState.PENDING}
    to_hosted_page(buyer, sumup)


def test_refused_purchase_says_why_in_place(visit: Visit, way: Way) -> None:
    entry, user = jazz_night(), UserFactory.create()
    put(user, entry, 9)
    buyer = visit(way, user)
    buyer.go(entry.get_absolute_url())
    buyer.choose("Adult", 2)
    with buyer.in_place():
        buyer.button("Buy").click()
        buyer.sees("Adult: at most 10 an order; your cart has 9 already.")
    expect(buyer.quantity("Adult")).to_have_value("2")
    buyer.stop("8-refused")
    buyer.forgive("422")


def test_part_of_the_cart_stays_that_part_when_a_line_changes(visit: Visit, way: Way) -> None:
    here, elsewhere, user = jazz_night(), EventFactory.create(title="Film night"), UserFactory.create()
    put(user, here, 1)
    put(user, elsewhere, 1)
    buyer = visit(way, user)
    path = f"/cart/{here.calendar.page.slug}/"
    buyer.go(path)
    buyer.stop("8-part")
    with buyer.in_place():
        buyer.choose("Jazz night – Adult", 2)
        if not way.scripts:
            buyer.button("Update").click()
        buyer.sees("€ 30.00")
    assert buyer.path == path
    buyer.does_not_see("Film night")
    buyer.badge_is(3)


def test_cart_of_somebody_who_signed_out_elsewhere_shows_a_whole_page(visit: Visit, way: Way) -> None:
    """Not a page inside a page: htmx would put the answer where the cart was."""
    entry, user = jazz_night(), UserFactory.create()
    put(user, entry, 2)
    buyer = visit(way, user)
    buyer.go("/cart/")
    buyer.context.clear_cookies(name="sessionid")
    buyer.button("Remove Jazz night – Adult").click()
    buyer.sees("sign in to buy tickets and to see what you put in before")
    expect(buyer.page.locator("header.site-header")).to_have_count(1)
    assert Ticket.objects.pending_for(user).count() == 2


def test_quick_clicks_in_the_cart_all_count(visit: Visit) -> None:
    """All of them come before the first is answered, on one line and on two."""
    entry, user = jazz_night(), UserFactory.create()
    put(user, entry, 1, 1)
    buyer = visit(AT_A_DESK, user)
    buyer.go("/cart/")
    held: list[Route] = []
    buyer.page.route("**/cart/line/**", lambda route: route.continue_() if held else held.append(route))
    more, fewer = buyer.button("One more: Jazz night – Adult"), buyer.button("One fewer: Jazz night – Adult")
    another = buyer.button("One more: Jazz night – Student")
    for _round in range(4):
        more.click()
        another.click()
    fewer.click()
    held[0].continue_()
    buyer.sees("€ 100.00")
    buyer.badge_is(9)
    expect(buyer.quantity("Jazz night – Adult")).to_have_value("4")
    assert Ticket.objects.pending_for(user).count() == 9

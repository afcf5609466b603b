"""One cart: tickets of two kinds, an hour in a room and products of one house, and a ticket of another's merchant."""

from decimal import Decimal

import pytest
from playwright.sync_api import expect

from events.models import Merchant
from orders.models import Order
from payments.books.checking import read_books
from tests.browser.conftest import Visit
from tests.browser.test_buying import jazz_night, put, waits_for
from tests.browser.visitor import AT_A_DESK, ON_A_PHONE, Visitor, Way
from tests.factories import EventFactory, ProductFactory, RoomFactory, UserFactory
from tests.simulator import OTHER_KEY, OTHER_MERCHANT, SimulatorProcess
from tests.steps import book, order_cart, take


def pays(buyer: Visitor, sumup: SimulatorProcess) -> None:
    buyer.page.wait_for_url(f"{sumup.url}/**")
    buyer.button("Pay").click()
    buyer.link("Back to merchant website").click()


@pytest.mark.promise("page-page-each")
def test_one_cart_is_paid_page_by_page_each_sum_at_its_merchant(
    visit: Visit, sumup: SimulatorProcess, way: Way
) -> None:
    entry = jazz_night()
    house = entry.calendar.page
    other = Merchant.objects.create(code=OTHER_MERCHANT, name="Other", api_key=OTHER_KEY, currency="EUR")
    elsewhere = EventFactory.create(title="Film", calendar__page__merchant=other, calendar__page__name="Cinema")
    room = RoomFactory.create(page=house, name="Rehearsal room", slug="room")
    user = UserFactory.create()
    put(user, entry, 1, 1)
    book(user, room)
    take(user, ProductFactory.create(page=house, name="Tote bag"), 3)
    put(user, elsewhere, 1)
    buyer = visit(way, user)

    buyer.go("/cart/")
    for words in ("Tickets", "Bookings", "Products", "Rehearsal room", "Tote bag", "This takes 2 payments"):
        buyer.sees(words)
    buyer.badge_is(7)
    buyer.stop("10-one-cart")
    buyer.button("Pay this part (€ 58.00)").click()
    pays(buyer, sumup)
    waits_for(buyer, "Paid. Thank you!")
    for words in ("Your tickets", "Your bookings", "Your vouchers"):
        buyer.sees(words)
    buyer.stop("10-order-of-all-three")

    buyer.go("/cart/")
    buyer.badge_is(1)
    buyer.sees("Film")
    buyer.button("Pay now (€ 12.00)").click()
    pays(buyer, sumup)
    waits_for(buyer, "Paid. Thank you!")

    captured = {row["merchant_code"]: Decimal(row["amount"]) for row in sumup.ledger()["captures"]}
    assert captured == {sumup_merchant(): Decimal(58), OTHER_MERCHANT: Decimal(12)}
    assert set(Order.objects.values_list("state", flat=True)) == {"paid"}
    assert read_books() == []


def sumup_merchant() -> str:
    return Merchant.objects.get(is_site=True).code


def test_pieces_change_in_place_and_a_taken_time_is_swapped(visit: Visit, way: Way) -> None:
    user, rival = UserFactory.create(), UserFactory.create()
    product, room = ProductFactory.create(name="Tote bag"), RoomFactory.create(name="Rehearsal room")
    take(user, product)
    book(user, room)
    buyer = visit(way, user)
    buyer.go("/cart/")
    with buyer.in_place():
        buyer.choose("Tote bag", 3)
        if not way.scripts:
            buyer.button("Update").click()
        buyer.sees("€ 15.00")
        buyer.badge_is(4)
    book(rival, room)
    order_cart(rival)
    buyer.go("/cart/")
    buyer.sees("This time was taken meanwhile.")
    buyer.stop("10-taken")
    with buyer.in_place():
        buyer.page.get_by_role("button", name=", 11:00").first.click()
        buyer.does_not_see("This time was taken meanwhile.")
    buyer.button("Remove Rehearsal room").first.click()
    buyer.does_not_see("Rehearsal room, ")
    expect(buyer.page.get_by_role("heading", name="Products")).to_be_visible()


def test_what_a_browser_holds_comes_along_at_sign_in(visit: Visit, way: Way) -> None:
    product = ProductFactory.create(name="Tote bag")
    visitor = visit(way)
    visitor.go(product.get_absolute_url())
    visitor.button("Put in the cart").click()
    visitor.badge_is(1)
    visitor.go("/cart/")
    visitor.sees("Tote bag")
    visitor.stop("10-cart-signed-out")
    visitor.link("Sign in to pay").first.click()
    visitor.page.get_by_label("E-mail").fill("newcomer@example.org")
    visitor.button("Continue").click()
    visitor.type_code()
    visitor.page.wait_for_url("**/cart/")
    visitor.sees("Tote bag")
    expect(visitor.button("Pay now (€ 5.00)")).to_be_visible()


@pytest.mark.parametrize(("way", "scheme"), [(AT_A_DESK, "light"), (ON_A_PHONE, "dark")], ids=["light", "dark"])
def test_axe_finds_nothing_in_a_cart_of_everything(visit: Visit, way: Way, scheme: str) -> None:
    entry, user = jazz_night(), UserFactory.create()
    house = entry.calendar.page
    put(user, entry, 2, 1)
    room = RoomFactory.create(page=house, name="Rehearsal room", slug="room")
    book(user, room)
    book(user, room, minutes=120)
    take(user, ProductFactory.create(page=house, name="Tote bag", stock=1), 3)
    buyer = visit(way, user, axe=True, scheme=scheme)

    buyer.go("/cart/")
    buyer.sees("Only 1 is left.")
    buyer.sees("It overlaps another booking in your cart.")
    buyer.stop("10-cart-of-everything")

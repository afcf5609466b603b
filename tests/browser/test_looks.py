"""What stays true whoever looks: axe finds nothing, the keyboard gets everywhere, the code on a ticket can be read."""

import io
from typing import Literal

import pytest
import segno
from PIL import Image
from playwright.sync_api import Page, expect

from events.models import Ticket
from orders.links import link_token
from orders.models import Order
from payments.models import Checkout
from tests.browser.conftest import Visit
from tests.browser.test_buying import is_confirmed, jazz_night, put, to_hosted_page
from tests.browser.visitor import AT_A_DESK, ON_A_PHONE, Visitor, Way
from tests.factories import EventFactory, UserFactory
from tests.simulator import SimulatorProcess, until

QUIET = 2  # modules of white around the code


@pytest.mark.parametrize(("way", "scheme"), [(AT_A_DESK, "light"), (ON_A_PHONE, "dark")], ids=["light", "dark"])
def test_axe_finds_nothing_from_the_programme_to_the_ticket(
    visit: Visit, sumup: SimulatorProcess, way: Way, scheme: Literal["light", "dark"]
) -> None:
    entry, sold_out = jazz_night(), EventFactory.create(title="Reading", capacity=0)
    visitor = visit(way, axe=True, scheme=scheme)
    for path, name in (
        ("/", "9-programme"),
        ("/?view=month", "9-month"),
        (entry.calendar.page.get_absolute_url(), "9-page"),
        (sold_out.get_absolute_url(), "9-sold-out"),
        ("/cart/", "9-cart-signed-out"),
        (entry.get_absolute_url(), "9-event-signed-out"),
    ):
        visitor.go(path)
        visitor.stop(name)
    visitor.link("Sign in to buy tickets").click()
    visitor.stop("9-sign-in")
    visitor.page.get_by_label("E-mail").fill("newcomer@example.org")
    visitor.button("Continue").click()
    visitor.sees("We sent a code")
    visitor.stop("9-code")
    visitor.type_code()
    visitor.choose("Adult", 2)
    visitor.stop("9-event")
    visitor.button("Buy").click()
    visitor.sees("2 tickets added")
    visitor.stop("9-added")
    visitor.link("Go to the cart").click()
    visitor.sees("Total")
    visitor.stop("9-cart")
    pay_with_axe(visitor, sumup)


def pay_with_axe(visitor: Visitor, sumup: SimulatorProcess) -> None:
    visitor.button("Pay now").click()
    visitor.sees("30.00 EUR")
    visitor.stop("9-hosted")
    visitor.button("Decline").click()
    visitor.sees("Payment failed")
    visitor.stop("9-hosted-declined")
    order = Order.objects.get()
    visitor.go("/cart/")
    visitor.sees("is not paid yet")
    visitor.stop("9-cart-unpaid")
    visitor.link("See the order").click()
    visitor.sees("The card was declined")
    visitor.stop("9-order-declined")
    sumup.pay(Checkout.objects.get().sumup_id or "")
    visitor.sees("Paid. Thank you!")
    expect(visitor.page.locator(".ticket")).to_have_count(2)
    visitor.stop("9-order-paid")
    for path, name in (("/orders/", "9-orders"), ("/tickets/", "9-tickets")):
        visitor.go(path)
        visitor.stop(name)
    visitor.go(Ticket.objects.filter(order=order)[0].get_absolute_url())
    visitor.stop("9-ticket")
    visitor.go(f"/orders/link/{link_token(order)}/")
    visitor.stop("9-order-by-mail")


def test_code_on_a_ticket_is_the_tickets(visit: Visit, way: Way, sumup: SimulatorProcess) -> None:
    """Read from the picture, module by module, as dark and light as a scanner sees them; dark mode changes nothing."""
    entry, user = jazz_night(), UserFactory.create()
    put(user, entry, 2)
    buyer = visit(way, user, scheme="dark")
    to_hosted_page(buyer, sumup)
    order = Order.objects.get()
    buyer.button("Pay").click()
    until(lambda: is_confirmed(order))
    buyer.go("/tickets/")
    buyer.link("Show the code").first.click()
    buyer.sees("1 of 2")
    buyer.link("Next ticket").click()
    buyer.sees("2 of 2")
    ticket = Ticket.objects.order_by("pk")[1]
    buyer.page.wait_for_url(f"**{ticket.get_absolute_url()}")
    expect(buyer.page.locator(".code").first).to_have_text(
        " ".join(ticket.code[i : i + 4] for i in range(0, 99, 4)).strip()
    )
    buyer.stop("5-ticket")
    expected = [[bool(dark) for dark in row] for row in segno.make(ticket.code, error="m", micro=False, mask=4).matrix]
    assert modules_shown(buyer.page, len(expected)) == expected


def modules_shown(page: Page, size: int) -> list[list[bool]]:
    """The `size` times `size` modules of the code as the page shows them; their white border is checked on the way."""
    picture = Image.open(io.BytesIO(page.locator(".qr svg").first.screenshot())).convert("L")
    viewed = size + 2 * QUIET
    pitch = picture.width / viewed
    rows = [
        [picture.getpixel((int((x + 0.5) * pitch), int((y + 0.5) * pitch))) for x in range(viewed)]
        for y in range(viewed)
    ]
    assert {value for row in rows for value in row} == {0, 255}
    assert {value for row in (*rows[:QUIET], *rows[-QUIET:]) for value in row} == {255}
    return [[value == 0 for value in row[QUIET:-QUIET]] for row in rows[QUIET:-QUIET]]


def test_keyboard_alone_buys_a_ticket(visit: Visit, sumup: SimulatorProcess) -> None:
    entry, user = jazz_night(), UserFactory.create()
    buyer = visit(AT_A_DESK, user)
    buyer.go(entry.get_absolute_url())
    buyer.press("Tab")
    assert focused(buyer.page) == "Skip to the content"
    box = buyer.link("Skip to the content").bounding_box()
    assert box
    assert box["y"] >= 0, "the skip link has the focus and is not to be seen"
    buyer.press("Enter")
    expect(buyer.page.locator("#main")).to_be_focused()
    tab_to(buyer, "Quantity: Adult")
    buyer.press("ArrowUp")
    tab_to(buyer, "One more: Adult")
    buyer.press("Enter")
    expect(buyer.quantity("Adult")).to_have_value("2")
    tab_to(buyer, "Buy")
    buyer.press("Enter")
    buyer.sees("2 tickets added")
    expect(buyer.page.locator("[data-focus]")).to_be_focused()
    tab_to(buyer, "Go to the cart")
    buyer.press("Enter")
    buyer.page.wait_for_url("**/cart/")
    tab_to(buyer, "One more: Jazz night – Adult")
    buyer.press("Enter")
    buyer.sees("€ 45.00")
    expect(buyer.button("One more: Jazz night – Adult")).to_be_focused()
    tab_to(buyer, "Pay now (€ 45.00)")
    buyer.press("Enter")
    buyer.page.wait_for_url(f"{sumup.url}/**")
    tab_to(buyer, "Pay")
    buyer.press("Enter")
    buyer.sees("Your payment was successful.")


def test_removed_line_leaves_the_focus_at_the_answer(visit: Visit) -> None:
    entry, user = jazz_night(), UserFactory.create()
    put(user, entry, 1, 1)
    buyer = visit(AT_A_DESK, user)
    buyer.go("/cart/")
    tab_to(buyer, "Remove Jazz night – Adult")
    buyer.press("Enter")
    buyer.sees("Removed: Jazz night – Adult")
    expect(buyer.page.locator("[data-focus]")).to_be_focused()


def focused(page: Page) -> str:
    """The name of what has the focus, which must be outlined."""
    name, outline = page.evaluate(
        """() => {
            const element = document.activeElement, style = getComputedStyle(element);
            const name = element.getAttribute("aria-label") || element.textContent;
            const width = style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth);
            return [name.trim().replace(/\\s+/g, " "), width];
        }"""
    )
    assert outline >= 2, f"{name!r} has the focus and does not show it"
    return str(name)


def tab_to(visitor: Visitor, name: str) -> None:
    """Press Tab until `name` has the focus; every stop on the way shows it."""
    seen = []
    for _stop in range(40):
        visitor.press("Tab")
        seen.append(focused(visitor.page))
        if seen[-1] == name:
            return
    raise AssertionError(f"no {name!r} among {seen}")

"""A word of 42 letters and an address in every text, on the narrowest phone: nothing is wider than its box."""

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.conf import settings
from django.db import models
from django.test import Client
from playwright.sync_api import Page, ViewportSize, expect

from events.models import Ticket
from events.tickets.links import link_token as ticket_token
from market.models import ProductItem
from orders.links import link_token as order_token
from tests.browser.conftest import Visit
from tests.browser.visitor import AT_A_DESK, NARROWEST, Way
from tests.ledger.psql import bare, run
from tests.papers import codes_in_png, codes_of
from tests.walks.roads import addresses, routes
from tests.walks.town import Town, town

WORD = "Donaudampfschifffahrtsgesellschaftskapitän"
URL = "https://kulturverein-am-wall.example.org/programm/herbst2026"
#: What is no text that people write: keys, codes, secrets, and names from a list.
NO_TEXT = {"slug", "code", "cart_key", "api_key", "password", "time_zone", "currency", "sent_to"}
#: What answers with no page of ours.
NO_PAGE = ("admin/", "mail/", "healthz", "readyz", "^media", "payments/", "cart/summary.json")
NARROW = Way("narrowest", NARROWEST)
SMALL_PHONE = ViewportSize(width=NARROWEST, height=568)
#: The texts that reach beyond their box or one that it stands in; what is hidden from the eye does not count.
BEYOND = """() => {
  const found = [];
  const seen = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  while (seen.nextNode()) {
    const text = seen.currentNode, words = text.data.trim();
    if (!words || text.parentElement.closest(".visually-hidden, .skip, thead")) continue;
    range.selectNodeContents(text);
    const right = Math.max(...[...range.getClientRects()].filter((box) => box.width).map((box) => box.right), 0);
    for (let box = text.parentElement; box; box = box.parentElement) {
      if (getComputedStyle(box).overflowX === "auto") break; // what lies side by side is scrolled to
      const edge = box.getBoundingClientRect();
      if (right > edge.right + 1 && getComputedStyle(box).display !== "inline") {
        found.push(`${box.tagName}.${box.className}: ${words.slice(0, 20)} ${right - edge.right}`);
        break;
      }
    }
  }
  if (document.documentElement.scrollWidth > innerWidth) found.push(`${document.documentElement.scrollWidth} px`);
  return found;
}"""


def texts() -> Iterator[tuple[str, str, int | None]]:
    """Table, column and longest text of everything that somebody writes and a page may show."""
    for model in apps.get_models():
        if model._meta.app_label in ("accounts", "events", "market", "orders") and not model._meta.proxy:
            for field in model._meta.concrete_fields:
                is_text = isinstance(field, (models.CharField, models.TextField)) and not field.choices
                if is_text and field.name not in NO_TEXT:
                    yield model._meta.db_table, field.attname, field.max_length


def write_long_words() -> None:
    """Also where nothing is ever changed: an order's lines are of the time when they were sold."""
    with bare().transaction():
        run("ALTER TABLE orders_orderline DISABLE TRIGGER USER")
        for table, column, longest in texts():
            words = "%s::text || id || '@example.org'" if column == "email" else "id || %s::text"
            text = WORD if column == "email" else f"{WORD} {URL}"
            run(f'UPDATE {table} SET "{column}" = left({words}, {longest or 200})', text)
        run("ALTER TABLE orders_orderline ENABLE TRIGGER USER")


def pages(client: Client, start: str) -> list[str]:
    """What `client` may see: four addresses of each kind below `start`, the programme in each view."""
    walked = [
        address
        for route in sorted(set(routes()))
        if route.startswith(start) and not route.startswith(NO_PAGE) and not route.endswith((".pdf", ".ics"))
        for address in addresses(route)[:4]
    ]
    views = ["/?view=month", "/?view=week", f"/?q={WORD}"] if not start else []
    return [path for path in [*walked, *views] if client.get(path).status_code == 200]


@pytest.fixture
def built(db: object, shop: str) -> Town:
    built = town()
    write_long_words()
    return built


@pytest.mark.parametrize(
    ("who", "start", "at_least"), [("signed out", "", 15), ("buyer", "", 25), ("door", "door/", 4)]
)
@pytest.mark.promise("nothing-wider-than")
def test_nothing_is_wider_than_its_box(visit: Visit, built: Town, who: str, start: str, at_least: int) -> None:
    visitor, client = visit(NARROW), built.client(who)
    session = client.cookies["sessionid"].value
    visitor.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": visitor.home}])
    paths, wide = pages(client, start), {}

    for path in paths:
        visitor.go(path)
        if found := visitor.page.evaluate(BEYOND):
            wide[path] = found

    assert wide == {}
    assert len(paths) >= at_least, paths


@pytest.mark.promise("nothing-wider-than")
def test_every_code_is_read_from_the_narrowest_phone_s_first_screen(visit: Visit, built: Town) -> None:
    """And its neighbours, where there are any, by swiping."""
    visitor = visit(NARROW, built.buyer)
    voucher = ProductItem.objects.filter(user=built.buyer, state="confirmed")[0]
    held = list(Ticket.objects.filter(order=voucher.order, state="confirmed").order_by("pk"))
    codes = [ticket.code for ticket in held]
    assert voucher.order
    visitor.page.set_viewport_size(SMALL_PHONE)
    for path, shown in (
        (held[0].get_absolute_url(), codes),
        (held[1].get_absolute_url(), codes[::-1]),
        (f"/tickets/link/{ticket_token(held[0])}/", codes[:1]),
        (voucher.get_absolute_url(), [voucher.code]),
        (f"/orders/link/{order_token(voucher.order)}/", codes),
    ):
        visitor.go(path)
        for number, code in enumerate(shown):
            if number:
                swipe(visitor.page)
            assert codes_in_png(visitor.page.screenshot()) == [code], path


def swipe(page: Page) -> None:
    """A finger moves the strip a third of its width: it comes to rest at the next ticket."""
    strip = page.locator(".strip")
    before = strip.evaluate("strip => strip.scrollLeft")
    page.mouse.move(SMALL_PHONE["width"] / 2, SMALL_PHONE["height"] / 2)
    page.mouse.wheel(SMALL_PHONE["width"] / 2, 0)
    page.wait_for_function(
        """before => {
            const strip = document.querySelector(".strip"), left = strip.getBoundingClientRect().left;
            const rests = [...strip.children].some((one) => Math.abs(one.getBoundingClientRect().left - left) < 2);
            const end = strip.scrollLeft + strip.clientWidth > strip.scrollWidth - 2;
            return strip.scrollLeft > before + 100 && (rests || end);
        }""",
        arg=before,
    )


@pytest.mark.parametrize("scripts", [True, False])
def test_the_keyboard_moves_on_to_the_next_ticket(visit: Visit, built: Town, scripts: bool) -> None:
    visitor = visit(Way("narrowest", NARROWEST, scripts=scripts), built.buyer)
    first, second = Ticket.objects.filter(order=built.houses[0].order).order_by("pk")
    visitor.page.set_viewport_size(SMALL_PHONE)
    visitor.go(first.get_absolute_url())
    strip = visitor.page.get_by_role("region", name="Tickets of this order, side by side")

    strip.focus()
    visitor.press("ArrowRight")

    expect(visitor.page.get_by_role("navigation", name="Ticket 2 of 2")).to_be_in_viewport(ratio=0.9)
    visitor.page.get_by_role("link", name="Next ticket").press("Enter")
    visitor.page.wait_for_url(f"**{second.get_absolute_url()}")
    assert codes_in_png(visitor.page.screenshot()) == [second.code]


def test_the_links_of_a_mail_s_page_move_on_in_place(visit: Visit, built: Town) -> None:
    order, visitor = built.houses[0].order, visit(Way("narrowest", NARROWEST, scripts=False))
    visitor.page.set_viewport_size(SMALL_PHONE)
    visitor.go(f"/orders/link/{order_token(order)}/")

    visitor.page.get_by_role("link", name="Next ticket").press("Enter")

    expect(visitor.page.get_by_role("navigation", name="Ticket 2 of 2")).to_be_in_viewport(ratio=0.9)


@pytest.mark.promise("nothing-wider-than")
def test_what_the_browser_prints_has_every_code_it_should(visit: Visit, built: Town) -> None:
    """An order's page all of the order, as does the page of its mail; a ticket's page that ticket."""
    order, visitor = built.houses[0].order, visit(AT_A_DESK, built.buyer, scheme="dark")
    codes = [ticket.code for ticket in order.tickets.order_by("pk")]
    for path, printed in (
        (order.get_absolute_url(), codes),
        (f"/orders/link/{order_token(order)}/", codes),
        (order.tickets.order_by("pk")[1].get_absolute_url(), codes[1:]),
    ):
        visitor.go(path)
        assert sorted(codes_of(visitor.page.pdf(format="A4"))) == sorted(printed), path

"""The shop and its counter: at a desk, on a phone, and on a phone without scripts."""

from typing import Literal

import pytest
from playwright.sync_api import expect

from events.models import Merchant, Page, Role
from market.models import Product, ProductItem
from tests.browser.conftest import Visit
from tests.browser.visitor import AT_A_DESK, ON_A_PHONE, Way
from tests.desk import member
from tests.factories import PageFactory, ProductFactory, UserFactory
from tests.ledger.lives import an_item, an_order

TEXT = "Fired in the yard, glazed in the old kitchen.\n\nEach is a little different."


def stocked() -> Page:
    """A page with a product of each kind: without limit, the last few, sold out, free."""
    page = PageFactory.create(name="Kulturhaus Linde", slug="linde", place="Lindenstraße 14", text="A house.")
    for position, (name, price, stock) in enumerate(
        [("Mug", "12.50", None), ("Poster, signed", "18.00", 3), ("Tote bag", "9.00", 0), ("Programme", "0.00", None)]
    ):
        ProductFactory.create(
            page=page, name=name, slug=name.split(",")[0].lower().replace(" ", "-"), price=price, stock=stock,
            summary=f"{name} of the house", text=TEXT, position=position,
        )  # fmt: skip
    return page


def product(name: str) -> Product:
    return Product.objects.select_related("page").get(name=name)


def test_product_goes_from_the_page_into_the_cart_without_signing_in(visit: Visit, way: Way) -> None:
    page = stocked()
    visitor = visit(way)
    visitor.go(page.get_absolute_url())
    visitor.sees("Only 3 left")
    visitor.stop("10-page-with-shop")
    visitor.link("Mug").click()
    visitor.sees("€ 12.50")
    visitor.stop("10-product")
    visitor.choose("Mug", 3)
    with visitor.in_place():
        visitor.button("Put in the cart").click()
        visitor.sees("3 × Mug added to")
        if way.scripts:
            expect(visitor.page.locator("[data-focus]")).to_be_focused()
            visitor.stop("10-product-added")
    if way.scripts:
        visitor.link("Go to the cart").click()
    visitor.page.wait_for_url("**/cart/")
    items = list(ProductItem.objects.all())
    assert len(items) == 3
    assert {(item.user, item.state) for item in items} == {(None, "pending")}
    assert all(item.cart_key for item in items)


def test_a_refusal_is_told_at_the_form(visit: Visit, way: Way) -> None:
    stocked()
    Product.objects.update(max_per_order=2)
    user = UserFactory.create()
    for _ in range(2):
        ProductItem.objects.create(product=product("Mug"), user=user, price="12.50", currency="EUR")
    buyer = visit(way, user)
    buyer.go(product("Mug").get_absolute_url())
    buyer.button("Put in the cart").click()
    buyer.sees("Mug: at most 2 an order; your cart has 2 already.")
    buyer.stop("10-product-refused")
    buyer.forgive("422")
    assert ProductItem.objects.count() == 2


def test_sold_out_and_unpayable_products_have_no_button(visit: Visit, way: Way) -> None:
    stocked()
    visitor = visit(way)
    visitor.go(product("Tote bag").get_absolute_url())
    visitor.sees("Sold out")
    visitor.stop("10-product-sold-out")
    expect(visitor.button("Put in the cart")).to_have_count(0)
    Merchant.objects.update(is_site=False)
    visitor.go(product("Mug").get_absolute_url())
    visitor.sees("takes no payments at the moment")
    visitor.stop("10-product-unpayable")
    expect(visitor.button("Put in the cart")).to_have_count(0)
    visitor.go(product("Programme").get_absolute_url())
    expect(visitor.button("Put in the cart")).to_be_visible()


def test_keyboard_alone_puts_a_product_in_the_cart(visit: Visit) -> None:
    stocked()
    visitor = visit(AT_A_DESK)
    visitor.go(product("Mug").get_absolute_url())
    visitor.quantity("Mug").focus()
    visitor.press("ArrowUp", "Enter")
    visitor.sees("2 × Mug added to your cart")
    expect(visitor.page.locator("[data-focus]")).to_be_focused()


def test_a_scanner_types_and_the_counter_answers(visit: Visit, way: Way) -> None:
    page = stocked()
    order = an_order(user=UserFactory.create(email="ada@example.org"))
    first, second = (an_item("confirmed", product=product("Mug"), order=order) for _ in range(2))
    foreign = an_item("confirmed")
    seller = visit(way, member((page, Role.DOOR)))
    seller.go("/door/")
    seller.stop("10-doors")
    seller.link("Kulturhaus Linde").click()
    seller.stop("10-counter-ready")
    field = seller.page.get_by_label("Code", exact=True)
    for code, answer in [
        (first.code, "Hand it out"),
        (first.code.lower(), "Already handed out"),
        (foreign.code, "Another house"),
        ("nothing", "Not a voucher"),
    ]:
        seller.scan(field, code)
        seller.sees(answer)
        seller.stop(f"10-counter-{answer.lower().replace(' ', '-')}")
    seller.sees("1 of 2 are handed out")
    seller.scan(field, second.code)
    seller.sees("2 of 2 are handed out")
    seller.button("Take that back").click()
    seller.sees("1 of 2 are handed out")
    seller.page.get_by_label("E-mail address or order code").fill("ada@")
    seller.button("Search").click()
    seller.sees("ada@example.org · Mug")
    seller.stop("10-counter-search")


@pytest.mark.parametrize(("way", "scheme"), [(AT_A_DESK, "light"), (ON_A_PHONE, "dark")], ids=["light", "dark"])
def test_axe_finds_nothing_in_the_shop(visit: Visit, way: Way, scheme: Literal["light", "dark"]) -> None:
    page = stocked()
    buyer = UserFactory.create()
    voucher = an_item("confirmed", product=product("Mug"), user=buyer)
    handed_out = an_item("checked_in", product=product("Mug"), user=buyer)
    visitor = visit(way, buyer, axe=True, scheme=scheme)
    for path, name in [
        (page.get_absolute_url(), "11-page"),
        (product("Tote bag").get_absolute_url(), "11-sold-out"),
        (product("Poster, signed").get_absolute_url(), "11-product"),
        (voucher.get_absolute_url(), "11-voucher"),
        (handed_out.get_absolute_url(), "11-voucher-handed-out"),
    ]:
        visitor.go(path)
        visitor.stop(name)
    visitor.go(product("Poster, signed").get_absolute_url())
    visitor.button("Put in the cart").click()
    visitor.sees("added to your cart")
    visitor.stop("11-added")
    seller = visit(way, member((page, Role.DOOR)), axe=True, scheme=scheme)
    seller.go("/door/products/linde/?name=user")
    seller.stop("11-counter-search")
    seller.page.get_by_label("Code", exact=True).fill(voucher.code)
    seller.press("Enter")
    seller.sees("Hand it out")
    seller.stop("11-counter-green")


def test_policy_blocks_nothing_on_the_pages_of_the_shop_s_desk(visit: Visit) -> None:
    page = stocked()
    item = an_item("confirmed", product=product("Mug"))
    organiser = visit(AT_A_DESK, member((page, Role.ORGANISER)))
    for path in (
        "product/", "product/add/", f"product/{item.product_id}/change/", "productitem/",
        f"productitem/{item.pk}/change/",
    ):  # fmt: skip
        organiser.go(f"/admin/market/{path}")
        expect(organiser.page.locator("#site-name")).to_have_text("Foyer box office")
        organiser.stop(f"desk-market-{path.replace('/', '-')}")

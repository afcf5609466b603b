"""The shop in the admin: what the form of a product takes and refuses, and how pieces are found."""

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from events.models import Page
from ledger.models import History
from market.models import Product, ProductItem
from tests.desk import House, change, sent
from tests.factories import PageFactory, ProductFactory
from tests.ledger.lives import an_item

pytestmark = pytest.mark.django_db

PRODUCTS, ITEMS = "/admin/market/product/", "/admin/market/productitem/"


@pytest.fixture
def mug(home: House) -> Product:
    """Ten in stock: two sold, one of them handed out, and one in an order that is being paid."""
    mug = ProductFactory.create(page=home.page, name="Mug", slug="mug", stock=10, price="12.00")
    for state in ("confirmed", "checked_in", "reserved", "cancelled"):
        an_item(state, product=mug, order=home.order)
    mug.refresh_from_db()
    return mug


def new(page: Page, **changes: str) -> dict[str, str]:
    data = {"page": str(page.pk), "name": "Bag", "slug": "bag", "price": "8.00", "max_per_order": "5", "position": "0"}
    return {**data, "is_published": "on", **changes}


def errors_of(client: Client, address: str, data: dict[str, str]) -> str:
    answer = client.post(address, data)
    assert answer.status_code == 200
    return str(answer.context["adminform"].form.errors.as_text()).replace("’", "'")


def test_new_product_is_in_the_pages_currency(organiser: Client, home: House) -> None:
    Page.objects.filter(pk=home.page.pk).update(currency="CHF")

    assert organiser.post(f"{PRODUCTS}add/", new(home.page, currency="USD")).status_code == 302

    product = Product.objects.get(slug="bag")
    assert (product.currency, product.stock, product.held) == ("CHF", None, 0)


def test_who_runs_one_page_need_not_choose_it(organiser: Client, home: House) -> None:
    assert organiser.get(f"{PRODUCTS}add/").context["adminform"].form.initial["page"] == home.page.pk


def test_product_of_another_page_is_refused(organiser: Client) -> None:
    assert "Select a valid choice" in errors_of(organiser, f"{PRODUCTS}add/", new(PageFactory.create()))


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("price", "-1", "never below zero"),
        ("price", "1.001", "no more than 2 decimal places"),
        ("stock", "-1", "greater than or equal to 0"),
        ("max_per_order", "0", "At least one"),
        ("slug", "a b", "valid “slug”"),
        ("slug", "mug", "Another product of this page has this address"),
        ("name", "", "required"),
    ],
)
def test_form_says_what_is_wrong(
    organiser: Client, home: House, mug: Product, field: str, value: str, words: str
) -> None:
    assert words in errors_of(organiser, f"{PRODUCTS}add/", new(home.page, **{field: value}))
    assert not Product.objects.filter(name="Bag").exists()


def test_address_that_is_taken_is_refused_when_changed_too(organiser: Client, home: House, mug: Product) -> None:
    bag = ProductFactory.create(page=home.page, slug="bag")

    assert "has this address" in errors_of(organiser, change(bag), sent(organiser, change(bag), slug="mug"))


def test_price_keeps_to_the_coins_of_its_currency(organiser: Client, home: House) -> None:
    Page.objects.filter(pk=home.page.pk).update(currency="CLP")

    assert "CLP has no such small coins" in errors_of(organiser, f"{PRODUCTS}add/", new(home.page, price="8.50"))


def test_stock_below_held_is_refused_with_the_number(organiser: Client, mug: Product) -> None:
    words = errors_of(organiser, change(mug), sent(organiser, change(mug), stock="2"))

    assert "3 pieces are sold or in an order: the stock cannot be lower than that" in words
    assert organiser.post(change(mug), sent(organiser, change(mug), stock="3")).status_code == 302
    assert Product.objects.get(pk=mug.pk).stock == 3


def test_piece_sold_while_the_form_is_open_survives_the_save(organiser: Client, mug: Product) -> None:
    data = sent(organiser, change(mug), name="Big mug")
    an_item("reserved", product=mug)

    assert organiser.post(change(mug), data).status_code == 302

    mug.refresh_from_db()
    assert (mug.name, mug.held) == ("Big mug", 4)


def test_page_and_currency_of_a_product_stay(organiser: Client, home: House, mug: Product) -> None:
    foreign = PageFactory.create()

    organiser.post(change(mug), sent(organiser, change(mug), page=foreign.pk, currency="USD", held="0"))

    mug.refresh_from_db()
    assert (mug.page, mug.currency, mug.held) == (home.page, "EUR", 3)


def test_history_names_who_changed_price_and_stock(organiser: Client, mug: Product) -> None:
    organiser.post(change(mug), sent(organiser, change(mug), price="9.00", stock="20"))

    rows = History.objects.filter(subject="product", subject_id=mug.pk)
    assert {(row.field, row.old, row.new, row.actor[:5]) for row in rows} == {
        ("price", "12.00", "9.00", "user:"),
        ("stock", "10", "20", "user:"),
    }
    body = organiser.get(change(mug)).content.decode()
    assert "Product Mug: stock from 10 to 20." in body
    assert "Product Mug: price from 12.00 to 9.00." in body


def test_product_is_deleted_while_nobody_has_it(organiser: Client, home: House, mug: Product) -> None:
    bag = ProductFactory.create(page=home.page)
    in_a_cart = an_item(product=ProductFactory.create(page=home.page)).product

    for kept in (mug, in_a_cart):
        assert organiser.post(change(kept, "delete/"), {"post": "yes"}).status_code == 403
    assert organiser.post(change(bag, "delete/"), {"post": "yes"}).status_code == 302
    assert set(Product.objects.all()) == {mug, in_a_cart}


def test_list_tells_sold_held_stock_and_free(organiser: Client, mug: Product) -> None:
    (row,) = organiser.get(PRODUCTS).context["cl"].queryset
    body = organiser.get(PRODUCTS).content.decode()

    assert row.n_sold == 2
    for field, value in (("sold", 2), ("held_now", 3), ("in_stock", 10), ("free", 7)):
        assert f'<td class="field-{field}">{value}</td>' in body


def test_lists_ask_as_often_for_three_rows_as_for_one(
    organiser: Client, home: House, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for count in (1, 3):
        while Product.objects.count() < count:
            an_item("confirmed", product=ProductFactory.create(page=home.page), order=home.order)
        with django_assert_num_queries(8):
            assert organiser.get(PRODUCTS).status_code == 200
        with django_assert_num_queries(8):
            assert organiser.get(ITEMS).status_code == 200


@pytest.mark.parametrize("term", ["{code}", "{lower}", "{apart}", " {short} ", "{order}", "{buyer}", "mug"])
def test_piece_is_found_by_its_code_order_buyer_and_product(
    organiser: Client, home: House, mug: Product, term: str
) -> None:
    item, other = mug.items.order_by("pk")[0], an_item("confirmed", product=ProductFactory.create(page=home.page))
    asked = term.format(
        code=item.code, lower=item.code.lower(), apart=" ".join(item.code), short=item.code[:8],
        order=home.order.code[:8], buyer=home.order.user.email,
    )  # fmt: skip

    found = list(organiser.get(ITEMS, {"q": asked}).context["cl"].queryset)

    assert item in found
    assert other not in found


def test_piece_is_read_only_with_its_history(organiser: Client, mug: Product) -> None:
    item = ProductItem.objects.get(state="checked_in")

    body = organiser.get(change(item)).content.decode()

    assert item.code in body
    assert f"What voucher {item.code} stands for was handed out." in body
    assert organiser.post(change(item), {"state": "confirmed"}).status_code == 403


def test_piece_in_a_cart_of_nobody_signed_in_is_listed(organiser: Client, mug: Product) -> None:
    ProductItem.objects.create(product=mug, cart_key="k" * 43, price=mug.price, currency="EUR")

    body = organiser.get(ITEMS).content.decode()

    assert "not signed in" in body
    assert "k" * 43 not in body

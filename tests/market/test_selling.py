"""What is for sale and can be paid, as a product's page and its organiser's page show it."""

from decimal import Decimal

import pytest
from pytest_django import DjangoAssertNumQueries

from events.models import Merchant, Page
from market.models import Product
from market.selling import Obstacle, OnShelf, obstacle, on_shelf, shelf_of
from tests.factories import PageFactory, ProductFactory
from tests.ledger.lives import an_item

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("product", "page", "reason"),
    [
        (True, True, None),
        (True, False, Obstacle.UNPUBLISHED),
        (False, True, Obstacle.UNPUBLISHED),
        (False, False, Obstacle.UNPUBLISHED),
    ],
)
def test_both_the_product_and_its_page_must_be_published(product: bool, page: bool, reason: Obstacle | None) -> None:
    assert obstacle(Product(is_published=product, page=Page(is_published=page))) is reason


def test_what_costs_something_needs_somebody_who_takes_the_money(merchant: Merchant) -> None:
    page = PageFactory.create()
    dear, free = (ProductFactory.create(page=page, price=Decimal(price), position=1) for price in ("0.01", "0.00"))
    first = ProductFactory.create(page=page, position=0)
    ProductFactory.create(page=page, is_published=False)
    ProductFactory.create()

    assert shelf_of(page) == [OnShelf(first, False), OnShelf(dear, False), OnShelf(free, False)]
    assert [on_shelf(product).unpayable for product in (first, dear, free)] == [False, False, False]
    merchant.delete()
    assert shelf_of(page) == [OnShelf(first, True), OnShelf(dear, True), OnShelf(free, False)]
    assert [on_shelf(product).unpayable for product in (first, dear, free)] == [True, True, False]


def test_nobody_is_asked_who_takes_the_money_for_nothing(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    page = PageFactory.create()

    with django_assert_num_queries(1):
        assert shelf_of(page) == []


@pytest.mark.parametrize(
    ("stock", "left", "sold_out", "few_left"),
    [
        (None, None, False, False),
        (1, 0, True, False),
        (2, 1, False, True),
        (11, 10, False, True),
        (12, 11, False, False),
    ],
)
def test_what_is_left_is_said_when_it_is_little(
    stock: int | None, left: int | None, sold_out: bool, few_left: bool
) -> None:
    item = an_item("reserved", product=ProductFactory.create(stock=stock))
    shown = OnShelf(Product.objects.get(pk=item.product_id), unpayable=False)

    assert (shown.free_stock, shown.sold_out, shown.few_left, shown.buyable) == (left, sold_out, few_left, not sold_out)
    assert not OnShelf(shown.product, unpayable=True).buyable

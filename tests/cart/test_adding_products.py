"""Putting products in a cart: what is taken, what is refused, and whose rows they are."""

import threading
from collections.abc import Callable
from functools import partial

import pytest
from django.utils import timezone

from accounts.visitors import Visitor
from cart.adding import PurchaseRefusal, put_items_in_cart
from cart.counting import CART_ROWS, rows_in_cart
from cart.removing import remove_items
from market.models import Product, ProductItem
from market.selling import Obstacle, obstacle
from tests.factories import EventFactory, ProductFactory, UserFactory
from tests.races.threads import PATIENCE, at_once
from tests.steps import fill


def put(visitor: Visitor, product: Product, number: int = 1) -> int:
    return put_items_in_cart(visitor, product, number, at=timezone.now())


def count(visitor: Visitor) -> int:
    return ProductItem.objects.in_cart_of(visitor).count()


def signed_in() -> Visitor:
    return Visitor(user=UserFactory.create())


def signed_out() -> Visitor:
    return Visitor(cart_key="k" * 43)


BOTH = pytest.mark.parametrize("make", [signed_in, signed_out])


@BOTH
@pytest.mark.django_db
def test_pieces_are_pending_rows_of_the_visitor_at_the_price_of_today(make: Callable[[], Visitor]) -> None:
    visitor, product = make(), ProductFactory.create(stock=1)

    assert put(visitor, product, 3) == 3  # more than there are: stock is asked at checkout

    items = list(ProductItem.objects.in_cart_of(visitor))
    assert {(item.state, item.price, item.currency, item.order_id) for item in items} == {
        ("pending", product.price, "EUR", None)
    }
    assert len({item.code for item in items}) == 3
    product.refresh_from_db()
    assert product.held == 0
    assert count(Visitor(cart_key="another")) == 0


@BOTH
@pytest.mark.django_db
def test_more_than_the_maximum_is_refused_with_what_the_cart_has(make: Callable[[], Visitor]) -> None:
    visitor, product = make(), ProductFactory.create(name="Mug", max_per_order=3)

    with pytest.raises(PurchaseRefusal, match=r"^Mug: at most 3 an order\.$"):
        put(visitor, product, 4)
    put(visitor, product, 2)
    with pytest.raises(PurchaseRefusal, match="at most 3 an order; your cart has 2 already"):
        put(visitor, product, 2)

    assert count(visitor) == 2


@pytest.mark.django_db
@pytest.mark.parametrize("number", [0, -1])
def test_none_is_refused(number: int) -> None:
    with pytest.raises(PurchaseRefusal, match="Choose at least one"):
        put(signed_out(), ProductFactory.create(), number)


@pytest.mark.django_db
@pytest.mark.parametrize("hidden", [{"is_published": False}, {"page__is_published": False}])
def test_what_is_not_public_is_not_for_sale(hidden: dict[str, bool]) -> None:
    product, visitor = ProductFactory.create(**hidden), signed_out()

    assert obstacle(product) is Obstacle.UNPUBLISHED
    with pytest.raises(PurchaseRefusal, match="This product is not for sale"):
        put(visitor, product)
    assert count(visitor) == 0


@pytest.mark.django_db
def test_sold_out_is_no_obstacle() -> None:
    assert obstacle(ProductFactory.create(stock=0)) is None


@pytest.mark.django_db
def test_a_cart_holds_a_hundred_things_of_all_kinds() -> None:
    visitor, product = signed_in(), ProductFactory.create(max_per_order=200)
    put(visitor, product, CART_ROWS - 2)
    assert visitor.user
    fill(visitor.user, EventFactory.create())

    with pytest.raises(PurchaseRefusal, match="A cart holds at most 100 things"):
        put(visitor, product, 2)
    assert rows_in_cart(visitor) == CART_ROWS - 1
    put(visitor, product)
    with pytest.raises(PurchaseRefusal, match="A cart holds at most 100 things"):
        put(visitor, product)
    with pytest.raises(PurchaseRefusal, match="A cart holds at most 100 things"):
        fill(visitor.user, EventFactory.create())


@BOTH
@pytest.mark.django_db
def test_the_newest_pieces_of_the_product_are_removed(make: Callable[[], Visitor]) -> None:
    visitor, product, other = make(), ProductFactory.create(), ProductFactory.create()
    put(visitor, product, 3)
    put(visitor, other)
    oldest = ProductItem.objects.in_cart_of(visitor).filter(product=product).order_by("pk")[0]

    assert remove_items(visitor, product, 2) == 2
    assert list(ProductItem.objects.in_cart_of(visitor).filter(product=product)) == [oldest]
    assert remove_items(visitor, product, 5) == 1
    assert remove_items(visitor, other, None) == 1
    assert remove_items(visitor, other, None) == 0


@pytest.mark.django_db
def test_nobody_removes_pieces_of_another_visitor() -> None:
    visitor, product = signed_out(), ProductFactory.create()
    put(visitor, product)

    assert [remove_items(other, product, None) for other in (Visitor(), Visitor(cart_key="x"), signed_in())] == [0] * 3
    assert count(visitor) == 1


@BOTH
@pytest.mark.django_db(transaction=True)
@pytest.mark.promise("clicks-once-do")
def test_clicks_at_once_do_not_pass_the_maximum_together(make: Callable[[], Visitor]) -> None:
    visitor, product = make(), ProductFactory.create(max_per_order=3)

    answers = at_once([partial(put, visitor, product, 1)] * 8)

    assert sorted(str(answer) for answer in answers if not isinstance(answer, PurchaseRefusal)) == ["1"] * 3
    assert count(visitor) == 3


@BOTH
@pytest.mark.django_db(transaction=True)
@pytest.mark.promise("clicks-once-do")
def test_without_the_lock_clicks_at_once_do_pass_it(
    make: Callable[[], Visitor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: each of the clicks counts before any of them has written."""
    visitor, product = make(), ProductFactory.create(max_per_order=3)
    all_counted = threading.Barrier(4)
    monkeypatch.setattr(Visitor, "lock", lambda _visitor: None)
    monkeypatch.setattr("cart.adding.rows_in_cart", lambda _visitor: all_counted.wait(PATIENCE) * 0)

    assert at_once([partial(put, visitor, product, 1)] * 4) == [1] * 4
    assert count(visitor) == 4

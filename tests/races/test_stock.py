"""More buyers than pieces, all at the same moment: exactly the stock is sold."""

import threading
from collections import Counter
from collections.abc import Sequence
from functools import partial

import pytest
from django.db import transaction
from django.db.utils import IntegrityError

from events.transitions import mark_released, mark_reserved
from market.models import Product, ProductItem
from tests.factories import ProductFactory
from tests.ledger.lives import an_item, an_order
from tests.races.threads import PATIENCE, at_once


def claim(item: ProductItem, order_id: int) -> bool:
    """What a checkout does with one piece: lock the product, count what is free, take it or leave it."""
    with transaction.atomic():
        product = Product.objects.filter(pk=item.product_id).locked().get()
        if not product.free_stock:
            return False
        list(ProductItem.objects.filter(pk=item.pk).locked())
        return bool(mark_reserved({item.pk: product.price}, order_id=order_id, of=ProductItem))


def pieces_in_carts(product: Product, number: int) -> list[tuple[ProductItem, int]]:
    """`number` buyers with one piece each in their carts, and the order that each is about to make."""
    items = [an_item(product=product) for _ in range(number)]
    return [(item, an_order(user=item.user).pk) for item in items]


def outcomes(answers: Sequence[bool | Exception]) -> Counter[str]:
    return Counter(str(answer) if isinstance(answer, bool) else type(answer).__name__ for answer in answers)


def held(product: Product) -> int:
    return Product.objects.get(pk=product.pk).held


@pytest.mark.promise("200-buyers-ten")
def test_two_hundred_buyers_of_ten_pieces_get_exactly_ten_and_no_error() -> None:
    product = ProductFactory.create(stock=10)
    buyers = pieces_in_carts(product, 200)

    answers = at_once([partial(claim, item, order_id) for item, order_id in buyers])

    assert outcomes(answers) == {"True": 10, "False": 190}
    assert held(product) == 10
    assert ProductItem.objects.filter(state="reserved").count() == 10


def test_pieces_that_come_back_meanwhile_are_sold_again_and_never_twice() -> None:
    product = ProductFactory.create(stock=10)
    taken = [an_item("reserved", product=product) for _ in range(10)]
    buyers = pieces_in_carts(product, 40)

    def give_back(item: ProductItem) -> bool:
        with transaction.atomic():
            list(Product.objects.filter(pk=product.pk).locked())
            return bool(mark_released([item.pk], of=ProductItem))

    returns = [partial(give_back, item) for item in taken]
    answers = at_once([*returns, *(partial(claim, item, order_id) for item, order_id in buyers)])

    assert outcomes(answers[:10]) == {"True": 10}
    sold = outcomes(answers[10:])["True"]
    assert sold == held(product) == ProductItem.objects.filter(state="reserved").count() <= 10
    assert set(outcomes(answers[10:])) <= {"True", "False"}


@pytest.mark.promise("200-buyers-ten")
def test_without_the_lock_two_buyers_of_one_piece_are_not_told_apart() -> None:
    """The negative control: with the row lock out, both count one free piece, and only the constraint stands."""
    product = ProductFactory.create(stock=1)
    both_have_counted = threading.Barrier(2)

    def claim_together(item: ProductItem, order_id: int) -> bool:
        with transaction.atomic():
            if not Product.objects.get(pk=product.pk).free_stock:
                return False
            both_have_counted.wait(PATIENCE)
            return bool(mark_reserved({item.pk: product.price}, order_id=order_id, of=ProductItem))

    answers = at_once([partial(claim_together, item, order_id) for item, order_id in pieces_in_carts(product, 2)])

    assert outcomes(answers) == {"True": 1, IntegrityError.__name__: 1}
    assert held(product) == 1

"""PostgreSQL itself refuses what must never be true of products and their pieces, whoever asks."""

import itertools

import pytest
from django.db.utils import IntegrityError

from ledger.models import History
from market.models import Product
from tests.events.test_database import SOLD, STATES, UNKNOWN
from tests.factories import PageFactory, ProductFactory, UserFactory
from tests.ledger.lives import SOLD_WAYS, an_item, an_order
from tests.ledger.psql import run, twin, verdict, verdict_of_truncate

pytestmark = pytest.mark.django_db

CLAIM = "UPDATE market_productitem SET state = 'reserved', order_id = %s WHERE id = %s"


def held(product: Product) -> int:
    return Product.objects.get(pk=product.pk).held


# --- Arrows


@pytest.mark.parametrize("state", STATES)
@pytest.mark.promise("ticket-booking-product")
def test_item_moves_where_an_arrow_is_and_nowhere_else(state: str) -> None:
    item = an_item(state)
    order_id = an_order(user=item.user).pk
    claim = f"order_id = {order_id}, " if state == "pending" else ""
    found = {
        target: verdict(f"UPDATE market_productitem SET {claim}state = %s WHERE id = %s", values=[target, item.pk])
        for target in [*STATES, UNKNOWN]
        if target != state
    }
    assert found == {target: None if target in SOLD[state] else "item_moves" for target in found}


@pytest.mark.parametrize("state", [*STATES, UNKNOWN])
def test_item_is_born_pending_only(state: str) -> None:
    item = an_item()
    order = None if state == "pending" else an_order().pk
    expected = None if state == "pending" else "item_born"
    assert twin("market_productitem", item.pk, state=state, order_id=order, code="OTHER") == expected


@pytest.mark.parametrize("state", STATES)
def test_item_is_deleted_pending_only(state: str) -> None:
    expected = None if state == "pending" else "item_deleted"
    assert verdict("DELETE FROM market_productitem WHERE id = %s", values=[an_item(state).pk]) == expected


@pytest.mark.parametrize(
    ("table", "claim"),
    [("market_productitem", "item_truncated"), ("market_product", "order_line_truncated")],  # lines go with products
)
def test_products_and_items_cannot_be_truncated(table: str, claim: str) -> None:
    assert verdict_of_truncate(table) == claim


# --- Stock


@pytest.mark.promise("held-pieces-product")
def test_product_is_never_oversold() -> None:
    product = ProductFactory.create(stock=2)
    for _ in range(2):
        an_item("confirmed", product=product)
    third = an_item(product=product)
    assert verdict(CLAIM, values=[an_order().pk, third.pk]) == "product_not_oversold"
    run("UPDATE market_product SET stock = 3 WHERE id = %s", product.pk)
    assert verdict(CLAIM, values=[an_order().pk, third.pk]) is None


def test_piece_that_came_back_late_is_not_oversold_either() -> None:
    product = ProductFactory.create(stock=1)
    lost = an_item("cancelled", product=product)
    an_item("confirmed", product=product)
    late = "UPDATE market_productitem SET state = 'confirmed' WHERE id = %s"
    assert verdict(late, values=[lost.pk]) == "product_not_oversold"


@pytest.mark.promise("held-pieces-product")
def test_stock_cannot_go_below_what_is_held() -> None:
    product = ProductFactory.create(stock=5)
    for _ in range(2):
        an_item("confirmed", product=product)
    lower = "UPDATE market_product SET stock = %s WHERE id = %s"
    assert verdict(lower, values=[1, product.pk]) == "product_not_oversold"
    assert verdict(lower, values=[2, product.pk]) is None
    assert verdict(lower, values=[None, product.pk]) is None


@pytest.mark.parametrize("state", STATES)
def test_held_counts_what_is_reserved_valid_or_handed_out(state: str) -> None:
    product = ProductFactory.create()
    an_item(state, product=product)
    assert held(product) == (1 if state in ("reserved", "confirmed", "checked_in") else 0)


def test_one_statement_over_several_products_counts_each() -> None:
    one, other = ProductFactory.create(), ProductFactory.create()
    for product, number in ((one, 3), (other, 2)):
        for _ in range(number):
            an_item("reserved", product=product)
    assert (held(one), held(other)) == (3, 2)
    run("UPDATE market_productitem SET state = CASE product_id WHEN %s THEN 'cancelled' ELSE 'confirmed' END", one.pk)
    assert (held(one), held(other)) == (0, 2)


@pytest.mark.promise("held-pieces-product")
def test_held_is_written_by_its_counter_only() -> None:
    product = ProductFactory.create()
    assert verdict("UPDATE market_product SET held = 1 WHERE id = %s", values=[product.pk]) == "product_held_guard"
    assert verdict("UPDATE market_product SET held = held + 1") == "product_held_guard"
    assert twin("market_product", product.pk, held=1, slug="other") == "product_held_guard"
    assert twin("market_product", product.pk, held=0, slug="other") is None


def test_held_cannot_be_slipped_in_by_an_upsert() -> None:
    product = ProductFactory.create()
    upsert = (
        "INSERT INTO market_product SELECT * FROM market_product WHERE id = %s ON CONFLICT (id) DO UPDATE SET held = 7"
    )
    assert verdict(upsert, values=[product.pk]) == "product_held_guard"


def test_stale_save_cannot_reset_the_counter() -> None:
    product = ProductFactory.create(stock=9)
    stale = Product.objects.get(pk=product.pk)
    an_item("confirmed", product=product)
    with pytest.raises(IntegrityError, match="written by its counter only"):
        stale.save()


# --- What a row must have


def test_reserved_item_has_an_order_and_a_pending_one_none() -> None:
    item, name = an_item(), "item_reserved_has_order"
    order, table = an_order(user=item.user), "UPDATE market_productitem SET"
    assert verdict(f"{table} state = 'reserved' WHERE id = %s", values=[item.pk]) == name
    assert verdict(f"{table} order_id = %s WHERE id = %s", values=[order.pk, item.pk]) == name
    assert twin("market_productitem", item.pk, order_id=order.pk, code="OTHER") == name


@pytest.mark.promise("piece-product-has")
def test_pending_item_has_exactly_one_of_user_and_cart_key() -> None:
    item, name = an_item(), "item_reserved_has_order"
    assert item.user is not None
    found = {
        (bool(user_id), bool(key)): verdict(
            "UPDATE market_productitem SET user_id = %s, cart_key = %s WHERE id = %s", values=[user_id, key, item.pk]
        )
        for user_id in (None, item.user.pk)
        for key in (None, "k")
    }
    assert found == {(False, False): name, (True, True): name, (True, False): None, (False, True): None}


def test_item_of_a_cart_key_cannot_be_claimed() -> None:
    item = an_item()
    run("UPDATE market_productitem SET user_id = NULL, cart_key = 'k' WHERE id = %s", item.pk)
    assert verdict(CLAIM, values=[an_order().pk, item.pk]) == "item_reserved_has_order"


@pytest.mark.parametrize(
    ("table", "change", "claim"),
    [
        ("market_productitem", "price = -0.01", "item_price_not_negative"),
        ("market_product", "price = -0.01", "product_price_not_negative"),
        ("market_product", "max_per_order = 0", "product_max_per_order_positive"),
        ("market_product", "stock = -1", "market_product_stock_check"),
    ],
)
def test_number_that_makes_no_sense_is_refused(table: str, change: str, claim: str) -> None:
    an_item()
    assert verdict(f"UPDATE {table} SET {change}") == claim


def test_address_of_a_product_is_unique_on_its_page() -> None:
    product = ProductFactory.create()
    assert twin("market_product", product.pk) == "product_slug_unique_in_page"
    assert twin("market_product", product.pk, page_id=PageFactory.create().pk) is None


def test_code_of_a_piece_is_unique() -> None:
    assert (twin("market_productitem", an_item().pk) or "").startswith("market_productitem_code")


# --- What never changes once sold


@pytest.mark.parametrize("state", [state for state in STATES if state != "pending"])
@pytest.mark.promise("piece-product-has")
def test_ordered_item_keeps_product_order_buyer_price_and_currency(state: str) -> None:
    item = an_item(state)
    changes: dict[str, object] = {
        "product_id": ProductFactory.create().pk,
        "order_id": an_order(user=item.user).pk,
        "user_id": UserFactory.create().pk,
        "price": 1,
        "currency": "GBP",
    }
    found = {
        column: verdict(f"UPDATE market_productitem SET {column} = %s WHERE id = %s", values=[value, item.pk])
        for column, value in changes.items()
    }
    assert found == dict.fromkeys(changes, "item_frozen")


@pytest.mark.parametrize(("column", "value"), [("currency", "GBP"), ("page_id", None)])
def test_product_stays_on_its_page_and_in_its_currency(column: str, value: object) -> None:
    product, other = ProductFactory.create(), PageFactory.create()
    change = f"UPDATE market_product SET {column} = %s WHERE id = %s"
    assert verdict(change, values=[value or other.pk, product.pk]) == "product_stays_where_it_is"


def test_price_is_taken_with_the_claim_and_frozen_by_it() -> None:
    item = an_item()
    claim = "UPDATE market_productitem SET state = 'reserved', order_id = %s, price = 9 WHERE id = %s"
    run(claim, an_order(user=item.user).pk, item.pk)
    assert verdict("UPDATE market_productitem SET price = 8 WHERE id = %s", values=[item.pk]) == "item_frozen"


def test_product_that_somebody_has_cannot_be_deleted() -> None:
    item = an_item()
    assert "product" in (verdict("DELETE FROM market_product WHERE id = %s", values=[item.product_id]) or "")


# --- History


@pytest.mark.parametrize("state", sorted(set(SOLD_WAYS) - {"pending"}))
def test_each_move_of_an_item_is_one_row(state: str) -> None:
    item = an_item(state)
    rows = History.objects.filter(subject="productitem", subject_id=item.pk, field="state").order_by("id")
    way = ["pending", *SOLD_WAYS[state]]
    assert [(row.old, row.new) for row in rows] == list(itertools.pairwise(way))


def test_each_change_of_price_and_stock_is_one_row() -> None:
    product = ProductFactory.create(stock=5)
    run("UPDATE market_product SET price = 7, stock = NULL, name = 'New' WHERE id = %s", product.pk)
    rows = History.objects.filter(subject="product", subject_id=product.pk)
    assert {(row.field, row.old, row.new) for row in rows} == {("price", "5.00", "7.00"), ("stock", "5", None)}

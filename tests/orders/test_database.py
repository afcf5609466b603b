"""PostgreSQL itself refuses what must never be true of orders and their lines, whoever asks."""

import pytest
from django.utils import timezone

from tests.factories import EventFactory, UserFactory
from tests.ledger.lives import a_line, a_merchant, an_order
from tests.ledger.psql import twin, verdict, verdict_of_truncate

pytestmark = pytest.mark.django_db

#: Said once more, not read from the code: where an order may go.
ORDER: dict[str, set[str]] = {
    "awaiting_payment": {"paid", "expired", "cancelled"},
    "expired": {"paid"},
    "cancelled": {"paid"},
    "paid": set(),
}
UNKNOWN = "declined"


@pytest.mark.parametrize("state", sorted(ORDER))
@pytest.mark.promise("order-new-awaiting")
def test_order_moves_where_an_arrow_is_and_nowhere_else(state: str) -> None:
    order = an_order(state)
    move = "UPDATE orders_order SET state = %s, paid_at = now() WHERE id = %s"
    found = {
        target: verdict(move, values=[target, order.pk]) for target in [*sorted(ORDER), UNKNOWN] if target != state
    }
    assert found == {target: None if target in ORDER[state] else "order_moves" for target in found}


@pytest.mark.parametrize("state", [*sorted(ORDER), UNKNOWN])
def test_order_is_born_awaiting_payment_only(state: str) -> None:
    changes = {"code": "OTHER", "cart_token": "00000000-0000-0000-0000-000000000000", "paid_at": timezone.now()}
    expected = None if state == "awaiting_payment" else "order_born"
    assert twin("orders_order", an_order().pk, state=state, **changes) == expected


@pytest.mark.parametrize("state", sorted(ORDER))
def test_order_is_never_deleted(state: str) -> None:
    assert verdict("DELETE FROM orders_order WHERE id = %s", values=[an_order(state).pk]) == "order_deleted"


@pytest.mark.parametrize("state", sorted(ORDER))
@pytest.mark.parametrize(
    "change",
    [
        "code = 'OTHER'",
        "user_id = {user}",
        "merchant_id = NULL",
        "total = total + 1",
        "currency = 'GBP'",
        "cart_token = '00000000-0000-0000-0000-000000000000'",
        "placed_at = placed_at - interval '1 hour'",
        "hold_until = hold_until + interval '1 minute'",
    ],
)
@pytest.mark.promise("once-ordered-row")
def test_order_keeps_what_it_was_placed_with(state: str, change: str) -> None:
    order, change = an_order(state), change.format(user=UserFactory.create().pk)
    assert verdict(f"UPDATE orders_order SET {change} WHERE id = %s", values=[order.pk]) == "order_frozen"


@pytest.mark.promise("one-token-makes")
def test_cart_token_makes_one_order() -> None:
    assert (twin("orders_order", an_order().pk, code="OTHER") or "").startswith("orders_order_cart_token")


def test_order_code_is_unique() -> None:
    token = "00000000-0000-0000-0000-000000000000"
    assert (twin("orders_order", an_order().pk, cart_token=token) or "").startswith("orders_order_code")


@pytest.mark.parametrize(
    ("changes", "claim"),
    [
        ({"total": -1}, "order_total_not_negative"),
        ({"merchant_id": None}, "order_with_total_has_merchant"),
        ({"merchant_id": None, "total": 0}, None),
        ({"user_id": None}, "user_id"),
    ],
)
def test_order_has_a_buyer_and_a_payee_for_its_total(changes: dict[str, object], claim: str | None) -> None:
    other = {"code": "OTHER", "cart_token": "00000000-0000-0000-0000-000000000000"}
    assert twin("orders_order", an_order().pk, **other, **changes) == claim


def test_paid_order_says_when() -> None:
    paid = "UPDATE orders_order SET state = 'paid' WHERE id = %s"
    assert verdict(paid, values=[an_order().pk]) == "order_paid_has_time"


@pytest.mark.parametrize(
    "change", ["quantity = quantity + 1", "unit_price = 1", "currency = 'GBP'", "name = 'x'", "entry_id = NULL"]
)
@pytest.mark.promise("once-ordered-row")
def test_order_line_never_changes(change: str) -> None:
    line = a_line(an_order(), EventFactory.create())
    assert verdict(f"UPDATE orders_orderline SET {change} WHERE id = %s", values=[line.pk]) == "order_line_frozen"


def test_order_line_is_never_deleted() -> None:
    line = a_line(an_order(), EventFactory.create())
    assert verdict("DELETE FROM orders_orderline WHERE id = %s", values=[line.pk]) == "order_line_frozen"


@pytest.mark.parametrize(
    ("changes", "claim"),
    [
        ({"quantity": 0}, "order_line_quantity_positive"),
        ({"unit_price": -1}, "order_line_price_not_negative"),
        ({"kind": "gift"}, "order_line_kind_known"),
        ({"entry_id": None}, "order_line_names_what_it_sold"),
        ({"quantity": 2}, None),
    ],
)
def test_order_line_makes_sense(changes: dict[str, object], claim: str | None) -> None:
    assert twin("orders_orderline", a_line(an_order(), EventFactory.create()).pk, **changes) == claim


@pytest.mark.parametrize(
    ("table", "claim"), [("orders_order", "order_truncated"), ("orders_orderline", "order_line_truncated")]
)
def test_orders_and_lines_cannot_be_truncated(table: str, claim: str) -> None:
    assert verdict_of_truncate(table) == claim


def test_merchant_of_an_order_cannot_be_deleted() -> None:
    an_order()
    refused = verdict("DELETE FROM events_merchant WHERE id = %s", values=[a_merchant().pk])
    assert refused is not None
    assert refused.startswith("orders_order_merchant_id")

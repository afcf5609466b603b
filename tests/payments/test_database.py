"""PostgreSQL itself refuses what must never be true of checkouts and cases, whoever asks."""

import pytest
from django.utils import timezone

from payments.models import Case
from tests.ledger.lives import CHECKOUT_MOVE, CHECKOUT_WAYS, a_checkout, an_order
from tests.ledger.psql import run, twin, verdict, verdict_of_truncate

pytestmark = pytest.mark.django_db

STATES = sorted(CHECKOUT_WAYS)
#: Said once more, not read from the code: where a checkout may go.
CHECKOUT: dict[str, set[str]] = {
    "new": {"open", "refused", "expired", "paid", "mismatch"},
    "open": {"expired", "paid", "mismatch"},
    "expired": {"paid", "mismatch"},
    "mismatch": {"paid"},
    "refused": set(),
    "paid": set(),
}
UNKNOWN = "failed"  # SumUp's word, never a state of ours


@pytest.mark.parametrize("state", STATES)
@pytest.mark.promise("checkout-new-new")
def test_checkout_moves_where_an_arrow_is_and_nowhere_else(state: str) -> None:
    checkout = a_checkout(state)
    found = {
        target: verdict(CHECKOUT_MOVE, values=[target, checkout.pk]) for target in [*STATES, UNKNOWN] if target != state
    }
    assert found == {target: None if target in CHECKOUT[state] else "checkout_moves" for target in found}


@pytest.mark.parametrize("state", [*STATES, UNKNOWN])
def test_checkout_is_born_new_only(state: str) -> None:
    order = an_order()
    expected = None if state == "new" else "checkout_born"
    assert twin("payments_checkout", a_checkout().pk, state=state, order_id=order.pk, reference="R") == expected


@pytest.mark.parametrize("state", STATES)
def test_checkout_is_never_deleted(state: str) -> None:
    delete = "DELETE FROM payments_checkout WHERE id = %s"
    assert verdict(delete, values=[a_checkout(state).pk]) == "checkout_deleted"


@pytest.mark.parametrize(
    ("table", "claim"),
    [("payments_checkout", "checkout_truncated"), ("payments_case", "case_truncated")],
)
def test_checkouts_and_cases_cannot_be_truncated(table: str, claim: str) -> None:
    assert verdict_of_truncate(table) == claim


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(
    "change",
    [
        "order_id = {order}",
        "merchant_id = merchant_id + 1",
        "reference = 'OTHER'",
        "amount = amount + 1",
        "currency = 'GBP'",
        "created_at = created_at - interval '1 hour'",
        "valid_until = valid_until + interval '1 minute'",
    ],
)
def test_checkout_keeps_what_it_was_made_with(state: str, change: str) -> None:
    checkout, change = a_checkout(state), change.format(order=an_order().pk)
    statement = f"UPDATE payments_checkout SET {change} WHERE id = %s"
    assert verdict(statement, values=[checkout.pk]) == "checkout_frozen"


def test_sumups_id_is_written_once() -> None:
    change = "UPDATE payments_checkout SET sumup_id = %s WHERE id = %s"
    assert verdict(change, values=["co-x", a_checkout("open").pk]) == "checkout_id_frozen"
    assert verdict(change, values=["co-x", a_checkout("new").pk]) is None


@pytest.mark.parametrize(
    "change", ["transaction_code = 'T'", "captured = 1", "captured_currency = 'GBP'", "paid_at = now()"]
)
@pytest.mark.promise("capture-written-once")
def test_capture_is_written_once(change: str) -> None:
    paid = a_checkout("paid")
    statement = f"UPDATE payments_checkout SET {change} WHERE id = %s"
    assert verdict(statement, values=[paid.pk]) == "checkout_capture_frozen"


@pytest.mark.promise("one-token-makes")
def test_reference_is_unique() -> None:
    known = a_checkout("expired")
    refused = twin("payments_checkout", known.pk, order_id=an_order().pk, state="new", sumup_id=None)
    assert (refused or "").startswith("payments_checkout_reference")


@pytest.mark.parametrize("column", ["sumup_id", "transaction_code"])
@pytest.mark.promise("one-token-makes")
def test_sumups_id_and_transaction_code_are_each_unique(column: str) -> None:
    run(f"UPDATE payments_checkout SET {column} = 'same' WHERE id = %s", a_checkout().pk)
    other = f"UPDATE payments_checkout SET {column} = 'same' WHERE id = %s"
    assert (verdict(other, values=[a_checkout().pk]) or "").startswith(f"payments_checkout_{column}")


@pytest.mark.parametrize("state", STATES)
@pytest.mark.promise("order-has-one")
def test_order_has_one_payable_checkout(state: str) -> None:
    first = a_checkout(state)
    second = twin("payments_checkout", first.pk, state="new", sumup_id=None, reference="second")
    assert second == ("checkout_one_payable_of_order" if state in {"new", "open"} else None)


@pytest.mark.promise("order-has-one")
def test_order_has_one_applied_checkout() -> None:
    order = an_order()
    first, second = a_checkout("paid", order=order), a_checkout("paid", order=order)
    apply = "UPDATE payments_checkout SET is_applied = true WHERE id = %s"
    assert verdict(apply, values=[second.pk]) is None
    run(apply, first.pk)
    assert verdict(apply, values=[second.pk]) == "checkout_one_applied_of_order"


@pytest.mark.parametrize("state", [state for state in STATES if state != "paid"])
def test_only_a_paid_checkout_is_applied(state: str) -> None:
    apply = "UPDATE payments_checkout SET is_applied = true WHERE id = %s"
    assert verdict(apply, values=[a_checkout(state).pk]) == "checkout_applied_is_paid"


@pytest.mark.parametrize("missing", ["captured", "paid_at"])
def test_paid_checkout_has_its_capture(missing: str) -> None:
    given = {"captured": "amount", "captured_currency": "currency", "paid_at": "now()"}
    if missing == "captured":
        given |= {"captured": "NULL", "captured_currency": "''"}
    else:
        given["paid_at"] = "NULL"
    setting = ", ".join(f"{column} = {value}" for column, value in given.items())
    statement = f"UPDATE payments_checkout SET state = 'paid', {setting} WHERE id = %s"
    assert verdict(statement, values=[a_checkout("new").pk]) == "checkout_paid_has_capture"


@pytest.mark.promise("capture-written-once")
def test_capture_has_its_currency() -> None:
    checkout = a_checkout("new")
    for change in ("captured = 1", "captured_currency = 'EUR'"):
        statement = f"UPDATE payments_checkout SET {change} WHERE id = %s"
        assert verdict(statement, values=[checkout.pk]) == "checkout_captured_has_currency"


def test_open_checkout_has_sumups_id() -> None:
    statement = "UPDATE payments_checkout SET state = 'open' WHERE id = %s"
    assert verdict(statement, values=[a_checkout("new").pk]) == "checkout_open_has_sumup_id"


def test_checkout_asks_for_money() -> None:
    assert twin("payments_checkout", a_checkout("expired").pk, state="new", sumup_id=None, reference="R", amount=0) == (
        "checkout_amount_positive"
    )


# --- Cases


def a_case() -> Case:
    return Case.objects.create(kind="surplus", checkout=a_checkout("paid"), words="Twice.", opened_at=timezone.now())


def test_case_is_never_deleted() -> None:
    assert verdict("DELETE FROM payments_case WHERE id = %s", values=[a_case().pk]) == "case_deleted"


def test_case_is_open_once_for_a_checkout_and_kind() -> None:
    case = a_case()
    assert twin("payments_case", case.pk) == "case_open_once_a_checkout"
    run("UPDATE payments_case SET closed_at = now(), decision = 'Refunded.' WHERE id = %s", case.pk)
    assert twin("payments_case", case.pk, closed_at=None) is None


def test_closed_case_says_what_was_decided() -> None:
    statement = "UPDATE payments_case SET closed_at = now() WHERE id = %s"
    assert verdict(statement, values=[a_case().pk]) == "case_closed_has_decision"

"""PostgreSQL itself refuses what must never be true of refunds and their lines, whoever asks."""

from decimal import Decimal

import psycopg
import pytest
from django.db.utils import IntegrityError

from payments.models import Checkout, RefundLine, SumUpReport
from tests.ledger.lives import (
    PRICE,
    REFUND_MOVE,
    REFUND_WAYS,
    a_checkout,
    a_merchant,
    a_refund,
    a_ticket,
)
from tests.ledger.psql import bare, rows, run, twin, verdict, verdict_of_truncate
from tests.races.threads import at_once

pytestmark = pytest.mark.django_db

STATES = sorted(REFUND_WAYS)
#: Said once more, not read from the code: where a refund may go.
OURS: dict[str, set[str]] = {
    "requested": {"sending", "withdrawn"},
    "sending": {"succeeded", "failed", "unknown", "requested"},
    "unknown": {"succeeded", "failed"},
    "failed": {"succeeded"},
    "succeeded": {"failed"},
    "withdrawn": set(),
}
TOLD: dict[str, set[str]] = {"requested": {"succeeded"}, "succeeded": {"failed"}, "failed": set()}
UNKNOWN_STATE = "lost"


@pytest.mark.parametrize("state", STATES)
@pytest.mark.promise("refund-new-requested")
def test_refund_moves_where_an_arrow_is_and_nowhere_else(state: str) -> None:
    refund = a_refund(state)
    found = {
        target: verdict(REFUND_MOVE, values=[target, refund.pk])
        for target in [*STATES, UNKNOWN_STATE]
        if target != state
    }
    assert found == {target: None if target in OURS[state] else "refund_moves" for target in found}


@pytest.mark.parametrize("origin", ["dashboard", "elsewhere", "chargeback"])
@pytest.mark.parametrize("state", sorted(TOLD))
@pytest.mark.promise("refund-new-requested")
def test_what_was_paid_back_by_another_way_is_never_sent(origin: str, state: str) -> None:
    refund = a_refund(state, origin=origin)
    found = {target: verdict(REFUND_MOVE, values=[target, refund.pk]) for target in STATES if target != state}
    assert found == {target: None if target in TOLD[state] else "refund_moves" for target in found}


@pytest.mark.parametrize("state", [*STATES, UNKNOWN_STATE])
def test_refund_is_born_requested_only(state: str) -> None:
    expected = None if state == "requested" else "refund_born"
    assert twin("payments_refund", a_refund("withdrawn").pk, state=state) == expected


@pytest.mark.parametrize("state", STATES)
def test_refund_is_never_deleted(state: str) -> None:
    assert verdict("DELETE FROM payments_refund WHERE id = %s", values=[a_refund(state).pk]) == "refund_deleted"


@pytest.mark.parametrize(
    ("table", "claim"),
    [("payments_refund", "refund_truncated"), ("payments_refundline", "refund_line_truncated")],
)
def test_refunds_and_lines_cannot_be_truncated(table: str, claim: str) -> None:
    assert verdict_of_truncate(table) == claim


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(
    "change",
    [
        "checkout_id = checkout_id + 1",
        "origin = 'elsewhere'",
        "amount = amount - 1",
        "currency = 'GBP'",
        "reason = 'Other'",
        "requested_by = 'user:2'",
        "requested_at = requested_at - interval '1 hour'",
    ],
)
@pytest.mark.promise("refund-keeps-asked")
def test_refund_keeps_what_it_was_asked_for_with(state: str, change: str) -> None:
    statement = f"UPDATE payments_refund SET {change} WHERE id = %s"
    assert verdict(statement, values=[a_refund(state).pk]) in {"refund_frozen", "refund_moves"}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.promise("payment-has-one")
def test_checkout_has_one_unfinished_refund(state: str) -> None:
    first = a_refund(state, amount=Decimal(5))
    second = twin("payments_refund", first.pk, state="requested", sent_at=None, finished_at=None)
    unfinished = {"requested", "sending", "unknown"}
    assert second == ("refund_one_unfinished_of_checkout" if state in unfinished else None)


@pytest.mark.parametrize("origin", ["ours", "elsewhere"])
@pytest.mark.parametrize("state", STATES)
@pytest.mark.promise("payment-has-one")
def test_own_refunds_never_exceed_the_capture(state: str, origin: str) -> None:
    first = a_refund(state, amount=Decimal(10))
    changes = {"state": "requested", "origin": origin, "sent_at": None, "finished_at": None}
    counts = state in {"requested", "sending", "unknown", "succeeded"}
    above = twin("payments_refund", first.pk, amount=Decimal("2.01"), **changes)
    assert above == ("refund_within_capture" if counts else None)
    assert twin("payments_refund", first.pk, amount=Decimal("12.01"), **changes) == "refund_within_capture"
    fits = twin("payments_refund", first.pk, amount=Decimal(2), **changes)
    assert fits == (None if state in {"succeeded", "failed", "withdrawn"} else "refund_one_unfinished_of_checkout")


def test_refund_that_failed_counts_again_when_it_succeeded_after_all() -> None:
    failed = a_refund("failed", amount=Decimal(10))
    a_refund("succeeded", checkout=failed.checkout, amount=Decimal(5))
    assert verdict(REFUND_MOVE, values=["succeeded", failed.pk]) == "refund_within_capture"


@pytest.mark.parametrize("state", ["new", "open", "expired"])
def test_what_was_not_captured_is_not_refunded(state: str) -> None:
    with pytest.raises(IntegrityError, match="exceeds what was captured"):
        a_refund(checkout=a_checkout(state))


def test_refund_is_in_the_currency_of_its_capture() -> None:
    assert twin("payments_refund", a_refund("withdrawn").pk, state="requested", currency="GBP") == (
        "refund_within_capture"
    )


@pytest.mark.parametrize("origin", ["dashboard", "chargeback"])
def test_what_sumup_tells_from_outside_is_stored_without_a_limit(origin: str) -> None:
    first = a_refund("succeeded")
    assert twin("payments_refund", first.pk, state="requested", origin=origin, amount=Decimal(99)) is None


def test_sent_refund_knows_what_was_paid_back_before() -> None:
    statement = "UPDATE payments_refund SET state = 'sending', sent_at = now() WHERE id = %s"
    assert verdict(statement, values=[a_refund().pk]) == "refund_sent_has_events_before"


def test_refund_has_a_reason_an_amount_and_a_time_of_its_end() -> None:
    known = a_refund("withdrawn").pk
    assert twin("payments_refund", known, state="requested", reason="") == "refund_has_reason"
    assert twin("payments_refund", known, state="requested", amount=0) == "refund_amount_positive"
    statement = "UPDATE payments_refund SET state = 'withdrawn' WHERE id = %s"
    assert verdict(statement, values=[a_refund().pk]) == "refund_finished_has_time"


def test_each_move_of_a_refund_is_in_its_history() -> None:
    refund = a_refund("succeeded")
    found = rows("SELECT old, new FROM ledger_history WHERE subject = 'refund' AND subject_id = %s", refund.pk)
    assert found == [("requested", "sending"), ("sending", "succeeded")]


# --- Lines


def a_line() -> RefundLine:
    return RefundLine.objects.create(
        refund=a_refund(), kind="row", ticket=a_ticket("refund_due"), amount=PRICE, currency="EUR"
    )


@pytest.mark.parametrize("change", ["amount = 1", "kind = 'goodwill'", "ticket_id = NULL, kind = 'surplus'"])
@pytest.mark.promise("refund-keeps-asked")
def test_line_is_never_changed(change: str) -> None:
    statement = f"UPDATE payments_refundline SET {change} WHERE id = %s"
    assert verdict(statement, values=[a_line().pk]) == "refund_line_frozen"
    assert verdict("DELETE FROM payments_refundline WHERE id = %s", values=[a_line().pk]) == "refund_line_frozen"


@pytest.mark.parametrize("kind", ["row", "goodwill", "surplus"])
def test_line_names_one_row_or_none_for_a_surplus(kind: str) -> None:
    line, other = a_line(), a_refund()
    named = twin("payments_refundline", line.pk, kind=kind, refund_id=other.pk)
    none = twin("payments_refundline", line.pk, kind=kind, refund_id=other.pk, ticket_id=None)
    wrong = "refund_line_names_its_row"
    assert (named, none) == ((wrong, None) if kind == "surplus" else (None, wrong))


def test_line_pays_back_a_row_once_in_a_refund() -> None:
    line = a_line()
    assert twin("payments_refundline", line.pk, kind="goodwill", amount=1) == "refund_line_once_a_ticket"
    other = a_refund().pk
    assert twin("payments_refundline", line.pk, refund_id=other, amount=0) == "refund_line_amount_positive"
    assert twin("payments_refundline", line.pk, refund_id=other, kind="fee") == "refund_line_kind_known"


def test_report_of_sumup_is_stored_once() -> None:
    SumUpReport.objects.create(
        merchant=a_merchant(),
        transaction_id="t",
        event_id="1",
        kind="REFUND",
        status="REFUNDED",
        first_seen_at=a_refund().requested_at,
    )
    (pk,) = rows("SELECT id FROM payments_sumupevent")[0]
    assert twin("payments_sumupevent", pk) == "sumup_event_once"
    assert twin("payments_sumupevent", pk, event_id="2") is None


# --- Two at once


@pytest.mark.django_db(transaction=True)
@pytest.mark.promise("payment-has-one")
def test_refunds_that_come_at_once_never_exceed_the_capture() -> None:
    """Cash and SumUp, 8.00 each of 12.00, by bare SQL: neither sees the other's row, the lock makes one wait."""
    checkout = a_checkout("paid")
    insert = (
        "INSERT INTO payments_refund (checkout_id, origin, state, amount, currency, reason, requested_by,"
        " requested_at, is_rest, words) VALUES (%s, 'elsewhere', 'requested', 8, 'EUR', 'Ill', 'user:1', now(),"
        " false, '') RETURNING id"
    )

    def pay_back() -> str:
        with bare().transaction():
            ((pk,),) = rows(insert, checkout.pk)
            run(REFUND_MOVE, "succeeded", pk)
        return "paid back"

    found = at_once([pay_back, pay_back])
    refused = [answer for answer in found if isinstance(answer, psycopg.Error)]
    assert found.count("paid back") == 1
    assert [error.diag.constraint_name for error in refused] == ["refund_within_capture"]
    assert Checkout.objects.get().refunds.count() == 1

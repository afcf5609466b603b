"""Strays alone: opened once, closed when they are found, linked to the one order that can have paid them."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError
from django.utils import timezone

from ledger.models import History
from orders.models import Order
from payments.models import Case, Checkout
from payments.reconcile import strays
from payments.reconcile.strays import LinkRefusal, close_found, link, open_stray
from payments.states import CaseKind
from tests.ledger.lives import a_merchant, an_order
from tests.payments.captures import a_capture, a_case, an_order_of, another_merchant

pytestmark = pytest.mark.django_db

EUR_12 = (Decimal("12.00"), "EUR")


def a_stray(transaction_id: str = "t1", code: str = "C1", **facts: object) -> Case:
    known: dict[str, object] = {
        "transaction_id": transaction_id, "transaction_code": code or transaction_id, "amount": Decimal("12.00"),
        "currency": "EUR", "merchant": a_merchant(),
    }  # fmt: skip
    return a_case(CaseKind.STRAY, None, **(known | facts))


def opened(*transaction: str, at: datetime | None = None) -> bool:
    transaction_id, code = transaction
    return open_stray(
        a_merchant(), None, (transaction_id, code), EUR_12, words="Words", at=at or timezone.now()
    )  # fmt: skip


# --- Opening


@pytest.mark.parametrize(("code", "kept"), [("C1", "C1"), ("", "t1")])
def test_a_stray_holds_what_sumup_told_of_it(code: str, kept: str) -> None:
    order, at = an_order(), timezone.now()
    assert open_stray(a_merchant(), order, ("t1", code), EUR_12, words="Some words", at=at)
    case = Case.objects.get()
    assert (case.kind, case.merchant, case.order, case.checkout) == ("stray", a_merchant(), order, None)
    assert (case.amount, case.currency, case.words, case.opened_at) == (Decimal("12.00"), "EUR", "Some words", at)
    assert (case.transaction_id, case.transaction_code, case.closed_at) == ("t1", kept, None)


def test_a_stray_is_opened_once_by_either_of_its_names() -> None:
    a_case(CaseKind.MISSING, a_capture(), transaction_id="t5", transaction_code="C5")
    a_stray("t1", "C1", closed_at=timezone.now(), closed_by="user:1", decision="Ours no more")
    found = {names: opened(*names) for names in (("t1", ""), ("", "C1"), ("t9", "C1"), ("t1", "C9"))}
    assert set(found.values()) == {False}
    assert Case.objects.filter(kind=CaseKind.STRAY).count() == 1

    assert [opened(*names) for names in (("t2", "C2"), ("", "C3"), ("t5", "C5"), ("t2", "C2"))] == [True] * 3 + [False]
    kept = Case.objects.filter(kind=CaseKind.STRAY).order_by("pk").values_list("transaction_id", "transaction_code")
    assert list(kept) == [("t1", "C1"), ("t2", "C2"), ("", "C3"), ("t5", "C5")]


def test_a_stray_that_a_rival_opens_at_this_moment_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    class Rival:
        objects = Case.objects

        def __call__(self, **facts: Any) -> Case:
            Case.objects.create(**facts)
            return Case(**facts)

    monkeypatch.setattr(strays, "Case", Rival())
    assert opened("t1", "C1")
    assert Case.objects.get().transaction_code == "C1"


# --- Closing


def test_strays_close_when_their_payment_is_one_of_these() -> None:
    at, before = timezone.now(), timezone.now()
    checkouts = [
        a_capture(transaction_id="t1", transaction_code="C1"),
        a_capture(transaction_id="t2"),
        a_capture(transaction_code="C3"),
        a_capture("open"),
    ]
    by_id, by_code = [a_stray("t1", "X1"), a_stray("t2", "")], [a_stray("x", "C1"), a_stray("", "C3")]
    decided = a_stray("t1", "X2", closed_at=before, closed_by="user:1", decision="Ours")
    others = [
        a_stray("", "X3"), a_stray("t4", "C4"),
        a_case(CaseKind.MISSING, a_capture(), transaction_id="t1", transaction_code="C1"),
    ]  # fmt: skip

    assert close_found(checkouts, who="reconcile", at=at) == 4

    for case in (*by_id, *by_code, decided, *others):
        case.refresh_from_db()
    words = "It is the payment of an order here."
    assert {(row.closed_at, row.closed_by, row.decision) for row in by_id + by_code} == {(at, "reconcile", words)}
    assert (decided.closed_by, decided.decision) == ("user:1", "Ours")
    assert {(row.closed_at, row.closed_by, row.decision) for row in others} == {(None, "", "")}
    assert close_found([], who="reconcile", at=at) == 0


# --- Linking


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was to be recorded by hand."""
    found: list[tuple[Any, ...]] = []

    def record(*arguments: Any, words: str, at: datetime) -> None:
        found.append((*arguments, words, at))

    monkeypatch.setattr(strays, "record_by_hand", record)
    return found


@pytest.fixture
def order() -> Order:
    """An order that is over, after one of the same merchant that can still be paid."""
    a_capture("open")
    return an_order("expired")


def linked(case: Case, code: str, at: datetime | None = None) -> bool:
    return link(case, code, who="user:1", reason="The receipt.", at=at or timezone.now())


def test_a_stray_is_recorded_for_the_order_of_its_code(by_hand: list[Any], order: Order) -> None:
    at = timezone.now()
    for state in ("expired", "refused"):
        a_capture(state, order=order)
    case, other = a_stray(), a_stray("t2", "C2")

    assert linked(case, f" {order.code.lower()} ", at)

    checkout = Checkout.objects.latest("pk")
    assert (checkout.order, checkout.merchant, checkout.reference) == (order, order.merchant, f"{order.code}-3")
    assert (checkout.amount, checkout.currency, checkout.state) == (order.total, "EUR", "new")
    assert (checkout.created_at, checkout.valid_until) == (at, at)
    words = "A person linked this payment to the order, and it is not what was asked for."
    assert by_hand == [(order, checkout, Decimal("12.00"), "EUR", ("t1", "C1"), words, at)]
    case.refresh_from_db()
    other.refresh_from_db()
    assert (case.closed_at, case.closed_by, case.decision) == (at, "user:1", "The receipt.")
    assert (other.closed_at, other.decision) == (None, "")


def test_a_stray_without_a_code_is_recorded_by_its_id(by_hand: list[Any], order: Order) -> None:
    assert linked(a_stray("t1", ""), order.code)
    assert [row[4] for row in by_hand] == [("t1", "")]


def test_who_links_a_stray_and_why_is_in_the_history(order: Order) -> None:
    assert linked(a_stray(amount=Decimal(7)), order.code)
    checkout = Checkout.objects.latest("pk")
    assert (checkout.state, checkout.captured, checkout.transaction_id) == ("mismatch", Decimal(7), "t1")
    told = History.objects.get(subject="checkout", subject_id=checkout.pk, field="state", new="mismatch")
    assert (told.actor, told.reason) == ("user:1", "The receipt.")


def test_what_waits_for_nobody_is_not_linked(by_hand: list[Any], order: Order) -> None:
    waiting = a_stray("t2", "C2")
    decided = a_stray(closed_at=timezone.now(), closed_by="user:2", decision="Quicker")
    no_stray = a_case(
        CaseKind.MISSING, a_capture(), transaction_id="t3", transaction_code="C3", amount=Decimal("12.00")
    )  # fmt: skip
    number = Checkout.objects.count()
    assert [linked(case, order.code) for case in (decided, no_stray)] == [False, False]
    assert (by_hand, Checkout.objects.count()) == ([], number)
    for case, words in ((waiting, ""), (no_stray, ""), (decided, "Quicker")):
        case.refresh_from_db()
        assert (case.decision, case.closed_at is None) == (words, not words)


def refused(case: Case, code: str) -> str:
    """Why; nothing was changed."""
    number = Checkout.objects.count()
    with pytest.raises(LinkRefusal) as refusal:
        linked(case, code)
    case.refresh_from_db()
    assert (case.closed_at, case.decision, Checkout.objects.count()) == (None, "", number)
    return str(refusal.value)


def test_a_stray_is_not_linked_to_an_order_that_cannot_have_been_paid_by_it(by_hand: list[Any], order: Order) -> None:
    elsewhere, payable = an_order_of(another_merchant()), a_capture("new").order
    assert refused(a_stray("t2", "C2"), elsewhere.code) == (
        "There is no order of this code that pays to the same merchant."
    )
    assert refused(a_stray("t3", "C3", merchant=None), order.code) == (
        "There is no order of this code that pays to the same merchant."
    )
    assert refused(a_stray("t4", "C4"), an_order("expired", total=Decimal(0)).code) == (
        "That order is free: nobody can have paid for it."
    )
    assert refused(a_stray("t5", "C5"), payable.code) == (
        "That order can still be paid by another payment. Wait until its hold is over."
    )
    assert refused(a_stray("t6", "C6", amount=None), order.code) == (
        "SumUp did not say how much it took: this cannot be recorded."
    )
    assert by_hand == []


def test_a_payment_that_is_recorded_already_is_not_linked(by_hand: list[Any], order: Order) -> None:
    backed = a_capture(transaction_id="t1", transaction_code="C9")
    shown = {"transactions": [{"id": "t2", "status": "SUCCESSFUL"}]}
    named = a_capture("mismatch", sumup_answer=shown)
    for case, recorded in ((a_stray("t1", "C1"), backed), (a_stray("t2", "C2"), named)):
        assert refused(case, order.code) == (f"This payment is recorded already: it is payment {recorded.reference}.")
    assert by_hand == []


def test_a_payment_that_is_recorded_at_this_moment_is_not_linked(monkeypatch: pytest.MonkeyPatch, order: Order) -> None:
    def record(*_arguments: object, **_more: object) -> None:
        raise IntegrityError("checkout_one_capture_of_transaction")

    monkeypatch.setattr(strays, "record_by_hand", record)
    assert refused(a_stray(), order.code) == "This payment was recorded at this moment. Look once more."

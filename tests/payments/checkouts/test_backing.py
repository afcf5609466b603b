"""Which payment a transaction stands behind: by each of its names, of its own merchant, and of no other row."""

from decimal import Decimal

import pytest

from payments.checkouts import backing
from payments.checkouts.backing import backed_by, is_waited_for, mismatch_of, told_to_a_mismatch
from payments.models import Checkout
from tests.ledger.lives import a_merchant, an_order
from tests.payments.captures import a_capture, an_order_of, another_merchant, pks

pytestmark = pytest.mark.django_db

EUR_12 = (Decimal("12.00"), "EUR")


def shows(*rows: object) -> dict[str, object]:
    """An answer with these transactions."""
    return {"transactions": list(rows)}


def success(**names: str) -> dict[str, str]:
    return {"status": "SUCCESSFUL"} | names


def test_a_capture_is_found_by_the_id_or_the_code_of_its_transaction() -> None:
    both = a_capture(transaction_id="t1", transaction_code="C1")
    by_id = a_capture("mismatch", transaction_id="t2")
    by_code = a_capture(transaction_code="C3")
    a_capture("expired", transaction_id="t4", transaction_code="C4")
    a_capture()
    theirs = a_capture(order=an_order_of(another_merchant()), transaction_id="t1", transaction_code="C9")
    merchant = a_merchant().pk
    found = {
        names: sorted(pks(backed_by(merchant, *names)))
        for names in (
            ("t1", ""), ("", "C1"), ("t1", "C1"), ("t2", "C3"), ("t1", "C9"), ("", ""), ("t4", "C4"), ("C1", "t1"),
        )
    }  # fmt: skip
    assert found == {
        ("t1", ""): [both.pk], ("", "C1"): [both.pk], ("t1", "C1"): [both.pk], ("t2", "C3"): pks([by_id, by_code]),
        ("t1", "C9"): [both.pk], ("", ""): [], ("t4", "C4"): [], ("C1", "t1"): [],
    }  # fmt: skip
    assert pks(backed_by(theirs.merchant_id, "t1", "")) == [theirs.pk]


def test_a_mismatch_without_a_transaction_is_found_by_what_its_answer_names() -> None:
    by_id = a_capture("mismatch", sumup_answer=shows(success(id="t1")))
    by_code = a_capture("mismatch", sumup_answer=shows(success(id="x"), success(id="y", transaction_code="C2")))
    a_capture("mismatch", sumup_answer=shows({"status": "FAILED", "id": "t1", "transaction_code": "C2"}))
    a_capture("mismatch", sumup_answer=shows())
    a_capture("mismatch", sumup_answer=None)
    answer = shows(success(id="t1", transaction_code="C2"))
    a_capture("paid", sumup_answer=answer)
    a_capture("mismatch", sumup_answer=answer, transaction_id="another")
    a_capture("mismatch", sumup_answer=answer, transaction_code="ANOTHER")
    a_capture("mismatch", sumup_answer=answer, captured=None, captured_currency="")
    theirs = a_capture("mismatch", order=an_order_of(another_merchant()), sumup_answer=answer)
    merchant = a_merchant().pk
    found = {
        names: sorted(pks(told_to_a_mismatch(merchant, *names)))
        for names in (("t1", ""), ("", "C2"), ("t1", "C2"), ("", ""), ("C2", "t1"), ("t3", "C3"))
    }
    assert found == {
        ("t1", ""): [by_id.pk], ("", "C2"): [by_code.pk], ("t1", "C2"): pks([by_id, by_code]), ("", ""): [],
        ("C2", "t1"): [], ("t3", "C3"): [],
    }  # fmt: skip
    assert pks(told_to_a_mismatch(theirs.merchant_id, "t1", "C2")) == [theirs.pk]


def names_of(*rows: Checkout) -> list[tuple[str, str | None]]:
    """What each row knows of its transaction by now."""
    known = Checkout.objects.in_bulk(pks(rows))
    return [(known[row.pk].transaction_id, known[row.pk].transaction_code) for row in rows]


@pytest.mark.parametrize(("code", "kept"), [("C1", "C1"), ("", None)])
def test_the_nameless_mismatch_of_an_order_gets_the_transaction_of_its_money(code: str, kept: str | None) -> None:
    order, transaction = an_order(), ("t1", code)
    others = [
        a_capture("mismatch"),
        a_capture("paid", order=order),
        a_capture("mismatch", order=order, transaction_id="t9"),
        a_capture("mismatch", order=order, transaction_code="C9"),
        a_capture("mismatch", order=order, captured=Decimal("11.99")),
        a_capture("mismatch", order=order, captured_currency="CHF"),
        a_capture("mismatch", order=order, captured=None, captured_currency=""),
        a_capture("mismatch", order=order, sumup_answer=shows(success(id="t8"))),
    ]
    mine = a_capture("mismatch", order=order, sumup_answer=shows({"status": "FAILED"}, "words"))
    before, merchant = names_of(*others), a_merchant()

    assert mismatch_of(merchant, None, transaction, EUR_12) is None
    assert mismatch_of(merchant, order, transaction, (None, "")) is None
    assert mismatch_of(merchant, order, transaction, (Decimal("12.01"), "EUR")) is None
    assert mismatch_of(merchant, order, transaction, EUR_12, is_dry=True) == mine
    assert names_of(mine) == [("", None)]

    found = mismatch_of(merchant, order, transaction, EUR_12)
    assert found == mine
    assert (found.transaction_id, found.transaction_code) == ("t1", kept)
    assert (names_of(mine), names_of(*others)) == ([("t1", kept)], before)


def test_what_an_answer_names_is_no_other_mismatch() -> None:
    order = an_order()
    nameless = a_capture("mismatch", order=order)
    named = a_capture("mismatch", sumup_answer=shows(success(id="t1")))
    for given in (order, None):
        assert mismatch_of(a_merchant(), given, ("t1", "C1"), EUR_12) == named
    assert names_of(named, nameless) == [("", None), ("", None)]


def test_a_mismatch_that_got_its_transaction_meanwhile_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = a_capture("mismatch")

    def rival(_answer: object) -> bool:
        return not Checkout.objects.filter(pk=mine.pk).update(transaction_id="t9", transaction_code="C9")

    monkeypatch.setattr(backing, "_names_a_payment", rival)
    mismatch_of(a_merchant(), mine.order, ("t1", "C1"), EUR_12)
    assert names_of(mine) == [("t9", "C9")]


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        (None, False), ([success()], False), ({}, False), ({"transactions": "SUCCESSFUL"}, False), (shows(), False),
        (shows({"status": "FAILED"}, "SUCCESSFUL", None), False), (shows("words", success()), True),
    ],
)  # fmt: skip
def test_an_answer_names_a_payment_when_it_shows_a_successful_one(answer: object, names: bool) -> None:
    assert backing._names_a_payment(answer) == names


def test_a_payment_is_waited_for_where_sumup_says_paid_of_a_page_of_the_order() -> None:
    order, pending = an_order(), an_order()
    a_capture("open", order=order, sumup_status="PAID")
    a_capture("open", order=pending, sumup_status="PENDING")
    over = a_capture("expired", sumup_status="PAID").order
    assert is_waited_for(order, *EUR_12)
    for given, amount, currency in (
        (pending, *EUR_12), (over, *EUR_12), (order, Decimal("12.01"), "EUR"), (order, Decimal("12.00"), "CHF"),
        (order, None, "EUR"),
    ):  # fmt: skip
        assert not is_waited_for(given, amount, currency)

"""A thing that was paid back twice: a person takes the second as a loss, and the books are true again."""

from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from events.models import Role
from payments.books.checking import read_books
from payments.books.proof import proof_of
from payments.models import Case, Checkout, Refund, RefundLine, RefundLoss
from payments.refunds.asking import again
from payments.refunds.sending import Sent, follow
from tests.desk import member, signed_in_as
from tests.payments.admin.test_refunds import words
from tests.payments.mixed import Shop, failed, keys, shop, sold, states
from tests.payments.money import at_sumup, ledgers_agree, sent
from tests.simulator import SimulatorProcess

__all__ = ["shop"]  # a fixture

pytestmark = pytest.mark.django_db(transaction=True)


def twice(sumup: SimulatorProcess, checkout: Checkout, key: str) -> tuple[Refund, Refund]:
    """SumUp says no, it is sent again and goes back; then the first turns out to have gone back as well."""
    first = failed(sumup, checkout, [key])
    second = again(first.pk, reason="Now", who="user:1", at=timezone.now())
    assert second is not None
    assert sent(second) is Sent.SUCCEEDED
    follow(second.pk, who="sweep", at=timezone.now())
    sumup.control(f"refund/{checkout.transaction_id}", {"amount": float(second.amount)})
    follow(first.pk, who="reconcile", at=timezone.now())
    first.refresh_from_db()
    assert first.state == "succeeded"
    return first, second


@pytest.mark.parametrize("kind", ["ticket", "booking", "item"])
@pytest.mark.promise("refund-had-failed")
def test_what_went_back_twice_is_taken_as_a_loss_with_a_reason(sumup: SimulatorProcess, shop: Shop, kind: str) -> None:
    order, checkout = sold(sumup, shop)
    twice(sumup, checkout, keys(order, kind)[0])
    assert {breach.rule for breach in read_books()} == {
        "refunded_row_has_its_refund",
        "row_pays_back_its_price_at_most",
    }
    case = Case.objects.open().get(kind="refund")
    owner = signed_in_as(member((shop.page, Role.OWNER)))
    base = f"/admin/payments/case/{case.pk}"
    page = words(owner, f"{base}/change/")
    assert "Take it as a loss" in page
    assert "It is settled" not in page

    assert owner.post(f"{base}/decide/loss/", {"reason": " "}).status_code == 422
    assert (
        signed_in_as(member((shop.page, Role.ORGANISER))).post(f"{base}/decide/loss/", {"reason": "x"}).status_code
        == 403
    )
    for _click in range(2):
        owner.post(f"{base}/decide/loss/", {"reason": "The buyer keeps it"})

    case.refresh_from_db()
    assert (case.decision, RefundLoss.objects.count()) == ("The buyer keeps it", 1)
    told = [line["loss"] for refund in proof_of(order)["refunds"] for line in refund["lines"]]
    assert [loss for loss in told if loss] == [str(RefundLoss.objects.get().amount)]
    assert [state for each in states(order) for state in each].count("refunded") == 1
    assert len(at_sumup(sumup)) == 2
    assert ledgers_agree(sumup)


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.promise("refund-had-failed")
def test_loss_that_sumup_took_back_is_none_and_nothing_is_owed(sumup: SimulatorProcess, shop: Shop, place: int) -> None:
    """Whichever of both was taken back, the other one paid the thing back."""
    order, checkout = sold(sumup, shop)
    refunds = twice(sumup, checkout, keys(order, "booking")[0])
    owner = signed_in_as(member((shop.page, Role.OWNER)))
    owner.post(f"/admin/payments/case/{Case.objects.open().get().pk}/decide/loss/", {"reason": "Lost"})
    assert read_books() == []
    theirs = sumup.ledger()["refunds"][1 - place]["id"]  # what was sent again is the first that SumUp knows
    sumup.control(f"fail_refund/{theirs}")

    follow(refunds[place].pk, who="reconcile", at=timezone.now())

    assert (states(order)[1], RefundLoss.objects.count()) == (["refunded"], 0)
    assert ledgers_agree(sumup)


def test_database_takes_no_loss_beyond_its_line(sumup: SimulatorProcess, shop: Shop) -> None:
    order, checkout = sold(sumup, shop)
    twice(sumup, checkout, keys(order, "item")[0])
    line, case = RefundLine.objects.all()[0], Case.objects.open().get()
    for amount in ("5.01", "0", "-1"):
        with pytest.raises(IntegrityError), transaction.atomic():
            RefundLoss.objects.create(line=line, case=case, amount=Decimal(amount))

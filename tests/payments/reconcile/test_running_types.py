"""reconcile() and SumUp's types of payment: cards, banks, wallets, tills; and what of a stray went back already."""

from decimal import Decimal

import pytest

from dev.simulator.checks import PAYMENT_TYPES
from payments.models import Case, Checkout, ReconcileRun, RunOutcome
from payments.reconcile.pace import Pace
from payments.reconcile.round import Round
from payments.reconcile.running import reconcile
from payments.states import CaseKind
from tests.factories import EventFactory
from tests.simulator import MERCHANT, SimulatorProcess
from tests.steps import later, opened, ordered, states_of, sumup_id

pytestmark = pytest.mark.django_db(transaction=True)

#: SumUp's payment types, and one that no document names.
KINDS = [*sorted(PAYMENT_TYPES), "WALLET"]

#: Some of them on SumUp's own page.
PAGE = ["APM", "BALANCE", "POS", "WALLET"]


def reconciled(minutes: float = 0) -> ReconcileRun:
    """One run, so many minutes from now, with no question left unasked because somebody asked a moment ago."""
    Checkout.objects.update(asked_at=None)
    return reconcile(Round(pace=Pace(0), clock=lambda: later(minutes=minutes)))


def test_sales_at_a_card_reader_are_none_of_ours_whatever_their_type(sumup: SimulatorProcess) -> None:
    for kind in KINDS:
        sumup.control(f"sell/{MERCHANT}", {"payment_type": kind, "description": "Two coffees"})
    row = reconciled()
    assert (row.outcome, row.counts["not of this shop"]) == (RunOutcome.IN_ORDER, len(KINDS))


@pytest.mark.promise("payment-order-code")
def test_payments_with_an_order_s_code_are_ours_whatever_their_type(sumup: SimulatorProcess) -> None:
    entry = EventFactory.create(capacity=100)
    known, expired = [ordered(entry) for _kind in PAGE], [ordered(entry) for _kind in PAGE]
    late = [opened(order) for order in expired]
    for order, kind in zip(known, PAGE, strict=True):
        sumup.control(f"pay/{sumup_id(opened(order))}", {"payment_type": kind})
    reconciled(minutes=31)
    sold = []
    for checkout, kind in zip(late, PAGE, strict=True):
        checkout.refresh_from_db()
        assert checkout.state == "expired"
        sumup.control(f"pay/{sumup_id(checkout)}", {"payment_type": kind, "force": True})
    for kind in KINDS:
        unknown = {"payment_type": kind, "description": "Sale: ABCDEFGHIJKLMNOPQRSTUVWXYZ a house", "amount": "17.50"}
        sold.append(sumup.control(f"sell/{MERCHANT}", unknown)["id"])

    row = reconciled()

    assert {kind for order in known + expired for kind in states_of(order)} == {"confirmed"}
    assert (row.counts["found paid"], row.counts["of no order"]) == (len(PAGE), len(KINDS))
    assert "not of this shop" not in row.counts
    cases = Case.objects.filter(kind=CaseKind.STRAY, amount=Decimal("17.50"))
    assert sorted(cases.values_list("transaction_id", flat=True)) == sorted(sold)
    assert Case.objects.count() == len(KINDS)


@pytest.mark.parametrize(
    ("back", "words"),
    [([], ""), (["5"], "5.00 EUR of it went back already."), (["5", "7.50"], "All of it went back already.")],
)
@pytest.mark.promise("stray-tells-went")
def test_a_stray_tells_what_of_it_went_back(sumup: SimulatorProcess, back: list[str], words: str) -> None:
    sold = sumup.control(f"sell/{MERCHANT}", {"description": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "amount": "12.50"})
    for amount in back:
        sumup.control(f"refund/{sold['id']}", {"amount": amount})

    reconciled()

    case = Case.objects.get()
    assert case.amount == Decimal("12.50")
    assert words in case.words
    assert ("went back" in case.words) == bool(back)

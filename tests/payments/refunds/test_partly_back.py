"""A payment of which a part went back already cannot buy the goods any more: the rest of it goes back too."""

import pytest
from django.utils import timezone

import orders.fulfilling
from events.models import CalendarEntry
from orders.models import Order
from payments.admin.decisions import DECISIONS
from payments.checkouts.accepting import accept_mismatch, give_again
from payments.checkouts.settling import settle
from payments.models import Case, Checkout
from payments.refunds.asking import Wish
from payments.refunds.reports_of_sumup import adopt_reports
from payments.states import RefundKind
from tests.factories import EventFactory
from tests.payments.money import ledgers_agree, refunded
from tests.simulator import SimulatorProcess
from tests.steps import later, opened, ordered, paid_at_sumup, states_of, sumup_id

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def order() -> Order:
    entry: CalendarEntry = EventFactory.create(capacity=5)
    return ordered(entry, 2)


def a_part_goes_back(sumup: SimulatorProcess, checkout: Checkout) -> None:
    checkout.refresh_from_db()
    sumup.control(f"refund/{checkout.transaction_id}", {"amount": 5})
    answer = sumup.client().read_transaction(checkout.transaction_id)
    adopt_reports(checkout, answer, at=timezone.now(), who="reconcile")


def the_rest_goes_back(sumup: SimulatorProcess, checkout: Checkout) -> None:
    refunded(sumup, checkout, [Wish(RefundKind.SURPLUS)])
    assert not Case.objects.open().exists()
    assert ledgers_agree(sumup)


@pytest.mark.promise("part-payment-went")
def test_a_mismatch_cannot_be_accepted(sumup: SimulatorProcess, order: Order) -> None:
    checkout = opened(order)
    sumup.pay(sumup_id(checkout))
    sumup.faults(tamper={"checkout_reference": "another"})
    settle(checkout.pk, who="webhook", at=timezone.now())
    sumup.faults(tamper={})
    case = Case.objects.get()
    a_part_goes_back(sumup, checkout)

    assert not DECISIONS["accept"].offered(checkout)
    assert not accept_mismatch(case, who="user:1", reason="It is near enough.", at=timezone.now())

    assert states_of(order) == ["reserved"] * 2
    the_rest_goes_back(sumup, checkout)


@pytest.mark.promise("part-payment-went")
def test_goods_are_not_given(sumup: SimulatorProcess, order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = paid_at_sumup(sumup, order)

    def broken(_tickets: object) -> int:
        raise ZeroDivisionError("the printer")

    with monkeypatch.context() as patch:
        patch.setattr(orders.fulfilling, "mark_confirmed", broken)
        settle(checkout.pk, who="webhook", at=timezone.now())
    case = Case.objects.get()
    checkout.refresh_from_db()
    assert DECISIONS["give-again"].offered(checkout)
    a_part_goes_back(sumup, checkout)

    assert not DECISIONS["give-again"].offered(checkout)
    assert not give_again(case, who="user:1", reason="There is paper again.", at=timezone.now())
    settle(checkout.pk, who="sweep", at=later(minutes=2))

    assert states_of(order) == ["reserved"] * 2
    the_rest_goes_back(sumup, checkout)

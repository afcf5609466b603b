"""kill -9 in reconcile, and two at once: the next run ends clean, and SumUp's ledger is ours to the cent."""

from dataclasses import dataclass
from decimal import Decimal

import pytest
from django.utils import timezone

from orders.models import Order
from orders.releasing import request_cancel
from payments.books.checking import read_books
from payments.checkouts.ending import Release, release
from payments.checkouts.settling import settle
from payments.models import Case, Checkout, ReconcileRun, Refund, RunOutcome, SumUpReport
from payments.reconcile.pace import Pace
from payments.reconcile.round import Round
from payments.reconcile.running import AlreadyRunning, reconcile
from payments.refunds.asking import Wish, request_refund
from payments.refunds.sending import send
from payments.states import CaseKind, RefundKind, RefundState
from tests.factories import EventFactory
from tests.faults.child import NOWHERE, Child, kill_at
from tests.simulator import SimulatorProcess, until
from tests.steps import held, moves_to, opened, ordered, paid_at_sumup, states_of, sumup_id

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class World:
    """Each kind of thing that a reconcile mends, one of each."""

    paid: Order
    late: Order
    given_up: Order
    back: Order
    lost: Order
    sumup: SimulatorProcess

    def once_in_order(self) -> None:
        """All of it is mended, each of it once."""
        assert (states_of(self.paid), states_of(self.late)) == (["confirmed"], ["confirmed"])
        assert [moves_to("confirmed", order) for order in (self.paid, self.late)] == [[1], [1]]
        assert (states_of(self.given_up), states_of(self.back)) == (["cancelled"], ["refunded"])
        assert states_of(self.lost) == ["refunded"]
        assert Refund.objects.filter(state=RefundState.SUCCEEDED).count() == Refund.objects.count() == 2
        (case,) = Case.objects.open()
        assert case.kind == CaseKind.STRAY
        ledger = self.sumup.ledger()
        ours = {row.transaction_id: row.captured for row in Checkout.objects.exclude(captured=None)}
        theirs = {row["id"]: Decimal(row["amount"]) for row in ledger["captures"]}
        assert theirs == {**ours, case.transaction_id: case.amount}
        gone = sorted(row.amount or Decimal(0) for row in SumUpReport.objects.all())
        assert gone == sorted(Decimal(row["amount"]) for row in ledger["refunds"])
        assert read_books() == []


@pytest.fixture
def world(sumup: SimulatorProcess) -> World:
    entry = EventFactory.create(capacity=20)
    paid, late, given_up, back, lost = (ordered(entry) for _each in range(5))
    page = opened(late)
    assert release(late.pk, who="sweep", at=late.hold_until) is Release.FREED
    sumup.pay(sumup_id(page), force=True)
    for order in (back, lost):
        settle(paid_at_sumup(sumup, order).pk, who="webhook", at=timezone.now())
    sumup.control(f"refund/{Checkout.objects.get(order=back).transaction_id}")
    ticket = lost.tickets.get()
    refund = request_refund(
        Checkout.objects.get(order=lost).pk, [Wish(RefundKind.ROW, f"ticket:{ticket.pk}")],
        reason="ill", who="user:1", at=timezone.now(),
    )  # fmt: skip
    assert refund is not None
    sumup.faults(refund="lost_answer", refund_event_delay=60)  # its event shows only after we have given up
    send(refund.pk, who="refund", at=timezone.now())
    sumup.faults(refund="ok", refund_event_delay=0)
    sumup.shift_clock(61)
    refund.refresh_from_db()
    assert refund.state == RefundState.UNKNOWN
    paid_at_sumup(sumup, paid)
    opened(given_up)
    request_cancel(given_up, at=timezone.now())
    sumup.pay(sumup.create(description="ABCDEFGHIJKLMNOPQRSTUVWXYZ a house", amount=7)["id"])
    Checkout.objects.update(asked_at=None)
    return World(paid, late, given_up, back, lost, sumup)


def reconciled() -> ReconcileRun | None:
    try:
        return reconcile(Round(pace=Pace(0)))
    except AlreadyRunning:
        return None


@pytest.mark.parametrize(
    "point",
    [
        "reconcile began, nothing done",
        "reconcile about to settle",
        "reconcile about to release",
        "reconcile about to ask about a refund",
        "listed payment found, not settled",
        "listed payment settled, page not done",
        "stray about to be a case",
        "stray is a case, page not done",
        "refund at SumUp read, not booked",
        "refund at SumUp booked, not committed",
        "refund at SumUp booked, page not done",
        "list read, run not ended",
    ],
)
@pytest.mark.promise("killed-anywhere-reconcile")
def test_killed_in_reconcile_the_next_run_ends_clean(world: World, point: str) -> None:
    kill_at(point, "reconcile", 0, world.sumup)
    Checkout.objects.update(asked_at=None)

    row = until(reconciled)  # the lock is free as soon as PostgreSQL has seen that its holder is gone

    assert row is not None
    assert row.outcome == RunOutcome.PERSON
    assert ReconcileRun.objects.filter(outcome=RunOutcome.KILLED).count() == 1
    world.once_in_order()


@pytest.mark.promise("two-processes-reconcile")
def test_two_processes_at_once_do_no_double_work(world: World) -> None:
    processes = [Child(NOWHERE, "reconcile", 0, world.sumup) for _each in range(2)]
    said = [process.says() for process in processes]
    # One did it; the other found the lock taken, or nothing left to do.
    assert "past" in said
    assert all(words == "past" or "AlreadyRunning" in words for words in said), said
    world.once_in_order()
    assert held(EventFactory._meta.model.objects.get()) == 2

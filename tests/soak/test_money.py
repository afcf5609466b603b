"""The long proof of the money: many orders, much of it going wrong, workers killed at random; then one clean run.

SOAK_ORDERS and SOAK_KILLS size it, SOAK_SEED repeats it, SOAK_OUTPUT names a file for its account.
"""

import os
import random
import resource
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db.models import Count, Q, Sum
from django.utils import timezone

from orders.models import Order
from payments.books.checking import read_books
from payments.checkouts.opening import PageUnavailable, hosted_page
from payments.checkouts.settling import settle
from payments.models import Case, Checkout, Refund, RunOutcome, SumUpReport
from payments.reconcile.pace import Pace
from payments.reconcile.round import Round
from payments.reconcile.running import AlreadyRunning, reconcile
from payments.refunds.asking import RefundRefused, Wish, request_refund
from payments.states import CaseKind, RefundKind, RefundOrigin, RefundState
from tests.factories import EventFactory
from tests.faults.child import ANYWHERE, Child
from tests.ledger.psql import run
from tests.payments.lived_in import paid_again
from tests.simulator import SimulatorProcess, until
from tests.steps import ordered

pytestmark = pytest.mark.django_db(transaction=True)

ZERO = Decimal(0)
#: The longest that reconcile works before it is killed, and the worker of refunds, for whom there must be some left.
WORK_SECONDS, SENDING_SECONDS = 1.5, 0.4
PER_SECOND = 200


@dataclass
class Soak:
    """One proof: so many orders, with chances of what befalls each; `done` counts what did."""

    sumup: SimulatorProcess
    chance: random.Random
    done: Counter[str] = field(default_factory=Counter)

    def happens(self, percent: float, name: str) -> bool:
        if self.chance.random() * 100 >= percent:
            return False
        self.done[name] += 1
        return True

    def live(self, number: int) -> None:
        entry = EventFactory.create(capacity=number * 4)
        for _order in range(number):
            self.order(ordered(entry, self.chance.randint(1, 3)))
        for turn in range(max(1, number // 200)):
            made = self.sumup.create(description="ABCDEFGHIJKLMNOPQRSTUVWXYZ x", checkout_reference=f"stray {turn}")
            self.sumup.pay(made["id"])
            self.done["payments of no order"] += 1

    def order(self, order: Order) -> None:
        self.done["orders"] += 1
        lost = self.happens(5, "answers lost after the checkout was made")
        self.sumup.faults(create="lost_answer" if lost else "ok")
        try:
            hosted_page(order, at=timezone.now())
        except PageUnavailable:
            self.sumup.faults(create="ok")
            hosted_page(order, at=timezone.now())
        checkout = Checkout.objects.get(order=order)
        if self.happens(3, "left the payment page"):
            return
        self.sumup.pay(str(checkout.sumup_id))
        if self.happens(10, "told of by nobody"):
            return
        settle(checkout.pk, who="webhook", at=timezone.now())
        if self.happens(10, "paid twice"):
            paid_again(self.sumup, order)
        if self.happens(2, "touched in the dashboard"):
            self.touch(checkout)
        elif self.happens(20, "refunds asked for"):
            self.refund(order, checkout)

    def touch(self, checkout: Checkout) -> None:
        checkout.refresh_from_db()
        act = self.chance.choice(["refund", "chargeback"])
        part = {"amount": "5"} if self.chance.random() < 0.5 else {}
        self.sumup.control(f"{act}/{checkout.transaction_id}", part)

    def refund(self, order: Order, checkout: Checkout) -> None:
        tickets = list(order.tickets.order_by("pk").values_list("pk", flat=True))
        match self.chance.choice(["whole", "one", "goodwill"]):
            case "whole":
                wishes = [Wish(RefundKind.ROW, f"ticket:{pk}") for pk in tickets]
            case "one":
                wishes = [Wish(RefundKind.ROW, f"ticket:{tickets[0]}")]
            case _goodwill:
                wishes = [Wish(RefundKind.GOODWILL, f"ticket:{tickets[0]}", Decimal("3.50"))]
        try:
            request_refund(checkout.pk, wishes, reason="soak", who="user:1", at=timezone.now())
        except RefundRefused:
            self.done["refunds refused by us"] += 1

    def kill(self, number: int) -> None:
        """The worker of refunds and reconcile by turns, `number` of them killed at a random instant of their work."""
        turn = 0
        while self.done["kill -9"] < number:
            turn += 1
            # The answers of some refunds are lost after the work was done.
            self.sumup.faults(refund=self.chance.choice(["ok", "ok", "ok", "lost_answer", "500_after"]), times=2)
            Checkout.objects.update(asked_at=None)
            sends = turn % 2 and Refund.objects.filter(state=RefundState.REQUESTED).exists()
            process = Child(ANYWHERE, "refunds" if sends else "reconcile", 0, self.sumup)
            assert process.says() == "begins"
            alive = process.lives_on(self.chance.uniform(0, SENDING_SECONDS if sends else WORK_SECONDS))
            self.done["kill -9" if alive else "children that were done before"] += 1
            process.kill()
        self.sumup.faults(refund="ok")

    def heal(self) -> tuple[Any, Pace, float]:
        """Two hours later: one clean run."""
        self.sumup.shift_clock(2 * 3600)
        Checkout.objects.update(asked_at=None)
        pace, began = Pace(PER_SECOND), time.monotonic()

        def clean() -> Any:
            try:
                return reconcile(Round(pace=pace, clock=lambda: timezone.now() + timedelta(hours=2)))
            except AlreadyRunning:  # of a child whose end PostgreSQL has not seen yet
                return None

        return until(clean, 3600), pace, time.monotonic() - began


def in_order(soak: Soak) -> dict[str, int]:
    """SumUp's ledger is ours to the cent, nothing went back twice, and each case is one that a person must decide."""
    ledger = soak.sumup.ledger()
    strays = Case.objects.open().filter(kind=CaseKind.STRAY)
    ours = {row.transaction_id: row.captured for row in Checkout.objects.exclude(captured=None)}
    ours |= {case.transaction_id: case.amount for case in strays}
    assert ours == {row["id"]: Decimal(row["amount"]) for row in ledger["captures"]}
    assert strays.count() == soak.done["payments of no order"]

    theirs: dict[str, Decimal] = {}
    for row in ledger["refunds"]:
        theirs[row["transaction_id"]] = theirs.get(row["transaction_id"], ZERO) + Decimal(row["amount"])
    told = SumUpReport.objects.counted().values_list("transaction_id").annotate(sum=Sum("amount"))
    assert dict(told) == dict(theirs)
    # Nothing was sent twice: each refund that we sent explains at most one of SumUp's, and each of SumUp's is explained
    # by one of ours, or was made in the dashboard.
    own = Refund.objects.filter(origin=RefundOrigin.OURS)
    succeeded = own.filter(state=RefundState.SUCCEEDED)
    assert not succeeded.annotate(n=Count("sumup_reports")).exclude(n=1).exists()
    assert succeeded.count() + soak.done["touched in the dashboard"] == len(ledger["refunds"])
    unknown = own.filter(state=RefundState.UNKNOWN)
    assert own.count() == succeeded.count() + unknown.count() + own.filter(state=RefundState.FAILED).count()

    # Money to decide
    kinds = Counter(Case.objects.open().values_list("kind", flat=True))
    surplus = Checkout.objects.filter(state="paid", is_applied=False)
    assert kinds.pop(CaseKind.SURPLUS, 0) == surplus.count() == soak.done["paid twice"]
    assert kinds.pop(CaseKind.STRAY) == strays.count()
    waiting = (
        unknown.values("checkout").distinct().count()
        + own.filter(Q(state=RefundState.FAILED), ~Q(checkout__refunds__state=RefundState.UNKNOWN))
        .values("checkout")
        .distinct()
        .count()
    )
    assert kinds.pop(CaseKind.REFUND, 0) == waiting
    assert kinds.pop(CaseKind.OUTSIDE, 0) <= soak.done["touched in the dashboard"]
    assert not kinds, kinds
    assert read_books() == []
    return {"refunds sent": succeeded.count(), "refunds of unknown end, for a person": unknown.count()}


@pytest.mark.promise("all-random-random")
def test_after_all_that_goes_wrong_one_clean_run_agrees_with_sumup_to_the_cent(sumup: SimulatorProcess) -> None:
    orders, kills = int(os.environ.get("SOAK_ORDERS", "12")), int(os.environ.get("SOAK_KILLS", "2"))
    seed = int(os.environ.get("SOAK_SEED", "5"))
    soak = Soak(sumup, random.Random(seed))
    began = time.monotonic()
    soak.live(orders)
    lived = time.monotonic() - began
    soak.kill(kills)
    run("UPDATE procrastinate_jobs SET status = 'failed' WHERE status = 'doing'")  # their workers are gone
    calls_before, memory = sum(sumup.ledger()["calls"].values()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    row, pace, seconds = soak.heal()

    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024
    assert row.outcome == RunOutcome.PERSON, row.problem
    found = in_order(soak)
    assert pace.asked <= PER_SECOND * seconds + 1
    assert grown < 40, f"{grown} MB"
    captured = sum((checkout.captured or ZERO for checkout in Checkout.objects.exclude(captured=None)), ZERO)
    calls = sum(sumup.ledger()["calls"].values()) - calls_before
    lines = [
        f"seed {seed}, {orders} orders lived in {lived:.0f} s, then {kills} kills",
        *(f"{number:>7}  {name}" for name, number in sorted(soak.done.items())),
        f"{captured:>10} EUR captured, SumUp's ledger says the same",
        *(f"{number:>7}  {name}" for name, number in found.items()),
        f"the clean run: {seconds:.1f} s, {pace.asked} questions ({pace.asked / seconds:.0f} a second, at most"
        f" {PER_SECOND}), {calls} calls, {grown:.0f} MB more memory",
        *(f"{number:>7}  {name}" for name, number in sorted(row.counts.items())),
        *(f"{number:>7}  open: {kind}" for kind, number in Counter(Case.objects.open().values_list("kind")).items()),
        "check_books: no breach",
    ]
    if output := os.environ.get("SOAK_OUTPUT"):
        Path(output).write_text("\n".join(lines) + "\n")

"""reconcile(): bring our books and SumUp's into agreement, both ways; what only a person can decide becomes a case.

Every step can be played again, stopped anywhere, and played by two at once without harm; an advisory lock keeps the
second from doing the same work for nothing.
"""

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, models
from django.db.models import Min, Q

from events.models import Merchant
from orders.models import Order
from payments.checkouts.ending import Release, release
from payments.checkouts.settling import ask, settle
from payments.merchants import PATIENT
from payments.models import Case, Checkout, ReconcileRun, Refund, RunOutcome
from payments.reconcile.matching import look_for, match_history, unlisted_captures
from payments.reconcile.payouts import read_payouts
from payments.reconcile.round import WHO, Round, chunks
from payments.refunds.jobs import LEFT_BEHIND, refunds_once
from payments.refunds.sending import LONGEST_CALL, follow, send
from payments.states import CheckoutState, RefundOrigin, RefundState
from payments.sumup import SumUpProblem, UnknownCheckout

#: A run reads again what changed in so long before the last good one: SumUp's list may lag behind what it lists.
OVERLAP = timedelta(days=2)
#: The advisory lock of PostgreSQL: any two numbers that nothing else uses.
LOCK = (0x0F0E, 0x5EC0)


class AlreadyRunning(Exception):
    """Another reconcile is at work on this database."""


def reconcile(
    run: Round, *, who: str = WHO, since: datetime | None = None, merchant: Merchant | None = None
) -> ReconcileRun:
    """One run over all merchants, or over one; the row that says what it came to. Raises AlreadyRunning.

    `since` overrides from when on SumUp's list is read: else from the last run that read it to its end, less OVERLAP.
    """
    with only_one():
        began = run.clock()
        if not run.is_dry:
            left = ReconcileRun.objects.filter(outcome=RunOutcome.RUNNING)
            left.update(outcome=RunOutcome.KILLED, finished_at=began)
        row = ReconcileRun.objects.create(
            started_at=began, since=since, merchant=merchant, is_dry=run.is_dry, who=who[:60]
        )
        _settle_open(run, merchant)
        _end_lapsed(run, merchant)
        _finish_refunds(run, merchant)
        for one in Merchant.objects.filter(pk=merchant.pk) if merchant else Merchant.objects.order_by("pk"):
            start = since or since_of(one, began)
            if match_history(one, start, run):
                for pk in unlisted_captures(one, start, run):
                    run.safely(f"payment not listed, {pk}", lambda: look_for(pk, run))  # noqa: B023
                row.walked.append(one.pk)
                run.safely(f"payouts of {one.code}", lambda: read_payouts(one, run))  # noqa: B023
        return _finished(row, run, merchant)


def since_of(merchant: Merchant, at: datetime) -> datetime:
    """From when on SumUp's list is read for `merchant`: what came before has been looked at."""
    last = ReconcileRun.objects.walked(merchant).order_by("-started_at").values_list("started_at", flat=True).first()
    first = last or Checkout.objects.filter(merchant=merchant).aggregate(first=Min("created_at"))["first"] or at
    return first - OVERLAP


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Hold the advisory lock of this connection; PostgreSQL lets it go when the process dies."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", LOCK)
        (mine,) = cursor.fetchone() or (False,)
    if not mine:
        raise AlreadyRunning
    try:
        yield
    finally:
        # A connection that broke has let it go already.
        with contextlib.suppress(Exception), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", LOCK)


def _finished(row: ReconcileRun, run: Round, merchant: Merchant | None) -> ReconcileRun:
    cases = Case.objects.open().filter(merchant=merchant) if merchant else Case.objects.open()
    waiting = cases.count()
    run.counts["waiting for a person"] = waiting
    row.finished_at = run.clock()
    row.counts = dict(run.counts)
    row.problem = "; ".join(dict.fromkeys([*run.unanswered, *run.refused]))[:400]
    if run.unanswered:
        row.outcome = RunOutcome.UNREACHABLE
    else:
        row.outcome = RunOutcome.PERSON if waiting or run.refused else RunOutcome.IN_ORDER
    row.save(update_fields=["finished_at", "counts", "problem", "outcome", "walked"])
    return row


def _each(step: str, rows: "models.QuerySet[Any]", work: Callable[[int, Round], object], run: Round) -> None:
    """`work` on each of `rows`, a chunk of keys at a time."""
    done, of = 0, rows.count()
    for keys in chunks(rows):
        for pk in keys:
            run.safely(f"{step}, {pk}", lambda: work(pk, run))  # noqa: B023  (called at once)
            done += 1
            run.progress(step, done, max(of, done))


# --- What we think is not settled


def _settle_open(run: Round, merchant: Merchant | None) -> None:
    """Ask about every checkout that is not final, and those about whose money SumUp may say more."""
    for rows in (Checkout.objects.unsettled(), Checkout.objects.doubtful(at=run.clock())):
        mine = rows.filter(merchant=merchant) if merchant else rows
        _each("payments that are not settled", mine, _settle, run)


def _settle(pk: int, run: Round) -> None:
    checkout = Checkout.objects.select_related("merchant", "order").get(pk=pk)
    run.counts["asked about"] += 1
    run.pace(checkout.merchant_id)
    if run.is_dry:
        _look(checkout, run)
        return
    settle(pk, who=WHO, at=run.clock(), heard=lambda problem: _heard(problem, checkout, run))
    before = checkout.state
    checkout.refresh_from_db()
    if checkout.state != before:
        words = f"Order {checkout.order.short_code}: SumUp says {checkout.sumup_status}."
        run.count(f"now {checkout.state}", f"{words} The payment is now {checkout.state}.")


def _look(checkout: Checkout, run: Round) -> None:
    """What settle would come to, without it."""
    try:
        answer = ask(checkout)
    except SumUpProblem as problem:
        _heard(problem, checkout, run)
        return
    if answer.status in ("PAID", "EXPIRED"):
        words = f"Order {checkout.order.short_code}: SumUp says {answer.status}. It would be settled."
        run.count(f"to settle as {answer.status}", words)


def _heard(problem: SumUpProblem, checkout: Checkout, run: Round) -> None:
    """A checkout that SumUp does not know is no outage: its hold ends when SumUp has said so twice."""
    if isinstance(problem, UnknownCheckout):
        run.counts["unknown to SumUp"] += 1
    else:
        run.heard(problem, checkout.merchant_id)


def _end_lapsed(run: Round, merchant: Merchant | None) -> None:
    """End the orders whose hold is over or whose buyer cancelled."""
    rows = Order.objects.to_end(at=run.clock())
    if merchant:
        rows = rows.filter(merchant=merchant)
    _each("holds that are over", rows, _end, run)


def _end(pk: int, run: Round) -> None:
    order = Order.objects.get(pk=pk)
    if run.is_dry:
        words = f"Order {order.short_code}: its hold is over. It would be ended at SumUp, then its seats freed."
        run.count("holds to end", words)
        return
    if order.merchant_id:
        run.pace(order.merchant_id)
    if release(pk, who=WHO, at=run.clock(), deadline=PATIENT) is Release.FREED:
        run.count("holds ended", f"Order {order.short_code}: not paid, its seats are free.")


# --- Refunds without an end


def _finish_refunds(run: Round, merchant: Merchant | None) -> None:
    """Send what was left behind, ask what became of what was sent; SumUp's reports decide, nothing is sent twice."""
    now = run.clock()
    ours = Refund.objects.filter(origin=RefundOrigin.OURS)
    if merchant:
        ours = ours.filter(checkout__merchant=merchant)
    left = Q(state=RefundState.REQUESTED, requested_at__lte=now - LEFT_BEHIND)
    sent = Q(state=RefundState.UNKNOWN) | Q(state=RefundState.SENDING, sent_at__lte=now - LONGEST_CALL)
    _each("refunds without an end", ours.filter(left | sent), _finish_refund, run)
    if not run.is_dry and merchant is None:
        refunds_once(at=run.clock())


def _finish_refund(pk: int, run: Round) -> None:
    refund = Refund.objects.select_related("checkout").get(pk=pk)
    if run.is_dry:
        run.count("refunds to finish", f"{refund.checkout.reference}: a refund of {refund.money} would be finished.")
        return
    run.pace(refund.checkout.merchant_id)
    act = send if refund.state == RefundState.REQUESTED else follow
    act(pk, who=WHO, at=run.clock())
    refund.refresh_from_db()
    run.count(f"refunds {refund.state}", f"{refund.checkout.reference}: a refund of {refund.money} is {refund.state}.")


#: What a run counts of payments that were found settled, for those who tell about it.
FOUND = (f"now {CheckoutState.PAID}", "found paid")

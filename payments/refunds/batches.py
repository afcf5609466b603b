"""Paying back all that a called-off entry owes: a refund for each payment, one by one, until somebody stops it.

What is to be done is read from the rows, not kept beside them: a run that was stopped or killed goes on where it was.
"""

import logging
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef
from procrastinate.contrib.django import app

from events.models import CalendarEntry, Ticket
from events.states import TicketState
from ledger import clock
from ledger.locking import Contention
from ledger.money import Money, total
from orders.models import Order
from payments.models import Checkout, Refund, RefundBatch
from payments.patience import NotAnswered, Patience
from payments.refunds.asking import RefundRefused, Wish, request_refund
from payments.refunds.rows import SoldRow, rows_of
from payments.refunds.sending import Sent, pause_of, send
from payments.states import UNFINISHED, RefundKind

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Share:
    """What one order gets back: what is owed for the entry, and the refund that pays it, if there is one already."""

    order: Order
    money: Money
    refund: Refund | None = None

    @property
    def is_done(self) -> bool:
        return self.refund is not None and self.refund.state not in UNFINISHED


def owed_orders(entry: CalendarEntry) -> list[Share]:
    """What the entry owes, an order each, oldest first; what is on its way back already is left out."""
    owed = Ticket.objects.filter(entry=entry, state=TicketState.REFUND_DUE)
    shares = []
    for order in Order.objects.filter(pk__in=owed.values("order_id")).select_related("user").order_by("pk"):
        money = total((row.rest_money for row in _owed_rows(order, entry)), order.currency)
        if money.amount:
            shares.append(Share(order, money))
    return shares


def _owed_rows(order: Order, entry: CalendarEntry) -> list[SoldRow]:
    rows = [row for row in rows_of(order) if isinstance(row.thing, Ticket) and row.thing.entry_id == entry.pk]
    return [row for row in rows if row.is_owed and not row.pending]


def start(entry: CalendarEntry, *, reason: str, who: str, at: datetime) -> RefundBatch:
    """Begin to pay back what `entry` owes; one that has not ended goes on instead (two clicks, two people)."""
    try:
        with transaction.atomic():
            batch = RefundBatch.objects.create(entry=entry, reason=reason, requested_by=who, requested_at=at)
            _enqueue(batch)
    except IntegrityError:
        return RefundBatch.objects.get(entry=entry, finished_at=None)
    return batch


def stop(batch: RefundBatch, *, at: datetime) -> bool:
    """No further refund is begun; the one at hand ends. False: it had ended or was stopped."""
    return bool(RefundBatch.objects.filter(pk=batch.pk, stopped_at=None, finished_at=None).update(stopped_at=at))


def resume(batch: RefundBatch) -> bool:
    """Go on where it was stopped. False: it was not."""
    with transaction.atomic():
        going = RefundBatch.objects.filter(pk=batch.pk, finished_at=None).exclude(stopped_at=None)
        if not going.update(stopped_at=None):
            return False
        _enqueue(batch)
        return True


def _enqueue(batch: RefundBatch) -> None:
    run_batch.configure(lock=f"batch:{batch.pk}").defer(batch_pk=batch.pk)


@app.task(name="payments.refund_jobs.run_batch", queue="payments", retry=Patience(max_attempts=6, exponential_wait=4))
def run_batch(batch_pk: int) -> None:
    """Pay back what a called-off entry owes; again after a while when SumUp could not be asked."""
    if not run(batch_pk):
        raise NotAnswered(pause_of(Refund.objects.filter(batch=batch_pk)))


def run(batch_pk: int) -> bool:
    """Refund after refund until nothing is left or it is stopped; False: SumUp could not be asked, try again later.

    Two at once do no harm: a payment has one refund under way, and of one batch only one.
    """
    batch = RefundBatch.objects.select_related("entry").get(pk=batch_pk)
    for checkout in to_do(batch):
        if not RefundBatch.objects.filter(pk=batch_pk, stopped_at=None, finished_at=None).exists():
            return True
        refund = _request(batch, checkout)
        if refund is not None and send(refund.pk, who="refund", at=clock.now()) is Sent.WAITING:
            return False
    RefundBatch.objects.filter(pk=batch_pk, stopped_at=None, finished_at=None).update(finished_at=clock.now())
    return True


def to_do(batch: RefundBatch) -> list[Checkout]:
    """Payments whose order is owed something for the entry and has no refund of this batch yet."""
    owed = Ticket.objects.filter(entry=batch.entry_id, state=TicketState.REFUND_DUE, order=OuterRef("order"))
    begun = Refund.objects.filter(batch=batch, checkout=OuterRef("pk"))
    rows = Checkout.objects.filter(Exists(owed), ~Exists(begun), is_applied=True)
    return list(rows.select_related("order").order_by("pk"))


def _request(batch: RefundBatch, checkout: Checkout) -> Refund | None:
    wishes = [Wish(RefundKind.ROW, row.key) for row in _owed_rows(checkout.order, batch.entry)]
    if not wishes:
        return None
    try:
        return request_refund(
            checkout.pk, wishes, reason=batch.reason, who=batch.requested_by, at=clock.now(), batch=batch
        )
    except (RefundRefused, Contention) as refusal:
        log.warning("batch %s: order %s is not paid back: %s", batch.pk, checkout.order_id, refusal)
        return None


def shares_of(batch: RefundBatch) -> list[Share]:
    """The result of each order: those with a refund of this batch, then those that are still owed."""
    refunds = batch.refunds.select_related("checkout__order__user").order_by("pk")
    begun = [Share(refund.checkout.order, refund.money, refund) for refund in refunds]
    known = {share.order.pk for share in begun}
    return begun + [share for share in owed_orders(batch.entry) if share.order.pk not in known]

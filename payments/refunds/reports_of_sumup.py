"""What SumUp reports of a transaction after its capture, taken into the books: refunds and chargebacks, ours or not.

Events are stored as told, then matched with the refunds that we sent. What nobody here sent is booked where it is
plain what it was for; the rest waits for a person.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Q
from django.utils.translation import gettext as _

from events.models import Merchant
from ledger.locking import retried
from ledger.money import MOST, PLACES, Money, rounded
from ledger.signing import sign
from orders.models import Order
from payments.cases import close_cases, open_case
from payments.contradictions import TRANSACTION, of_transaction, put_locked
from payments.models import Checkout, Refund, RefundLine, SumUpEvent
from payments.refunds.outcomes import fail, succeed
from payments.refunds.rows import left_of, line_for, rows_of, unexplained
from payments.states import OWN, CaseKind, RefundKind, RefundOrigin, RefundState
from payments.sumup import CHARGE_BACK, REFUND, EventAnswer, FullTransactionAnswer
from payments.sumup.transactions import event_key
from payments.transitions import mark_withdrawn

log = logging.getLogger(__name__)

#: How far SumUp's clock may be behind ours.
CLOCKS = timedelta(minutes=10)


@dataclass
class Adopted:
    """What one answer brought: events not seen before, refunds of ours that they explain, refunds booked for others,

    refunds that SumUp took back, and events that wait for a person.
    """

    stored: int = 0
    explained: int = 0
    booked: int = 0
    taken_back: int = 0
    undecided: int = 0


def adopt_events(checkout: Checkout, answer: FullTransactionAnswer, *, at: datetime, who: str) -> Adopted:
    """Take SumUp's `answer` about the transaction of `checkout` into the books; safe twice, late, and at once.

    Where it contradicts itself or our books a case is opened. An answer without lists of events says nothing of them.
    """
    return retried(lambda: _adopt(checkout.pk, answer, answer.events, at, who))


def _adopt(
    checkout_pk: int, answer: FullTransactionAnswer, events: Collection[EventAnswer] | None, at: datetime, who: str
) -> Adopted:
    order = Order.objects.filter(checkouts=checkout_pk).locked().get()
    checkout = Checkout.objects.filter(pk=checkout_pk).select_related("merchant").locked().get()
    checkout.order = order
    refunds = list(checkout.refunds.locked())
    sign(who=who, why="SumUp reports it")
    if checkout.captured is not None:
        put_locked(checkout, TRANSACTION, of_transaction(checkout, answer), who=who, at=at)
    if events is None:
        return Adopted()
    done = Adopted(stored=_store(checkout.merchant, checkout, answer, events, at))
    if checkout.captured is None:
        return done
    _take_back(checkout, refunds, done, at)
    _explain(checkout, refunds, done, who, at)
    _take_back_unseen(checkout, refunds, done, at)
    _make_way(checkout, done, who, at)
    _book(checkout, done, who, at)
    return done


def _store(
    merchant: Merchant, checkout: Checkout, answer: FullTransactionAnswer, events: Collection[EventAnswer], at: datetime
) -> int:
    """Write down what is new, and the new words about what is known; answers how much is new."""
    known = {event_key(row.event_id): row for row in SumUpEvent.objects.filter(transaction_id=answer.id)}
    currency = answer.currency if answer.currency in PLACES else checkout.captured_currency or checkout.currency
    fresh = []
    for event in events:
        row = known.get(event.id)
        if row is None:
            amount = event.amount
            if amount is not None:
                amount = rounded(amount, currency) if abs(amount) <= MOST else None
            row = SumUpEvent(
                merchant=merchant,
                transaction_id=answer.id,
                event_id=event.id,
                kind=event.kind,
                status=event.status,
                amount=amount,
                currency=currency,
                happened_at=event.happened_at,
                checkout=checkout,
                first_seen_at=at,
            )
            known[event.id] = row
            fresh.append(row)
        elif row.status != event.status:
            SumUpEvent.objects.filter(pk=row.pk).update(status=event.status)
    SumUpEvent.objects.bulk_create(fresh, ignore_conflicts=True)
    return len(fresh)


def _take_back(checkout: Checkout, refunds: Collection[Refund], done: Adopted, at: datetime) -> None:
    """What succeeded and whose every event says FAILED did not go back; what failed and has one that counts did."""
    for refund in refunds:
        events = list(refund.sumup_events.all())
        if refund.state == RefundState.SUCCEEDED and events and all(event.status == "FAILED" for event in events):
            fail(refund, checkout, words=_("SumUp reports that it failed."), at=at)
            done.taken_back += 1


def _take_back_unseen(checkout: Checkout, refunds: Collection[Refund], done: Adopted, at: datetime) -> None:
    """What SumUp took and took back before we read of it: its event was FAILED when it was first seen."""
    for refund in refunds:
        if refund.state == RefundState.SUCCEEDED and refund.sent_at and not refund.sumup_events.exists():
            failed = SumUpEvent.objects.filter(_since(refund.sent_at), checkout=checkout, kind=REFUND, refund=None)
            event = failed.filter(status="FAILED", amount=refund.amount).first()
            if event is not None:
                SumUpEvent.objects.filter(pk=event.pk).update(refund=refund)
                fail(refund, checkout, words=_("SumUp reports that it failed."), at=at)
                done.taken_back += 1


def _since(at: datetime) -> Q:
    """Events that may be of what was done at `at`; some have no time."""
    return Q(happened_at=None) | Q(happened_at__gte=at - CLOCKS)


def _explain(checkout: Checkout, refunds: Collection[Refund], done: Adopted, who: str, at: datetime) -> None:
    """Match the events that nobody explains with the refunds that were sent and have none, by amount and time."""
    for refund in sorted(refunds, key=_likelihood):
        if refund.sent_at is None or refund.sumup_events.counted().exists():
            continue
        events = list(unexplained(checkout).filter(_since(refund.sent_at), kind=REFUND))
        found = next(([event] for event in events if event.amount == refund.amount), events)
        if not found or sum((event.amount or Decimal(0) for event in found), Decimal(0)) != refund.amount:
            continue
        if refund.state == RefundState.FAILED and not _fits(refund, checkout):
            continue  # another one was sent in its place: a person looks at both
        SumUpEvent.objects.filter(pk__in=[event.pk for event in found]).update(refund=refund)
        done.explained += 1
        if refund.state != RefundState.SUCCEEDED:
            succeed(refund, checkout, who=who, at=at)


def _likelihood(refund: Refund) -> tuple[int, int]:
    """Whose event it is likelier to be: of what succeeded first, of what failed last."""
    order = [RefundState.SUCCEEDED, RefundState.SENDING, RefundState.UNKNOWN, RefundState.FAILED]
    return (order.index(RefundState(refund.state)) if refund.state in order else len(order), refund.pk)


def _fits(refund: Refund, checkout: Checkout) -> bool:
    """A failed refund that succeeded after all is within what was captured, beside what was sent in its place."""
    own = checkout.refunds.live().filter(origin__in=sorted(OWN)).exclude(pk=refund.pk)
    return sum((other.amount for other in own), refund.amount) <= (checkout.captured or Decimal(0))


def _make_way(checkout: Checkout, done: Adopted, who: str, at: datetime) -> None:
    """A refund that waits to be sent while somebody paid the same back at SumUp must not be sent as well."""
    waiting = checkout.refunds.filter(state=RefundState.REQUESTED, origin=RefundOrigin.OURS).first()
    if waiting is None:
        return
    mine = unexplained(checkout).filter(_since(waiting.requested_at), kind=REFUND, amount=waiting.amount)
    event = mine.first()
    if event is None or not mark_withdrawn(waiting, at=at):
        return
    lines = [_copied(line) for line in waiting.lines.all()]
    book(event, checkout, lines, reason=waiting.reason, who=who, at=at)
    done.booked += 1


def _copied(line: RefundLine) -> RefundLine:
    return RefundLine(
        kind=line.kind,
        ticket_id=line.ticket_id,
        booking_id=line.booking_id,
        item_id=line.item_id,
        amount=line.amount,
        currency=line.currency,
    )


def _book(checkout: Checkout, done: Adopted, who: str, at: datetime) -> None:
    """Book what was made outside where it is plain what it was for; of the rest, and of chargebacks, ask a person."""
    if checkout.refunds.filter(state=RefundState.SENDING).exists():
        return  # it may be the one that is being sent at this moment
    for event in unexplained(checkout):
        charged_back = event.kind == CHARGE_BACK
        lines = _plain_lines(checkout, event)
        if lines:
            book(event, checkout, lines, reason=_("Made at SumUp."), who=who, at=at)
            done.booked += 1
        if charged_back or not lines:
            done.undecided += 1
            _ask_a_person(checkout, event, booked=bool(lines), at=at)


def _plain_lines(checkout: Checkout, event: SumUpEvent) -> list[RefundLine]:
    """What `event` paid back, where only one answer is possible; [] where a person must say."""
    amount = event.amount or Decimal(0)
    left = left_of(checkout) + amount  # `event` itself is not booked yet
    if amount > left or event.currency != checkout.captured_currency:
        return []
    if not checkout.is_applied:
        return [RefundLine(kind=RefundKind.SURPLUS, amount=amount, currency=event.currency)]
    rows = [row for row in rows_of(checkout.order, locked=True) if row.rest > 0 and not row.pending]
    owed = [row for row in rows if row.is_owed]
    whole = [row for row in rows if row.is_owed or row.is_valid]
    same = [[row] for row in owed if row.rest == amount]
    for found in (whole if left == amount else [], owed, *(same if len(same) == 1 else [])):
        if found and sum((row.rest for row in found), Decimal(0)) == amount:
            if any(row.is_valid and row.event for row in found):
                return []  # an event of it is still on: a person calls that off, or says that the money is lost
            return [line_for(row, RefundKind.ROW, row.rest) for row in found]
    return []


def book(
    event: SumUpEvent, checkout: Checkout, lines: Collection[RefundLine], *, reason: str, who: str, at: datetime
) -> Refund:
    """Write down a refund that was made outside, with what it paid back; the checkout and its rows are locked."""
    refund = Refund.objects.create(
        checkout=checkout,
        origin=RefundOrigin.CHARGEBACK if event.kind == CHARGE_BACK else RefundOrigin.DASHBOARD,
        amount=event.amount or Decimal(0),
        currency=event.currency,
        reason=reason,
        requested_by=who,
        requested_at=at,
        sent_at=event.happened_at,
    )
    for line in lines:
        line.refund = refund
    RefundLine.objects.bulk_create(lines)
    SumUpEvent.objects.filter(pk=event.pk).update(refund=refund)
    succeed(refund, checkout, who=who, at=at)
    return refund


def _ask_a_person(checkout: Checkout, event: SumUpEvent, *, booked: bool, at: datetime) -> None:
    money = Money(event.amount or Decimal(0), event.currency if event.currency in PLACES else checkout.currency)
    if event.kind == CHARGE_BACK:
        words = _("The buyer's bank took %(money)s back.") % {"money": money}
        words += " " + (_("All that was left of the order is no longer valid.") if booked else "")
    else:
        words = _("%(money)s went back, by a refund that was not made here. Say what it was for.") % {"money": money}
    open_case(CaseKind.OUTSIDE, checkout, words=words.strip(), at=at, amount=money.amount)


def close_explained(checkout: Checkout, *, who: str, at: datetime, decision: str) -> None:
    """Nothing that was made outside waits for a person any more."""
    if not unexplained(checkout).exists():
        close_cases(checkout, CaseKind.OUTSIDE, who=who, at=at, decision=decision)

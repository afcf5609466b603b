"""What SumUp reports of a transaction after its capture, taken into the books: refunds and chargebacks, ours or not.

SumUp reports each of them as an event of the transaction. A report is stored word for word, then matched with the
refund that we sent. What nobody here sent is booked where only one answer is possible to what it was for; the rest
waits for a person.
"""

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Q
from django.utils.translation import gettext as _

from events.models import Merchant
from ledger.locking import retried
from ledger.money import MOST, PLACES, Money, rounded
from ledger.signing import sign
from payments.balance import left_of, unexplained
from payments.cases import close_cases, open_case
from payments.contradictions import TRANSACTION, of_transaction, put_locked
from payments.locks import locked_with_refunds
from payments.models import Checkout, Refund, RefundLine, SumUpReport
from payments.refunds.outcomes import fail, succeed
from payments.refunds.rows import SoldRow, line_for, rows_of
from payments.states import OWN, CaseKind, RefundKind, RefundOrigin, RefundState
from payments.sumup import CHARGE_BACK, REFUND, EventAnswer, FullTransactionAnswer
from payments.sumup.transactions import event_key
from payments.transitions import mark_withdrawn

log = logging.getLogger(__name__)

#: How far SumUp's clock may be behind ours.
CLOCKS = timedelta(minutes=10)


@dataclass
class Adopted:
    """What one answer of SumUp brought, counted."""

    #: Reports not seen before.
    stored: int = 0
    #: Refunds of ours whose reports were found.
    explained: int = 0
    #: Refunds written down for reports of what was made outside.
    booked: int = 0
    #: Refunds that had succeeded, and failed after all.
    taken_back: int = 0
    #: Reports that wait for a person.
    undecided: int = 0


def adopt_reports(checkout: Checkout, answer: FullTransactionAnswer, *, at: datetime, who: str) -> Adopted:
    """Take SumUp's `answer` about the transaction of `checkout` into the books; safe twice, late, and at once.

    Where it contradicts itself or our books a case is opened. An answer without a list of reports says nothing of
    refunds: it does not say that there are none.
    """
    return retried(lambda: _adopt(checkout.pk, answer, answer.events, at, who))


def _adopt(
    checkout_pk: int, answer: FullTransactionAnswer, reports: Collection[EventAnswer] | None, at: datetime, who: str
) -> Adopted:
    checkout, refunds = locked_with_refunds(checkout_pk)
    sign(who=who, why="SumUp reports it")
    if checkout.captured is not None:
        put_locked(checkout, TRANSACTION, of_transaction(checkout, answer), who=who, at=at)
    if reports is None:
        return Adopted()
    done = Adopted(stored=_store(checkout.merchant, checkout, answer, reports, at))
    if checkout.captured is None:
        return done
    _take_back(checkout, refunds, done, at)
    _explain(checkout, refunds, done, who, at)
    _take_back_unseen(checkout, refunds, done, at)
    _make_way(checkout, done, who, at)
    _book(checkout, done, who, at)
    return done


def _store(
    merchant: Merchant,
    checkout: Checkout,
    answer: FullTransactionAnswer,
    reports: Collection[EventAnswer],
    at: datetime,
) -> int:
    """Write down the reports that are new, and the new status of those that are known; answers how many are new."""
    known = {event_key(row.event_id): row for row in SumUpReport.objects.filter(transaction_id=answer.id)}
    currency = answer.currency if answer.currency in PLACES else checkout.captured_currency or checkout.currency
    fresh = []
    for report in reports:
        row = known.get(report.id)
        if row is None:
            row = SumUpReport(
                merchant=merchant,
                transaction_id=answer.id,
                event_id=report.id,
                kind=report.kind,
                status=report.status,
                amount=_storable(report.amount, currency),
                currency=currency,
                happened_at=report.happened_at,
                checkout=checkout,
                first_seen_at=at,
            )
            known[report.id] = row
            fresh.append(row)
        elif row.status != report.status:
            SumUpReport.objects.filter(pk=row.pk).update(status=report.status)
    SumUpReport.objects.bulk_create(fresh, ignore_conflicts=True)
    return len(fresh)


def _storable(amount: Decimal | None, currency: str) -> Decimal | None:
    """`amount` as the books hold it; None where it is too large for them."""
    return rounded(amount, currency) if amount is not None and abs(amount) <= MOST else None


def _take_back(checkout: Checkout, refunds: Collection[Refund], done: Adopted, at: datetime) -> None:
    """A refund that succeeded, and whose reports all say by now that it failed, did not go back."""
    for refund in refunds:
        reports = list(refund.sumup_reports.all())
        if refund.state == RefundState.SUCCEEDED and reports and all(report.status == "FAILED" for report in reports):
            _fail(refund, checkout, done, at)


def _take_back_unseen(checkout: Checkout, refunds: Collection[Refund], done: Adopted, at: datetime) -> None:
    """Nor did one whose report said that when it was first seen: such a report is matched with no refund otherwise."""
    for refund in refunds:
        if refund.state == RefundState.SUCCEEDED and refund.sent_at and not refund.sumup_reports.exists():
            failed = SumUpReport.objects.filter(_since(refund.sent_at), checkout=checkout, kind=REFUND, refund=None)
            report = failed.filter(status="FAILED", amount=refund.amount).first()
            if report is not None:
                SumUpReport.objects.filter(pk=report.pk).update(refund=refund)
                _fail(refund, checkout, done, at)


def _fail(refund: Refund, checkout: Checkout, done: Adopted, at: datetime) -> None:
    fail(refund, checkout, words=_("SumUp reports that it failed."), at=at)
    done.taken_back += 1


def _since(at: datetime) -> Q:
    """Reports that may be of what was done at `at`; some have no time."""
    return Q(happened_at=None) | Q(happened_at__gte=at - CLOCKS)


def _explain(checkout: Checkout, refunds: Collection[Refund], done: Adopted, who: str, at: datetime) -> None:
    """Match the reports that no refund explains with the refunds that were sent and have none, by amount and time."""
    for refund in sorted(refunds, key=_likelihood):
        if refund.sent_at is None or refund.sumup_reports.counted().exists():
            continue
        reports = _of_amount(unexplained(checkout).filter(_since(refund.sent_at), kind=REFUND), refund.amount)
        if not reports:
            continue
        if refund.state == RefundState.FAILED and not _fits(refund, checkout):
            continue  # another one was sent in its place: a person looks at both
        SumUpReport.objects.filter(pk__in=[report.pk for report in reports]).update(refund=refund)
        done.explained += 1
        if refund.state != RefundState.SUCCEEDED:
            succeed(refund, checkout, who=who, at=at)


def _of_amount(reports: Iterable[SumUpReport], amount: Decimal) -> list[SumUpReport]:
    """The first of `reports` that is of `amount`; or all of them, where that is their sum; or none."""
    reports = list(reports)
    for report in reports:
        if report.amount == amount:
            return [report]
    return reports if sum(map(_amount_of, reports)) == amount else []


def _amount_of(report: SumUpReport) -> Decimal:
    """Each report that waits to be explained has an amount (rows.unexplained)."""
    return report.amount or Decimal(0)


def _likelihood(refund: Refund) -> tuple[int, int]:
    """To sort by, the likeliest to have a report first: what succeeded, then what may have; what failed is last."""
    order = [RefundState.SUCCEEDED, RefundState.SENDING, RefundState.UNKNOWN, RefundState.FAILED]
    return (order.index(RefundState(refund.state)) if refund.state in order else len(order), refund.pk)


def _fits(refund: Refund, checkout: Checkout) -> bool:
    """Whether a failed refund may have succeeded after all: with all others of ours it is within what was captured."""
    own = checkout.refunds.live().filter(origin__in=sorted(OWN)).exclude(pk=refund.pk)
    return sum((other.amount for other in own), refund.amount) <= (checkout.captured or Decimal(0))


def _make_way(checkout: Checkout, done: Adopted, who: str, at: datetime) -> None:
    """A refund that waits to be sent while somebody paid the same back at SumUp must not be sent as well."""
    waiting = checkout.refunds.filter(state=RefundState.REQUESTED, origin=RefundOrigin.OURS).first()
    if waiting is None:
        return
    same = unexplained(checkout).filter(_since(waiting.requested_at), kind=REFUND, amount=waiting.amount)
    report = same.first()
    if report is None or not mark_withdrawn(waiting, at=at):
        return
    lines = [_copied(line) for line in waiting.lines.all()]
    book(report, checkout, lines, reason=waiting.reason, who=who, at=at)
    done.booked += 1


def _copied(line: RefundLine) -> RefundLine:
    """A line about the same, not yet of a refund."""
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
    for report in unexplained(checkout):
        lines = _plain_lines(checkout, report)
        if lines:
            book(report, checkout, lines, reason=_("Made at SumUp."), who=who, at=at)
            done.booked += 1
        if report.kind == CHARGE_BACK or not lines:
            done.undecided += 1
            _ask_a_person(checkout, report, booked=bool(lines), at=at)


def _plain_lines(checkout: Checkout, report: SumUpReport) -> list[RefundLine]:
    """What `report` paid back, where only one answer is possible; [] where a person must say."""
    amount = _amount_of(report)
    left_before = left_of(checkout) + amount  # what is left counts `report` as gone
    if amount > left_before or report.currency != checkout.captured_currency:
        return []
    if not checkout.is_applied:  # it paid for no order: nothing of one can have gone back
        return [RefundLine(kind=RefundKind.SURPLUS, amount=amount, currency=report.currency)]
    rows = _rows_worth(amount, rows_of(checkout.order, locked=True), is_all=amount == left_before)
    if any(row.is_valid and row.event for row in rows):
        return []  # the event that came of a booking is still on: a person calls it off, or says that the money is lost
    return [line_for(row, RefundKind.ROW, row.rest) for row in rows]


def _rows_worth(amount: Decimal, rows: Iterable[SoldRow], *, is_all: bool) -> list[SoldRow]:
    """Those of `rows` that `amount` must have been for; [] where that is not plain.

    Where it is all that was left of the payment: each that has something left. Else each that is owed, if it is their
    sum. Else the one that is owed so much, if there is only one.
    """
    open_rows = [row for row in rows if row.rest > 0 and not row.pending and (row.is_owed or row.is_valid)]
    owed = [row for row in open_rows if row.is_owed]
    alone = [row for row in owed if row.rest == amount]
    if is_all and _rest_of(open_rows) == amount:
        return open_rows
    if _rest_of(owed) == amount:
        return owed
    return alone if len(alone) == 1 else []


def _rest_of(rows: Iterable[SoldRow]) -> Decimal:
    return sum((row.rest for row in rows), Decimal(0))


def book(
    report: SumUpReport, checkout: Checkout, lines: Collection[RefundLine], *, reason: str, who: str, at: datetime
) -> Refund:
    """Write down a refund that was made outside, with what it paid back; the checkout and its rows are locked."""
    refund = Refund.objects.create(
        checkout=checkout,
        origin=RefundOrigin.CHARGEBACK if report.kind == CHARGE_BACK else RefundOrigin.DASHBOARD,
        amount=_amount_of(report),
        currency=report.currency,
        reason=reason,
        requested_by=who,
        requested_at=at,
        sent_at=report.happened_at,
    )
    for line in lines:
        line.refund = refund
    RefundLine.objects.bulk_create(lines)
    SumUpReport.objects.filter(pk=report.pk).update(refund=refund)
    succeed(refund, checkout, who=who, at=at)
    return refund


def _ask_a_person(checkout: Checkout, report: SumUpReport, *, booked: bool, at: datetime) -> None:
    money = Money(_amount_of(report), report.currency if report.currency in PLACES else checkout.currency)
    if report.kind == CHARGE_BACK:
        words = _("The buyer's bank took %(money)s back.") % {"money": money}
        words += " " + (_("All that was left of the order is no longer valid.") if booked else "")
    else:
        words = _("%(money)s went back, by a refund that was not made here. Say what it was for.") % {"money": money}
    open_case(CaseKind.OUTSIDE, checkout, words=words.strip(), at=at, amount=money.amount)


def close_explained(checkout: Checkout, *, who: str, at: datetime, decision: str) -> None:
    """Nothing that was made outside waits for a person any more."""
    if not unexplained(checkout).exists():
        close_cases(checkout, CaseKind.OUTSIDE, who=who, at=at, decision=decision)

"""A person says what a refund or chargeback was for that was made at SumUp, not here."""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal

from django.utils.translation import gettext as _

from ledger.locking import retried
from ledger.money import Money
from ledger.signing import sign
from payments.balance import unexplained
from payments.locks import locked_with_refunds
from payments.models import Checkout, Refund, RefundLine, SumUpReport
from payments.refunds.asking import RefundRefused, Wish, line_of, rows_paid_by
from payments.refunds.reports_of_sumup import book, close_explained
from payments.states import RefundKind


def explain(report_pk: int, wishes: Collection[Wish], *, reason: str, who: str, at: datetime) -> Refund:
    """Book the report as what `wishes` say, to the cent; raises RefundRefused.

    A wish for a surplus takes what is paid back for no row at all: money beyond the order, or a loss.
    """
    return retried(lambda: _explain(report_pk, wishes, reason, who, at))


def _explain(report_pk: int, wishes: Collection[Wish], reason: str, who: str, at: datetime) -> Refund:
    report = SumUpReport.objects.get(pk=report_pk)
    if report.checkout_id is None:
        raise RefundRefused(_("This belongs to no order of ours."))
    checkout, _refunds = locked_with_refunds(report.checkout_id)
    sign(who=who, why=reason)
    unbooked = unexplained(checkout).filter(pk=report_pk).first()
    if unbooked is None or unbooked.amount is None:
        raise RefundRefused(_("Somebody has said meanwhile what this was for."))
    lines = _lines(unbooked, wishes, checkout)
    given = sum((line.amount for line in lines), Decimal(0))
    if given != unbooked.amount:
        words = _("What you chose comes to %(given)s, but SumUp paid back %(told)s.")
        currency = checkout.captured_currency
        raise RefundRefused(words % {"given": Money(given, currency), "told": Money(unbooked.amount, currency)})
    refund = book(unbooked, checkout, lines, reason=reason, who=who, at=at)
    close_explained(checkout, who=who, at=at, decision=reason)
    return refund


def _lines(report: SumUpReport, wishes: Collection[Wish], checkout: Checkout) -> list[RefundLine]:
    """A line for each wish that comes to something."""
    rows = rows_paid_by(checkout)
    lines = [
        _surplus(report, wish) if wish.kind == RefundKind.SURPLUS else line_of(wish, rows, checkout) for wish in wishes
    ]
    return [line for line in lines if line.amount > 0]


def _surplus(report: SumUpReport, wish: Wish) -> RefundLine:
    amount = wish.amount if wish.amount is not None else report.amount
    return RefundLine(kind=RefundKind.SURPLUS, amount=amount or Decimal(0), currency=report.currency)

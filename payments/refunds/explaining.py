"""A person says what a refund or chargeback was for that was made at SumUp, not here."""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal

from django.utils.translation import gettext as _

from ledger.locking import retried
from ledger.money import Money
from ledger.signing import sign
from payments.models import Refund, RefundLine, SumUpEvent
from payments.refunds.asking import RefundRefused, Wish, line_of
from payments.refunds.reports_of_sumup import book, close_explained
from payments.refunds.rows import rows_of, unexplained
from payments.refunds.sending import lock
from payments.states import RefundKind


def explain(event_pk: int, wishes: Collection[Wish], *, reason: str, who: str, at: datetime) -> Refund:
    """Book the event as what `wishes` say, to the cent; raises RefundRefused.

    A wish for a surplus takes what is paid back for no row at all: money beyond the order, or a loss.
    """
    return retried(lambda: _explain(event_pk, wishes, reason, who, at))


def _explain(event_pk: int, wishes: Collection[Wish], reason: str, who: str, at: datetime) -> Refund:
    told = SumUpEvent.objects.get(pk=event_pk)
    if told.checkout_id is None:
        raise RefundRefused(_("This belongs to no order of ours."))
    checkout = lock(told.checkout_id)
    sign(who=who, why=reason)
    event = unexplained(checkout).filter(pk=event_pk).first()
    if event is None or event.amount is None:
        raise RefundRefused(_("Somebody has said meanwhile what this was for."))
    rows = {row.key: row for row in rows_of(checkout.order, locked=True)} if checkout.is_applied else {}
    surplus = [_surplus(event, wish) for wish in wishes if wish.kind == RefundKind.SURPLUS]
    others = [line_of(wish, rows, checkout) for wish in wishes if wish.kind != RefundKind.SURPLUS]
    lines = [line for line in (*others, *surplus) if line.amount > 0]
    given = sum((line.amount for line in lines), Decimal(0))
    if given != event.amount:
        words = _("What you chose comes to %(given)s, but SumUp paid back %(told)s.")
        currency = checkout.captured_currency
        raise RefundRefused(words % {"given": Money(given, currency), "told": Money(event.amount, currency)})
    refund = book(event, checkout, lines, reason=reason, who=who, at=at)
    close_explained(checkout, who=who, at=at, decision=reason)
    return refund


def _surplus(event: SumUpEvent, wish: Wish) -> RefundLine:
    amount = wish.amount if wish.amount is not None else event.amount
    return RefundLine(kind=RefundKind.SURPLUS, amount=amount or Decimal(0), currency=event.currency)

"""What follows the end of a refund: rows are paid back or owed again, cases open and close, the buyer is told.

Callers hold the locks of the order, the checkout and the refund, and have signed the transaction.
"""

from datetime import datetime

from django.db.models import Q
from django.utils.translation import gettext as _

from payments.balance import has_gone_back, left_of
from payments.cases import close_cases, open_case
from payments.models import Checkout, Refund, RefundLoss
from payments.refunds.mails import tell_refund
from payments.refunds.rows import SoldRow, key_of, owe_again, pay_back, rows_of
from payments.states import CaseKind, RefundKind, RefundOrigin, RefundState
from payments.transitions import mark_failed, mark_succeeded, mark_unknown


def succeed(refund: Refund, checkout: Checkout, *, who: str, at: datetime) -> None:
    """The money of `refund` went back: its whole rows are refunded, whatever they were, and the buyer is told once."""
    if not mark_succeeded(refund, at=at):
        return
    rows = whole_rows(refund, checkout)
    again = [row.name for row in rows if row.is_valid or row.rest < 0]
    pay_back(rows)
    refund.refresh_from_db()
    if again and refund.origin == RefundOrigin.OURS:
        words = _("Paid back, though it had been given or paid back otherwise meanwhile: %(rows)s.")
        open_case(CaseKind.REFUND, checkout, words=words % {"rows": ", ".join(again)}, at=at, amount=refund.amount)
    else:
        _close_what_it_ends(checkout, who=who, at=at)
    if refund.origin != RefundOrigin.CHARGEBACK:
        tell_refund.defer(refund_id=refund.pk)


def fail(refund: Refund, checkout: Checkout, *, words: str, at: datetime) -> None:
    """The money of `refund` did not go back, or came back to us: its rows are owed, and a person is asked."""
    taken_back = refund.state == RefundState.SUCCEEDED
    if not mark_failed(refund, words=words, at=at):
        return
    refund.refresh_from_db()
    # What was beyond a price may be within it now; what another refund paid back as well is not owed again.
    things = Q(pk__in=[])
    for line in refund.lines.exclude(kind=RefundKind.SURPLUS):
        things |= Q(line__ticket=line.ticket_id, line__booking=line.booking_id, line__item=line.item_id)
    losses = RefundLoss.objects.filter(things).values_list("pk", flat=True)
    RefundLoss.objects.filter(pk__in=list(losses)).delete()  # the checkout is locked: no rival takes one meanwhile
    owe_again(row for row in whole_rows(refund, checkout) if row.rest > 0)
    sentence = _("SumUp took the refund of %(money)s back: %(words)s") if taken_back else _("%(money)s: %(words)s")
    sentence %= {"money": refund.money, "words": words}
    open_case(CaseKind.REFUND, checkout, words=sentence, at=at, amount=refund.amount)


def lose_sight(refund: Refund, *, words: str) -> None:
    """It was sent, and nobody knows what became of it."""
    if mark_unknown(refund, words=words):
        refund.refresh_from_db()


def whole_rows(refund: Refund, checkout: Checkout) -> list[SoldRow]:
    """The rows that `refund` pays back as a whole, locked."""
    keys = {key_of(line) for line in refund.lines.filter(kind=RefundKind.ROW)}
    if not keys:
        return []
    return [row for row in rows_of(checkout.order, locked=True) if (row.kind, row.thing.pk) in keys]


def _close_what_it_ends(checkout: Checkout, *, who: str, at: datetime) -> None:
    """A surplus that went back whole, and refunds that failed before this one, wait for nobody any more."""
    if not checkout.is_applied and has_gone_back(checkout):
        kinds = (CaseKind.SURPLUS, CaseKind.MISMATCH, CaseKind.GOODS)
        close_cases(checkout, *kinds, who=who, at=at, decision=_("All of it was paid back."))
    troubled = checkout.refunds.unfinished().exists() or any(
        row.is_owed or row.rest < 0 for row in rows_of(checkout.order)
    )
    if not troubled and (checkout.is_applied or left_of(checkout) == 0):
        close_cases(checkout, CaseKind.REFUND, who=who, at=at, decision=_("It was paid back on a later try."))

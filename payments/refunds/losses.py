"""What went back for a thing beyond its price (a refund that had failed turned up after a second one): a loss.

Nothing brings it back by itself. A person takes it as a loss, with a reason, and the books are true again.
"""

from datetime import datetime
from decimal import Decimal

from ledger.locking import retried
from ledger.signing import sign
from payments.cases import close_case
from payments.locks import locked_with_refunds
from payments.models import Case, Checkout, RefundLine, RefundLoss
from payments.refunds.rows import SoldRow, rows_of
from payments.states import RefundState


def beyond_price(checkout: Checkout) -> list[SoldRow]:
    """The rows for which more went back than their price, and which nobody has taken as a loss."""
    return [row for row in rows_of(checkout.order) if row.rest < 0] if checkout.is_applied else []


def take_loss(case: Case, *, who: str, reason: str, at: datetime) -> bool:
    """Take what went back too much as a loss and close `case`; False: there is nothing of that (any more)."""
    return retried(lambda: _take(case, who, reason, at))


def _take(case: Case, who: str, reason: str, at: datetime) -> bool:
    if case.checkout_id is None:
        return False
    checkout, _refunds = locked_with_refunds(case.checkout_id)
    sign(who=who, why=reason)
    losses = [loss for row in rows_of(checkout.order, locked=True) if row.rest < 0 for loss in _of(row, case)]
    if not losses or not close_case(case, who=who, reason=reason, at=at):
        return False
    RefundLoss.objects.bulk_create(losses)
    return True


def _of(row: SoldRow, case: Case) -> list[RefundLoss]:
    """What went back for `row` beyond its price, as losses of its lines: of the latest first."""
    over, losses = -row.rest, list[RefundLoss]()
    lines = RefundLine.objects.filter(**{f"{row.kind}_id": row.thing.pk}, loss=None)
    for line in lines.filter(refund__state=RefundState.SUCCEEDED).order_by("-refund__finished_at", "-pk"):
        part = min(over, line.amount)
        if part > Decimal(0):
            losses.append(RefundLoss(line=line, case=case, amount=part))
            over -= part
    return losses

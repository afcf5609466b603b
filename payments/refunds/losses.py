"""What went back for a thing beyond its price (a refund that had failed turned up after a second one): a loss.

Nothing brings it back by itself. A person takes it as a loss, with a reason, and the books are true again.
"""

from datetime import datetime
from decimal import Decimal

from ledger.locking import retried
from ledger.signing import sign
from payments.cases import close_case
from payments.models import Case, Checkout, RefundLine, RefundLoss
from payments.refunds.rows import Row, rows_of
from payments.refunds.sending import lock
from payments.states import RefundState


def beyond_price(checkout: Checkout) -> list[Row]:
    """What more went back for than its price, and nobody has taken as a loss."""
    return [row for row in rows_of(checkout.order) if row.rest < 0] if checkout.is_applied else []


def take_loss(case: Case, *, who: str, reason: str, at: datetime) -> bool:
    """Take what went back too much as a loss and close `case`; False: there is nothing of that (any more)."""
    return retried(lambda: _take(case, who, reason, at))


def _take(case: Case, who: str, reason: str, at: datetime) -> bool:
    if case.checkout_id is None:
        return False
    checkout = lock(case.checkout_id)
    sign(who=who, why=reason)
    losses = [loss for row in rows_of(checkout.order, locked=True) if row.rest < 0 for loss in _of(row, case)]
    if not losses or not close_case(case, who=who, reason=reason, at=at):
        return False
    RefundLoss.objects.bulk_create(losses)
    return True


def _of(row: Row, case: Case) -> list[RefundLoss]:
    """What of the lines of `row`, the last that succeeded first, is beyond its price."""
    over, found = -row.rest, list[RefundLoss]()
    lines = RefundLine.objects.filter(**{f"{row.kind}_id": row.thing.pk}, loss=None)
    for line in lines.filter(refund__state=RefundState.SUCCEEDED).order_by("-refund__finished_at", "-pk"):
        part = min(over, line.amount)
        if part > Decimal(0):
            found.append(RefundLoss(line=line, case=case, amount=part))
            over -= part
    return found

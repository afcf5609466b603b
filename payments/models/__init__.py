"""What payments remembers: attempts to pay, money that goes back, what waits for a person, what SumUp was asked."""

from payments.models.cases import Case, CaseQuerySet
from payments.models.checkouts import ASKED_AGAIN, Checkout, CheckoutQuerySet
from payments.models.losses import RefundLoss
from payments.models.owed import OwedReminder
from payments.models.payouts import Payout
from payments.models.refunds import Refund, RefundBatch, RefundLine, RefundLineQuerySet, RefundQuerySet, SumUpReport
from payments.models.runs import GOOD, ReconcileRun, ReconcileRunQuerySet, RunOutcome, SumUpAnswer

__all__ = [
    "ASKED_AGAIN",
    "GOOD",
    "Case",
    "CaseQuerySet",
    "Checkout",
    "CheckoutQuerySet",
    "OwedReminder",
    "Payout",
    "ReconcileRun",
    "ReconcileRunQuerySet",
    "Refund",
    "RefundBatch",
    "RefundLine",
    "RefundLineQuerySet",
    "RefundLoss",
    "RefundQuerySet",
    "RunOutcome",
    "SumUpAnswer",
    "SumUpReport",
]

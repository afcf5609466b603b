"""What payments remembers: attempts to pay, money that goes back, and what waits for a person."""

from payments.models.cases import Case, CaseQuerySet
from payments.models.checkouts import ASKED_AGAIN, Checkout, CheckoutQuerySet
from payments.models.refunds import Refund, RefundBatch, RefundLine, RefundLineQuerySet, RefundQuerySet, SumUpEvent

__all__ = [
    "ASKED_AGAIN",
    "Case",
    "CaseQuerySet",
    "Checkout",
    "CheckoutQuerySet",
    "Refund",
    "RefundBatch",
    "RefundLine",
    "RefundLineQuerySet",
    "RefundQuerySet",
    "SumUpEvent",
]

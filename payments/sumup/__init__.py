"""SumUp's HTTP interface as this project uses it: one client, typed answers, named problems.

It knows no models and reads no settings; everything it needs is passed in.
"""

from payments.sumup.answers import CheckoutAnswer, MerchantAnswer, TransactionAnswer
from payments.sumup.client import VERSION, Client
from payments.sumup.history import HistoryItem
from payments.sumup.payouts import PAYOUT, PayoutAnswer
from payments.sumup.problems import (
    AlreadyProcessed,
    AmountTooHigh,
    AmountTooLow,
    DuplicateReference,
    KeyRefused,
    NoAnswer,
    NotDeactivatable,
    NotEnoughBalance,
    NotRefundable,
    Refusal,
    SumUpProblem,
    UnknownCheckout,
    UnknownTransaction,
    Unreadable,
)
from payments.sumup.skew import skew
from payments.sumup.transactions import CHARGE_BACK, REFUND, EventAnswer, FullTransactionAnswer

__all__ = [
    "CHARGE_BACK",
    "PAYOUT",
    "REFUND",
    "VERSION",
    "AlreadyProcessed",
    "AmountTooHigh",
    "AmountTooLow",
    "CheckoutAnswer",
    "Client",
    "DuplicateReference",
    "EventAnswer",
    "FullTransactionAnswer",
    "HistoryItem",
    "KeyRefused",
    "MerchantAnswer",
    "NoAnswer",
    "NotDeactivatable",
    "NotEnoughBalance",
    "NotRefundable",
    "PayoutAnswer",
    "Refusal",
    "SumUpProblem",
    "TransactionAnswer",
    "UnknownCheckout",
    "UnknownTransaction",
    "Unreadable",
    "skew",
]

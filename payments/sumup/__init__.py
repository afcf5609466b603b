"""SumUp's HTTP interface as this project uses it: one client, typed answers, named problems.

It knows no models and reads no settings; everything it needs is passed in.
"""

from payments.sumup.answers import CheckoutAnswer, MerchantAnswer, TransactionAnswer
from payments.sumup.client import VERSION, Client
from payments.sumup.history import HistoryItem
from payments.sumup.problems import (
    AlreadyProcessed,
    DuplicateReference,
    KeyRefused,
    NoAnswer,
    NotDeactivatable,
    Refusal,
    SumUpProblem,
    UnknownCheckout,
    Unreadable,
)

__all__ = [
    "VERSION",
    "AlreadyProcessed",
    "CheckoutAnswer",
    "Client",
    "DuplicateReference",
    "HistoryItem",
    "KeyRefused",
    "MerchantAnswer",
    "NoAnswer",
    "NotDeactivatable",
    "Refusal",
    "SumUpProblem",
    "TransactionAnswer",
    "UnknownCheckout",
    "Unreadable",
]

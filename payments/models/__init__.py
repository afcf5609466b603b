"""What payments remembers: attempts to pay, and what waits for a person."""

from payments.models.cases import Case, CaseQuerySet
from payments.models.checkouts import ASKED_AGAIN, Checkout, CheckoutQuerySet

__all__ = ["ASKED_AGAIN", "Case", "CaseQuerySet", "Checkout", "CheckoutQuerySet"]

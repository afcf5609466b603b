"""Opening what waits for a person: once for each checkout (or merchant) and kind, however often it is met."""

from datetime import datetime

from events.models import Merchant
from payments.models import Case, Checkout
from payments.states import CaseKind


def open_case(kind: CaseKind, checkout: Checkout, *, words: str, at: datetime) -> None:
    """A case about `checkout`; quiet when one of this kind is open already."""
    Case.objects.bulk_create(
        [
            Case(
                kind=kind,
                order_id=checkout.order_id,
                checkout=checkout,
                merchant_id=checkout.merchant_id,
                amount=checkout.captured if checkout.captured is not None else checkout.amount,
                currency=checkout.captured_currency or checkout.currency,
                words=words,
                opened_at=at,
            )
        ],
        ignore_conflicts=True,
    )


def open_merchant_case(merchant: Merchant, *, words: str, at: datetime) -> None:
    """SumUp refuses a merchant's key or rights: one open case, loud in the admin."""
    Case.objects.bulk_create(
        [Case(kind=CaseKind.REFUSED, merchant=merchant, words=words, opened_at=at)], ignore_conflicts=True
    )

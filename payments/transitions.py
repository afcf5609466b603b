"""The arrows of a checkout, a function each; callers hold the order's lock and the checkout's."""

from datetime import datetime
from decimal import Decimal

from ledger.moves import move
from payments.models import Checkout
from payments.states import CheckoutState


def mark_open(checkout: Checkout, *, sumup_id: str, hosted_url: str, status: str) -> int:
    """SumUp made it: it can be paid."""
    return move(
        Checkout.objects.all(),
        [checkout.pk],
        source=CheckoutState.NEW,
        target=CheckoutState.OPEN,
        sumup_id=sumup_id,
        hosted_url=hosted_url,
        sumup_status=status,
        problem="",
    )


def mark_refused(checkout: Checkout, *, words: str) -> int:
    """SumUp said no to making it: it was never payable."""
    return move(
        Checkout.objects.all(),
        [checkout.pk],
        source=CheckoutState.NEW,
        target=CheckoutState.REFUSED,
        problem=words[:400],
    )


def mark_expired(checkout: Checkout, *, status: str) -> int:
    """It can no longer be paid, in SumUp's own word."""
    return move(
        Checkout.objects.all(),
        [checkout.pk],
        source=checkout.state,
        target=CheckoutState.EXPIRED,
        sumup_status=status,
    )


def mark_paid(
    checkout: Checkout,
    *,
    sumup_id: str | None,
    transaction_id: str,
    transaction_code: str,
    captured: Decimal,
    currency: str,
    at: datetime,
) -> int:
    """The capture is recorded: exactly what was asked for came in."""
    return move(
        Checkout.objects.all(),
        [checkout.pk],
        source=checkout.state,
        target=CheckoutState.PAID,
        sumup_id=sumup_id,
        sumup_status="PAID",
        transaction_id=transaction_id,
        transaction_code=transaction_code or None,
        captured=captured,
        captured_currency=currency,
        paid_at=at,
    )


def mark_mismatch(checkout: Checkout, *, status: str, words: str, captured: Decimal, currency: str) -> int:
    """SumUp reports a payment that differs from what was asked for: nothing is given until a person decides."""
    return move(
        Checkout.objects.all(),
        [checkout.pk],
        source=checkout.state,
        target=CheckoutState.MISMATCH,
        sumup_status=status,
        problem=words[:400],
        captured=captured,
        captured_currency=currency,
    )

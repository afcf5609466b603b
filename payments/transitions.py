"""The arrows of a checkout, a function each; callers hold the order's lock and the checkout's."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from ledger.moves import move
from payments.models import Checkout
from payments.states import CheckoutState

#: What of SumUp's answer is kept with a move; None: the move came of no answer.
Answer = Mapping[str, object] | None


def mark_open(checkout: Checkout, *, sumup_id: str, hosted_url: str, status: str, answer: Answer = None) -> int:
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
        **_told(answer),
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


def mark_expired(checkout: Checkout, *, status: str, answer: Answer = None) -> int:
    """It can no longer be paid, in SumUp's own word."""
    return move(
        Checkout.objects.all(),
        [checkout.pk],
        source=checkout.state,
        target=CheckoutState.EXPIRED,
        sumup_status=status,
        **_told(answer),
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
    answer: Answer = None,
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
        **_told(answer),
    )


def mark_mismatch(
    checkout: Checkout, *, status: str, words: str, captured: Decimal, currency: str, answer: Answer = None
) -> int:
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
        **_told(answer),
    )


def _told(answer: Answer) -> dict[str, object]:
    return {} if answer is None else {"sumup_answer": answer}

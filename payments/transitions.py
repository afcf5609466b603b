"""The arrows of checkouts and refunds, a function each; callers hold the locks of the order, checkout and refund."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from ledger.moves import move_one
from payments.models import Checkout, Refund
from payments.states import CheckoutState, RefundState

#: What of SumUp's answer is kept with a move; None: the move came of no answer.
Answer = Mapping[str, object] | None


def mark_open(checkout: Checkout, *, sumup_id: str, hosted_url: str, status: str, answer: Answer = None) -> int:
    """SumUp made it: it can be paid."""
    return move_one(
        checkout,
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
    return move_one(checkout, source=CheckoutState.NEW, target=CheckoutState.REFUSED, problem=words[:400])


def mark_expired(checkout: Checkout, *, status: str, answer: Answer = None) -> int:
    """It can no longer be paid, in SumUp's own word."""
    return move_one(checkout, source=checkout.state, target=CheckoutState.EXPIRED, sumup_status=status, **_told(answer))


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
    """The capture is recorded: what was asked for came in, or money beside it that was told whole."""
    return move_one(
        checkout,
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
    checkout: Checkout,
    *,
    status: str,
    words: str,
    captured: Decimal | None,
    currency: str,
    transaction_id: str,
    transaction_code: str,
    answer: Answer = None,
) -> int:
    """SumUp reports a payment that differs from what was asked for: nothing is given until a person decides.

    `captured` is None where no money can be told of it.
    """
    return move_one(
        checkout,
        source=checkout.state,
        target=CheckoutState.MISMATCH,
        sumup_status=status,
        problem=words[:400],
        transaction_id=transaction_id,
        transaction_code=transaction_code or None,
        captured=captured,
        captured_currency=currency,
        **_told(answer),
    )


def _told(answer: Answer) -> dict[str, object]:
    return {} if answer is None else {"sumup_answer": answer}


# --- Refunds


def mark_sending(refund: Refund, *, events_before: Decimal, is_rest: bool, at: datetime) -> int:
    """It is about to be sent: from here on only SumUp's reports say whether it was."""
    return move_one(
        refund,
        source=RefundState.REQUESTED,
        target=RefundState.SENDING,
        events_before=events_before,
        is_rest=is_rest,
        sent_at=at,
        asked_at=at,
    )


def mark_put_off(refund: Refund, *, words: str, until: datetime) -> int:
    """SumUp was too busy to do anything with it: it was not sent, and waits until then to be."""
    return move_one(
        refund,
        source=RefundState.SENDING,
        target=RefundState.REQUESTED,
        sent_at=None,
        events_before=None,
        is_rest=False,
        not_before=until,
        words=words[:400],
    )


def mark_succeeded(refund: Refund, *, at: datetime) -> int:
    """The money went back."""
    return move_one(refund, source=refund.state, target=RefundState.SUCCEEDED, finished_at=at, words="")


def mark_failed(refund: Refund, *, words: str, at: datetime) -> int:
    """The money did not go back, in SumUp's words or a person's."""
    return move_one(refund, source=refund.state, target=RefundState.FAILED, finished_at=at, words=words[:400])


def mark_unknown(refund: Refund, *, words: str) -> int:
    """It was sent, and no answer came that says what became of it."""
    return move_one(refund, source=RefundState.SENDING, target=RefundState.UNKNOWN, words=words[:400])


def mark_withdrawn(refund: Refund, *, at: datetime) -> int:
    """Taken back before it was sent."""
    return move_one(refund, source=RefundState.REQUESTED, target=RefundState.WITHDRAWN, finished_at=at)

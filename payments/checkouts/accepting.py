"""What a person decides about a payment: it is what was asked for after all; its goods are tried to be given again."""

from datetime import datetime

from ledger.locking import retried
from ledger.signing import sign
from payments.balance import is_whole
from payments.checkouts.settling import give, give_unless_gone
from payments.locks import locked_checkout
from payments.models import Case, Checkout
from payments.states import CaseKind, CheckoutState
from payments.transitions import mark_paid


def give_again(case: Case, *, who: str, reason: str, at: datetime) -> bool:
    """A person asks to try once more to give the goods of a GOODS case; False when it did not work (again)."""
    checkout = Checkout.objects.get(cases=case)
    retried(lambda: give_unless_gone(checkout, who, at, why=reason))
    return Checkout.objects.filter(pk=checkout.pk, is_applied=True).exists()


def accept_mismatch(case: Case, *, who: str, reason: str, at: datetime) -> bool:
    """A person takes a payment for what was asked for: it is recorded and its goods are given; False if too late.

    Only a payment of the order's very amount can be taken so: what is more or less must go back.
    """
    return retried(lambda: _accept_mismatch(case, who, reason, at))


def _accept_mismatch(case: Case, who: str, reason: str, at: datetime) -> bool:
    sign(who=who, why=reason)
    if case.checkout_id is None:
        return False
    order, checkout = locked_checkout(case.checkout_id)
    opened = Case.objects.open().filter(pk=case.pk, kind=CaseKind.MISMATCH)
    if not can_accept(checkout) or not opened.update(closed_at=at, closed_by=who, decision=reason):
        return False
    mark_paid(
        checkout,
        sumup_id=checkout.sumup_id,
        transaction_id=checkout.transaction_id,
        transaction_code=checkout.transaction_code or "",
        captured=checkout.amount,
        currency=checkout.currency,
        at=at,
    )
    checkout.refresh_from_db()
    give(order, checkout, at)
    return True


def can_accept(checkout: Checkout) -> bool:
    """Whether a person may take this mismatch for the payment: it brought what was asked for, and all of it is here."""
    asked, came = (checkout.amount, checkout.currency), (checkout.captured, checkout.captured_currency)
    return checkout.state == CheckoutState.MISMATCH and asked == came and is_whole(checkout)

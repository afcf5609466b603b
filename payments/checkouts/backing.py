"""Which payment a transaction of SumUp stands behind: it is money once, whoever reports it and however often."""

from decimal import Decimal

from django.db.models import Q

from events.models import Merchant
from orders.models import Order
from orders.states import SUMUP_PAID
from payments.models import Checkout
from payments.models.checkouts import CheckoutQuerySet
from payments.states import CheckoutState


def backed_by(merchant_id: int, transaction_id: str, code: str) -> CheckoutQuerySet:
    """The captures behind which the transaction stands, known by its id or by its code; at most one, or a fault."""
    named = Q(transaction_id=transaction_id) if transaction_id else Q(pk__in=[])
    if code:
        named |= Q(transaction_code=code)
    return Checkout.objects.filter(named, merchant=merchant_id).exclude(captured=None)


def told_to_a_mismatch(merchant_id: int, transaction_id: str, code: str) -> CheckoutQuerySet:
    """Mismatches that know no transaction of their own, and whose kept answer names this one."""
    named = Q(pk__in=[])
    for name, value in (("id", transaction_id), ("transaction_code", code)):
        if value:
            named |= Q(sumup_answer__transactions__contains=[{name: value, "status": "SUCCESSFUL"}])
    nameless = Checkout.objects.filter(merchant=merchant_id, state=CheckoutState.MISMATCH, transaction_id="")
    return nameless.filter(named, transaction_code=None).exclude(captured=None)


def mismatch_of(
    merchant: Merchant,
    order: Order | None,
    transaction: tuple[str, str],
    money: tuple[Decimal | None, str],
    *,
    is_dry: bool = False,
) -> Checkout | None:
    """The mismatch whose own money the transaction (id, code) is: it is no stray.

    Named by the answer that the mismatch was made of; or, where that named none, the `money` of the mismatch of
    `order`, which knows its transaction from now on (unless `is_dry`) and can be paid back by it.
    """
    named = told_to_a_mismatch(merchant.pk, *transaction).first()
    if named is not None or order is None or money[0] is None:
        return named
    nameless = Checkout.objects.filter(order=order, state=CheckoutState.MISMATCH, transaction_id="")
    for row in nameless.filter(transaction_code=None, captured=money[0], captured_currency=money[1]):
        if not _names_a_payment(row.sumup_answer):
            if not is_dry:
                known, code = transaction[0], transaction[1] or None
                Checkout.objects.filter(pk=row.pk, transaction_id="").update(
                    transaction_id=known, transaction_code=code
                )
                row.refresh_from_db()
            return row
    return None


def _names_a_payment(answer: object) -> bool:
    told = answer.get("transactions") if isinstance(answer, dict) else None
    rows = told if isinstance(told, list) else []
    return any(isinstance(row, dict) and row.get("status") == "SUCCESSFUL" for row in rows)


def is_waited_for(order: Order, amount: Decimal | None, currency: str) -> bool:
    """SumUp says of a page of `order` that this was paid on it, and has not shown the payment there yet."""
    asked = Checkout.objects.payable().filter(order=order, sumup_status=SUMUP_PAID)
    return amount is not None and asked.filter(amount=amount, currency=currency).exists()

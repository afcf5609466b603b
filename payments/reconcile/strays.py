"""Strays: payments that SumUp took and that no payment here can be; and what a person can make of one."""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal

from django.db import IntegrityError
from django.db.models import Q
from django.utils.translation import gettext as _

from events.models import Merchant
from ledger.locking import retried
from ledger.signing import sign
from orders.models import Order
from payments.checkouts.backing import backed_by, told_to_a_mismatch
from payments.checkouts.settling import record_by_hand
from payments.models import Case, Checkout
from payments.states import PAYABLE, CaseKind


class LinkRefusal(Exception):
    """The stray cannot be this order's payment; the text says why, to a person."""


def open_stray(
    merchant: Merchant,
    order: Order | None,
    transaction: tuple[str, str],
    money: tuple[Decimal | None, str],
    *,
    words: str,
    at: datetime,
) -> bool:
    """A case about a payment, known by its `transaction` (id, code), once for ever; False when there was one."""
    transaction_id, code = transaction
    known = Q(transaction_code__in=[name for name in transaction if name])
    if transaction_id:
        known |= Q(transaction_id=transaction_id)
    if Case.objects.filter(known, kind=CaseKind.STRAY).exists():
        return False
    case = Case(
        kind=CaseKind.STRAY, merchant=merchant, order=order, amount=money[0], currency=money[1], words=words,
        transaction_id=transaction_id, transaction_code=code or transaction_id, opened_at=at,
    )  # fmt: skip
    Case.objects.bulk_create([case], ignore_conflicts=True)
    return True


def close_found(checkouts: Collection[Checkout], *, who: str, at: datetime) -> int:
    """What turned out to be the payment of one of `checkouts` waits for nobody any more."""
    codes = {row.transaction_code for row in checkouts if row.transaction_code}
    ids = {row.transaction_id for row in checkouts if row.transaction_id}
    known = Q(transaction_code__in=codes) | Q(transaction_id__in=ids)
    return (
        Case.objects.open()
        .filter(known, kind=CaseKind.STRAY)
        .update(closed_at=at, closed_by=who, decision=_("It is the payment of an order here."))
    )


def link(case: Case, code: str, *, who: str, reason: str, at: datetime) -> bool:
    """A person says whose payment a stray is: it is recorded for that order, and treated as any late payment of it.

    The very amount gives the goods, or is surplus where the order is paid; another amount is a mismatch to decide.
    False when somebody was quicker: the case is decided then. Raises LinkRefusal, also for a payment that stands behind
    another one already; the case stays open then.
    """
    try:
        return retried(lambda: _link(case, code, who, reason, at))
    except IntegrityError as known:  # the database lets a transaction stand behind one capture only
        raise LinkRefusal(_("This payment was recorded at this moment. Look once more.")) from known


def _link(case: Case, order_code: str, who: str, reason: str, at: datetime) -> bool:
    sign(who=who, why=reason)
    merchant = case.merchant
    order = Order.objects.filter(code=order_code.strip().upper(), merchant=merchant).locked().first()
    if order is None or merchant is None:
        raise LinkRefusal(_("There is no order of this code that pays to the same merchant."))
    attempts = list(Checkout.objects.filter(order=order).locked())
    if not order.total:
        raise LinkRefusal(_("That order is free: nobody can have paid for it."))
    if any(row.state in PAYABLE for row in attempts):
        raise LinkRefusal(_("That order can still be paid by another payment. Wait until its hold is over."))
    if case.amount is None:
        raise LinkRefusal(_("SumUp did not say how much it took: this cannot be recorded."))
    waits = Case.objects.open().filter(pk=case.pk, kind=CaseKind.STRAY)
    if not list(waits.locked()):
        return False
    # Without a code of its own a stray is known by its id.
    code = "" if case.transaction_code == case.transaction_id else case.transaction_code
    named = merchant.pk, case.transaction_id, code
    recorded = backed_by(*named).first() or told_to_a_mismatch(*named).first()
    if recorded is not None:
        words = _("This payment is recorded already: it is payment %(reference)s.")
        raise LinkRefusal(words % {"reference": recorded.reference})
    waits.update(closed_at=at, closed_by=who, decision=reason)
    checkout = Checkout.objects.create(
        order=order,
        merchant=merchant,
        reference=f"{order.code}-{len(attempts) + 1}",
        amount=order.total,
        currency=order.currency,
        created_at=at,
        valid_until=at,
    )
    words = _("A person linked this payment to the order, and it is not what was asked for.")
    record_by_hand(order, checkout, case.amount, case.currency, (case.transaction_id, code), words=words, at=at)
    return True

"""Opening what waits for a person: once for each checkout (or merchant) and kind, however often it is met."""

from datetime import datetime
from decimal import Decimal

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from events.models import Merchant
from ledger.money import MOST
from orders.models import Order
from payments.models import Case, Checkout
from payments.states import CaseKind, CheckoutState

#: Decided once, they can come up again with something new.
RECURRING = frozenset({CaseKind.GOODS, CaseKind.OUTSIDE, CaseKind.REFUND})

#: What a case says of a key that is stored and cannot be read.
LOST_KEY = _lazy(
    "Its stored API key cannot be read: FIELD_KEYS or SECRET_KEY are not those that it was stored with. Nobody can pay"
    " to it. Enter the key again, or bring the earlier setting back (docs/keys.md)."
)


def open_case(kind: CaseKind, checkout: Checkout, *, words: str, at: datetime, amount: Decimal | None = None) -> bool:
    """A case about `checkout`, which is locked; False when there was one of this kind already.

    What a person has decided is not asked again, but for goods that could not be given and were tried once more, and
    for refunds. `amount` is what it is about, where that is not the whole payment; what nobody can tell, or no row can
    hold, is a case without an amount.
    """
    known = Case.objects.filter(checkout=checkout, kind=kind)
    if (known.open() if kind in RECURRING else known).exists():
        return False
    is_money = checkout.state in (CheckoutState.PAID, CheckoutState.MISMATCH)
    whole = checkout.captured if is_money else checkout.amount
    write_case(kind, checkout, words=words, at=at, amount=whole if amount is None else amount)
    return True


def write_case(
    kind: CaseKind, checkout: Checkout, *, words: str, at: datetime, amount: Decimal | None, about: str = ""
) -> None:
    """One open case of a kind, and of what it is `about`, for each checkout: a rival's is as good as this one."""
    Case.objects.bulk_create(
        [
            Case(
                kind=kind,
                order_id=checkout.order_id,
                checkout=checkout,
                merchant_id=checkout.merchant_id,
                amount=amount if amount is None or abs(amount) <= MOST else None,
                currency=checkout.captured_currency or checkout.currency,
                words=words,
                about=about,
                opened_at=at,
            )
        ],
        ignore_conflicts=True,
    )


def open_merchant_case(merchant: Merchant, *, words: str, at: datetime) -> None:
    """SumUp refuses a merchant's key or rights, or we cannot read the key: one open case, loud in the admin."""
    told = str(LOST_KEY) if merchant.has_lost_key else words
    Case.objects.bulk_create(
        [Case(kind=CaseKind.REFUSED, merchant=merchant, words=told, opened_at=at)], ignore_conflicts=True
    )


def open_lost_key_cases(*, at: datetime) -> None:
    """A case for each merchant whose stored key cannot be read, before a buyer meets it."""
    for merchant in Merchant.objects.exclude(api_key=None):
        if merchant.has_lost_key:
            open_merchant_case(merchant, words=str(LOST_KEY), at=at)


def close_held_cases(order: Order, *, who: str, at: datetime) -> None:
    """SumUp has answered after all: nobody need decide about the held seats of `order`."""
    Case.objects.open().filter(order=order, kind=CaseKind.HELD).update(
        closed_at=at, closed_by=who, decision=_("SumUp has answered.")
    )


def close_cases(checkout: Checkout, *kinds: CaseKind, who: str, at: datetime, decision: str) -> None:
    """What `checkout` waited for a person about has come to its end by itself."""
    Case.objects.open().filter(checkout=checkout, kind__in=kinds).update(closed_at=at, closed_by=who, decision=decision)


def close_case(case: Case, *, who: str, reason: str, at: datetime) -> bool:
    """A person closes `case` with a reason; False when it was closed already."""
    return bool(Case.objects.open().filter(pk=case.pk).update(closed_at=at, closed_by=who, decision=reason))

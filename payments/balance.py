"""What a payment brought, and what of it is left: not gone back, not about to, not reported as gone from outside."""

from decimal import Decimal

from django.db.models import Q, QuerySet, Sum

from ledger.money import Money
from orders.models import Order
from orders.states import SUMUP_PAID, UNDECIDED
from payments.models import Case, Checkout, SumUpReport
from payments.states import PAYABLE
from payments.sumup import CHARGE_BACK, REFUND

NOTHING = Decimal(0)


def left_of(checkout: Checkout) -> Decimal:
    """What of its capture has not gone back, is not about to, and is not reported as gone from outside.

    0 where it brought nothing.
    """
    if checkout.captured is None:
        return NOTHING
    refunds = checkout.refunds.live().aggregate(sum=Sum("amount"))["sum"] or NOTHING
    return checkout.captured - refunds - (unexplained(checkout).aggregate(sum=Sum("amount"))["sum"] or NOTHING)


def has_gone_back(checkout: Checkout) -> bool:
    """Nothing can be paid by it any more, and what it brought (if anything) has gone back, all of it."""
    if checkout.state in PAYABLE or checkout.refunds.unfinished().exists():
        return False
    return left_of(checkout) == 0


def is_whole(checkout: Checkout) -> bool:
    """Nothing of what was captured went back, or is about to: goods may be given for it."""
    return left_of(checkout) == checkout.captured


def unexplained(checkout: Checkout) -> QuerySet[SumUpReport]:
    """Refunds and chargebacks that SumUp reports of `checkout` and that no refund here explains."""
    rows = SumUpReport.objects.counted().filter(checkout=checkout, refund=None, kind__in=[REFUND, CHARGE_BACK])
    return rows.filter(amount__gt=0).order_by("happened_at", "pk")


def came_of(checkout: Checkout) -> Money | None:
    """What a payment brought; None where nobody can tell."""
    return None if checkout.captured is None else Money(checkout.captured, checkout.captured_currency)


def undecided_of(order: Order) -> list[Money | None]:
    """What each payment brought about which a person decides."""
    cases = Case.objects.open().filter(order=order, kind__in=sorted(UNDECIDED), checkout__isnull=False)
    return [came_of(case.checkout) for case in cases.select_related("checkout").order_by("pk") if case.checkout]


def has_brought(order: Order) -> bool:
    """Whether any payment of `order` brought money, wherever it is now, or did by SumUp's word."""
    brought = Q(captured__isnull=False) | Q(sumup_status=SUMUP_PAID)
    return Checkout.objects.filter(brought, order=order).exists()

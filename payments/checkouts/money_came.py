"""What has come for an order that got no goods for it, in words for its buyer."""

from django.db.models import Q

from ledger.money import Money
from orders.models import Order
from orders.states import SUMUP_PAID, UNDECIDED
from payments.models import Case, Checkout


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

"""What went back of an order, for its buyer's page."""

from typing import Any

from django import template

from orders.models import Order
from payments.models import Refund
from payments.rows import rows_of, told_lines
from payments.states import RefundOrigin, RefundState

register = template.Library()


@register.inclusion_tag("payments/_refunds.html")
def refunds_of(order: Order) -> dict[str, Any]:
    """The refunds of `order` that its buyer should know of: those that went back, and those on their way.

    One that failed is not among them: what it was for is owed, and the page says so.
    """
    rows = (
        Refund.objects.live()
        .filter(checkout__order=order)
        .exclude(origin=RefundOrigin.CHARGEBACK)
        .select_related("checkout__order")
        .prefetch_related("lines")
        .order_by("pk")
    )
    sold = rows_of(order) if rows else []
    return {
        "refunds": [
            {"refund": refund, "lines": told_lines(refund, sold), "done": refund.state == RefundState.SUCCEEDED}
            for refund in rows
        ]
    }

"""What went back and what is owed, for the pages and mails of rooms that know nothing of refunds."""

from collections.abc import Sequence
from typing import Any

from django import template

from events.models import CalendarEntry, Ticket
from ledger.money import Money
from orders.holdings import Holdings
from orders.models import Order
from payments.balance import has_brought, undecided_of
from payments.models import Refund
from payments.refunds.debts import Debt, Worth, debt_of, left_for, worth_of
from payments.refunds.rows import lines_in_words, rows_of
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
            {"refund": refund, "lines": lines_in_words(refund, sold), "done": refund.state == RefundState.SUCCEEDED}
            for refund in rows
        ]
    }


@register.simple_tag
def undecided_of_order(order: Order) -> list[Money | None]:
    """What has come for `order` and waits for a person: asked only where the order says so."""
    return undecided_of(order) if order.is_undecided else []


@register.simple_tag
def has_brought_money(order: Order) -> bool:
    """Whether a payment of `order`, which has ended unpaid, brought money all the same."""
    return has_brought(order)


@register.simple_tag
def debt(held: Holdings) -> Debt | None:
    """What the buyer of an order is owed for what could not be given, or is valid no more."""
    return debt_of(held.order, held.owed)


@register.simple_tag
def worth(entry: CalendarEntry) -> Worth:
    """What calling `entry` off would give back."""
    return worth_of(entry)


@register.simple_tag
def left_of_prices(tickets: Sequence[Ticket]) -> Money | None:
    """What of the prices of `tickets` goes back or went back when they ended; None when nothing does."""
    return left_for(tickets)

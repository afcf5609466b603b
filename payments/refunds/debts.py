"""What is owed to buyers, less what of it went back already out of goodwill, and less what is on its way back."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Sum

from events.models import CalendarEntry, Ticket
from ledger.money import Money, total
from market.models import ProductItem
from orders.models import Order
from payments.models import RefundLine
from payments.refunds.rows import VALID, rows_of
from payments.states import RefundKind


@dataclass(frozen=True)
class Debt:
    """What one order is owed: each thing in words, with what is left of its price."""

    rows: Sequence[tuple[str, Money]]
    total: Money


def debt_of(order: Order, owed: Iterable[Ticket | CalendarEntry | ProductItem]) -> Debt | None:
    """What `order` is owed for its rows `owed`; None when nothing is, or all of it is on its way back."""
    left = {row.thing: row.rest_money for row in rows_of(order)}
    rows = [(thing.what, left[thing]) for thing in owed if left[thing].amount > 0]
    return Debt(rows, total((money for _what, money in rows), order.currency)) if rows else None


@dataclass(frozen=True)
class Worth:
    """What valid tickets of an event brought: `gone` of it went back out of goodwill, `left` did not.

    `shares`, by order: its short code, its buyer, and what is left of its tickets' prices.
    """

    gone: Money
    left: Money
    shares: Sequence[tuple[str, str, Money]]


def worth_of(entry: CalendarEntry) -> Worth:
    """What calling `entry` off would give back."""
    tickets = Ticket.objects.filter(entry=entry, state__in=VALID).select_related("order__user").order_by("order_id")
    rows = list(tickets)
    gone = goodwill_of(rows)
    left: dict[Order, list[Money]] = {}
    for row in rows:
        if row.order is not None:
            left.setdefault(row.order, []).append(_less(row, gone))
    shares = [(order.short_code, str(order.user), total(parts, entry.currency)) for order, parts in left.items()]
    return Worth(
        Money(sum(gone.values(), Decimal(0)), entry.currency),
        total((money for _code, _buyer, money in shares), entry.currency),
        shares,
    )


def goodwill_of(tickets: Collection[Ticket]) -> dict[int, Decimal]:
    """By ticket: what went back for it, or is about to, while it stayed as it was."""
    lines = RefundLine.objects.live().filter(kind=RefundKind.GOODWILL, ticket__in=[row.pk for row in tickets])
    sums = lines.order_by().values_list("ticket").annotate(sum=Sum("amount"))
    return {pk: amount for pk, amount in sums if pk is not None}


def left_for(tickets: Sequence[Ticket]) -> Money | None:
    """What is left of the prices of `tickets`, of one currency, after goodwill; None when nothing is."""
    gone = goodwill_of(tickets)
    parts = [_less(row, gone) for row in tickets]
    left = total(parts, parts[0].currency) if parts else None
    return left if left is not None and left.amount > 0 else None


def _less(row: Ticket, gone: dict[int, Decimal]) -> Money:
    return Money(row.price - gone.get(row.pk, Decimal(0)), row.currency)

"""What is owed to buyers: what must be paid back and was not sent, less what of it went back already out of goodwill.

Whatever made it so: called off, paid late, cancelled by the organiser, paid twice, a refund that SumUp took back.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from django.db.models import BigIntegerField, Count, Exists, F, Max, Min, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from events.models import CalendarEntry, Ticket
from events.states import TicketState
from ledger.models import History
from ledger.money import Money, total
from market.models import SoldThing
from orders.models import Order
from payments.models import Case, Checkout, Refund, RefundLine, SumUpReport
from payments.refunds.rows import TABLES, VALID, rows_of
from payments.states import CaseKind, CheckoutState, RefundKind
from payments.sumup import CHARGE_BACK, REFUND

#: From a sold row to the page that sold it, by kind.
PAGES = {"ticket": "entry__calendar__page", "booking": "calendar__page", "item": "product__page"}
#: A payment beyond its order: no row of it was sold.
SURPLUS = "surplus"
#: In this order they are told.
KINDS = (*TABLES, SURPLUS)
NOTHING = Decimal(0)


@dataclass(frozen=True)
class Scope:
    """Whose debts: of what `pages` sold (None: all), and payments beyond the orders that `orders` finds (None: all)."""

    pages: Collection[int] | None = None
    orders: Q | None = None


EVERYTHING = Scope()


@dataclass(frozen=True)
class OwedSum:
    """So many things of one kind and currency whose buyers must get `money` back, none of it on its way yet."""

    kind: str
    number: int
    money: Money
    #: Since when the first of them is owed.
    oldest: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True)
class OwedThing:
    """One thing: `pk` is the sold row's, or the checkout's of a surplus; `checkout` is the payment it was paid by."""

    kind: str
    pk: int
    #: That sold it; of a surplus, which no page sold, None.
    page: int | None
    order: int
    checkout: int | None
    money: Money
    since: datetime | None

    @property
    def key(self) -> str:
        """What names it in wishes to pay back (SoldRow.key)."""
        return f"{self.kind}:{self.pk}"


def owed_sums(scope: Scope = EVERYTHING) -> list[OwedSum]:
    """What is owed, by kind and currency; one query."""
    parts = [
        rows.values("kind_", "currency_").annotate(number=Count("pk"), sum=Sum("rest"), oldest=Min("since"))
        for rows in _all(scope)
    ]
    sums = [
        OwedSum(row["kind_"], row["number"], Money(row["sum"], row["currency_"]), row["oldest"])
        for row in parts[0].union(*parts[1:], all=True)
    ]
    return sorted(sums, key=lambda row: (KINDS.index(row.kind), row.money.currency))


def owed_rows(scope: Scope = EVERYTHING) -> list[OwedThing]:
    """Each thing that is owed, by payment; one query."""
    names = ("kind_", "pk_", "page_", "order_", "checkout_", "rest", "currency_", "since")
    parts = [rows.values_list(*names) for rows in _all(scope)]
    things = [
        OwedThing(kind, pk, page, order, checkout, Money(rest, currency), since)
        for kind, pk, page, order, checkout, rest, currency, since in parts[0].union(*parts[1:], all=True)
    ]
    return sorted(things, key=lambda row: (row.checkout or 0, KINDS.index(row.kind), row.pk))


class HasMoney(Protocol):
    @property
    def money(self) -> Money: ...


def by_currency(rows: Iterable[HasMoney]) -> list[Money]:
    """The sum of `rows` in each currency."""
    amounts = [row.money for row in rows]
    codes = sorted({amount.currency for amount in amounts})
    return [total((amount for amount in amounts if amount.currency == code), code) for code in codes]


def sums_in_words(rows: Iterable[HasMoney]) -> str:
    return ", ".join(str(money) for money in by_currency(rows))


def _all(scope: Scope) -> list[QuerySet[Any]]:
    return [*(_sold(kind, scope.pages) for kind in TABLES), _surplus(scope.orders)]


def _sold(kind: str, pages: Collection[int] | None) -> QuerySet[Any]:
    lines: QuerySet[Any] = RefundLine.objects.live().filter(**{kind: OuterRef("pk")})
    paid_by = Checkout.objects.filter(order=OuterRef("order_id"), is_applied=True).values("pk")
    rows: QuerySet[Any] = TABLES[kind]._default_manager.filter(state=TicketState.REFUND_DUE).order_by()
    if pages is not None:
        rows = rows.filter(**{f"{PAGES[kind]}__in": pages})
    owed: QuerySet[Any] = rows.annotate(
        rest=F("price") - _sum(lines, kind),
        since=_since(TABLES[kind]._meta.model_name, TicketState.REFUND_DUE),
        kind_=Value(kind),
        pk_=F("pk"),
        page_=F(PAGES[kind]),
        order_=F("order_id"),
        checkout_=Subquery(paid_by[:1]),
        currency_=F("currency"),
    )
    return owed.filter(rest__gt=0)


def _surplus(orders: Q | None) -> QuerySet[Any]:
    """Paid, while another payment of the order had brought its goods, and nobody has decided that it may stay."""
    decided = Case.objects.filter(checkout=OuterRef("pk"), kind=CaseKind.SURPLUS, closed_by__startswith="user:")
    applied = Checkout.objects.filter(order=OuterRef("order_id"), is_applied=True)
    refunds: QuerySet[Any] = Refund.objects.live().filter(checkout=OuterRef("pk"))
    reported: QuerySet[Any] = SumUpReport.objects.counted().filter(
        checkout=OuterRef("pk"), refund=None, kind__in=[REFUND, CHARGE_BACK], amount__gt=0
    )
    rows: QuerySet[Any] = Checkout.objects.filter(
        Exists(applied), ~Exists(decided), state=CheckoutState.PAID, is_applied=False
    )
    if orders is not None:
        rows = rows.filter(orders)
    owed: QuerySet[Any] = rows.order_by().annotate(
        rest=F("captured") - _sum(refunds, "checkout") - _sum(reported, "checkout"),
        since=_since("checkout", CheckoutState.PAID),
        kind_=Value(SURPLUS),
        pk_=F("pk"),
        page_=Value(None, output_field=BigIntegerField()),
        order_=F("order_id"),
        checkout_=F("pk"),
        currency_=F("captured_currency"),
    )
    return owed.filter(rest__gt=0)


def _sum(rows: QuerySet[Any], of: str) -> Coalesce:
    return Coalesce(Subquery(rows.order_by().values(of).annotate(sum=Sum("amount")).values("sum")), NOTHING)


def _since(subject: str | None, state: str) -> Subquery:
    """When the row came into its state, the last time that it did, as the history tells."""
    moves = History.objects.filter(subject=subject, subject_id=OuterRef("pk"), field="state", new=state)
    return Subquery(moves.order_by().values("subject_id").annotate(last=Max("at")).values("last"))


# --- Of one order, of one event


@dataclass(frozen=True)
class Debt:
    """What one order is owed: each thing in words, with what is left of its price."""

    rows: Sequence[tuple[str, Money]]
    total: Money


def debt_of(order: Order, owed: Iterable[SoldThing]) -> Debt | None:
    """What `order` is owed for its rows `owed`; None when nothing is, or all of it is on its way back."""
    rest = {row.thing: row.rest_money for row in rows_of(order)}
    rows = [(thing.what, rest[thing]) for thing in owed if rest[thing].amount > 0]
    return Debt(rows, total((money for _what, money in rows), order.currency)) if rows else None


@dataclass(frozen=True)
class Worth:
    """What valid tickets of an event brought: `goodwill` of it went back while they stayed valid, the `rest` did not.

    `shares`, by order: its short code, its buyer, and what is left of its tickets' prices.
    """

    goodwill: Money
    rest: Money
    shares: Sequence[tuple[str, str, Money]]


def worth_of(entry: CalendarEntry) -> Worth:
    """What calling `entry` off would give back."""
    tickets = Ticket.objects.filter(entry=entry, state__in=VALID).select_related("order__user").order_by("order_id")
    rows = list(tickets)
    goodwill = goodwill_of(rows)
    parts: dict[Order, list[Money]] = {}
    for row in rows:
        if row.order is not None:
            parts.setdefault(row.order, []).append(_less(row, goodwill))
    shares = [(order.short_code, str(order.user), total(rests, entry.currency)) for order, rests in parts.items()]
    return Worth(
        Money(sum(goodwill.values(), Decimal(0)), entry.currency),
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
    goodwill = goodwill_of(tickets)
    parts = [_less(row, goodwill) for row in tickets]
    rest = total(parts, parts[0].currency) if parts else None
    return rest if rest is not None and rest.amount > 0 else None


def _less(row: Ticket, goodwill: dict[int, Decimal]) -> Money:
    return Money(row.price - goodwill.get(row.pk, Decimal(0)), row.currency)

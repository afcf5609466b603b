"""What is owed to buyers and not sent: sold things that must be paid back, and payments beyond their order.

Whatever made it so: called off, paid late, cancelled by the organiser, paid twice, a refund that SumUp took back.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import BigIntegerField, Count, Exists, F, Max, Min, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from events.states import TicketState
from ledger.models import History
from ledger.money import Money, total
from payments.models import Case, Checkout, Refund, RefundLine, SumUpEvent
from payments.refunds.rows import TABLES
from payments.states import CaseKind, CheckoutState
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
class Owed:
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
        """As refunds name a sold row."""
        return f"{self.kind}:{self.pk}"


def owed_sums(scope: Scope = EVERYTHING) -> list[OwedSum]:
    """What is owed, by kind and currency; one query."""
    parts = [
        rows.values("kind_", "currency_").annotate(number=Count("pk"), left=Sum("rest"), oldest=Min("since"))
        for rows in _all(scope)
    ]
    found = [
        OwedSum(row["kind_"], row["number"], Money(row["left"], row["currency_"]), row["oldest"])
        for row in parts[0].union(*parts[1:], all=True)
    ]
    return sorted(found, key=lambda row: (KINDS.index(row.kind), row.money.currency))


def owed_rows(scope: Scope = EVERYTHING) -> list[Owed]:
    """Each thing that is owed, by payment; one query."""
    names = ("kind_", "pk_", "page_", "order_", "checkout_", "rest", "currency_", "since")
    parts = [rows.values_list(*names) for rows in _all(scope)]
    found = [
        Owed(kind, pk, page, order, checkout, Money(rest, currency), since)
        for kind, pk, page, order, checkout, rest, currency, since in parts[0].union(*parts[1:], all=True)
    ]
    return sorted(found, key=lambda row: (row.checkout or 0, KINDS.index(row.kind), row.pk))


def by_currency(found: Iterable[OwedSum | Owed]) -> list[Money]:
    """One sum for each currency."""
    rows = list(found)
    codes = sorted({row.money.currency for row in rows})
    return [total((row.money for row in rows if row.money.currency == code), code) for code in codes]


def sums_in_words(rows: Iterable[OwedSum | Owed]) -> str:
    return ", ".join(str(money) for money in by_currency(rows))


def _all(scope: Scope) -> list[QuerySet[Any]]:
    return [*(_sold(kind, scope.pages) for kind in TABLES), _surplus(scope.orders)]


def _sold(kind: str, pages: Collection[int] | None) -> QuerySet[Any]:
    lines: QuerySet[Any] = RefundLine.objects.live().filter(**{kind: OuterRef("pk")})
    paid_by = Checkout.objects.filter(order=OuterRef("order_id"), is_applied=True).values("pk")
    rows: QuerySet[Any] = TABLES[kind]._default_manager.filter(state=TicketState.REFUND_DUE).order_by()
    if pages is not None:
        rows = rows.filter(**{f"{PAGES[kind]}__in": pages})
    found: QuerySet[Any] = rows.annotate(
        rest=F("price") - _sum(lines, kind),
        since=_since(TABLES[kind]._meta.model_name, TicketState.REFUND_DUE),
        kind_=Value(kind),
        pk_=F("pk"),
        page_=F(PAGES[kind]),
        order_=F("order_id"),
        checkout_=Subquery(paid_by[:1]),
        currency_=F("currency"),
    )
    return found.filter(rest__gt=0)


def _surplus(orders: Q | None) -> QuerySet[Any]:
    """Paid, while another payment of the order had brought its goods, and nobody has decided that it may stay."""
    decided = Case.objects.filter(checkout=OuterRef("pk"), kind=CaseKind.SURPLUS, closed_by__startswith="user:")
    applied = Checkout.objects.filter(order=OuterRef("order_id"), is_applied=True)
    refunds: QuerySet[Any] = Refund.objects.live().filter(checkout=OuterRef("pk"))
    reported: QuerySet[Any] = SumUpEvent.objects.counted().filter(
        checkout=OuterRef("pk"), refund=None, kind__in=[REFUND, CHARGE_BACK], amount__gt=0
    )
    rows: QuerySet[Any] = Checkout.objects.filter(
        Exists(applied), ~Exists(decided), state=CheckoutState.PAID, is_applied=False
    )
    if orders is not None:
        rows = rows.filter(orders)
    found: QuerySet[Any] = rows.order_by().annotate(
        rest=F("captured") - _sum(refunds, "checkout") - _sum(reported, "checkout"),
        since=_since("checkout", CheckoutState.PAID),
        kind_=Value(SURPLUS),
        pk_=F("pk"),
        page_=Value(None, output_field=BigIntegerField()),
        order_=F("order_id"),
        checkout_=F("pk"),
        currency_=F("captured_currency"),
    )
    return found.filter(rest__gt=0)


def _sum(rows: QuerySet[Any], of: str) -> Coalesce:
    return Coalesce(Subquery(rows.order_by().values(of).annotate(sum=Sum("amount")).values("sum")), NOTHING)


def _since(subject: str | None, state: str) -> Subquery:
    """When the row came into its state, the last time that it did, as the history tells."""
    moves = History.objects.filter(subject=subject, subject_id=OuterRef("pk"), field="state", new=state)
    return Subquery(moves.order_by().values("subject_id").annotate(last=Max("at")).values("last"))

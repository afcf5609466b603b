"""Reports: what was sold, paid back, owed, by day, entry, product or merchant; each one statement, whatever it covers.

They are made of the same parts as the books (payments.books.rules): their totals are the ledger's, to the cent.
What SumUp keeps as a fee and pays out stands beside them (payments.reconcile.payouts).
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db import connection
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from ledger.money import Money
from payments.books.rules import REST, SOLD

#: What is paid for, was, or went back: states of sold things that belong to a paid order.
PAID = "('confirmed', 'checked_in', 'refund_due', 'refunded', 'cancelled')"

#: Every sold thing of a paid order with its page, its day and what it belongs to.
ROWS = f"""(
    SELECT sold.kind, sold.state, sold.price, sold.currency, rest.rest, orders_order.merchant_id,
        coalesce(calendar.page_id, product.page_id) AS page_id, sold.entry_id, sold.product_id,
        (orders_order.paid_at AT TIME ZONE page.time_zone)::date AS day
    FROM {SOLD} AS sold
    JOIN {REST} AS rest ON rest.kind = sold.kind AND rest.id = sold.id
    JOIN orders_order ON orders_order.id = sold.order_id AND orders_order.state = 'paid'
    LEFT JOIN events_calendarentry AS entry ON entry.id = sold.entry_id
    LEFT JOIN events_calendar AS calendar ON calendar.id = entry.calendar_id
    LEFT JOIN market_product AS product ON product.id = sold.product_id
    JOIN events_page AS page ON page.id = coalesce(calendar.page_id, product.page_id)
    WHERE sold.state IN {PAID})"""


@dataclass(frozen=True)
class Kind:
    """A way to group: what it is called, the key of a group and its name in SQL, and the order of the groups."""

    label: str | Promise
    key: str
    name: str
    join: str = ""
    where: str = "TRUE"
    order: str = "name, key"


KINDS = {
    "day": Kind(_("By day"), "rows.day::text", "rows.day::text", order="key"),
    "entry": Kind(
        _("By event and booking"),
        "rows.entry_id::text",
        "CASE WHEN entry.kind = 'booking' THEN calendar.name ELSE entry.title END"
        " || ', ' || to_char(entry.starts_at AT TIME ZONE page.time_zone, 'YYYY-MM-DD HH24:MI')",
        "JOIN events_calendarentry AS entry ON entry.id = rows.entry_id"
        " JOIN events_calendar AS calendar ON calendar.id = entry.calendar_id"
        " JOIN events_page AS page ON page.id = rows.page_id",
        "rows.entry_id IS NOT NULL",
    ),
    "product": Kind(
        _("By product"),
        "rows.product_id::text",
        "product.name",
        "JOIN market_product AS product ON product.id = rows.product_id",
        "rows.product_id IS NOT NULL",
    ),
    "merchant": Kind(
        _("By merchant"),
        "coalesce(rows.merchant_id, 0)::text",
        "coalesce(merchant.name, '')",
        "LEFT JOIN events_merchant AS merchant ON merchant.id = rows.merchant_id",
    ),
}


@dataclass(frozen=True)
class Line:
    """A group in one currency: `sold` = `refunded` (or on its way back) + `owed` + `kept` + `fulfilled`."""

    key: str
    name: str
    currency: str
    number: int
    sold: Decimal
    refunded: Decimal
    owed: Decimal
    kept: Decimal
    fulfilled: Decimal

    def money(self, amount: Decimal) -> Money:
        return Money(amount, self.currency)

    @property
    def amounts(self) -> list[Money]:
        return [self.money(each) for each in (self.sold, self.refunded, self.owed, self.kept, self.fulfilled)]


@dataclass(frozen=True)
class Span:
    """Days on the clocks of the pages, both included; None: without an end."""

    first: date | None = None
    last: date | None = None


def report(kind: str, *, pages: Collection[int] | None, span: Span = Span()) -> list[Line]:
    """The lines of one report over `pages` (None: all of them), by the day on which the order was paid."""
    by = KINDS[kind]
    where, values = _limits(pages, span)
    query = (
        f"SELECT {by.key} AS key, {by.name} AS name, rows.currency, count(*), coalesce(sum(rows.price), 0),"
        " coalesce(sum(rows.price - rows.rest), 0),"
        " coalesce(sum(rows.rest) FILTER (WHERE rows.state IN ('refund_due', 'refunded')), 0),"
        " coalesce(sum(rows.rest) FILTER (WHERE rows.state = 'cancelled'), 0),"
        " coalesce(sum(rows.rest) FILTER (WHERE rows.state IN ('confirmed', 'checked_in')), 0)"
        f" FROM {ROWS} AS rows {by.join} WHERE {by.where} AND {where} GROUP BY 1, 2, 3 ORDER BY {by.order}, currency"
    )
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return [Line(*row) for row in cursor.fetchall()]


def total(lines: Collection[Line]) -> list[Line]:
    """One line for each currency of `lines`."""
    found = []
    for currency in sorted({line.currency for line in lines}):
        own = [line for line in lines if line.currency == currency]
        sums = [
            sum((getattr(line, name) for line in own), Decimal(0))
            for name in ("sold", "refunded", "owed", "kept", "fulfilled")
        ]
        found.append(Line("", "", currency, sum(line.number for line in own), *sums))
    return found


def sales_of(entry: int) -> list[tuple[date, int]]:
    """How many places of an event were paid for on each day that had any, oldest first."""
    query = f"SELECT day, count(*) FROM {ROWS} AS rows WHERE entry_id = %s AND kind = 'ticket' GROUP BY 1 ORDER BY 1"
    with connection.cursor() as cursor:
        cursor.execute(query, [entry])
        return [(day, number) for day, number in cursor.fetchall()]


def _limits(pages: Collection[int] | None, span: Span) -> tuple[str, list[date | list[int]]]:
    conditions, values = ["TRUE"], list[date | list[int]]()
    if pages is not None:
        conditions.append("rows.page_id = ANY(%s)")
        values.append(list(pages))
    for bound, sign in ((span.first, ">="), (span.last, "<=")):
        if bound is not None:
            conditions.append(f"rows.day {sign} %s")
            values.append(bound)
    return " AND ".join(conditions), values

"""The sold rows of an order, of all three kinds, and what has gone back for each: the ground that refunds stand on."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Q
from django.utils.translation import gettext as _

from events.models import CalendarEntry, Ticket, TicketType
from events.rooms.events import event_of, lock_rooms
from events.states import EntryKind, TicketState
from events.transitions import SoldTable, mark_owed, mark_owed_again, mark_refunded, mark_voided
from ledger.money import Money
from market.models import Product, ProductItem, SoldThing
from orders.models import Order
from payments.models import Refund, RefundLine
from payments.states import UNFINISHED, RefundKind

#: Kind of a sold row, as refund lines name it -> its table.
TABLES: dict[str, SoldTable] = {"ticket": Ticket, "booking": CalendarEntry, "item": ProductItem}
#: What a row is while its buyer can use it.
VALID = (TicketState.CONFIRMED, TicketState.CHECKED_IN)
NOTHING = Decimal(0)


@dataclass(frozen=True)
class SoldRow:
    """One sold thing of an order: `repayment` went back for it or is about to; `pending`: the rest is under way too."""

    kind: str
    thing: SoldThing
    repayment: Decimal = NOTHING
    pending: bool = False

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.thing.pk}"

    @property
    def state(self) -> str:
        return self.thing.state

    @property
    def price(self) -> Decimal:
        return self.thing.price if self.thing.price is not None else NOTHING

    @property
    def rest(self) -> Decimal:
        """What of its price has not gone back."""
        return self.price - self.repayment

    @property
    def money(self) -> Money:
        return Money(self.price, self.thing.currency)

    @property
    def rest_money(self) -> Money:
        return Money(self.rest, self.thing.currency)

    @property
    def is_valid(self) -> bool:
        return self.state in VALID

    @property
    def is_owed(self) -> bool:
        return self.state == TicketState.REFUND_DUE

    @property
    def page_id(self) -> int:
        thing = self.thing
        if isinstance(thing, ProductItem):
            return thing.product.page_id
        return thing.entry.calendar.page_id if isinstance(thing, Ticket) else thing.calendar.page_id

    @property
    def name(self) -> str:
        """As a person tells it from the others."""
        thing = self.thing
        if isinstance(thing, Ticket):
            kind = f", {thing.ticket_type.name}" if thing.ticket_type else ""
            return _("%(title)s%(kind)s, ticket %(code)s") % {
                "title": thing.entry.title,
                "kind": kind,
                "code": f"{thing.code[:4]} {thing.code[4:8]}",
            }
        if isinstance(thing, ProductItem):
            return f"{thing.product.name}, {thing.code[:4]} {thing.code[4:8]}"
        return thing.what

    @property
    def event(self) -> CalendarEntry | None:
        """The event that came of a booking and is not called off: while there is one, the booking stays."""
        return event_of(self.thing) if isinstance(self.thing, CalendarEntry) else None

    @property
    def word(self) -> str:
        return str(TicketState(self.state).label)


def rows_of(order: Order, *, locked: bool = False) -> list[SoldRow]:
    """All that `order` took, oldest first; `locked` (as the order is): with what they count against, in order."""
    tickets = Ticket.objects.filter(order=order).select_related("entry__calendar__page", "ticket_type").order_by("pk")
    bookings = (
        CalendarEntry.objects.filter(order=order, kind=EntryKind.BOOKING)
        .select_related("calendar__page")
        .order_by("pk")
    )
    items = ProductItem.objects.filter(order=order).select_related("product__page").order_by("pk")
    if locked:
        # Rooms before entries; the events of the tickets and the bookings are rows of one table, locked at once.
        lock_rooms(bookings.values_list("room_id", flat=True))
        entries = CalendarEntry.objects.filter(Q(pk__in=tickets.values("entry_id")) | Q(pk__in=bookings.values("pk")))
        list(entries.locked().values_list("pk"))
        list(TicketType.objects.filter(pk__in=tickets.values("ticket_type_id")).locked().values_list("pk"))
        list(Product.objects.filter(pk__in=items.values("product_id")).locked().values_list("pk"))
        tickets, items = tickets.locked(), items.locked()
    repayments, pending = _lines_of(order)
    things: list[tuple[str, SoldThing]] = [
        *(("ticket", row) for row in tickets),
        *(("booking", row) for row in bookings),
        *(("item", row) for row in items),
    ]
    return [
        SoldRow(kind, thing, repayments[kind, thing.pk], (kind, thing.pk) in pending)
        for kind, thing in things
        if thing.state != TicketState.PENDING
    ]


def _lines_of(order: Order) -> tuple[Mapping[tuple[str, int], Decimal], Collection[tuple[str, int]]]:
    """By row: what went back or is about to, and whether all of it is under way."""
    repayments: dict[tuple[str, int], Decimal] = defaultdict(Decimal)
    pending = set()
    lines = RefundLine.objects.live().filter(refund__checkout__order=order).exclude(kind=RefundKind.SURPLUS)
    for line in lines.select_related("refund", "loss"):
        key = key_of(line)
        repayments[key] += line.amount - (line.loss.amount if hasattr(line, "loss") else NOTHING)
        if line.kind == RefundKind.ROW and line.refund.state in UNFINISHED:
            pending.add(key)
    return repayments, pending


def key_of(line: RefundLine) -> tuple[str, int]:
    """The row that a line (no surplus) names."""
    for kind, pk in (("ticket", line.ticket_id), ("booking", line.booking_id), ("item", line.item_id)):
        if pk is not None:
            return kind, pk
    raise ValueError("a surplus names no row")


def line_for(row: SoldRow, kind: RefundKind, amount: Decimal) -> RefundLine:
    """A line about `row`, not yet of a refund."""
    line = RefundLine(kind=kind, amount=amount, currency=row.thing.currency)
    setattr(line, f"{row.kind}_id", row.thing.pk)
    return line


def owe(rows: Iterable[SoldRow]) -> None:
    """Valid rows are so no more: what is left of their price is owed; what has nothing left is cancelled.

    So is what is owed and has nothing left: all of its price went back out of goodwill.
    """
    for kind, state, group in _grouped(row for row in rows if (row.is_valid or row.is_owed) and not row.pending):
        if state in VALID:
            mark_owed([row.thing.pk for row in group if row.rest > 0], source=state, of=TABLES[kind])
        mark_voided([row.thing.pk for row in group if row.rest <= 0], source=state, of=TABLES[kind])


def pay_back(rows: Iterable[SoldRow]) -> None:
    """The money of `rows` went back: whatever they were, they are valid no more."""
    for kind, state, group in _grouped(rows):
        pks = [row.thing.pk for row in group]
        if state in VALID:
            mark_owed(pks, source=state, of=TABLES[kind])
        if state in (*VALID, TicketState.REFUND_DUE):
            mark_refunded(pks, of=TABLES[kind])


def owe_again(rows: Iterable[SoldRow]) -> None:
    """What went back for `rows` came back to us: it is owed once more."""
    for kind, state, group in _grouped(rows):
        if state == TicketState.REFUNDED:
            mark_owed_again([row.thing.pk for row in group], of=TABLES[kind])


def _grouped(rows: Iterable[SoldRow]) -> list[tuple[str, str, list[SoldRow]]]:
    groups: dict[tuple[str, str], list[SoldRow]] = defaultdict(list)
    for row in rows:
        groups[row.kind, row.state].append(row)
    return [(kind, state, group) for (kind, state), group in sorted(groups.items())]


def lines_in_words(refund: Refund, sold: Sequence[SoldRow] | None = None) -> list[tuple[str, Money]]:
    """What `refund` pays back, in words for its buyer, with the amount of each; `sold`: its order's rows, if known."""
    rows = {(row.kind, row.thing.pk): row for row in (rows_of(refund.checkout.order) if sold is None else sold)}
    lines = []
    for line in refund.lines.all():
        if line.kind == RefundKind.SURPLUS:
            name = _("your payment beyond the order")
        else:
            name = rows[key_of(line)].name
            if line.kind == RefundKind.GOODWILL:
                name = _("a part of %(name)s, which stays as it is") % {"name": name}
        lines.append((name, line.money))
    return lines

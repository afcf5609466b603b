"""What an order took, locked in the agreed order: what its rows count against first, then the rows themselves."""

from dataclasses import dataclass, field

from django.db.models import Q

from events.models import Calendar, CalendarEntry, Ticket, TicketType
from events.states import EntryKind, LineKind
from ledger.locking import locked_by_pk
from market.models import Product, ProductItem
from orders.models import Order, OrderLine

#: Rows that were put back in a cart: pk -> the pk of the row that was ordered first.
Copies = dict[int, int]


@dataclass(frozen=True)
class Wanted:
    """Primary keys of what an order's lines name, by table."""

    rooms: frozenset[int]
    entries: frozenset[int]
    types: frozenset[int]
    products: frozenset[int]
    kinds: frozenset[str]

    @classmethod
    def of(cls, order: Order) -> "Wanted":
        """One query; lines never change, so they can be read before anything is locked."""
        names = ("kind", "entry_id", "ticket_type_id", "product_id", "entry__room_id")
        rows = list(OrderLine.objects.filter(order=order).order_by().values_list(*names))
        kinds, entries, types, products, rooms = zip(*rows, strict=True) if rows else ((), (), (), (), ())
        bookings = LineKind.BOOKING in kinds  # an event's room is not counted against
        return cls(
            rooms=frozenset(filter(None, rooms)) if bookings else frozenset(),
            entries=frozenset(filter(None, entries)),
            types=frozenset(filter(None, types)),
            products=frozenset(filter(None, products)),
            kinds=frozenset(kinds),
        )


@dataclass(frozen=True)
class Goods:
    """Rows of one order in one state, and (if asked for) their copies in whatever state; all of it locked.

    `entries` are the events of the tickets, and the bookings themselves: rows of one table are locked at once.
    """

    entries: dict[int, CalendarEntry]
    types: dict[int, TicketType]
    products: dict[int, Product]
    tickets: list[Ticket]
    bookings: list[CalendarEntry]
    items: list[ProductItem]
    ticket_copies: Copies = field(default_factory=dict)
    booking_copies: Copies = field(default_factory=dict)
    item_copies: Copies = field(default_factory=dict)


def locked_goods(order: Order, *, state: str, with_copies: bool = False) -> Goods:
    """What `order` (locked) has in `state`; `with_copies`: with what was put back in a cart for it."""
    wanted = Wanted.of(order)
    tickets = Ticket.objects.filter(order=order, state=state)
    bookings = CalendarEntry.objects.bookings().filter(order=order, state=state)
    items = ProductItem.objects.filter(order=order, state=state)
    copied = wanted.kinds if with_copies else frozenset()
    # Which row replaces which never changes either.
    ticket_copies = tickets.originals_by_copy() if LineKind.TICKET in copied else {}
    booking_copies = bookings.originals_by_copy() if LineKind.BOOKING in copied else {}
    item_copies = items.originals_by_copy() if LineKind.PRODUCT in copied else {}

    locked_by_pk(Calendar.objects.all(), wanted.rooms)
    entries = locked_by_pk(CalendarEntry.objects.all(), wanted.entries | booking_copies.keys())
    types = locked_by_pk(TicketType.objects.all(), wanted.types)
    products = locked_by_pk(Product.objects.all(), wanted.products)
    own = Q(order=order, state=state)
    return Goods(
        entries=entries,
        types=types,
        products=products,
        tickets=list(Ticket.objects.filter(own | Q(pk__in=list(ticket_copies))).locked())
        if LineKind.TICKET in wanted.kinds
        else [],
        bookings=[
            row
            for row in entries.values()
            if row.kind == EntryKind.BOOKING and (row.pk in booking_copies or row.state == state)
        ],
        items=list(ProductItem.objects.filter(own | Q(pk__in=list(item_copies))).locked())
        if LineKind.PRODUCT in wanted.kinds
        else [],
        ticket_copies=ticket_copies,
        booking_copies=booking_copies,
        item_copies=item_copies,
    )

"""What the buyer of an order has in hand: valid tickets, bookings and vouchers; and what is owed for the rest."""

from collections.abc import Sequence
from dataclasses import dataclass

from events.models import CalendarEntry, Ticket
from events.states import LineKind
from market.models import ProductItem, SoldThing
from orders.models import Order, OrderLine


@dataclass(frozen=True)
class Holdings:
    """All rows of an order, by kind and in their order, each with its page at hand."""

    order: Order
    tickets: Sequence[Ticket] = ()
    bookings: Sequence[CalendarEntry] = ()
    items: Sequence[ProductItem] = ()

    @classmethod
    def of(cls, order: Order, lines: Sequence[OrderLine]) -> "Holdings":
        """A query for each kind that `lines`, those of the order, name."""
        kinds = {line.kind for line in lines}
        tickets = Ticket.objects.filter(order=order).with_page().select_related("order").order_by("pk")
        booked = CalendarEntry.objects.bookings().filter(order=order).with_page().select_related("order")
        items = ProductItem.objects.filter(order=order).with_page().select_related("order").order_by("pk")
        return cls(
            order,
            list(tickets) if LineKind.TICKET in kinds else [],
            list(booked.order_by("starts_at", "pk")) if LineKind.BOOKING in kinds else [],
            list(items) if LineKind.PRODUCT in kinds else [],
        )

    @property
    def rows(self) -> list[SoldThing]:
        return [*self.tickets, *self.bookings, *self.items]

    @property
    def valid_tickets(self) -> list[Ticket]:
        """Those that open a door and that the buyer has not sent to somebody else."""
        return [ticket for ticket in self.tickets if ticket.is_valid and not ticket.is_sent]

    @property
    def valid_bookings(self) -> list[CalendarEntry]:
        return [booking for booking in self.bookings if booking.is_valid]

    @property
    def valid_items(self) -> list[ProductItem]:
        return [item for item in self.items if item.is_valid]

    @property
    def valid(self) -> bool:
        """Whether anything of it is (still) to be had, by the buyer or by whoever was sent a ticket."""
        return any(row.is_valid for row in self.rows)

    @property
    def printable(self) -> bool:
        return bool(self.valid_tickets or self.valid_bookings or self.valid_items)

    @property
    def dated(self) -> list[CalendarEntry]:
        """What belongs in a calendar: the events of the tickets, and the bookings."""
        return [*(ticket.entry for ticket in self.valid_tickets), *self.valid_bookings]

    @property
    def owed(self) -> list[SoldThing]:
        return [row for row in self.rows if row.is_owed]

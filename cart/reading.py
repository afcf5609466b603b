"""Reading a cart: the pending rows of a visitor, and the lines that they make as things stand now."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.utils.translation import gettext as _

from accounts.visitors import Visitor
from cart.lines import BookingLine, ItemLine, Line, TicketLine
from events.models import CalendarEntry, Merchant, Page, Ticket
from events.payees import is_payable, payees_of
from events.rooms import RoomHours, Span, busy_in, hours_of, is_taken, nearest_free
from events.rooms.taken import REACH
from events.selling import obstacle, with_facts
from ledger.money import Money
from market import selling
from market.models import ProductItem

Payees = Mapping[int, Merchant | None]


@dataclass(frozen=True)
class Pending:
    """Pending rows by kind, each with all that its line reads; and of the rooms what is open and what is taken."""

    tickets: Sequence[Ticket] = ()
    bookings: Sequence[CalendarEntry] = ()
    items: Sequence[ProductItem] = ()
    hours: Mapping[int, RoomHours] = field(default_factory=dict)
    busy: Mapping[int, Sequence[Span]] = field(default_factory=dict)

    def pages(self) -> dict[int, Page]:
        pages = [ticket.entry.calendar.page for ticket in self.tickets]
        pages += [booking.calendar.page for booking in self.bookings]
        pages += [item.product.page for item in self.items]
        return {page.pk: page for page in pages}

    def payees(self) -> dict[int, Merchant | None]:
        """Whose merchant the money of each page is for, whether or not that one can take it now."""
        return payees_of(self.pages().values())


def pending_of(visitor: Visitor) -> Pending:
    """What `visitor` has in the cart, in a constant number of queries."""
    tickets = Ticket.objects.none() if visitor.user is None else Ticket.objects.pending_for(visitor.user)
    bookings = CalendarEntry.objects.in_cart_of(visitor).select_related("calendar__page__merchant")
    return with_rooms(
        with_facts(tickets.select_related("entry__calendar__page__merchant")),
        list(bookings.order_by("pk")),
        list(ProductItem.objects.in_cart_of(visitor).select_related("product__page__merchant").order_by("pk")),
    )


def with_rooms(tickets: Sequence[Ticket], bookings: Sequence[CalendarEntry], items: Sequence[ProductItem]) -> Pending:
    """`Pending`, with the hours of the rooms of `bookings` and what is taken of them around their times."""
    if not bookings:
        return Pending(tickets, bookings, items)
    rooms = {booking.calendar_id for booking in bookings}
    first = min(booking.starts_at for booking in bookings) - REACH
    last = max(booking.ends_at for booking in bookings) + REACH
    return Pending(tickets, bookings, items, hours_of(rooms), busy_in(rooms, first, last))


def lines_of(pending: Pending, payees: Payees, *, at: datetime) -> Iterator[Line]:
    yield from _ticket_lines(pending.tickets, payees, at)
    yield from _booking_lines(pending, payees, at)
    yield from _item_lines(pending.items, payees)


def _unpaid(price: Money, payee: Merchant | None) -> str:
    """Why nobody can pay this: "" for what is free, or when its money finds a merchant."""
    if is_payable(price, payee):
        return ""
    return _("This organiser takes no payments at the moment: only what is free can be ordered.")


def _ticket_lines(tickets: Sequence[Ticket], payees: Payees, at: datetime) -> Iterator[TicketLine]:
    """A line for each kind of ticket, oldest first; kinds of one event share its places."""
    kinds: dict[tuple[int, int], list[Ticket]] = {}
    for ticket in tickets:
        kinds.setdefault((ticket.entry_id, ticket.ticket_type_id or 0), []).append(ticket)
    places: dict[int, int | None] = {}
    for rows in kinds.values():
        entry = rows[0].entry
        line = _ticket_line(rows, places.setdefault(entry.pk, entry.free_places), payees[entry.calendar.page_id], at)
        free = places[entry.pk]
        if free is not None:
            places[entry.pk] = free - line.fits
        yield line


def _ticket_line(rows: Sequence[Ticket], places: int | None, payee: Merchant | None, at: datetime) -> TicketLine:
    first = rows[0]
    ticket_type, entry = first.ticket_type, first.entry
    minimum = ticket_type.min_per_order if ticket_type else 1
    maximum = ticket_type.max_per_order if ticket_type else entry.max_per_order
    closed = obstacle(entry, ticket_type, at=at)
    reason = str(closed.value) if closed else _unpaid(first.cost, payee)
    fits = 0 if reason else _least(len(rows), maximum, places, ticket_type.free_places if ticket_type else None)
    return TicketLine(
        page=entry.calendar.page,
        entry=entry,
        ticket_type=ticket_type,
        tickets=rows,
        price=first.cost,
        seen=Money(first.price, first.currency),
        reason=reason,
        fits=fits if fits >= minimum else 0,
        supply=fits,
        maximum=maximum,
        minimum=minimum,
    )


def _least(*limits: int | None) -> int:
    return min(limit for limit in limits if limit is not None)


def _booking_lines(pending: Pending, payees: Payees, at: datetime) -> Iterator[BookingLine]:
    """A line for each booking; of two in one cart that overlap, the older one has the time."""
    own: dict[int, list[Span]] = {}
    for booking in pending.bookings:
        hours, mine = pending.hours[booking.calendar_id], own.setdefault(booking.calendar_id, [])
        line = _booking_line(booking, hours, pending.busy[booking.calendar_id], mine, payees, at)
        if line.fits:
            mine.append(hours.blocked_span(booking.starts_at, booking.ends_at))
        yield line


def _booking_line(
    booking: CalendarEntry,
    hours: RoomHours,
    busy: Sequence[Span],
    mine: Sequence[Span],
    payees: Payees,
    at: datetime,
) -> BookingLine:
    start, end, page = booking.starts_at, booking.ends_at, booking.calendar.page
    closed = hours.why_not(start, end, at)
    price = hours.price(start, end) if hours.rules else booking.cost
    reason = str(closed.value) if closed else _unpaid(price, payees[page.pk])
    taken = False
    if not reason:
        blocked = hours.blocked_span(start, end)
        taken = is_taken(blocked, busy)
        if not taken and is_taken(blocked, mine):
            reason = _("It overlaps another booking in your cart.")
    free = nearest_free(hours, [*busy, *mine], start, end - start, at) if taken else []
    return BookingLine(
        page=page,
        booking=booking,
        price=price,
        seen=booking.cost,
        reason=reason,
        fits=0 if reason or taken else 1,
        blocks=hours.blocked(start, end) if hours.rules else booking.blocks,
        free_instead=free,
    )


def _item_lines(items: Sequence[ProductItem], payees: Payees) -> Iterator[ItemLine]:
    kinds: dict[int, list[ProductItem]] = {}
    for item in items:
        kinds.setdefault(item.product_id, []).append(item)
    for rows in kinds.values():
        first, product = rows[0], rows[0].product
        closed = selling.obstacle(product)
        reason = str(closed.value) if closed else _unpaid(product.money, payees[product.page_id])
        yield ItemLine(
            page=product.page,
            product=product,
            items=rows,
            price=product.money,
            seen=Money(first.price, first.currency),
            reason=reason,
            fits=0 if reason else _least(len(rows), product.max_per_order, product.free_stock),
            maximum=product.max_per_order,
        )

"""Giving what was paid for: the order becomes paid and what it took valid, once; the mail is enqueued with it."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import TypeVar

from events.models import CalendarEntry, Ticket
from events.rooms import Span, busy_in, is_taken
from events.states import EntryState, TicketState
from events.transitions import (
    mark_confirmed,
    mark_confirmed_late,
    mark_released,
    mark_unfulfillable,
    mark_unfulfillable_late,
)
from market.models import ProductItem
from orders.goods import Copies, Goods, locked_goods
from orders.jobs import send_confirmation
from orders.models import Order
from orders.states import OrderState
from orders.transitions import mark_paid

Row = TypeVar("Row", Ticket, CalendarEntry, ProductItem)
#: What lies in a cart or came to nothing: a row in such a state is not given to anybody.
IDLE = (TicketState.PENDING, TicketState.CANCELLED)


def fulfil(order: Order, *, at: datetime) -> bool:
    """Give `order`, just paid, what it took; answers whether this call did it. The order is locked.

    In time, what is reserved becomes valid. Late (the order has expired or was cancelled, its places are free), what
    can still be held becomes valid. What cannot be given becomes refund_due: its price is owed; what was free is
    cancelled, for nothing is owed. Raises IllegalTransition when the order cannot become paid from where it is.
    """
    if order.state == OrderState.PAID:
        return False
    if not mark_paid(order, at=at):
        return False
    if order.state == OrderState.AWAITING_PAYMENT:
        _give(locked_goods(order, state=TicketState.RESERVED))
    else:
        _give_late(locked_goods(order, state=TicketState.CANCELLED, with_copies=True), at)
    send_confirmation.defer(order_id=order.pk)
    return True


def _give(goods: Goods) -> None:
    """What is reserved is held already; only an event that was called off meanwhile cannot be given."""
    valid, owed, free = list[int](), list[int](), list[int]()
    for ticket in goods.tickets:
        takes_place = goods.entries[ticket.entry_id].state == EntryState.CONFIRMED
        (valid if takes_place else owed if ticket.price else free).append(ticket.pk)
    mark_confirmed(valid)
    mark_unfulfillable(owed)
    mark_released(free)
    mark_confirmed([booking.pk for booking in goods.bookings], of=CalendarEntry)
    mark_confirmed([item.pk for item in goods.items], of=ProductItem)


def _give_late(goods: Goods, at: datetime) -> None:
    """What there is a place for again; its copies in the buyer's cart go, so that nobody pays twice."""
    _give_late_of(Ticket, goods.tickets, goods.ticket_copies, lambda rows: _seated(rows, goods, at))
    _give_late_of(CalendarEntry, goods.bookings, goods.booking_copies, lambda rows: _roomed(rows, at))
    _give_late_of(ProductItem, goods.items, goods.item_copies, lambda rows: _in_stock(rows, goods))


def _give_late_of(
    of: type[Row], rows: Sequence[Row], copies: Copies, fitting: Callable[[list[Row]], list[int]]
) -> None:
    """Confirm those of `rows` that fit and owe the others. What was ordered again as a copy is not given twice."""
    paid = {row.pk: row for row in rows if row.pk not in copies}
    again = _ordered_again(rows, copies)
    given = fitting([row for pk, row in paid.items() if pk not in again])
    mark_confirmed_late(given, of=of)
    _empty_carts(of, [row.pk for row in rows if row.state == TicketState.PENDING and copies.get(row.pk) in given])
    mark_unfulfillable_late([pk for pk, row in paid.items() if row.price and pk not in given], of=of)


def _ordered_again(rows: Sequence[Row], copies: Copies) -> set[int]:
    """What of `copies` is somebody's by now, by what it is a copy of."""
    return {copies[row.pk] for row in rows if row.pk in copies and row.state not in IDLE}


def _empty_carts(of: type[Row], pks: Collection[int]) -> None:
    if pks:
        of._default_manager.filter(pk__in=pks).delete()


def _seated(tickets: list[Ticket], goods: Goods, at: datetime) -> list[int]:
    """Those of `tickets`, first come, whose event takes place and still has room for them, in its type too."""
    free = {("entry", pk): entry.free_places for pk, entry in goods.entries.items()}
    free |= {("type", pk): type_.free_places for pk, type_ in goods.types.items()}
    given = []
    for ticket in tickets:
        entry = goods.entries[ticket.entry_id]
        keys = [("entry", ticket.entry_id), *([("type", ticket.ticket_type_id)] if ticket.ticket_type_id else [])]
        if entry.state != EntryState.CONFIRMED or entry.ends_at <= at or any(free[key] == 0 for key in keys):
            continue
        for key in keys:
            left = free[key]
            free[key] = None if left is None else left - 1
        given.append(ticket.pk)
    return given


def _roomed(bookings: list[CalendarEntry], at: datetime) -> list[int]:
    """Those of `bookings` (their rooms are locked) that have not begun and whose room is free.

    They are of one order, which held all of them at once: none is in another's way.
    """
    coming = [
        (row.pk, row.room_id, Span(row.blocks.lower, row.blocks.upper))
        for row in bookings
        if row.starts_at > at and row.room_id and row.blocks
    ]
    if not coming:
        return []
    _pks, rooms, spans = zip(*coming, strict=True)
    busy = busy_in(set(rooms), min(span.start for span in spans), max(span.end for span in spans))
    return [pk for pk, room, span in coming if not is_taken(span, busy[room])]


def _in_stock(items: list[ProductItem], goods: Goods) -> list[int]:
    """Those of `items`, first come, of which there is still a piece."""
    free = {pk: product.free_stock for pk, product in goods.products.items()}
    given = []
    for item in items:
        left = free[item.product_id]
        if left != 0:
            free[item.product_id] = None if left is None else left - 1
            given.append(item.pk)
    return given

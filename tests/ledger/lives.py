"""Rows in any state, brought there over legal arrows by bare SQL."""

from datetime import timedelta
from decimal import Decimal
from itertools import count

from django.utils import timezone

from accounts.models import User
from events.models import Calendar, CalendarEntry, Merchant, Ticket, TicketType
from orders.models import LineKind, Order, OrderLine
from payments.models import Checkout, Refund
from tests.factories import CalendarFactory, EventFactory, UserFactory
from tests.ledger.psql import run

PRICE = Decimal("12.00")
numbers = count(1)

#: The shortest legal way to each state.
SOLD_WAYS: dict[str, list[str]] = {
    "pending": [],
    "reserved": ["reserved"],
    "confirmed": ["reserved", "confirmed"],
    "checked_in": ["reserved", "confirmed", "checked_in"],
    "cancelled": ["reserved", "cancelled"],
    "refund_due": ["reserved", "refund_due"],
    "refunded": ["reserved", "refund_due", "refunded"],
}
CHECKOUT_WAYS: dict[str, list[str]] = {
    "new": [],
    "open": ["open"],
    "refused": ["refused"],
    "expired": ["expired"],
    "paid": ["paid"],
    "mismatch": ["mismatch"],
}


def a_merchant() -> Merchant:
    return Merchant.objects.get_or_create(code="M-ROWS", defaults={"name": "Rows", "currency": "EUR"})[0]


def an_order(state: str = "awaiting_payment", *, user: User | None = None, total: Decimal = PRICE) -> Order:
    now = timezone.now()
    order = Order.objects.create(
        user=user or UserFactory.create(),
        merchant=a_merchant(),
        total=total,
        currency="EUR",
        placed_at=now,
        hold_until=now + timedelta(minutes=30),
    )
    if state != "awaiting_payment":
        run("UPDATE orders_order SET state = %s, paid_at = now() WHERE id = %s", state, order.pk)
    return order


def a_line(order: Order, entry: CalendarEntry, *, quantity: int = 1) -> OrderLine:
    return OrderLine.objects.create(
        order=order,
        page=entry.calendar.page,
        kind=LineKind.TICKET,
        entry=entry,
        name="Seat",
        unit_price=PRICE,
        currency="EUR",
        quantity=quantity,
    )


def a_ticket(
    state: str = "pending",
    *,
    entry: CalendarEntry | None = None,
    ticket_type: TicketType | None = None,
    user: User | None = None,
    order: Order | None = None,
) -> Ticket:
    """A ticket of 12.00; from reserved on, of `order` (else of a new one of its user)."""
    user = user or (order.user if order else UserFactory.create())
    ticket = Ticket.objects.create(
        entry=entry or (ticket_type.entry if ticket_type else EventFactory.create()),
        ticket_type=ticket_type,
        user=user,
        price=PRICE,
        currency="EUR",
    )
    lead("events_ticket", ticket.pk, SOLD_WAYS[state], order, user)
    return ticket


def a_booking(
    state: str = "pending", *, room: Calendar | None = None, starts_in: int = 24, user: User | None = None
) -> CalendarEntry:
    """One hour in a room, `starts_in` hours from now, with a quarter of an hour before and after blocked."""
    room, user = room or CalendarFactory.create(is_bookable=True), user or UserFactory.create()
    starts = timezone.now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=starts_in)
    ends, quarter = starts + timedelta(hours=1), timedelta(minutes=15)
    booking = CalendarEntry.objects.create(
        kind="booking",
        state="pending",
        calendar=room,
        room=room,
        title="Rehearsal",
        starts_at=starts,
        ends_at=ends,
        blocks=(starts - quarter, ends + quarter),
        user=user,
        price=PRICE,
        currency="EUR",
    )
    lead("events_calendarentry", booking.pk, SOLD_WAYS[state], None, user)
    return booking


def lead(table: str, pk: int, way: list[str], order: Order | None, user: User) -> None:
    for step in way:
        if step == "reserved":
            order = order or an_order(user=user)
            run(f"UPDATE {table} SET state = 'reserved', order_id = %s WHERE id = %s", order.pk, pk)
        else:
            run(f"UPDATE {table} SET state = %s WHERE id = %s", step, pk)


#: Sets what every state of a checkout asks for; said twice it changes nothing.
CHECKOUT_MOVE = (
    "UPDATE payments_checkout SET state = %s, sumup_id = coalesce(sumup_id, 'co-' || id),"
    " captured = amount, captured_currency = currency, paid_at = created_at WHERE id = %s"
)


def a_checkout(state: str = "new", *, order: Order | None = None) -> Checkout:
    now = timezone.now()
    order = order or an_order()
    checkout = Checkout.objects.create(
        order=order,
        merchant=a_merchant(),
        reference=f"{order.code}-{next(numbers)}",
        amount=order.total,
        currency=order.currency,
        created_at=now,
        valid_until=now + timedelta(minutes=28),
    )
    for step in CHECKOUT_WAYS[state]:
        run(CHECKOUT_MOVE, step, checkout.pk)
    return checkout


#: The shortest legal way of a refund of ours to each state.
REFUND_WAYS: dict[str, list[str]] = {
    "requested": [],
    "withdrawn": ["withdrawn"],
    "sending": ["sending"],
    "succeeded": ["sending", "succeeded"],
    "failed": ["sending", "failed"],
    "unknown": ["sending", "unknown"],
}
#: Sets what every state of a refund asks for; said twice it changes nothing.
REFUND_MOVE = (
    "UPDATE payments_refund SET state = %s, sent_at = requested_at, finished_at = requested_at, events_before = 0"
    " WHERE id = %s"
)


def a_refund(
    state: str = "requested", *, checkout: Checkout | None = None, amount: Decimal = PRICE, origin: str = "ours"
) -> Refund:
    """A refund of `checkout`, else of a new paid one of 12.00; it has no lines."""
    refund = Refund.objects.create(
        checkout=checkout or a_checkout("paid"),
        origin=origin,
        amount=amount,
        currency="EUR",
        reason="Ill",
        requested_by="user:1",
        requested_at=timezone.now(),
    )
    told = {"succeeded": ["succeeded"], "failed": ["succeeded", "failed"], "requested": []}
    for step in (REFUND_WAYS if origin == "ours" else told)[state]:
        run(REFUND_MOVE, step, refund.pk)
    return refund

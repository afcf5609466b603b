"""Giving back what an unpaid order holds, once nobody can pay it any more."""

from datetime import datetime

from events.models import CalendarEntry, Ticket, TicketType
from events.states import TicketState
from events.transitions import mark_released
from ledger.moves import move
from orders.models import Order
from orders.states import OrderState


def ending_of(order: Order, *, at: datetime) -> OrderState | None:
    """How an order awaiting payment is to end at `at`: cancelled by its buyer, expired with its hold, or not yet."""
    if order.state != OrderState.AWAITING_PAYMENT:
        return None
    if order.cancel_requested_at is not None:
        return OrderState.CANCELLED
    return OrderState.EXPIRED if at >= order.hold_until else None


def request_cancel(order: Order, *, at: datetime) -> bool:
    """Write down that the buyer cancels; the payment is ended next, then the seats are freed."""
    return bool(
        Order.objects.filter(pk=order.pk, state=OrderState.AWAITING_PAYMENT, cancel_requested_at=None).update(
            cancel_requested_at=at
        )
    )


def free(order: Order, *, ending: OrderState) -> int:
    """End an unpaid order and free its seats; answers how many tickets. The order is locked and cannot be paid."""
    if not move(Order.objects.all(), [order.pk], source=OrderState.AWAITING_PAYMENT, target=ending):
        return 0
    rows = Ticket.objects.filter(order=order, state=TicketState.RESERVED)
    keys = list(rows.values_list("entry_id", "ticket_type_id"))
    list(CalendarEntry.objects.filter(pk__in={entry for entry, _ in keys}).locked())
    list(TicketType.objects.filter(pk__in={type_ for _, type_ in keys if type_}).locked())
    return mark_released([ticket.pk for ticket in rows.locked()])

"""Giving back what an unpaid order holds, once nobody can pay it any more."""

from datetime import datetime

from django.db import transaction

from events.models import CalendarEntry
from events.states import TicketState
from events.transitions import mark_released
from market.models import ProductItem
from orders.goods import locked_goods
from orders.models import Order
from orders.states import OrderState
from orders.transitions import mark_ended


def ending_of(order: Order, *, at: datetime) -> OrderState | None:
    """How an order awaiting payment is to end at `at`: cancelled by its buyer, expired with its hold, or not yet."""
    if order.state != OrderState.AWAITING_PAYMENT:
        return None
    if order.cancel_requested_at is not None:
        return OrderState.CANCELLED
    return OrderState.EXPIRED if at >= order.hold_until else None


def request_cancel(order: Order, *, at: datetime) -> bool:
    """Write down that the buyer cancels; the payment is ended next, then the seats are freed.

    False when it has ended, is being cancelled already, or money for it has come: about that a person decides.
    """
    with transaction.atomic():
        row = Order.objects.filter(pk=order.pk).locked().get()
        if row.state != OrderState.AWAITING_PAYMENT or row.cancel_requested_at is not None or row.money_came:
            return False
        return bool(Order.objects.filter(pk=row.pk).update(cancel_requested_at=at))


def free(order: Order, *, ending: OrderState) -> int:
    """End an unpaid order and free what it holds; answers how many rows. The order is locked and cannot be paid."""
    if not mark_ended(order, ending=ending):
        return 0
    goods = locked_goods(order, state=TicketState.RESERVED)
    tickets = mark_released([ticket.pk for ticket in goods.tickets])
    bookings = mark_released([booking.pk for booking in goods.bookings], of=CalendarEntry)
    return tickets + bookings + mark_released([item.pk for item in goods.items], of=ProductItem)

"""The arrows of orders, a function each; callers hold the lock of the order."""

from datetime import datetime

from ledger.moves import move_one
from orders.models import Order
from orders.states import OrderState


def mark_paid(order: Order, *, at: datetime) -> int:
    """Paid, or free; late, too, when it had ended already."""
    return move_one(order, source=order.state, target=OrderState.PAID, paid_at=at)


def mark_ended(order: Order, *, ending: OrderState) -> int:
    """Nobody can pay it any more: it expired, or its buyer cancelled it."""
    return move_one(order, source=OrderState.AWAITING_PAYMENT, target=ending)

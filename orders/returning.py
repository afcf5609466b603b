"""Put it back in my cart: what an unpaid order took, once more as pending rows that remember what they replace."""

from datetime import datetime

from django.db import transaction

from events.buying import CART_ROWS
from events.models import Ticket
from events.selling import obstacle
from events.states import TicketState
from orders.models import Order
from orders.states import OrderState


def put_back(order: Order, *, at: datetime) -> int:
    """Fill the cart of the buyer of `order`, expired or cancelled, with what is still on sale; answers how many rows.

    A second click finds nothing to do: what lies in the cart, or was ordered again, is not put back twice. At most
    CART_ROWS rows stand in a cart; the rest stays out.
    """
    with transaction.atomic():
        order.user.lock()
        state = Order.objects.filter(pk=order.pk).locked().values_list("state", flat=True).get()
        if state not in (OrderState.EXPIRED, OrderState.CANCELLED):
            return 0
        rows = Ticket.objects.filter(order=order, state=TicketState.CANCELLED).with_page().order_by("pk")
        originals = Ticket.objects.originals_by_copy(row.pk for row in rows)
        alive = Ticket.objects.filter(pk__in=originals).exclude(state=TicketState.CANCELLED)
        taken = {originals[pk] for pk in alive.values_list("pk", flat=True)}
        room = max(CART_ROWS - Ticket.objects.pending_for(order.user).count(), 0)
        wanted = [row for row in rows if row.pk not in taken and not obstacle(row.entry, row.ticket_type, at=at)]
        return len(Ticket.objects.bulk_create([_copy(row) for row in wanted[:room]]))


def _copy(row: Ticket) -> Ticket:
    copy = Ticket(entry=row.entry, ticket_type=row.ticket_type, user_id=row.user_id, currency=row.entry.currency)
    copy.price = copy.cost.amount  # today's: that is what its buyer sees in the cart
    copy.replaces = row
    return copy

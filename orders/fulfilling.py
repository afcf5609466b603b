"""Giving what was paid for: the order becomes paid and its tickets valid, once; the mail is enqueued with it."""

from datetime import datetime

from events.models import CalendarEntry, Ticket, TicketType
from events.states import EntryState, TicketState
from events.transitions import mark_confirmed, mark_unfulfillable
from ledger.moves import move
from orders.jobs import send_confirmation
from orders.models import Order
from orders.states import OrderState


def fulfil(order: Order, *, at: datetime) -> bool:
    """Confirm what `order` reserved; answers whether this call did it. The order is locked and awaits payment.

    A ticket whose event was cancelled meanwhile becomes refund_due: its price is owed. Raises IllegalTransition when
    the order cannot become paid from where it is.
    """
    if not move(
        Order.objects.all(), [order.pk], source=OrderState.AWAITING_PAYMENT, target=OrderState.PAID, paid_at=at
    ):
        return False
    rows = Ticket.objects.filter(order=order, state=TicketState.RESERVED)
    keys = list(rows.values_list("entry_id", "ticket_type_id"))
    # Read again under lock: the organiser may have cancelled the event since the claim.
    entries = CalendarEntry.objects.filter(pk__in={entry for entry, _ in keys}).locked()
    open_entries = {entry.pk for entry in entries if entry.state == EntryState.CONFIRMED}
    list(TicketType.objects.filter(pk__in={type_ for _, type_ in keys if type_}).locked())
    reserved = list(rows.locked())
    given = [ticket.pk for ticket in reserved if ticket.entry_id in open_entries]
    owed = [ticket.pk for ticket in reserved if ticket.entry_id not in open_entries]
    if given:
        mark_confirmed(given)
    if owed:
        mark_unfulfillable(owed)
    send_confirmation.defer(order_id=order.pk)
    return True

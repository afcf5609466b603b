"""Giving what was paid for: the order becomes paid and its tickets valid, once; the mail is enqueued with it."""

from collections.abc import Collection, Sequence
from datetime import datetime

from django.db.models import Q

from events.models import CalendarEntry, Ticket, TicketQuerySet, TicketType
from events.states import EntryState, TicketState
from events.transitions import mark_confirmed, mark_confirmed_late, mark_unfulfillable, mark_unfulfillable_late
from ledger.moves import move
from orders.jobs import send_confirmation
from orders.models import Order
from orders.states import OrderState


def fulfil(order: Order, *, at: datetime) -> bool:
    """Give `order`, just paid, what it took; answers whether this call did it. The order is locked.

    In time, what is reserved becomes valid. Late (the order has expired or was cancelled, its seats are free), what can
    still be held becomes valid. What cannot be given becomes refund_due: its price is owed. Raises IllegalTransition
    when the order cannot become paid from where it is.
    """
    if order.state == OrderState.PAID:
        return False
    if not move(Order.objects.all(), [order.pk], source=order.state, target=OrderState.PAID, paid_at=at):
        return False
    if order.state == OrderState.AWAITING_PAYMENT:
        _give_tickets(order)
    else:
        _give_tickets_late(order, at)
    send_confirmation.defer(order_id=order.pk)
    return True


def _give_tickets(order: Order) -> None:
    """What is reserved is held already; only an event that was called off meanwhile cannot be given."""
    rows = Ticket.objects.filter(order=order, state=TicketState.RESERVED)
    entries, _types = _locked_parents(rows)
    reserved = list(rows.locked())
    given = [ticket.pk for ticket in reserved if entries[ticket.entry_id].state == EntryState.CONFIRMED]
    owed = {ticket.pk for ticket in reserved}.difference(given)
    if given:
        mark_confirmed(given)
    if owed:
        mark_unfulfillable(owed)


def _give_tickets_late(order: Order, at: datetime) -> None:
    """Those for which there is a place again; their copies in the buyer's cart go, so that nobody pays twice."""
    rows = Ticket.objects.filter(order=order, state=TicketState.CANCELLED)
    originals = Ticket.objects.originals_by_copy(rows.values_list("pk", flat=True))
    entries, types = _locked_parents(rows)
    locked = list(Ticket.objects.filter(Q(pk__in=rows.values("pk")) | Q(pk__in=originals)).locked())
    paid = [ticket for ticket in locked if ticket.pk not in originals]
    pending = {ticket.pk: originals[ticket.pk] for ticket in locked if ticket.state == TicketState.PENDING}
    idle = (TicketState.PENDING, TicketState.CANCELLED)
    again = {originals[ticket.pk] for ticket in locked if ticket.pk in originals and ticket.state not in idle}
    given = _that_fit([ticket for ticket in paid if ticket.pk not in again], entries, types, at)
    owed = {ticket.pk for ticket in paid}.difference(given)
    if given:
        mark_confirmed_late(given)
        Ticket.objects.filter(pk__in=[copy for copy, original in pending.items() if original in given]).delete()
    if owed:
        mark_unfulfillable_late(owed)


def _locked_parents(rows: TicketQuerySet) -> tuple[dict[int, CalendarEntry], dict[int, TicketType]]:
    """Events and types that `rows` count against: read again under lock, for much may have changed since the claim."""
    keys = list(rows.values_list("entry_id", "ticket_type_id"))
    entries = CalendarEntry.objects.filter(pk__in={entry for entry, _ in keys}).locked()
    types = TicketType.objects.filter(pk__in={type_ for _, type_ in keys if type_})
    return {row.pk: row for row in entries}, {row.pk: row for row in types.locked()}


def _that_fit(
    tickets: Sequence[Ticket], entries: dict[int, CalendarEntry], types: dict[int, TicketType], at: datetime
) -> Collection[int]:
    """Those of `tickets`, first come, whose event takes place and still has room for them, in its type too."""
    free = {("entry", pk): entry.free_places for pk, entry in entries.items()}
    free |= {("type", pk): type_.free_places for pk, type_ in types.items()}
    given = []
    for ticket in tickets:
        entry = entries[ticket.entry_id]
        keys = [("entry", ticket.entry_id), *([("type", ticket.ticket_type_id)] if ticket.ticket_type_id else [])]
        if entry.state != EntryState.CONFIRMED or entry.ends_at <= at or any(free[key] == 0 for key in keys):
            continue
        for key in keys:
            left = free[key]
            free[key] = None if left is None else left - 1
        given.append(ticket.pk)
    return given

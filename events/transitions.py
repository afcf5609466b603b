"""The arrows of what is sold (tickets, bookings, product items) and of events, a function each.

Callers hold the locks of the parents. `of` is the table: the three kinds have the same arrows.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal

from django.db import models, transaction
from django.db.models import Case, DecimalField, Value, When

from events.models import CalendarEntry, Ticket, TicketType
from events.states import EntryState, TicketState
from ledger.arrows import IllegalTransition
from ledger.moves import move

#: Ticket, CalendarEntry (of the kind booking) or ProductItem.
SoldTable = type[models.Model]


def _move(of: SoldTable, rows: Collection[int], *, source: str, target: str, **changes: object) -> int:
    return move(of._default_manager.all(), rows, source=source, target=target, **changes) if rows else 0


def mark_reserved(prices: Mapping[int, Decimal], *, order_id: int, of: SoldTable = Ticket) -> int:
    """Claim pending rows (`prices`: pk -> price read under the lock) for an order, all or nothing.

    The database refuses it (IntegrityError) when what they count against has no room for all of them.
    """
    by_price: dict[Decimal, list[int]] = {}
    for pk, amount in prices.items():
        by_price.setdefault(amount, []).append(pk)
    if not by_price:
        return 0
    price = Case(
        *(When(pk__in=pks, then=Value(amount)) for amount, pks in by_price.items()),
        output_field=DecimalField(max_digits=10, decimal_places=2),
    )
    moved = _move(
        of, prices.keys(), source=TicketState.PENDING, target=TicketState.RESERVED, order_id=order_id, price=price
    )
    if moved != len(prices):  # no replay: what is reserved already belongs to another order
        raise IllegalTransition(f"{len(prices) - moved} rows are reserved for another order")
    return moved


def mark_confirmed(rows: Collection[int], *, of: SoldTable = Ticket) -> int:
    """Paid, or free: what is reserved becomes valid."""
    return _move(of, rows, source=TicketState.RESERVED, target=TicketState.CONFIRMED)


def mark_unfulfillable(rows: Collection[int], *, of: SoldTable = Ticket) -> int:
    """Paid for what was reserved and called off meanwhile: its price is owed to the buyer."""
    return _move(of, rows, source=TicketState.RESERVED, target=TicketState.REFUND_DUE)


def mark_confirmed_late(rows: Collection[int], *, of: SoldTable = Ticket) -> int:
    """Paid after its place was freed, and there is one for it again."""
    return _move(of, rows, source=TicketState.CANCELLED, target=TicketState.CONFIRMED)


def mark_unfulfillable_late(rows: Collection[int], *, of: SoldTable = Ticket) -> int:
    """Paid after its place was freed, and there is none for it: its price is owed to the buyer."""
    return _move(of, rows, source=TicketState.CANCELLED, target=TicketState.REFUND_DUE)


def mark_checked_in(rows: Collection[int], *, at: datetime, of: SoldTable = Ticket) -> int:
    """Let in at the door; a product item: handed out."""
    return _move(of, rows, source=TicketState.CONFIRMED, target=TicketState.CHECKED_IN, checked_in_at=at)


def mark_back_out(rows: Collection[int], *, of: SoldTable = Ticket) -> int:
    """Let in (or handed out) by mistake: valid again."""
    return _move(of, rows, source=TicketState.CHECKED_IN, target=TicketState.CONFIRMED, checked_in_at=None)


def publish(entry: CalendarEntry) -> int:
    """A draft event becomes confirmed: it can be seen and sells."""
    return move(CalendarEntry.objects.events(), [entry.pk], source=EntryState.DRAFT, target=EntryState.CONFIRMED)


def call_off_event(entry: CalendarEntry) -> int:
    """A confirmed event is called off, whatever it holds: the caller settles its tickets in the same transaction."""
    return move(CalendarEntry.objects.events(), [entry.pk], source=EntryState.CONFIRMED, target=EntryState.CANCELLED)


def mark_owed(rows: Collection[int], *, source: str, of: SoldTable = Ticket) -> int:
    """Cancelled with money back: what was valid is so no more, its price is owed."""
    return _move(of, rows, source=source, target=TicketState.REFUND_DUE)


def mark_voided(rows: Collection[int], *, source: str, of: SoldTable = Ticket) -> int:
    """Cancelled without money back: what was valid (or owed) is so no more, its price is kept."""
    return _move(of, rows, source=source, target=TicketState.CANCELLED)


def mark_refunded(rows: Collection[int], *, of: SoldTable = Ticket) -> int:
    """The owed price went back to the buyer."""
    return _move(of, rows, source=TicketState.REFUND_DUE, target=TicketState.REFUNDED)


def mark_owed_again(rows: Collection[int], *, of: SoldTable = Ticket) -> int:
    """SumUp took the refund back: the price is owed once more."""
    return _move(of, rows, source=TicketState.REFUNDED, target=TicketState.REFUND_DUE)


def mark_given_after_all(rows: Collection[int], *, of: SoldTable = Ticket) -> int:
    """Owed, and there is a place for it after all: the buyer gets it instead of the money."""
    return _move(of, rows, source=TicketState.REFUND_DUE, target=TicketState.CONFIRMED)


def mark_released(rows: Collection[int], *, of: SoldTable = Ticket) -> int:
    """The order came to nothing: what was reserved is cancelled and its place free."""
    return _move(of, rows, source=TicketState.RESERVED, target=TicketState.CANCELLED)


def unpublish(entry: CalendarEntry) -> int:
    """A confirmed event goes back to draft while nothing but carts knows of it: no ticket of it was ever ordered.

    Asked under the event's lock, which who orders takes too: a subselect is not looked at again after a wait.
    """
    with transaction.atomic():
        rows = CalendarEntry.objects.events()
        list(rows.filter(pk=entry.pk).locked().values_list("pk"))
        if was_ordered(entry):
            raise IllegalTransition("calendar entry has tickets that were ordered: it cannot go back to draft")
        return move(rows, [entry.pk], source=EntryState.CONFIRMED, target=EntryState.DRAFT)


def was_ordered(of: CalendarEntry | TicketType) -> bool:
    """Whether a ticket was ever ordered, whatever became of it: then more than carts know of it."""
    return of.tickets.exclude(state=TicketState.PENDING).exists()


def delete_type(kind: TicketType) -> None:
    """A ticket type goes, with what carts hold of it. Raises IllegalTransition once a ticket of it was ordered.

    Locked for that, its event first, as who orders does; nobody can put it in a cart meanwhile.
    """
    with transaction.atomic():
        list(CalendarEntry.objects.filter(pk=kind.entry_id).locked().values_list("pk"))
        list(TicketType.objects.filter(pk=kind.pk).select_for_update().values_list("pk"))
        if was_ordered(kind):
            raise IllegalTransition("tickets of this type were ordered: it cannot be deleted")
        kind.tickets.filter(state=TicketState.PENDING).delete()
        kind.delete()


def delete_draft(entry: CalendarEntry) -> None:
    """A draft event goes, with its ticket types and what carts hold of it; the entry is locked.

    The database refuses it (IntegrityError, ProtectedError) once anything of it was ordered or it was published.
    """
    Ticket.objects.filter(entry=entry, state=TicketState.PENDING).delete()
    entry.ticket_types.all().delete()
    entry.delete()

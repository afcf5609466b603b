"""The arrows of tickets and events, a function each; callers hold the locks of the parents."""

from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal

from django.db.models import Case, DecimalField, Exists, OuterRef, Value, When

from events.models import CalendarEntry, Ticket
from events.states import EntryState, TicketState
from ledger.arrows import IllegalTransition
from ledger.moves import move


def mark_reserved(prices: Mapping[int, Decimal], *, order_id: int) -> int:
    """Claim pending tickets (`prices`: ticket pk -> price read under the lock) for an order, all or nothing.

    The database refuses it (IntegrityError) when the event or the type has no room for all of them.
    """
    by_price: dict[Decimal, list[int]] = {}
    for pk, amount in prices.items():
        by_price.setdefault(amount, []).append(pk)
    price = Case(
        *(When(pk__in=pks, then=Value(amount)) for amount, pks in by_price.items()),
        output_field=DecimalField(max_digits=10, decimal_places=2),
    )
    moved = move(
        Ticket.objects.all(),
        prices.keys(),
        source=TicketState.PENDING,
        target=TicketState.RESERVED,
        order_id=order_id,
        price=price,
    )
    if moved != len(prices):  # no replay: what is reserved already belongs to another order
        raise IllegalTransition(f"{len(prices) - moved} tickets are reserved for another order")
    return moved


def mark_confirmed(tickets: Collection[int]) -> int:
    """Paid, or free: reserved tickets become valid."""
    return move(Ticket.objects.all(), tickets, source=TicketState.RESERVED, target=TicketState.CONFIRMED)


def mark_unfulfillable(tickets: Collection[int]) -> int:
    """Paid for a reserved ticket whose event was cancelled meanwhile: its price is owed to the buyer."""
    return move(Ticket.objects.all(), tickets, source=TicketState.RESERVED, target=TicketState.REFUND_DUE)


def mark_confirmed_late(tickets: Collection[int]) -> int:
    """Paid after its seat was freed, and there is a place for it again."""
    return move(Ticket.objects.all(), tickets, source=TicketState.CANCELLED, target=TicketState.CONFIRMED)


def mark_unfulfillable_late(tickets: Collection[int]) -> int:
    """Paid after its seat was freed, and there is no place for it: its price is owed to the buyer."""
    return move(Ticket.objects.all(), tickets, source=TicketState.CANCELLED, target=TicketState.REFUND_DUE)


def mark_checked_in(tickets: Collection[int], *, at: datetime) -> int:
    return move(
        Ticket.objects.all(), tickets, source=TicketState.CONFIRMED, target=TicketState.CHECKED_IN, checked_in_at=at
    )


def mark_back_out(tickets: Collection[int]) -> int:
    """Let in by mistake: valid again, and not in."""
    return move(
        Ticket.objects.all(), tickets, source=TicketState.CHECKED_IN, target=TicketState.CONFIRMED, checked_in_at=None
    )


def publish(entry: CalendarEntry) -> int:
    """A draft event becomes confirmed: it can be seen and sells."""
    return move(CalendarEntry.objects.events(), [entry.pk], source=EntryState.DRAFT, target=EntryState.CONFIRMED)


def call_off_event(entry: CalendarEntry) -> int:
    """A confirmed event is called off, whatever it holds: the caller settles its tickets in the same transaction."""
    return move(CalendarEntry.objects.events(), [entry.pk], source=EntryState.CONFIRMED, target=EntryState.CANCELLED)


def mark_owed(tickets: Collection[int], *, source: str) -> int:
    """Cancelled with money back: valid tickets open no door any more, their price is owed."""
    return move(Ticket.objects.all(), tickets, source=source, target=TicketState.REFUND_DUE) if tickets else 0


def mark_voided(tickets: Collection[int], *, source: str) -> int:
    """Cancelled without money back: valid tickets open no door any more, their price is kept."""
    return move(Ticket.objects.all(), tickets, source=source, target=TicketState.CANCELLED) if tickets else 0


def mark_released(tickets: Collection[int]) -> int:
    """The order came to nothing: reserved tickets are cancelled and their seats free."""
    return move(Ticket.objects.all(), tickets, source=TicketState.RESERVED, target=TicketState.CANCELLED)


def unpublish(entry: CalendarEntry) -> int:
    """A confirmed event goes back to draft while nothing but carts knows of it: no ticket of it was ever ordered."""
    ordered = Ticket.objects.filter(entry=OuterRef("pk")).exclude(state=TicketState.PENDING)
    return move(
        CalendarEntry.objects.events().filter(~Exists(ordered)),
        [entry.pk],
        source=EntryState.CONFIRMED,
        target=EntryState.DRAFT,
    )


def delete_draft(entry: CalendarEntry) -> None:
    """A draft event goes, with its ticket types and what carts hold of it; the entry is locked.

    The database refuses it (IntegrityError, ProtectedError) once anything of it was ordered or it was published.
    """
    Ticket.objects.filter(entry=entry, state=TicketState.PENDING).delete()
    entry.ticket_types.all().delete()
    entry.delete()

"""Calling off an event that has sold tickets, and moving one: what its holders lose, get back and are told."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction
from procrastinate.contrib.django import app

from events.models import CalendarEntry, Ticket, TicketType
from events.organising.mails import tell_called_off, tell_moved, tell_other_time
from events.states import HELD, TicketState
from events.transitions import call_off_event, mark_owed, mark_voided
from ledger.money import Money, total
from ledger.signing import sign

#: The job that tells who sends money back, by its name: it stands above this room.
TELL_SENDERS = "payments.owed_jobs.tell_called_off"
#: What a valid ticket may be when its event is called off.
VALID = (TicketState.CONFIRMED, TicketState.CHECKED_IN)


@dataclass(frozen=True)
class Effect:
    """What calling off would do, or did: valid tickets in so many orders, their worth, and tickets still unpaid."""

    tickets: int
    orders: int
    worth: Money
    unpaid: int


def effect_of(entry: CalendarEntry) -> Effect:
    held = Ticket.objects.filter(entry=entry, state__in=sorted(HELD)).order_by("order_id", "pk")
    rows = list(held)
    valid = [row for row in rows if row.state in VALID]
    return Effect(
        tickets=len(valid),
        orders=len({row.order_id for row in valid}),
        worth=total((row.cost for row in valid), entry.currency),
        unpaid=len(rows) - len(valid),
    )


def call_off(pk: int, *, money_back: bool, who: str, why: str, may_send: bool = True) -> Effect:
    """Cancel a confirmed event with all its valid tickets, in one transaction; each order's buyer is told by a job.

    With money back a ticket that cost something becomes refund_due, else it is cancelled and its price kept. Tickets
    that are reserved stay so: paid, their price is owed; unpaid, they lapse. Who calls off and `may_send` what is owed
    decides about that next; else those who may are told at once. Raises IllegalTransition when the event is not (any
    more) confirmed.
    """
    with transaction.atomic():
        sign(who=who, why=why)
        entry = CalendarEntry.objects.events().with_page().filter(pk=pk).locked().get()
        effect = effect_of(entry)
        list(TicketType.objects.filter(entry=entry).locked().values_list("pk"))
        valid = list(Ticket.objects.filter(entry=entry, state__in=VALID).locked())
        call_off_event(entry)
        for state in VALID:
            rows = [row for row in valid if row.state == state]
            owed = [row.pk for row in rows if money_back and row.price > Decimal(0)]
            mark_owed(owed, source=state)
            mark_voided([row.pk for row in rows if row.pk not in set(owed)], source=state)
        for order in sorted({row.order_id for row in valid if row.order_id}):
            tell_called_off.defer(entry_id=entry.pk, order_id=order)
        if money_back and effect.worth.amount and not may_send:
            app.configure_task(TELL_SENDERS, queue="mail").defer(entry_id=entry.pk)
        return effect


def tell_holders(
    entry: CalendarEntry, *, starts_at: datetime, place: str, zone: str = "", ends_at: datetime | None = None
) -> int:
    """Enqueue a mail to each order with valid tickets that the event was moved; answers how many orders.

    `starts_at`, `place`, `zone` ("": the same) and `ends_at` (None: the same) are the old ones. To be called in the
    transaction that moves it.
    """
    valid = Ticket.objects.filter(entry=entry, state__in=VALID)
    orders = sorted(valid.values_list("order_id", flat=True).distinct().order_by())
    old = {"old_start": starts_at.isoformat(), "old_place": place, **({"old_zone": zone} if zone else {})}
    if ends_at is not None:
        old["old_end"] = ends_at.isoformat()
    for order in orders:
        tell_moved.defer(entry_id=entry.pk, order_id=order, **old)
    return len(orders)


def tell_booking_moved(booking: CalendarEntry, *, starts_at: datetime, place: str, zone: str) -> None:
    """Enqueue a mail to who has booked that time that it is another one, or told on another clock; old ones given."""
    tell_other_time.defer(booking_id=booking.pk, old_start=starts_at.isoformat(), old_place=place, old_zone=zone)

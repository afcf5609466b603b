"""Events that take up a room, or came of a booking: what they block, and what stands in their way."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.utils.translation import gettext as _

from events.local_times import told
from events.models import Calendar, CalendarEntry
from events.rooms.hours import RoomHours
from events.states import HELD, EntryState
from events.transitions import publish
from ledger.signing import sign


class RoomTaken(Exception):
    """The room is held by something else, `by`; the text says from when to when."""

    def __init__(self, text: str, by: CalendarEntry) -> None:
        super().__init__(text)
        self.by = by


def lock_rooms(rooms: Iterable[int | None]) -> None:
    """Lock the rooms (None: there is none) until the transaction ends; to be done before any entry is locked."""
    pks = {pk for pk in rooms if pk is not None}
    if pks:
        list(Calendar.objects.filter(pk__in=pks).locked().values_list("pk"))


def blocked_by(room: Calendar, start: datetime, end: datetime) -> DateTimeTZRange:
    """The time that an event from `start` to `end` takes of `room`: with set-up and clean-up, if it has any."""
    hours = RoomHours.of(room)
    return DateTimeTZRange(start, end) if hours.rules is None else hours.blocked(start, end)


def check_room(room: Calendar, blocks: DateTimeTZRange, *, but: int | None) -> None:
    """Raise RoomTaken when something held overlaps `blocks`, except the entry `but`; the room is locked.

    Nothing is said of whose it is: it may be the booking of a visitor.
    """
    held = CalendarEntry.objects.filter(room=room, state__in=sorted(HELD), blocks__overlap=blocks).exclude(pk=but or 0)
    first = held.order_by("starts_at").first()
    if first is None or first.blocks is None:
        return
    zone = room.page.time_zone
    words = {"start": told(first.blocks.lower, zone), "end": told(first.blocks.upper, zone)}
    raise RoomTaken(_("The room is taken from %(start)s to %(end)s.") % words, first)


def hold_room(entry: CalendarEntry) -> None:
    """Before a draft is published: block its room as the rules of now say. Raises RoomTaken; the room is locked."""
    if entry.room is None:
        return
    entry.blocks = blocked_by(entry.room, entry.starts_at, entry.ends_at)
    check_room(entry.room, entry.blocks, but=entry.pk)
    entry.save(update_fields=["blocks"])


def event_of(booking: CalendarEntry) -> CalendarEntry | None:
    """The event that came of `booking` and is not called off: while there is one, the booking can be neither
    cancelled nor refunded."""
    return CalendarEntry.objects.events().filter(booking=booking).exclude(state=EntryState.CANCELLED).first()


class NoEvent(Exception):
    """The booking does not become an event; the text says why."""


def make_event(
    pk: int, *, title: str, ticket_price: Decimal | None, capacity: int | None, published: bool, who: str
) -> CalendarEntry:
    """Make an event of the confirmed booking `pk`, once: same calendar, same time, a row of its own.

    The booking keeps the room; the event takes none. Raises NoEvent.
    """
    with transaction.atomic():
        sign(who=who, why="made of a booking in the admin")
        booking = CalendarEntry.objects.bookings().with_page().filter(pk=pk).locked().get()
        if CalendarEntry.objects.filter(booking=booking).exists():
            raise NoEvent(_("An event was made of it already."))
        if booking.state != EntryState.CONFIRMED:
            raise NoEvent(_("Only a booking that is confirmed becomes an event."))
        event = CalendarEntry.objects.create(
            calendar=booking.calendar,
            booking=booking,
            title=title,
            starts_at=booking.starts_at,
            ends_at=booking.ends_at,
            ticket_price=ticket_price,
            capacity=capacity,
            currency=booking.calendar.page.currency,
        )
        if published:
            publish(event)
            event.refresh_from_db()
        return event

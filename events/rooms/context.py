"""What a room's page shows: its free and taken time, and what of it is the visitor's own."""

from datetime import UTC, datetime, timedelta

from accounts.visitors import Visitor
from events.models import CalendarEntry
from events.rooms import RoomHours, Span, busy_in
from events.rooms.showing import Own, RoomWanted, busy_around, shown
from events.states import HELD, EntryState


def room_context(hours: RoomHours, visitor: Visitor, wanted: RoomWanted, *, at: datetime) -> dict[str, object]:
    """What templates/events/room.html and its partial `room` read, in two queries."""
    first, last = busy_around(wanted, at.astimezone(hours.zone).date())
    begin = datetime(first.year, first.month, first.day, tzinfo=UTC) - timedelta(days=2)
    end = datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=4)
    pk = hours.calendar.pk
    busy = busy_in([pk], begin, end)[pk]
    in_cart, ordered = _own(hours, visitor, begin)
    mine = Own(in_cart, [Span(row.starts_at, row.ends_at) for row in ordered])
    yours = [row for row in ordered if row.ends_at > at]
    return {
        "calendar": hours.calendar,
        "page": hours.page,
        "room": shown(hours, busy, mine, wanted, at=at),
        "wanted": wanted,
        "mine": len(in_cart),
        "yours": yours,
        "access_note": next((row.access_note for row in yours if row.is_valid), ""),
    }


def _own(hours: RoomHours, visitor: Visitor, begin: datetime) -> tuple[set[Span], list[CalendarEntry]]:
    """Of what ends after `begin`: what is in the cart of `visitor`, and what the visitor has ordered."""
    rows = CalendarEntry.objects.own_bookings(visitor).filter(room=hours.calendar.pk, ends_at__gt=begin)
    own = list(rows.select_related("order").order_by("starts_at"))
    ordered = [row for row in own if row.state in HELD]
    for row in ordered:
        row.calendar = hours.calendar
    return {Span(row.starts_at, row.ends_at) for row in own if row.state == EntryState.PENDING}, ordered

"""What of a room is taken, and the nearest times that are not."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from events.models import CalendarEntry
from events.rooms.hours import RoomHours
from events.rooms.slots import DAY, Span, is_taken
from events.states import HELD

#: Free times are looked for so many days before and after the one that was wanted.
NEAR_DAYS = 7
#: What is taken so far around a time has to be known to find the free ones near it.
REACH = timedelta(days=NEAR_DAYS + 2)


def busy_in(rooms: Collection[int], start: datetime, end: datetime) -> dict[int, list[Span]]:
    """The blocked times of what is held in each of the rooms (by primary key) and overlaps `start` to `end`: one query.

    Bookings and events alike; with set-up and clean-up.
    """
    busy: dict[int, list[Span]] = {room: [] for room in rooms}
    held = CalendarEntry.objects.filter(room__in=rooms, state__in=sorted(HELD), blocks__overlap=(start, end))
    for room, blocks in held.order_by("starts_at").values_list("room_id", "blocks"):
        if blocks is not None:  # the constraint entry_room_is_blocked says so
            busy[room].append(Span(blocks.lower, blocks.upper))
    return busy


def busy_near(hours: RoomHours, start: datetime) -> list[Span]:
    """What is taken in the room in all the time that `nearest_free` looks at around `start`: one query."""
    return busy_in([hours.calendar.pk], start - REACH, start + REACH)[hours.calendar.pk]


def nearest_free(
    hours: RoomHours, busy: Iterable[Span], start: datetime, length: timedelta, at: datetime, most: int = 3
) -> list[Span]:
    """Up to `most` times on offer at `at` that are free and nearest to `start`, in the order of their start.

    As long as `length`, or as near to it as the room offers. `busy` is what is taken around it (see `busy_near`).
    """
    busy = list(busy)
    day = hours.day_of(start)
    offered = [span for n in range(-NEAR_DAYS, NEAR_DAYS + 1) for span in hours.times(day + n * DAY, at)]
    fitting = _nearest_length(offered, length)
    free = [span for span in fitting if not is_taken(hours.blocked_span(span.start, span.end), busy)]
    return sorted(sorted(free, key=lambda span: abs(span.start - start))[:most])


def _nearest_length(offered: list[Span], length: timedelta) -> list[Span]:
    if not offered:
        return []
    nearest = min((span.length for span in offered), key=lambda each: abs(each - length))
    return [span for span in offered if span.length == nearest]

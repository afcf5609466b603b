"""Another time zone or place for a page: what is still to come keeps its hour on the clock, or its moment; who is told.

docs/decisions/0032 says why. What is over keeps its moment; opening hours, closed days and peak prices are hours on the
clock and no moments: they stay as they are written.
"""

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.utils.translation import gettext as _

from events.local_times import told
from events.models import Calendar, CalendarEntry, EntryQuerySet, Page, Ticket, TicketType
from events.organising.calling_off import tell_booking_moved, tell_holders
from events.rooms.slots import opening_moment
from events.states import HELD, EntryKind, TicketState

#: What is over for so long is in nobody's way, however far the clocks are apart.
OVER = timedelta(days=2)
WINDOW = ("sale_starts_at", "sale_ends_at")
VALID = (TicketState.CONFIRMED, TicketState.CHECKED_IN)


class Collision(Exception):
    """On the new clock two things would want the same room at once; the text names them."""


@dataclass(frozen=True)
class PageChange:
    """What a new time zone or place of `page` (as it still is) does to what is still to come there at `at`."""

    page: Page
    zone: str
    place: str
    at: datetime

    @cached_property
    def rows(self) -> list[CalendarEntry]:
        """Events and bookings of every state that are not over, by primary key."""
        return list(entries_to_come(self.page, self.at).with_page().order_by("pk"))

    @cached_property
    def types(self) -> list[TicketType]:
        return list(types_to_come(self.page, self.at).order_by("pk"))

    def has_other_hours(self, row: CalendarEntry | TicketType) -> bool:
        """One of its moments shows another hour on the new clock."""
        own = (row.starts_at, row.ends_at) if isinstance(row, CalendarEntry) else ()
        moments = (*own, *(getattr(row, name) for name in WINDOW))
        return any(is_told_otherwise(moment, self.page.zone(), ZoneInfo(self.zone)) for moment in moments)

    @property
    def other_hours(self) -> list[CalendarEntry]:
        return [row for row in self.rows if self.has_other_hours(row)]

    @property
    def windows(self) -> int:
        """Sale windows among that, of events and of ticket types."""
        rows: list[CalendarEntry | TicketType] = [*self.other_hours, *self.types]
        return sum(self.has_other_hours(row) and any(getattr(row, name) for name in WINDOW) for row in rows)

    @cached_property
    def holders(self) -> list[CalendarEntry]:
        """Events with valid tickets and valid bookings whose holders see another hour or place."""
        moved = self.place != self.page.place
        seen = [row for row in self.rows if (moved and not row.place) or self._starts_otherwise(row)]
        sold = {entry for entry, _order in self._orders(seen)}
        return [row for row in seen if row.is_valid or row.pk in sold]

    @cached_property
    def tickets(self) -> int:
        return sum(self._orders(self.holders).values())

    @property
    def bookings(self) -> int:
        return sum(row.is_valid for row in self.holders)

    @property
    def mails(self) -> int:
        return len(self._orders(self.holders)) + self.bookings

    def _starts_otherwise(self, row: CalendarEntry) -> bool:
        return is_told_otherwise(row.starts_at, self.page.zone(), ZoneInfo(self.zone))

    @staticmethod
    def _orders(rows: Iterable[CalendarEntry]) -> Counter[tuple[int, int | None]]:
        """How many valid tickets of `rows` each order has, by (event, order)."""
        valid = Ticket.objects.filter(entry__in=[row.pk for row in rows], state__in=VALID)
        return Counter(valid.values_list("entry_id", "order_id"))


def entries_to_come(page: Page, at: datetime) -> EntryQuerySet:
    return CalendarEntry.objects.filter(calendar__page=page, ends_at__gt=at)


def types_to_come(page: Page, at: datetime) -> Any:
    return TicketType.objects.filter(entry__calendar__page=page, entry__ends_at__gt=at)


def lock_moments(page: Page, at: datetime) -> None:
    """All that has moments on the clock of `page`, until the transaction ends: nothing is sold or booked meanwhile."""
    list(Calendar.objects.filter(page=page).locked().values_list("pk"))
    list(entries_to_come(page, at).locked().values_list("pk"))
    list(types_to_come(page, at).locked().values_list("pk"))


def is_told_otherwise(moment: datetime | None, old: ZoneInfo, new: ZoneInfo) -> bool:
    """Whether the two clocks show another hour at `moment`."""
    return moment is not None and moment.astimezone(old).utcoffset() != moment.astimezone(new).utcoffset()


def same_hour(moment: datetime, old: ZoneInfo, new: ZoneInfo) -> datetime:
    """When the clock of `new` shows what that of `old` shows at `moment`; skipped there: when the clocks go forward."""
    if not is_told_otherwise(moment, old, new):
        return moment  # the second of two same hours, too
    shown = moment.astimezone(old)
    return opening_moment(shown.date(), shown.time(), new)


@dataclass(frozen=True)
class Move:
    """An entry with the times that it gets, and the time that it blocks then."""

    entry: CalendarEntry
    starts_at: datetime
    ends_at: datetime
    blocks: DateTimeTZRange | None

    @property
    def by(self) -> timedelta:
        return self.starts_at - self.entry.starts_at


def moves(change: PageChange) -> list[Move]:
    """Where all that is to come goes to keep its hour on the clock, in an order in which none gets in another's way.

    What goes to a later time goes first, the last of it before the others; then what goes to an earlier one, in order.
    Raises Collision when two would want one room at once.
    """
    old, new = change.page.zone(), ZoneInfo(change.zone)
    planned = [_move(row, old, new) for row in change.rows]
    _check_rooms(change, planned)
    later = sorted((move for move in planned if move.by > timedelta(0)), key=lambda move: move.starts_at, reverse=True)
    earlier = sorted((move for move in planned if move.by <= timedelta(0)), key=lambda move: move.starts_at)
    return [*later, *earlier]


def _move(entry: CalendarEntry, old: ZoneInfo, new: ZoneInfo) -> Move:
    starts, ends = same_hour(entry.starts_at, old, new), same_hour(entry.ends_at, old, new)
    if entry.kind == EntryKind.BOOKING or entry.booking_id is not None or ends <= starts:
        ends = starts + (entry.ends_at - entry.starts_at)  # so many minutes were paid for
    blocks = entry.blocks
    if blocks is not None and blocks.lower is not None and blocks.upper is not None:
        before, after = entry.starts_at - blocks.lower, blocks.upper - entry.ends_at
        blocks = DateTimeTZRange(starts - before, ends + after)
    return Move(entry, starts, ends, blocks)


def _check_rooms(change: PageChange, planned: list[Move]) -> None:
    """No two that hold a room overlap; what has just ended stays where it is."""
    spans = [
        (move.entry.room_id, move.blocks)
        for move in planned
        if move.entry.room_id is not None and move.entry.state in HELD and move.blocks is not None
    ]
    over = CalendarEntry.objects.filter(
        room__page=change.page, ends_at__lte=change.at, ends_at__gt=change.at - OVER, state__in=sorted(HELD)
    )
    spans += [(room, blocks) for room, blocks in over.values_list("room_id", "blocks") if room and blocks]
    ordered = sorted((room, blocks.lower, blocks.upper) for room, blocks in spans)
    for (room, start, end), (other, following, _end) in itertools.pairwise(ordered):
        if room == other and following < end:
            words = _("With the same hours in %(zone)s two things would be in one room at once: %(one)s and %(two)s.")
            times = {"one": told(start, change.zone), "two": told(following, change.zone), "zone": change.zone}
            raise Collision(words % times)


def keep_hours(change: PageChange) -> None:
    """Move all that is to come to the moments at which clocks in the new zone show its hours; all of it is locked.

    Sale windows go along. Raises Collision before anything is changed.
    """
    old, new = change.page.zone(), ZoneInfo(change.zone)
    types = change.types  # before their events move
    for move in moves(change):
        entry, (opens, closes) = move.entry, _window(move.entry, old, new)
        times = (move.starts_at, move.ends_at, opens, closes)
        if times != (entry.starts_at, entry.ends_at, entry.sale_starts_at, entry.sale_ends_at):
            CalendarEntry.objects.filter(pk=entry.pk).update(
                starts_at=move.starts_at, ends_at=move.ends_at, blocks=move.blocks, sale_starts_at=opens,
                sale_ends_at=closes,
            )  # fmt: skip
    for kind in types:
        opens, closes = _window(kind, old, new)
        if (opens, closes) != (kind.sale_starts_at, kind.sale_ends_at):
            TicketType.objects.filter(pk=kind.pk).update(sale_starts_at=opens, sale_ends_at=closes)


def _window(row: CalendarEntry | TicketType, old: ZoneInfo, new: ZoneInfo) -> tuple[datetime | None, datetime | None]:
    """When its sale begins and ends at the same hours of the new clock."""
    opens, closes = row.sale_starts_at, row.sale_ends_at
    return opens and same_hour(opens, old, new), closes and same_hour(closes, old, new)


def tell_all(change: PageChange) -> int:
    """Enqueue a mail to each holder who sees another hour or place; answers how many.

    After the change, in its transaction; `change.holders` was read before it.
    """
    count = 0
    for row in change.holders:
        start, place, zone = row.starts_at, row.place or change.page.place, change.page.time_zone
        if row.kind == EntryKind.BOOKING:
            tell_booking_moved(row, starts_at=start, place=place, zone=zone)
            count += 1
        else:
            count += tell_holders(row, starts_at=start, place=place, zone=zone)
    return count

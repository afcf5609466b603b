"""RoomHours: all that decides what of a room is on offer, loaded at once, so that asking about times needs no query."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.contrib.postgres.expressions import ArraySubquery
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.db.models import CharField, OuterRef
from django.db.models.functions import Cast, JSONObject

from events.models import BookingRules, Calendar, ClosedDays, OpeningHours, Page, PeakPrice
from events.rooms import prices, slots
from events.rooms.obstacles import Obstacle
from events.rooms.slots import DAY, Span
from ledger.money import Money


@dataclass(frozen=True)
class RoomHours:
    """A room with its rules (None: it cannot be booked), opening hours, closed days and peak prices."""

    calendar: Calendar
    page: Page
    rules: BookingRules | None
    hours: Sequence[OpeningHours]
    closed_days: Sequence[ClosedDays]
    peaks: Sequence[PeakPrice]
    zone: ZoneInfo
    currency: str

    @classmethod
    def of(cls, calendar: Calendar) -> "RoomHours":
        """Read afresh from the database, whatever `calendar` has loaded."""
        return hours_of([calendar.pk])[calendar.pk]

    def why_not(self, start: datetime, end: datetime, at: datetime) -> Obstacle | None:
        """Why the time from `start` to `end` is not on offer at `at`; None: it is, unless it is taken."""
        if self.rules is None or not self.calendar.is_bookable:
            return Obstacle.NOT_BOOKABLE
        if not self.page.is_published:
            return Obstacle.UNPUBLISHED
        wanted = Span(start, end)
        if (untimely := self._untimely(wanted.start, at)) is not None:
            return untimely
        if not self.is_open(wanted):
            return Obstacle.CLOSED
        if not any(slots.is_time_of(opening, self.rules, wanted) for opening in self._around(start)):
            return Obstacle.NO_SUCH_TIME
        return None

    def is_open(self, wanted: Span) -> bool:
        """Whether the room is open for all of that time."""
        return any(span.start <= wanted.start and wanted.end <= span.end for span in self._around(wanted.start))

    def _around(self, start: datetime) -> list[Span]:
        return slots.openings_around(start, self.hours, self.closed_days, self.zone)

    def _untimely(self, start: datetime, at: datetime) -> Obstacle | None:
        """Why a booking may not start at `start` when it is made at `at`."""
        rules = self.bookable()
        if start <= at:
            return Obstacle.PAST
        if start < at + timedelta(minutes=rules.notice_minutes):
            return Obstacle.NOTICE
        return Obstacle.TOO_FAR if start > at + timedelta(days=rules.ahead_days) else None

    def price(self, start: datetime, end: datetime) -> Money:
        """What the time costs, rounded once. Raises NotBookable for a room without rules."""
        return Money(prices.amount(Span(start, end), self.bookable(), self.peaks, self.zone), self.currency)

    def blocked_span(self, start: datetime, end: datetime) -> Span:
        """The time with its set-up and clean-up. Raises NotBookable for a room without rules."""
        return slots.blocked(start, end, self.bookable())

    def blocked(self, start: datetime, end: datetime) -> DateTimeTZRange:
        """`blocked_span` as the column `blocks` stores it."""
        span = self.blocked_span(start, end)
        return DateTimeTZRange(span.start, span.end)

    def openings(self, day: date) -> list[Span]:
        """When the room is open in the hours that begin on `day` by its clock."""
        return slots.openings(day, self.hours, self.closed_days, self.zone)

    def times(self, day: date, at: datetime) -> list[Span]:
        """Every time on offer at `at` (taken or not) in the openings that begin on `day`, by start and length."""
        if self.rules is None or not self.calendar.is_bookable or not self.page.is_published:
            return []
        found = {
            span
            for opening in self.openings(day)
            for span in slots.times_in(opening, self.rules)
            if self._untimely(span.start, at) is None
        }
        return sorted(found)

    def day_of(self, start: datetime) -> date:
        """The day whose openings `start` belongs to: after midnight it may be the day before."""
        day = start.astimezone(self.zone).date()
        before = any(span.start <= start < span.end for span in self.openings(day - DAY))
        return day - DAY if before and not any(s.start <= start < s.end for s in self.openings(day)) else day

    def bookable(self) -> BookingRules:
        if self.rules is None:
            raise NotBookable(f"calendar {self.calendar.pk} has no booking rules")
        return self.rules


class NotBookable(Exception):
    """A price or a blocked time was asked of a calendar that has no booking rules."""


def hours_of(calendars: Iterable[int]) -> dict[int, RoomHours]:
    """The calendars of these primary keys with all that decides about their time: one query, however many."""
    rows = (
        Calendar.objects.filter(pk__in=set(calendars))
        .select_related("page", "rules")
        .annotate(
            hours_=_all(OpeningHours, "weekday", "opens", "closes"),
            closed_=_all(ClosedDays, "first_day", "last_day", "reason"),
            peaks_=_all(PeakPrice, "weekday", "starts", "ends", "price"),
        )
    )
    return {row.pk: _loaded(row) for row in rows}


def _all(model: type[OpeningHours] | type[ClosedDays] | type[PeakPrice], *fields: str) -> ArraySubquery:
    """The rows of `model` that belong to a calendar, each a JSON object of texts, in their own order."""
    texts = {field: Cast(field, CharField()) for field in fields}
    return ArraySubquery(model._default_manager.filter(calendar=OuterRef("pk")).values(row_=JSONObject(**texts)))


def _loaded(calendar: Calendar) -> RoomHours:
    hours, closed, peaks = (getattr(calendar, name) for name in ("hours_", "closed_", "peaks_"))
    clock, day = time.fromisoformat, date.fromisoformat
    return RoomHours(
        calendar=calendar,
        page=calendar.page,
        rules=getattr(calendar, "rules", None),
        hours=[
            OpeningHours(weekday=int(row["weekday"]), opens=clock(row["opens"]), closes=clock(row["closes"]))
            for row in hours
        ],
        closed_days=[
            ClosedDays(first_day=day(row["first_day"]), last_day=day(row["last_day"]), reason=row["reason"])
            for row in closed
        ],
        peaks=[
            PeakPrice(
                weekday=None if row["weekday"] is None else int(row["weekday"]),
                starts=clock(row["starts"]),
                ends=clock(row["ends"]),
                price=Decimal(row["price"]),
            )
            for row in peaks
        ],
        zone=calendar.page.zone(),
        currency=calendar.page.currency,
    )

"""A room's day or week as its page shows it: which times are free, which are taken, and what each costs."""

import enum
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from events.local_times import FIRST_DAY, LAST_DAY
from events.rooms.hours import RoomHours
from events.rooms.reading import BadTime, read_moment, written, written_moment
from events.rooms.slots import DAY, Span, is_taken
from ledger.money import Money

#: Without a date in the address, the first of so many days with a free time is shown.
LOOK_AHEAD = 14


class View(enum.StrEnum):
    DAY = "day"
    WEEK = "week"


class Standing(enum.StrEnum):
    FREE = "free"
    TAKEN = "taken"
    IN_CART = "in-cart"
    YOURS = "yours"


@dataclass(frozen=True)
class RoomWanted:
    """What the address asks for: `?view=day|week&date=YYYY-MM-DD&start=<moment>`; what makes no sense is left out."""

    view: View = View.DAY
    day: date | None = None
    start: datetime | None = None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "RoomWanted":
        name = query.get("view", "")
        try:
            day = date.fromisoformat(query.get("date", ""))
        except ValueError:
            day = None
        try:
            start = read_moment(query.get("start", ""))
        except BadTime:
            start = None
        known = day is not None and FIRST_DAY <= day <= LAST_DAY
        return cls(view=View(name) if name in set(View) else View.DAY, day=day if known else None, start=start)


@dataclass(frozen=True)
class Time:
    """One time of the room on `day`, the day whose opening it belongs to; it may lie after midnight."""

    hours: RoomHours
    day: date
    span: Span
    standing: Standing

    @property
    def value(self) -> str:
        """What the form sends when this time is chosen (`events.rooms.reading`)."""
        return written(self.span)

    @property
    def start_value(self) -> str:
        return written_moment(self.span.start)

    @property
    def price(self) -> Money:
        return self.hours.price(self.span.start, self.span.end)

    @property
    def starts(self) -> str:
        return self._told(self.span.start)

    @property
    def ends(self) -> str:
        return self._told(self.span.end)

    @property
    def when(self) -> str:
        """With its day, for where no heading says it."""
        starts = date_format(self.span.start.astimezone(self.hours.zone), "D j M")
        return f"{starts}, {self._clock(self.span.start)}–{self._clock(self.span.end)}"

    @property
    def long(self) -> str:
        return told_length(self.span.minutes)

    def _told(self, moment: datetime) -> str:
        clock = moment.astimezone(self.hours.zone)
        # A bare midnight is the end of its day; what comes after it names the day that it is.
        after_midnight = clock.date() != self.day and moment != self.span.end
        return f"{date_format(clock, 'D')} {self._clock(moment)}" if after_midnight else self._clock(moment)

    def _clock(self, moment: datetime) -> str:
        """`02:30`; in the night when it comes twice, with the zone's name at that moment."""
        clock = moment.astimezone(self.hours.zone)
        twice = clock.replace(fold=0).utcoffset() != clock.replace(fold=1).utcoffset()
        return f"{clock:%H:%M} {clock.tzname()}" if twice else f"{clock:%H:%M}"


@dataclass(frozen=True)
class Day:
    """A day of the room; `closed` says why nothing is offered on it, "" when something is (free or taken)."""

    date: date
    times: Sequence[Time]
    is_today: bool
    is_past: bool
    closed: str

    @property
    def free(self) -> int:
        return sum(time.standing is Standing.FREE for time in self.times)


@dataclass(frozen=True)
class RoomShown:
    """What templates/events/room.html shows."""

    hours: RoomHours
    view: View
    day: date
    week: Sequence[Day]
    before: date | None
    after: date | None
    #: With a free length: the lengths from the chosen start on, else empty.
    lengths: Sequence[Time]

    @property
    def days(self) -> Sequence[Day]:
        """The days whose times are shown."""
        return self.week if self.view is View.WEEK else [day for day in self.week if day.date == self.day]

    @property
    def has_price(self) -> bool:
        """Whether any of what is shown costs something."""
        return any(time.price.amount for day in self.days for time in day.times)

    @property
    def is_free_length(self) -> bool:
        return self.hours.bookable().slot_minutes is None

    @property
    def terms(self) -> str:
        """For how long and how soon it is booked, in a sentence."""
        rules = self.hours.bookable()
        if rules.slot_minutes is not None:
            return _("A booking lasts %(long)s.") % {"long": told_length(rules.slot_minutes)}
        words = {"least": told_length(rules.min_minutes), "most": told_length(rules.max_minutes)}
        return (
            _("A booking lasts %(least)s to %(most)s.") % words
            if words["least"] != words["most"]
            else (_("A booking lasts %(least)s.") % words)
        )


def told_length(minutes: int) -> str:
    """A length in words: `1 h 30 min`."""
    hours, rest = divmod(minutes, 60)
    parts = [_("%(n)d h") % {"n": hours}] if hours else []
    return " ".join(parts + ([_("%(n)d min") % {"n": rest}] if rest else []))


def busy_around(wanted: RoomWanted, today: date) -> tuple[date, date]:
    """The first and the last day whose openings `shown` may look at."""
    day = wanted.day or today
    monday = day - timedelta(days=day.weekday())
    last = monday + timedelta(days=6) if wanted.day else max(monday, today) + timedelta(days=LOOK_AHEAD + 7)
    return monday, last


@dataclass(frozen=True)
class Own:
    """The times of a room that one visitor has in the cart, and those that are ordered."""

    in_cart: Collection[Span] = ()
    ordered: Collection[Span] = ()


def shown(hours: RoomHours, busy: Collection[Span], mine: Own, wanted: RoomWanted, *, at: datetime) -> RoomShown:
    """The day or week that `wanted` names; `busy` is what is taken, `mine` what the visitor has of it."""
    today = at.astimezone(hours.zone).date()
    day = wanted.day or _first_free(hours, busy, today, at)
    monday = day - timedelta(days=day.weekday())
    step = 7 * DAY if wanted.view is View.WEEK else DAY
    first = monday if wanted.view is View.WEEK else day
    return RoomShown(
        hours=hours,
        view=wanted.view,
        day=day,
        week=[_day(hours, busy, mine, monday + n * DAY, today, at) for n in range(7)],
        before=max(day - step, today) if first > today else None,
        after=day + step if day + step <= LAST_DAY else None,
        lengths=_lengths(hours, busy, mine, wanted.start, at) if wanted.start else [],
    )


def _first_free(hours: RoomHours, busy: Collection[Span], today: date, at: datetime) -> date:
    for n in range(LOOK_AHEAD):
        if any(not _is_taken(hours, busy, span) for span in hours.times(today + n * DAY, at)):
            return today + n * DAY
    return today


def _is_taken(hours: RoomHours, busy: Collection[Span], span: Span) -> bool:
    return is_taken(hours.blocked_span(span.start, span.end), busy)


def _day(hours: RoomHours, busy: Collection[Span], mine: Own, day: date, today: date, at: datetime) -> Day:
    """With a free length each start stands for itself with the shortest booking from it on."""
    first: dict[datetime, Span] = {}
    for span in hours.times(day, at):
        first.setdefault(span.start, span)
    times = [_time(hours, busy, mine, day, span) for span in first.values()]
    closed = "" if times else _why_closed(hours, day, at)
    return Day(date=day, times=times, is_today=day == today, is_past=day < today, closed=closed)


def _time(hours: RoomHours, busy: Collection[Span], mine: Own, day: date, span: Span) -> Time:
    if _is_taken(hours, busy, span):
        is_yours = any(own.start <= span.start < own.end for own in mine.ordered)
        return Time(hours, day, span, Standing.YOURS if is_yours else Standing.TAKEN)
    return Time(hours, day, span, Standing.IN_CART if span in mine.in_cart else Standing.FREE)


def _lengths(hours: RoomHours, busy: Collection[Span], mine: Own, start: datetime, at: datetime) -> list[Time]:
    day = hours.day_of(start)
    return [_time(hours, busy, mine, day, span) for span in hours.times(day, at) if span.start == start]


def _why_closed(hours: RoomHours, day: date, at: datetime) -> str:
    for closed in hours.closed_days:
        if closed.first_day <= day <= closed.last_day:
            return _("Closed: %(reason)s") % {"reason": closed.reason} if closed.reason else _("Closed")
    openings = hours.openings(day)
    if not openings:
        return _("Closed")
    if openings[-1].end <= at:
        return _("Over")
    ahead = hours.bookable().ahead_days
    if openings[0].start > at + timedelta(days=ahead):
        return ngettext("Can be booked %(n)d day ahead at most", "Can be booked %(n)d days ahead at most", ahead) % {
            "n": ahead
        }
    return _("Nothing left to book")

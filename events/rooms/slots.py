"""When a room is open and which times can be booked in it: pure functions of its rules, no queries.

All moments are in UTC, where adding minutes means real minutes; only opening hours are read off the room's clock.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from events.models import BookingRules, ClosedDays, OpeningHours

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


@dataclass(frozen=True, order=True)
class Span:
    """Time from `start` to just before `end`, both aware; kept in UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", self.start.astimezone(UTC))
        object.__setattr__(self, "end", self.end.astimezone(UTC))

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    @property
    def minutes(self) -> int:
        return self.length // timedelta(minutes=1)

    def overlaps(self, other: "Span") -> bool:
        return self.start < other.end and other.start < self.end


def is_taken(blocked: Span, busy: Iterable[Span]) -> bool:
    """Whether `blocked` (set-up and clean-up included) overlaps one of `busy`, the blocked times of what is held."""
    return any(blocked.overlaps(other) for other in busy)


def blocked(start: datetime, end: datetime, rules: BookingRules) -> Span:
    """From `start` to `end`, with the set-up before and the clean-up after."""
    time_booked = Span(start, end)
    return Span(
        time_booked.start - timedelta(minutes=rules.setup_minutes),
        time_booked.end + timedelta(minutes=rules.cleanup_minutes),
    )


def openings(day: date, hours: Iterable[OpeningHours], closed_days: Iterable[ClosedDays], zone: ZoneInfo) -> list[Span]:
    """When the room is open in the hours that begin on `day` by its clock; they may end on the next day."""
    if any(closed.first_day <= day <= closed.last_day for closed in closed_days):
        return []
    spans = []
    for each in hours:
        if each.weekday != day.weekday():
            continue
        last_day = day if each.closes > each.opens else day + DAY
        opens, closes = opening_moment(day, each.opens, zone), closing_moment(last_day, each.closes, zone)
        if opens < closes:  # the clocks may skip all of it
            spans.append(Span(opens, closes))
    return sorted(spans)


def openings_around(
    start: datetime, hours: Sequence[OpeningHours], closed_days: Sequence[ClosedDays], zone: ZoneInfo
) -> list[Span]:
    """The openings that may have `start` in them: those of its day, and of the day before that ran past midnight."""
    day = start.astimezone(zone).date()
    return [span for each in (day - DAY, day) for span in openings(each, hours, closed_days, zone)]


def opening_moment(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """When the clock of `zone` first shows `clock`; when it skips it: the moment of the skip."""
    return _moment(datetime.combine(day, clock), zone, fold=0)


def closing_moment(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """When the clock of `zone` last shows `clock`; when it skips it: the moment of the skip."""
    return _moment(datetime.combine(day, clock), zone, fold=1)


def _moment(clock: datetime, zone: ZoneInfo, *, fold: int) -> datetime:
    first, second = (clock.replace(tzinfo=zone, fold=each).astimezone(UTC) for each in (0, 1))
    if second < first:  # the clocks go forward over it: neither is shown, the moment of the change stands for it
        return clock_change(second, first, zone) or first
    return second if fold else first


def clock_change(after: datetime, until: datetime, zone: ZoneInfo) -> datetime | None:
    """The moment in (`after`, `until`] from which the clocks of `zone` are off UTC otherwise than at `after`."""
    old = after.astimezone(zone).utcoffset()
    if until.astimezone(zone).utcoffset() == old:
        return None
    low = after.replace(microsecond=0)
    high = until + (SECOND - timedelta(microseconds=until.microsecond)) % SECOND
    while high - low > SECOND:
        middle = low + (high - low) // 2 // SECOND * SECOND
        if middle.astimezone(zone).utcoffset() == old:
            low = middle
        else:
            high = middle
    return high


def starts_in(opening: Span, rules: BookingRules) -> Iterator[datetime]:
    """When bookings may start in `opening`: slot after slot with set-up and clean-up between, or step by step."""
    if rules.slot_minutes is None:
        step, shortest = rules.step_minutes, rules.min_minutes
    else:
        step, shortest = rules.setup_minutes + rules.slot_minutes + rules.cleanup_minutes, rules.slot_minutes
    start = opening.start
    while start + timedelta(minutes=shortest) <= opening.end:
        yield start
        start += timedelta(minutes=step)


def lengths(rules: BookingRules) -> list[int]:
    """How many minutes a booking may last, the shortest first; in slots there is one length only."""
    if rules.slot_minutes is not None:
        return [rules.slot_minutes]
    return list(range(rules.min_minutes, rules.max_minutes + 1, rules.step_minutes))


def times_in(opening: Span, rules: BookingRules) -> Iterator[Span]:
    """Every time that can be booked in `opening`, by start and length; all end by its closing."""
    for start in starts_in(opening, rules):
        for minutes in lengths(rules):
            end = start + timedelta(minutes=minutes)
            if end <= opening.end:
                yield Span(start, end)


def is_time_of(opening: Span, rules: BookingRules, wanted: Span) -> bool:
    """Whether `wanted` is one of `times_in(opening, rules)`."""
    if wanted.start < opening.start or wanted.end > opening.end:
        return False
    exact = wanted.length == timedelta(minutes=wanted.minutes)
    return exact and wanted.minutes in lengths(rules) and wanted.start in starts_in(opening, rules)

"""What is on: coming and past events as a list, a month or a week, each with its price and how many places are left.

Two queries for any number of events (the entries, their ticket types): availability is `capacity - held`, on the rows.
"""

import calendar
import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from django.db.models import DateTimeField, F, Func, Value
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from events.local_times import FIRST_DAY, LAST_DAY
from events.models import Calendar, CalendarEntry, EntryQuerySet, Page
from events.selling import Obstacle, Offer, offers_of
from events.states import EntryState
from ledger.money import Money

LONGEST_SEARCH = 100
#: Coming events that a room's page shows.
EVENTS_OF_ROOM = 6
#: Until then a night belongs to the day on which it began.
MORNING = time(6)


class View(enum.StrEnum):
    LIST = "list"
    MONTH = "month"
    WEEK = "week"


class Availability(enum.Enum):
    """What the pill of an event says; `tone` is its colour in the stylesheet."""

    CANCELLED = (_("Cancelled"), "bad")
    PAST = (_("Past"), "")
    SOLD_OUT = (_("Sold out"), "bad")
    FEW_LEFT = (_("Few left"), "warn")
    NOT_YET = (_("Not on sale yet"), "info")
    CLOSED = (_("Sales closed"), "")
    FREE = (_("Free"), "good")

    @property
    def label(self) -> Promise:
        return self.value[0]

    @property
    def tone(self) -> str:
        return self.value[1]


@dataclass(frozen=True)
class Wanted:
    """What the address asks for: `?q=&view=list|month|week&date=YYYY-MM-DD`."""

    text: str
    view: View
    day: date | None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Wanted":
        """Reads the query; what makes no sense is left out, for an address is often mistyped or cut."""
        text = " ".join(query.get("q", "").replace("\0", "").split())[:LONGEST_SEARCH]
        name = query.get("view", "")
        try:
            day = date.fromisoformat(query.get("date", ""))
        except ValueError:
            day = None
        if day and not FIRST_DAY <= day <= LAST_DAY:
            day = None
        return cls(text=text, view=View(name) if name in set(View) else View.LIST, day=day)


@dataclass(frozen=True)
class Listed:
    """An event as a card or a line shows it; its dates are those of its page's time zone."""

    entry: CalendarEntry
    price_from: Money | None
    several_prices: bool
    availability: Availability | None

    @property
    def sold_out(self) -> bool:
        return self.availability is Availability.SOLD_OUT

    @property
    def over(self) -> bool:
        return self.availability in (Availability.PAST, Availability.CANCELLED)

    def days(self) -> list[date]:
        """The days on its page's clock that it is shown on; a night that ends by morning is the evening's."""
        zone = self.entry.calendar.page.zone()
        first = self.entry.starts_at.astimezone(zone).date()
        end = self.entry.ends_at.astimezone(zone)
        last = end.date() - timedelta(days=1) if end.time() <= MORNING else end.date()
        last = max(first, last)
        return [first + timedelta(days=n) for n in range((last - first).days + 1)]


@dataclass(frozen=True)
class Day:
    """A day of a month or a week, with what is on."""

    date: date
    events: list[Listed]
    is_today: bool
    is_past: bool
    in_period: bool


@dataclass(frozen=True)
class Period:
    """A month (its whole weeks) or a week, from Monday on, and the days that lead to its neighbours."""

    weeks: list[list[Day]]
    first: date
    last: date
    before: date | None
    after: date | None

    @property
    def days(self) -> list[Day]:
        return [day for week in self.weeks for day in week]

    #: After an empty period, the first day on which something is on.
    next_day: date | None = None

    @property
    def is_empty(self) -> bool:
        return not any(day.events for day in self.days)


def coming(entries: EntryQuerySet, *, at: datetime, text: str = "") -> EntryQuerySet:
    """Events of `entries` that anybody may see, are not cancelled and not over at `at`; each word of `text` matches."""
    return _readable(entries.public().filter(state=EntryState.CONFIRMED, ends_at__gt=at), text)


def past(entries: EntryQuerySet, *, at: datetime, text: str = "") -> EntryQuerySet:
    """Events of `entries` that are over at `at`, the latest first."""
    over = entries.public().filter(state=EntryState.CONFIRMED, ends_at__lte=at)
    return _readable(over, text).order_by("-starts_at", "-id")


def _readable(entries: EntryQuerySet, text: str) -> EntryQuerySet:
    found = entries.matching(text) if text else entries
    return found.with_page().prefetch_related("ticket_types")


def starting_from(entries: EntryQuerySet, day: date) -> EntryQuerySet:
    """Those that end on `day` or later, each on its own page's clock."""
    margin = datetime.combine(day - timedelta(days=2), time(), UTC)  # what the index can tell
    return entries.filter(ends_at__gt=margin).filter(ends_at__gt=_begin_of(day))


def _begin_of(day: date) -> Func:
    """The moment at which `day` begins on the clock of an entry's page."""
    zone, clock = F("calendar__page__time_zone"), Value(day.isoformat())
    return Func(zone, clock, template="timezone(%(expressions)s::timestamp)", output_field=DateTimeField())


def today_of(pages: Iterable[Page], at: datetime) -> date:
    """The day that it is on the clocks of `pages`; of several the earliest, for a day is over when it is so for all."""
    return min((at.astimezone(zone).date() for zone in {page.zone() for page in pages}), default=at.date())


def listed(entries: Iterable[CalendarEntry], *, at: datetime) -> list[Listed]:
    """Each entry with price and availability at `at`; reads ticket types, calendar and page."""
    return [as_listed(entry, offers_of(entry, at=at), at=at) for entry in entries]


def as_listed(entry: CalendarEntry, offers: list[Offer], *, at: datetime) -> Listed:
    """`price_from` is the lowest price of what can still be bought; of all, when nothing can."""
    open_offers = [offer for offer in offers if offer.buyable]
    prices = sorted((offer.price for offer in open_offers or offers), key=_amount)
    return Listed(
        entry=entry,
        price_from=prices[0] if prices else None,
        several_prices=bool(prices) and prices[0] != prices[-1],
        availability=_availability(entry, offers, open_offers, at),
    )


def events_context(room: Calendar, *, at: datetime) -> dict[str, object]:
    """What is on in `room`, below the times on its page, for everybody."""
    entries = coming(CalendarEntry.objects.filter(calendar=room), at=at)
    return {"events": listed(entries.order_by("starts_at", "pk")[:EVENTS_OF_ROOM], at=at)}


def _amount(price: Money) -> Decimal:
    return price.amount


def _availability(
    entry: CalendarEntry, offers: list[Offer], open_offers: list[Offer], at: datetime
) -> Availability | None:
    if entry.state == EntryState.CANCELLED:
        return Availability.CANCELLED
    if entry.ends_at <= at:
        return Availability.PAST
    if not open_offers:
        return _why_closed(offers)
    if all(offer.few_left for offer in open_offers):
        return Availability.FEW_LEFT
    if not any(offer.price.amount for offer in open_offers):
        return Availability.FREE
    return None


def _why_closed(offers: list[Offer]) -> Availability | None:
    if any(offer.sold_out and offer.obstacle is None for offer in offers):
        return Availability.SOLD_OUT
    obstacles = {offer.obstacle for offer in offers}
    if Obstacle.NOT_YET in obstacles:
        return Availability.NOT_YET
    return Availability.CLOSED if Obstacle.CLOSED in obstacles else None


def month_of(entries: EntryQuerySet, day: date, *, today: date, at: datetime) -> Period:
    """The month of `day`, as whole weeks."""
    weeks = calendar.Calendar().monthdatescalendar(day.year, day.month)
    first = day.replace(day=1)
    last = day.replace(day=calendar.monthrange(day.year, day.month)[1])
    return _period(entries, weeks, first, last, today=today, at=at)


def week_of(entries: EntryQuerySet, day: date, *, today: date, at: datetime) -> Period:
    """The week of `day`, Monday to Sunday."""
    first = day - timedelta(days=day.weekday())
    week = [first + timedelta(days=n) for n in range(7)]
    return _period(entries, [week], first, week[-1], today=today, at=at)


def _period(
    entries: EntryQuerySet, weeks: list[list[date]], first: date, last: date, *, today: date, at: datetime
) -> Period:
    # A day's margin on either side: the pages' own days begin up to 14 hours off UTC's.
    start = datetime.combine(weeks[0][0] - timedelta(days=1), time(), UTC)
    end = datetime.combine(weeks[-1][-1] + timedelta(days=2), time(), UTC)
    on_day: dict[date, list[Listed]] = {}
    for event in listed(entries.filter(starts_at__lt=end, ends_at__gt=start), at=at):
        for day in event.days():
            on_day.setdefault(day, []).append(event)
    return Period(
        next_day=None if any(day in on_day for week in weeks for day in week) else _next_day(entries, on_day, end),
        weeks=[[_day(day, on_day, first, last, today) for day in week] for week in weeks],
        first=first,
        last=last,
        before=first - timedelta(days=1) if first > today else None,
        after=last + timedelta(days=1) if last < LAST_DAY else None,
    )


def _next_day(entries: EntryQuerySet, on_day: Mapping[date, list[Listed]], end: datetime) -> date | None:
    """The day on which something is on next, on its page's clock: just after the period, or from `end` on."""
    near = [day for day in on_day if end.date() - timedelta(days=2) <= day]
    if near:
        return min(near)
    first = entries.filter(starts_at__gte=end).order_by("starts_at", "pk").first()
    return first.starts_at.astimezone(first.calendar.page.zone()).date() if first else None


def _day(day: date, on_day: Mapping[date, list[Listed]], first: date, last: date, today: date) -> Day:
    return Day(
        date=day,
        events=on_day.get(day, []),
        is_today=day == today,
        is_past=day < today,
        in_period=first <= day <= last,
    )

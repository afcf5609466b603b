"""What is on: which events are shown, in which order, with which price, pill and day."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client

from events.models import CalendarEntry
from events.programme.listing import Availability, Listed, Period, View, Wanted, coming, listed, month_of, past, week_of
from events.transitions import call_off_event
from ledger.money import Money
from tests.factories import CalendarFactory, EventFactory, PageFactory, TicketTypeFactory

NOON = datetime(2026, 12, 9, 12, tzinfo=UTC)  # a Wednesday
TODAY = NOON.date()
EVENTS = CalendarEntry.objects


def on(day: int, hour: int = 20, minute: int = 0) -> datetime:
    return datetime(2026, 12, day, hour, minute, tzinfo=UTC)


def as_shown(entry: CalendarEntry) -> Listed:
    return listed(EVENTS.with_page().filter(pk=entry.pk), at=NOON)[0]


def titles(entries: list[CalendarEntry]) -> list[str]:
    return [entry.title for entry in entries]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, Wanted("", View.LIST, None)),
        ({"q": "  jazz   night ", "view": "month"}, Wanted("jazz night", View.MONTH, None)),
        ({"date": "2026-12-31"}, Wanted("", View.LIST, date(2026, 12, 31))),
        ({"view": "year", "date": "2026-02-30"}, Wanted("", View.LIST, None)),
        ({"view": "week", "date": "9999-12-31"}, Wanted("", View.WEEK, None)),
        ({"date": "0001-01-01"}, Wanted("", View.LIST, None)),
        ({"q": "a\0b"}, Wanted("ab", View.LIST, None)),
        ({"q": "x" * 5000}, Wanted("x" * 100, View.LIST, None)),
    ],
)  # fmt: skip
def test_wanted_keeps_what_makes_sense(query: dict[str, str], expected: Wanted) -> None:
    assert Wanted.of(query) == expected


@pytest.mark.django_db
def test_coming_lists_what_anybody_may_see_and_is_not_over_in_order() -> None:
    EventFactory.create(title="later", starts_at=on(12))
    EventFactory.create(title="running", starts_at=NOON - timedelta(hours=1))
    EventFactory.create(title="over at noon", starts_at=NOON - timedelta(hours=2))
    EventFactory.create(title="draft", starts_at=on(12), draft=True)
    EventFactory.create(title="hidden", starts_at=on(12), is_published=False)
    EventFactory.create(title="of a hidden page", starts_at=on(12), calendar__page__is_published=False)
    cancelled = EventFactory.create(title="cancelled", starts_at=on(12))
    assert call_off_event(cancelled) == 1

    assert titles(list(coming(EVENTS.all(), at=NOON))) == ["running", "later"]
    assert titles(list(past(EVENTS.all(), at=NOON))) == ["over at noon"]


@pytest.mark.django_db
def test_past_lists_the_latest_first() -> None:
    EventFactory.create(title="first", starts_at=on(1))
    EventFactory.create(title="second", starts_at=on(2))

    assert titles(list(past(EVENTS.all(), at=NOON))) == ["second", "first"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("JAZZ", ["Jazz night"]),
        ("jazz cellar", ["Jazz night"]),
        ("jazz attic", []),
        ("%", []),
        ("blue", ["Jazz night"]),
        ("", ["Jazz night", "Puppets"]),
    ],
)
def test_coming_finds_events_in_which_every_word_occurs(text: str, found: list[str]) -> None:
    club = PageFactory.create(name="Blue Note Club")
    EventFactory.create(title="Jazz night", place="Cellar", calendar__page=club, starts_at=on(12))
    EventFactory.create(title="Puppets", place="Attic", starts_at=on(13))

    assert titles(list(coming(EVENTS.all(), at=NOON, text=text))) == found


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"capacity": 0}, Availability.SOLD_OUT),
        ({"capacity": 10}, Availability.FEW_LEFT),
        ({"capacity": 11}, None),
        ({"ticket_price": Decimal(0)}, Availability.FREE),
        ({"ticket_price": None}, None),
        ({"sale_starts_at": NOON + timedelta(seconds=1)}, Availability.NOT_YET),
        ({"sale_starts_at": NOON}, None),
        ({"sale_ends_at": NOON}, Availability.CLOSED),
        ({"starts_at": on(1)}, Availability.PAST),
        ({"starts_at": on(1), "capacity": 0}, Availability.PAST),
    ],
)
def test_listed_says_how_available_an_event_is(fields: dict[str, object], expected: Availability | None) -> None:
    assert as_shown(EventFactory.create(**{"starts_at": on(12)} | fields)).availability is expected


@pytest.mark.django_db
def test_listed_says_that_an_event_is_cancelled() -> None:
    entry = EventFactory.create(starts_at=on(12))
    call_off_event(entry)

    assert as_shown(entry).availability is Availability.CANCELLED


@pytest.mark.django_db
def test_listed_price_is_the_lowest_that_can_still_be_bought() -> None:
    entry = EventFactory.create(starts_at=on(12), ticket_price=Decimal(1))
    TicketTypeFactory.create(entry=entry, price=Decimal(5), capacity=0)
    TicketTypeFactory.create(entry=entry, price=Decimal(18))
    TicketTypeFactory.create(entry=entry, price=Decimal(12))

    event = as_shown(entry)

    assert event.price_from == Money(Decimal(12), "EUR")
    assert event.several_prices


@pytest.mark.django_db
def test_listed_is_sold_out_when_its_only_open_kind_is() -> None:
    entry = EventFactory.create(starts_at=on(12))
    TicketTypeFactory.create(entry=entry, price=Decimal(5), capacity=0)
    TicketTypeFactory.create(entry=entry, price=Decimal(9), sale_starts_at=NOON + timedelta(days=1))

    event = as_shown(entry)

    assert event.availability is Availability.SOLD_OUT
    assert event.price_from == Money(Decimal(5), "EUR")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("start", "hours", "zone", "days"),
    [
        (on(9, 22), 4, "UTC", [date(2026, 12, 9)]),
        (on(9, 23, 30), 2, "Europe/Berlin", [date(2026, 12, 10)]),
        (on(10, 2), 2, "America/New_York", [date(2026, 12, 9)]),
        (on(9, 0), 24, "UTC", [date(2026, 12, 9)]),
        (on(9, 10), 48, "UTC", [date(2026, 12, 9), date(2026, 12, 10), date(2026, 12, 11)]),
    ],
)
def test_listed_days_are_those_of_the_page(start: datetime, hours: int, zone: str, days: list[date]) -> None:
    entry = EventFactory.create(starts_at=start, ends_at=start + timedelta(hours=hours), calendar__page__time_zone=zone)

    assert as_shown(entry).days() == days


@pytest.mark.django_db
def test_month_shows_whole_weeks_with_each_event_on_its_page_s_day() -> None:
    calendar = CalendarFactory.create(page__time_zone="Europe/Berlin")
    EventFactory.create(title="new year", calendar=calendar, starts_at=on(31, 23, 30))  # in Berlin, January has begun
    EventFactory.create(title="tonight", calendar=calendar, starts_at=on(9))

    december = month_of(coming(EVENTS.all(), at=NOON), TODAY, today=TODAY, at=NOON)

    assert [len(week) for week in december.weeks] == [7, 7, 7, 7, 7]
    assert (december.days[0].date, december.days[-1].date) == (date(2026, 11, 30), date(2027, 1, 3))
    shown = {day.date: titles([event.entry for event in day.events]) for day in december.days if day.events}
    assert shown == {date(2026, 12, 9): ["tonight"], date(2027, 1, 1): ["new year"]}
    assert [day.date for day in december.days if day.is_today] == [TODAY]
    assert not december.days[0].in_period


@pytest.mark.django_db
def test_month_leads_back_only_to_days_that_are_not_over() -> None:
    entries = coming(EVENTS.all(), at=NOON)

    december = month_of(entries, TODAY, today=TODAY, at=NOON)
    january = month_of(entries, date(2027, 1, 20), today=TODAY, at=NOON)
    last = month_of(entries, date(2199, 12, 1), today=TODAY, at=NOON)

    assert (december.before, december.after) == (None, date(2027, 1, 1))
    assert (january.before, january.after) == (date(2026, 12, 31), date(2027, 2, 1))
    assert last.after is None
    assert december.is_empty


@pytest.mark.django_db
def test_week_runs_from_monday_to_sunday() -> None:
    EventFactory.create(title="sunday", starts_at=on(13))
    EventFactory.create(title="next monday", starts_at=on(14))

    week = week_of(coming(EVENTS.all(), at=NOON), TODAY, today=TODAY, at=NOON)

    assert (week.first, week.last) == (date(2026, 12, 7), date(2026, 12, 13))
    assert [titles([event.entry for event in day.events]) for day in week.days] == [[], [], [], [], [], [], ["sunday"]]


@pytest.mark.django_db
@pytest.mark.parametrize("show", [month_of, week_of])
def test_an_empty_period_leads_to_the_next_that_has_something(show: Callable[..., Period]) -> None:
    EventFactory.create(starts_at=on(1, 10) + timedelta(days=90), calendar__page__time_zone="Pacific/Auckland")
    entry = EventFactory.create(starts_at=datetime(2027, 2, 9, 13, tzinfo=UTC), calendar__page__time_zone="Asia/Tokyo")

    assert show(coming(EVENTS.all(), at=NOON), TODAY, today=TODAY, at=NOON).next_day == date(2027, 2, 9)
    there = show(coming(EVENTS.all(), at=NOON), date(2027, 2, 9), today=TODAY, at=NOON)
    assert (there.is_empty, there.next_day) == (False, None)
    assert show(coming(EVENTS.exclude(pk=entry.pk), at=on(31)), date(2028, 1, 1), today=TODAY, at=NOON).next_day is None


@pytest.mark.django_db
def test_what_begins_the_morning_after_an_empty_week_is_the_next() -> None:
    EventFactory.create(starts_at=on(14, 8))

    assert week_of(coming(EVENTS.all(), at=NOON), TODAY, today=TODAY, at=NOON).next_day == date(2026, 12, 14)


@pytest.mark.django_db
def test_an_empty_week_s_page_links_there_and_keeps_what_was_searched(client: Client) -> None:
    EventFactory.create(title="Jazz", starts_at=datetime(2199, 2, 9, 13, tzinfo=UTC))

    body = client.get("/", {"view": "week", "q": "jazz"}).content.decode()

    assert "On to the next: Saturday 9 February 2199" in body
    assert "?view=week&amp;q=jazz&amp;date=2199-02-09" in body

"""What of a room is on offer, at what price, and why not: by the clock of its page, through every change of it."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from pytest_django import DjangoAssertNumQueries

from events.models import BookingRules, Calendar, ClosedDays, OpeningHours, Page, PeakPrice
from events.rooms import Obstacle, RoomHours, Span, hours_of, is_taken, nearest_free
from ledger.money import Money
from tests.factories import CalendarFactory, RoomFactory

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)


def room_hours(
    *,
    opens: time = time(8),
    closes: time = time(22),
    zone: str = "Europe/Berlin",
    currency: str = "EUR",
    closed_days: list[ClosedDays] | None = None,
    peaks: list[PeakPrice] | None = None,
    **rules: object,
) -> RoomHours:
    """A room open each day; nothing of it is in the database."""
    page = Page(name="House", time_zone=zone, currency=currency)
    return RoomHours(
        calendar=Calendar(page=page, name="Studio", is_bookable=True),
        page=page,
        rules=BookingRules(**{"price": Decimal("20.00"), **rules}),
        hours=[OpeningHours(weekday=weekday, opens=opens, closes=closes) for weekday in range(7)],
        closed_days=closed_days or [],
        peaks=peaks or [],
        zone=ZoneInfo(zone),
        currency=currency,
    )


def berlin(day: int, clock: str, *, month: int = 3, fold: int = 0) -> datetime:
    hour, minute = map(int, clock.split(":"))
    return datetime(2027, month, day, hour, minute, tzinfo=BERLIN, fold=fold)


def clocks(hours: RoomHours, day: date, *, at: datetime = NOW) -> list[str]:
    return [f"{span.start.astimezone(hours.zone):%H:%M}" for span in hours.times(day, at)]


def test_slots_follow_each_other_with_set_up_and_clean_up_between() -> None:
    hours = room_hours(closes=time(12), slot_minutes=60, setup_minutes=10, cleanup_minutes=20)
    assert clocks(hours, date(2027, 3, 2)) == ["08:00", "09:30", "11:00"]
    assert clocks(room_hours(closes=time(12), slot_minutes=90), date(2027, 3, 2)) == ["08:00", "09:30"]


def test_free_lengths_start_step_by_step_and_end_by_closing() -> None:
    hours = room_hours(closes=time(10), min_minutes=60, max_minutes=120, step_minutes=30)
    found = [(f"{s.start.astimezone(BERLIN):%H:%M}", s.minutes) for s in hours.times(date(2027, 3, 2), NOW)]
    assert found == [("08:00", 60), ("08:00", 90), ("08:00", 120), ("08:30", 60), ("08:30", 90), ("09:00", 60)]


def test_opening_past_midnight_belongs_to_the_day_on_which_it_opens() -> None:
    hours = room_hours(opens=time(22), closes=time(2), slot_minutes=60)
    assert clocks(hours, date(2027, 3, 2)) == ["22:00", "23:00", "00:00", "01:00"]
    after_midnight = berlin(3, "01:00")
    assert hours.why_not(after_midnight, after_midnight + timedelta(hours=1), NOW) is None
    assert hours.day_of(after_midnight) == date(2027, 3, 2)


def test_opening_until_midnight_and_around_the_clock() -> None:
    assert clocks(room_hours(opens=time(22), closes=time(0), slot_minutes=60), date(2027, 3, 2)) == ["22:00", "23:00"]
    assert len(clocks(room_hours(opens=time(0), closes=time(0), slot_minutes=60), date(2027, 3, 2))) == 24


@pytest.mark.parametrize(("day", "number"), [(date(2027, 3, 28), 23), (date(2027, 10, 31), 25), (date(2027, 6, 1), 24)])
def test_day_of_a_clock_change_has_as_many_slots_as_hours(day: date, number: int) -> None:
    hours = room_hours(opens=time(0), closes=time(0), slot_minutes=60, ahead_days=365)
    assert len(hours.times(day, NOW)) == number


def test_half_hour_change_of_lord_howe() -> None:
    hours = room_hours(zone="Australia/Lord_Howe", opens=time(1), closes=time(3), slot_minutes=30, ahead_days=365)
    assert clocks(hours, date(2027, 4, 4)) == ["01:00", "01:30", "01:30", "02:00", "02:30"]  # back at 2:00 to 1:30
    assert clocks(hours, date(2027, 10, 3)) == ["01:00", "01:30", "02:30"]  # forward at 2:00 to 2:30


def test_hours_that_the_clocks_skip_end_or_begin_at_the_change() -> None:
    until = room_hours(opens=time(1), closes=time(2, 30), slot_minutes=30, ahead_days=365)
    assert clocks(until, date(2027, 3, 28)) == ["01:00", "01:30"]
    since = room_hours(opens=time(2, 30), closes=time(4), slot_minutes=30, ahead_days=365)
    assert clocks(since, date(2027, 3, 28)) == ["03:00", "03:30"]
    within = room_hours(opens=time(2, 10), closes=time(2, 50), slot_minutes=10, ahead_days=365)
    assert clocks(within, date(2027, 3, 28)) == []


def test_day_that_a_country_left_out_has_no_times() -> None:
    hours = room_hours(zone="Pacific/Apia", opens=time(20), closes=time(2), slot_minutes=60)
    at = datetime(2011, 12, 20, tzinfo=UTC)
    assert clocks(hours, date(2011, 12, 29), at=at) == ["20:00", "21:00", "22:00", "23:00"]
    assert clocks(hours, date(2011, 12, 30), at=at) == ["00:00", "01:00"]  # the night of a day that never was
    assert clocks(room_hours(zone="Pacific/Apia", slot_minutes=60), date(2011, 12, 30), at=at) == []


def test_closed_days_have_no_times() -> None:
    hours = room_hours(closed_days=[ClosedDays(first_day=date(2027, 3, 2), last_day=date(2027, 3, 3))])
    assert not hours.times(date(2027, 3, 2), NOW)
    assert not hours.times(date(2027, 3, 3), NOW)
    assert hours.times(date(2027, 3, 4), NOW)
    assert hours.why_not(berlin(3, "09:00"), berlin(3, "10:00"), NOW) is Obstacle.CLOSED


@pytest.mark.parametrize(
    ("start", "end", "obstacle"),
    [
        (berlin(2, "09:00"), berlin(2, "10:00"), None),
        (berlin(1, "09:00"), berlin(1, "10:00"), Obstacle.PAST),
        (berlin(1, "13:30"), berlin(1, "14:30"), Obstacle.NOTICE),  # now is 13:00 there
        (berlin(1, "14:00"), berlin(1, "15:00"), None),
        (berlin(31, "13:00"), berlin(31, "14:00"), None),
        (berlin(31, "14:30"), berlin(31, "15:30"), Obstacle.TOO_FAR),
        (berlin(2, "07:30"), berlin(2, "08:30"), Obstacle.CLOSED),
        (berlin(2, "21:30"), berlin(2, "22:30"), Obstacle.CLOSED),
        (berlin(2, "09:10"), berlin(2, "10:10"), Obstacle.NO_SUCH_TIME),
        (berlin(2, "09:00"), berlin(2, "09:30"), Obstacle.NO_SUCH_TIME),
        (berlin(2, "09:00"), berlin(2, "13:30"), Obstacle.NO_SUCH_TIME),
        (berlin(2, "09:00"), berlin(2, "10:15"), Obstacle.NO_SUCH_TIME),
        (berlin(2, "10:00"), berlin(2, "09:00"), Obstacle.NO_SUCH_TIME),
        (berlin(2, "09:00"), berlin(2, "10:00") + timedelta(seconds=1), Obstacle.NO_SUCH_TIME),
    ],
)
def test_why_a_time_is_not_on_offer(start: datetime, end: datetime, obstacle: Obstacle | None) -> None:
    assert room_hours(ahead_days=30).why_not(start, end, NOW) is obstacle


def test_room_without_rules_switched_off_or_on_a_hidden_page_is_not_on_offer() -> None:
    hours, start, end = room_hours(), berlin(2, "09:00"), berlin(2, "10:00")
    hours.calendar.is_bookable = False
    assert hours.why_not(start, end, NOW) is Obstacle.NOT_BOOKABLE
    hours.calendar.is_bookable, hours.page.is_published = True, False
    assert hours.why_not(start, end, NOW) is Obstacle.UNPUBLISHED
    assert not hours.times(date(2027, 3, 2), NOW)


@pytest.mark.parametrize(
    ("start", "end", "amount"),
    [
        ("09:00", "10:30", "30.00"),
        ("17:30", "18:30", "25.00"),  # half an hour at 20, half at 30
        ("18:00", "22:00", "120.00"),
        ("21:00", "21:20", "10.00"),
    ],
)
def test_price_by_the_hour_is_that_of_each_minute(start: str, end: str, amount: str) -> None:
    hours = room_hours(peaks=[PeakPrice(starts=time(18), ends=time(0), price=Decimal("30.00"))])
    assert hours.price(berlin(2, start), berlin(2, end)) == Money(Decimal(amount), "EUR")


def test_price_by_the_booking_is_that_of_its_start() -> None:
    peaks = [
        PeakPrice(starts=time(18), ends=time(0), price=Decimal("30.00")),
        PeakPrice(weekday=5, starts=time(0), ends=time(0), price=Decimal("45.00")),
    ]
    hours = room_hours(slot_minutes=60, price_per="slot", peaks=peaks)
    for day, clock, amount in ((2, "17:00", 20), (2, "18:00", 30), (6, "17:00", 45), (6, "18:00", 45)):
        start = berlin(day, clock)
        assert hours.price(start, start + timedelta(hours=1)).amount == amount


@pytest.mark.promise("time-costs-minutes")
def test_price_is_rounded_once_in_the_currency_of_the_page() -> None:
    third = berlin(2, "09:00"), berlin(2, "09:20")
    assert room_hours(price=Decimal("10.00")).price(*third) == Money(Decimal("3.33"), "EUR")
    peaks = [PeakPrice(starts=time(9, 10), ends=time(9, 15), price=Decimal("10.00"))]
    assert room_hours(price=Decimal("10.00"), peaks=peaks).price(*third) == Money(Decimal("3.33"), "EUR")
    assert room_hours(price=Decimal("10000"), currency="CLP").price(*third) == Money(Decimal(3333), "CLP")


def test_hour_that_comes_twice_is_paid_twice() -> None:
    hours = room_hours(peaks=[PeakPrice(starts=time(2), ends=time(3), price=Decimal("60.00"))])
    assert hours.price(berlin(31, "01:00", month=10), berlin(31, "04:00", month=10)).amount == 20 + 2 * 60 + 20
    assert hours.price(berlin(28, "01:00"), berlin(28, "04:00")).amount == 20 + 0 + 20  # 2:00 to 3:00 is skipped


def test_set_up_and_clean_up_of_one_keep_the_next_away() -> None:
    hours = room_hours(setup_minutes=15, cleanup_minutes=15)
    busy = [hours.blocked_span(berlin(2, "10:00"), berlin(2, "11:00"))]
    for start, taken in (("11:00", True), ("11:15", True), ("11:30", False), ("08:30", False), ("08:45", True)):
        assert is_taken(hours.blocked_span(berlin(2, start), berlin(2, start) + timedelta(hours=1)), busy) is taken
    stored = hours.blocked(berlin(2, "10:00"), berlin(2, "11:00"))
    assert (stored.lower, stored.upper) == (berlin(2, "09:45"), berlin(2, "11:15"))


def test_nearest_free_times_are_as_long_and_on_offer() -> None:
    hours = room_hours(closes=time(12), slot_minutes=60)
    busy = [Span(berlin(2, "09:00"), berlin(2, "11:00"))]
    found = nearest_free(hours, busy, berlin(2, "10:00"), timedelta(hours=1), NOW)
    assert found == [Span(berlin(2, clock), berlin(2, clock) + timedelta(hours=1)) for clock in ("08:00", "11:00")] + [
        Span(berlin(3, "08:00"), berlin(3, "09:00"))
    ]


def test_nearest_free_times_of_a_length_that_the_room_does_not_offer() -> None:
    found = nearest_free(room_hours(), [], berlin(2, "10:10"), timedelta(minutes=70), NOW, most=1)
    assert found == [Span(berlin(2, "10:00"), berlin(2, "11:00"))]


@pytest.mark.django_db
@pytest.mark.parametrize("number", [1, 3])
def test_hours_of_rooms_take_one_query(django_assert_num_queries: DjangoAssertNumQueries, number: int) -> None:
    rooms = RoomFactory.create_batch(number)
    with django_assert_num_queries(1):
        loaded = hours_of([room.pk for room in rooms])
        assert all(hours.zone.key == "Europe/Berlin" and len(hours.hours) == 7 for hours in loaded.values())
    assert set(loaded) == {room.pk for room in rooms}


@pytest.mark.django_db
def test_calendar_without_rules_is_loaded_as_one_that_cannot_be_booked() -> None:
    hours = RoomHours.of(CalendarFactory.create(is_bookable=True))
    assert hours.why_not(berlin(2, "09:00"), berlin(2, "10:00"), NOW) is Obstacle.NOT_BOOKABLE

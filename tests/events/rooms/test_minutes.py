"""Slots and prices against a model that knows nothing but a list of minutes and what the clock shows at each."""

import itertools
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.models import BookingRules, Calendar, ClosedDays, OpeningHours, Page, PeakPrice
from events.rooms import RoomHours, Span, is_taken

MINUTE = timedelta(minutes=1)
#: Days on which the clocks of a zone change, and their neighbours; Kathmandu's never do now.
CHANGES = {
    "Europe/Berlin": [date(2027, 3, 28), date(2027, 10, 31)],
    "America/St_Johns": [date(2027, 3, 14), date(2027, 11, 7), date(2010, 11, 7)],  # in 2010 a minute past midnight
    "Australia/Lord_Howe": [date(2027, 4, 4), date(2027, 10, 3)],
    "Asia/Kathmandu": [date(1986, 1, 1)],
    "Pacific/Apia": [date(2011, 12, 30), date(2012, 4, 1)],
}
ANY_TIME = st.integers(0, 287).map(lambda n: time(n * 5 // 60, n * 5 % 60))
#: The hours in which clocks change, more often than chance would have them.
FIVES = st.integers(0, 48).map(lambda n: time(n * 5 // 60, n * 5 % 60)) | ANY_TIME


@dataclass(frozen=True)
class Case:
    """A room and a day, all of it drawn."""

    hours: RoomHours
    day: date
    at: datetime


@cache
def minutes_around(zone: str, day: date) -> list[tuple[datetime, datetime]]:
    """Each minute from two days before `day` to four days after, with what the clock of `zone` shows at it."""
    first = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=2)
    instants = [first + n * MINUTE for n in range(6 * 24 * 60)]
    return [(instant, instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)) for instant in instants]


@st.composite
def rules(draw: st.DrawFn) -> BookingRules:
    slot = draw(st.none() | st.integers(1, 24).map(lambda n: n * 5))
    least = draw(st.integers(1, 12)) * 5
    return BookingRules(
        slot_minutes=slot,
        min_minutes=least,
        max_minutes=least + draw(st.integers(0, 24)) * 5,
        step_minutes=draw(st.integers(3, 24)) * 5,
        price=draw(st.decimals(0, 500, places=2)),
        price_per=draw(st.sampled_from(["hour", "slot"])),
        setup_minutes=draw(st.integers(0, 12)) * 5,
        cleanup_minutes=draw(st.integers(0, 12)) * 5,
        notice_minutes=draw(st.sampled_from([0, 0, 60, 1440])),
        ahead_days=draw(st.integers(2, 9)),
    )


@st.composite
def peaks(draw: st.DrawFn) -> list[PeakPrice]:
    found = []
    for _n in range(draw(st.integers(0, 3))):
        starts, ends = sorted([draw(FIVES), draw(FIVES)])
        if starts != ends:
            price = draw(st.decimals(0, 500, places=2))
            found.append(PeakPrice(weekday=draw(st.none() | st.integers(0, 6)), starts=starts, ends=ends, price=price))
    return found


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A room that is open on the day and on the day before, mostly; the day is one of a clock change, mostly."""
    zone = draw(st.sampled_from(sorted(CHANGES)))
    day = draw(st.sampled_from(CHANGES[zone])) + timedelta(days=draw(st.sampled_from([0, 0, 0, -1, 1, 4])))
    page = Page(name="House", time_zone=zone, currency=draw(st.sampled_from(["EUR", "CLP"])))
    this, before = draw(opening_times()), draw(opening_times())
    shut = draw(st.sampled_from([None, None, None, *range(7)]))
    hours = RoomHours(
        calendar=Calendar(page=page, name="Studio", is_bookable=True),
        page=page,
        rules=draw(rules()),
        hours=[
            OpeningHours(weekday=weekday, opens=opens, closes=closes)
            for weekday in range(7)
            for opens, closes in [before if weekday == (day.weekday() - 1) % 7 else this]
            if weekday != shut
        ],
        closed_days=[ClosedDays(first_day=day, last_day=day)] if draw(st.integers(0, 19)) == 13 else [],
        peaks=draw(peaks()),
        zone=ZoneInfo(zone),
        currency=page.currency,
    )
    early = draw(st.integers(0, 2 * 24 * 60))
    return Case(hours, day, datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=12) - early * MINUTE)


@st.composite
def opening_times(draw: st.DrawFn) -> tuple[time, time]:
    """From any time on, for an hour to a whole day."""
    opens = draw(FIVES)
    closes = datetime.combine(date(2027, 1, 1), opens) + draw(st.integers(12, 60) | st.integers(12, 288)) * 5 * MINUTE
    return opens, closes.time()


def open_minutes(case: Case, day: date) -> list[list[datetime]]:
    """For each opening that begins on `day`, its minutes: from the first that shows the opening time (or is past it)
    until the last that shows the closing time (or would have, had the clocks not skipped it)."""
    if any(closed.first_day <= day <= closed.last_day for closed in case.hours.closed_days):
        return []
    found = []
    for each in case.hours.hours:
        if each.weekday != day.weekday():
            continue
        opens = datetime.combine(day, each.opens)
        closes = datetime.combine(day + timedelta(days=each.closes <= each.opens), each.closes)
        minutes = minutes_around(case.hours.zone.key, case.day)
        first = next(n for n, (_instant, clock) in enumerate(minutes) if clock >= opens)
        last = max(n for n, (_instant, clock) in enumerate(minutes) if clock <= closes)
        found.append(
            [instant for instant, clock in minutes[first : last + 1] if clock != closes or instant != minutes[last][0]]
        )
    return found


def offered_minutes(case: Case, day: date) -> set[tuple[datetime, int]]:
    """Start and length of every time on offer, found by walking minute by minute."""
    rules = case.hours.bookable()
    if rules.slot_minutes is not None:
        every, allowed = rules.setup_minutes + rules.slot_minutes + rules.cleanup_minutes, [rules.slot_minutes]
    else:
        every = rules.step_minutes
        allowed = [n for n in range(1441) if rules.min_minutes <= n <= rules.max_minutes]
        allowed = [n for n in allowed if (n - rules.min_minutes) % every == 0]
    soonest, latest = case.at + rules.notice_minutes * MINUTE, case.at + timedelta(days=rules.ahead_days)
    return {
        (minute, length)
        for opening in open_minutes(case, day)
        for n, minute in enumerate(opening)
        if n % every == 0 and minute > case.at and soonest <= minute <= latest
        for length in allowed
        if n + length <= len(opening)
    }


def sum_of_minutes(case: Case, start: datetime, length: int) -> Decimal:
    """The price, each minute's share exact, rounded half up at the end in whole cents (or pesos)."""
    shares = [rate(case, start)] if case.hours.bookable().price_per == "slot" else []
    if not shares:
        shares = [rate(case, start + n * MINUTE) / 60 for n in range(length)]
    unit = 1 if case.hours.currency == "CLP" else 100
    return Decimal(int(sum(shares) * unit + Fraction(1, 2))) / unit


def rate(case: Case, instant: datetime) -> Fraction:
    clock = instant.astimezone(case.hours.zone)
    best: tuple[bool, time, Decimal] | None = None
    for peak in case.hours.peaks:
        if peak.weekday not in (None, clock.weekday()) or not peak.starts <= clock.time() < peak.ends:
            continue
        rank = (peak.weekday is not None, peak.starts, peak.price)
        best = rank if best is None else max(best, rank)
    return Fraction(best[2] if best else case.hours.bookable().price)


@settings(max_examples=100)
@given(case=cases())
@pytest.mark.promise("room-offers-rules")
def test_times_on_offer_are_those_of_the_minutes(case: Case) -> None:
    found = [(span.start, span.minutes) for span in case.hours.times(case.day, case.at)]
    assert found == sorted(offered_minutes(case, case.day))


@settings(max_examples=100)
@given(case=cases(), data=st.data())
@pytest.mark.promise("room-offers-rules")
def test_time_is_refused_exactly_when_the_minutes_do_not_offer_it(case: Case, data: st.DataObject) -> None:
    offered = set.union(*(offered_minutes(case, case.day + timedelta(days=n)) for n in (-1, 0, 1)))
    noon = datetime(case.day.year, case.day.month, case.day.day, 12, tzinfo=UTC)
    anything = st.tuples(
        st.integers(-144, 144).map(lambda n: noon + n * 5 * MINUTE), st.integers(1, 60).map(lambda n: n * 5)
    )
    start, length = data.draw(anything if not offered else st.sampled_from(sorted(offered)) | anything)
    obstacle = case.hours.why_not(start, start + length * MINUTE, case.at)
    assert (obstacle is None) == ((start, length) in offered)


@settings(max_examples=100)
@given(case=cases(), clock=FIVES, begin=st.integers(0, 90), length=st.integers(1, 24 * 60))
@pytest.mark.promise("time-costs-minutes")
def test_price_is_the_sum_of_its_minutes(case: Case, clock: time, begin: int, length: int) -> None:
    start = datetime.combine(case.day, clock, case.hours.zone).astimezone(UTC) + begin * MINUTE
    assert case.hours.price(start, start + length * MINUTE).amount == sum_of_minutes(case, start, length)


@settings(max_examples=100)
@given(case=cases(), ranges=st.lists(st.tuples(st.integers(-600, 2400), st.integers(1, 300)), max_size=4))
@pytest.mark.promise("time-taken-when")
def test_time_is_taken_when_one_of_its_blocked_minutes_is(case: Case, ranges: list[tuple[int, int]]) -> None:
    rules, midnight = case.hours.bookable(), datetime(case.day.year, case.day.month, case.day.day, tzinfo=UTC)
    busy = [Span(midnight + n * MINUTE, midnight + (n + length) * MINUTE) for n, length in ranges]
    taken = {midnight + (n + each) * MINUTE for n, length in ranges for each in range(length)}
    for span in case.hours.times(case.day, case.at)[:40]:
        around = range(-rules.setup_minutes, span.minutes + rules.cleanup_minutes)
        expected = any(span.start + n * MINUTE in taken for n in around)
        assert is_taken(case.hours.blocked_span(span.start, span.end), busy) == expected


NIGHT = [time(n // 2, n % 2 * 30) for n in range(8)]
NIGHTS = [(zone, day + timedelta(days=n)) for zone, days in sorted(CHANGES.items()) for day in days for n in (-1, 0)]


def a_night(zone: str, day: date, **rules: object) -> Case:
    page = Page(name="House", time_zone=zone, currency="EUR")
    hours = RoomHours(
        calendar=Calendar(page=page, name="Studio", is_bookable=True),
        page=page,
        rules=BookingRules(**{"price": Decimal("20.00"), **rules}),
        hours=[],
        closed_days=[],
        peaks=[],
        zone=ZoneInfo(zone),
        currency="EUR",
    )
    return Case(hours, day, datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=5))


@pytest.mark.parametrize(("zone", "day"), NIGHTS)
@pytest.mark.promise("room-offers-rules")
def test_every_opening_in_the_night_of_a_clock_change_has_its_minutes(zone: str, day: date) -> None:
    for opens, closes in itertools.product(NIGHT, NIGHT):
        opening = OpeningHours(weekday=day.weekday(), opens=opens, closes=closes)
        case = a_night(zone, day)
        case = replace(case, hours=replace(case.hours, hours=[opening]))
        expected = [(minutes[0], minutes[-1] + MINUTE) for minutes in open_minutes(case, day) if minutes]
        assert [(span.start, span.end) for span in case.hours.openings(day)] == expected


@pytest.mark.parametrize(("zone", "day"), NIGHTS)
def test_every_price_in_the_night_of_a_clock_change_is_that_of_its_minutes(zone: str, day: date) -> None:
    for starts, ends in itertools.combinations(NIGHT[1:], 2):
        case = a_night(zone, day)
        peak = PeakPrice(starts=starts, ends=ends, price=Decimal("60.01"))
        case = replace(case, hours=replace(case.hours, peaks=[peak]))
        for begin in NIGHT[:6:2]:
            start = datetime.combine(day, begin, case.hours.zone).astimezone(UTC)
            assert case.hours.price(start, start + 200 * MINUTE).amount == sum_of_minutes(case, start, 200)


@pytest.mark.parametrize("zone", sorted(CHANGES))
def test_model_meets_days_with_and_without_a_clock_change(zone: str) -> None:
    """The days above are what they are chosen for: their clocks show some minutes twice or never."""
    for day in CHANGES[zone]:
        shown = [clock for _instant, clock in minutes_around(zone, day)]
        steps = {later - earlier for earlier, later in itertools.pairwise(shown)}
        assert steps > {MINUTE}

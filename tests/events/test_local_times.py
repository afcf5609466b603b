"""From when to when, told whole: midnight, whole days, another day, another year, and nights when the clocks change."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from django.utils import translation

from events.local_times import span, whole_days

BERLIN = ZoneInfo("Europe/Berlin")


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0, *, fold: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=BERLIN, fold=fold).astimezone(UTC)


SPANS = [
    ((2026, 12, 4, 20), (2026, 12, 4, 22), "Fri 4 Dec 2026, 20:00–22:00", "Friday 4 December 2026, 20:00–22:00 CET"),
    (
        (2026, 12, 4, 10), (2026, 12, 5, 9),
        "Fri 4 Dec, 10:00 – Sat 5 Dec 2026, 09:00", "Friday 4 December, 10:00 – Saturday 5 December 2026, 09:00 CET",
    ),
    ((2026, 12, 4, 20), (2026, 12, 5), "Fri 4 Dec 2026, 20:00–24:00", "Friday 4 December 2026, 20:00–24:00 CET"),
    ((2026, 12, 4), (2026, 12, 5), "Fri 4 Dec 2026, all day", "Friday 4 December 2026, all day"),
    ((2026, 12, 4), (2026, 12, 4, 23, 59), "Fri 4 Dec 2026, all day", "Friday 4 December 2026, all day"),
    (
        (2026, 12, 4), (2026, 12, 7),
        "Fri 4 Dec – Sun 6 Dec 2026, all day", "Friday 4 December – Sunday 6 December 2026, all day",
    ),
    (
        (2026, 12, 4, 18), (2026, 12, 7),
        "Fri 4 Dec, 18:00 – Sun 6 Dec 2026, 24:00", "Friday 4 December, 18:00 – Sunday 6 December 2026, 24:00 CET",
    ),
    (
        (2026, 12, 31, 22), (2027, 1, 1, 4),
        "Thu 31 Dec 2026, 22:00 – Fri 1 Jan 2027, 04:00",
        "Thursday 31 December 2026, 22:00 – Friday 1 January 2027, 04:00 CET",
    ),
    ((2026, 12, 31, 22), (2027, 1, 1), "Thu 31 Dec 2026, 22:00–24:00", "Thursday 31 December 2026, 22:00–24:00 CET"),
    (
        (2026, 10, 25, 1), (2026, 10, 25, 4),
        "Sun 25 Oct 2026, 01:00 CEST – 04:00 CET", "Sunday 25 October 2026, 01:00 CEST – 04:00 CET",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("starts", "ends", "short", "full"), SPANS)
def test_a_time_is_told_whole(starts: tuple[int, ...], ends: tuple[int, ...], short: str, full: str) -> None:
    assert span(at(*starts), at(*ends), BERLIN) == short
    assert span(at(*starts), at(*ends), BERLIN, in_full=True) == full


def test_the_hour_that_comes_twice_says_which() -> None:
    first, second = at(2026, 10, 25, 2, 30), at(2026, 10, 25, 2, 30, fold=1)
    assert span(first, second, BERLIN) == "Sun 25 Oct 2026, 02:30 CEST – 02:30 CET"


def test_it_is_told_in_the_readers_language() -> None:
    with translation.override("de"):
        assert "Freitag 4 Dezember 2026" in span(at(2026, 12, 4, 20), at(2026, 12, 4, 22), BERLIN, in_full=True)


def test_whole_days_are_those_of_the_zone() -> None:
    assert whole_days(at(2026, 12, 4), at(2026, 12, 6), BERLIN) == (date(2026, 12, 4), date(2026, 12, 6))
    assert whole_days(at(2026, 12, 4), at(2026, 12, 6), ZoneInfo("Pacific/Auckland")) is None
    assert whole_days(at(2026, 12, 4), at(2026, 12, 6, 1), BERLIN) is None
    assert whole_days(at(2026, 12, 4, 0, 30), at(2026, 12, 6), BERLIN) is None

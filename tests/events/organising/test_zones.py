"""Another time zone or place for a page with something sold: it is asked what stays, and who is told, before it is."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.core import mail
from django.test import Client
from procrastinate.contrib.django.models import ProcrastinateJob

import events.organising.mails
from events.models import Calendar, CalendarEntry, Page, Role, TicketType
from events.organising.zones import same_hour
from ledger.models import History
from tests.desk import House, answered, change, house, member, question_at, sent, signed_in_as
from tests.factories import EventFactory, RoomFactory, UserFactory
from tests.ledger.lives import SOLD_WAYS, lead
from tests.steps import book

pytestmark = pytest.mark.django_db

NOW = datetime(2027, 1, 11, 9, tzinfo=UTC)
#: 20:30 in Berlin, 19:30 in London.
EVENING = datetime(2027, 1, 15, 19, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
LONDON = {"time_zone": "Europe/London"}


@dataclass
class Stage:
    """A house whose event is on in the evening, with a sale that begins, and a room that is booked twice in a row."""

    home: House
    room: Calendar
    bookings: list[CalendarEntry]
    client: Client

    @property
    def address(self) -> str:
        return change(self.home.page)

    def form(self, **changes: object) -> dict[str, str]:
        return sent(self.client, self.address, **changes)

    def times(self) -> list[tuple[datetime, datetime]]:
        """Of the event, then of the bookings."""
        pks = [self.home.entry.pk, *(row.pk for row in self.bookings)]
        rows = CalendarEntry.objects.in_bulk(pks)
        return [(rows[pk].starts_at, rows[pk].ends_at) for pk in pks]

    @property
    def zone(self) -> str:
        return Page.objects.get(pk=self.home.page.pk).time_zone


@pytest.fixture
def stage() -> Iterator[Stage]:
    with time_machine.travel(NOW, tick=False):
        home = house("Alpha", sold=3)
        CalendarEntry.objects.filter(pk=home.entry.pk).update(
            starts_at=EVENING, ends_at=EVENING + 2 * HOUR, sale_starts_at=EVENING - timedelta(days=2)
        )
        TicketType.objects.filter(entry=home.entry).update(sale_ends_at=EVENING - HOUR)
        room = RoomFactory.create(page=home.page, rules__setup_minutes=0)
        buyer, bookings = UserFactory.create(), list[CalendarEntry]()
        for hour in (10, 11, 12):
            booking = book(buyer, room, days=3, hour=hour)
            lead("events_calendarentry", booking.pk, SOLD_WAYS["confirmed"], home.order, buyer)
            bookings.append(booking)
        yield Stage(home, room, bookings, signed_in_as(member((home.page, Role.ORGANISER))))


def jobs(name: str) -> list[ProcrastinateJob]:
    return list(ProcrastinateJob.objects.filter(task_name=f"events.jobs.{name}").order_by("pk"))


@pytest.mark.promise("page-time-zone")
def test_what_is_hit_is_counted_and_nothing_is_done_before_the_answer(stage: Stage) -> None:
    before = stage.times()
    question = question_at(stage.client, stage.address, stage.form(**LONDON))

    said = " ".join(question.words)
    assert "from Europe/Berlin to Europe/London" in said
    assert "still to come: 1 event, 3 bookings, 2 sale windows." in said
    assert "3 valid tickets, 3 bookings. 4 buyers would be told by mail." in said
    assert set(question.fields) == {"keep", "tell"}
    assert (stage.zone, stage.times(), jobs("tell_moved")) == ("Europe/Berlin", before, [])
    page = stage.client.post(stage.address, stage.form(**LONDON)).content.decode()
    assert 'name="asked-keep" value="hours"' in page
    assert 'type="hidden" name="time_zone" value="Europe/London"' in page


@pytest.mark.parametrize("choices", [{}, {"keep": "hours"}, {"tell": "send"}, {"keep": "x", "tell": "send"}])
def test_half_an_answer_changes_nothing(stage: Stage, choices: dict[str, str]) -> None:
    before = stage.times()
    assert answered(stage.client, stage.address, stage.form(**LONDON), **choices).status_code == 422
    assert (stage.zone, stage.times()) == ("Europe/Berlin", before)


def test_an_answer_to_what_was_otherwise_is_asked_once_more(stage: Stage) -> None:
    question = question_at(stage.client, stage.address, stage.form(**LONDON))
    EventFactory.create(calendar=stage.home.entry.calendar, starts_at=EVENING)
    data = {**stage.form(**LONDON), "asked-sure": question.digest, "asked-keep": "hours", "asked-tell": "send"}

    again = stage.client.post(stage.address, data)

    assert "has changed since you were asked" in again.content.decode()
    assert stage.zone == "Europe/Berlin"


@pytest.mark.promise("page-time-zone")
def test_hours_kept_move_each_moment_with_history_and_each_holder_is_told(stage: Stage) -> None:
    before = stage.times()
    answer = answered(stage.client, stage.address, stage.form(**LONDON), keep="hours", tell="send")

    assert "4 buyers are told by mail." in answer.content.decode()
    assert stage.zone == "Europe/London"
    assert stage.times() == [(start + HOUR, end + HOUR) for start, end in before]
    entry = CalendarEntry.objects.get(pk=stage.home.entry.pk)
    assert entry.sale_starts_at == EVENING - timedelta(days=2) + HOUR
    assert TicketType.objects.get(entry=entry).sale_ends_at == EVENING
    for booking, (start, end) in zip(stage.bookings, stage.times()[1:], strict=True):
        blocks = CalendarEntry.objects.get(pk=booking.pk).blocks
        assert blocks is not None
        assert (blocks.lower, blocks.upper) == (start, end)
    rows = History.objects.filter(field="starts_at", actor__startswith="user:")
    assert rows.count() == 4
    assert set(rows.values_list("reason", flat=True)) == {
        "time zone changed from Europe/Berlin to Europe/London, same hours"
    }
    zone = History.objects.of(stage.home.page).get()
    assert (zone.field, zone.old, zone.new) == ("time_zone", "Europe/Berlin", "Europe/London")

    (job,) = jobs("tell_moved")
    mail.outbox.clear()
    events.organising.mails.tell_moved(**job.args)
    body = str(mail.outbox[0].body)
    assert "takes place at another time" in body
    assert "It was: Friday 15 January 2027, 20:30 CET" in body
    assert re.search(r"It is now: Friday 15 January 2027, 20:30–\d\d:\d\d GMT", body)
    first, *_rest = jobs("tell_other_time")
    mail.outbox.clear()
    events.organising.mails.tell_other_time(**first.args)
    (told,) = mail.outbox
    assert "is at another time or place than we told you" in str(told.body)
    assert "10:00 CET" in str(told.body)
    assert re.search(r"10:00–\d\d:\d\d GMT", str(told.body))
    timeline = stage.client.get(change(entry)).content.decode()
    assert "start from Fri 15 Jan 2027, 19:30 to Fri 15 Jan 2027, 20:30" in timeline


def test_moments_kept_move_nothing_and_the_other_hour_is_told(stage: Stage) -> None:
    before = stage.times()
    answered(stage.client, stage.address, stage.form(**LONDON), keep="moments", tell="send")

    assert (stage.zone, stage.times()) == ("Europe/London", before)
    assert not History.objects.filter(field__endswith="_at", actor__startswith="user:").exists()
    (job,) = jobs("tell_moved")
    mail.outbox.clear()
    events.organising.mails.tell_moved(**job.args)
    body = str(mail.outbox[0].body)
    assert "at the same moment as before" in body
    assert "20:30 CET" in body
    assert re.search(r"19:30–\d\d:\d\d GMT", body)
    assert len(jobs("tell_other_time")) == 3


def test_who_is_not_to_be_told_is_not(stage: Stage) -> None:
    answered(stage.client, stage.address, stage.form(**LONDON), keep="hours", tell="silent")

    assert stage.zone == "Europe/London"
    assert jobs("tell_moved") == jobs("tell_other_time") == []


@pytest.mark.promise("page-time-zone")
def test_there_and_back_all_is_as_before(stage: Stage) -> None:
    """To the later and to the earlier: bookings one after the other never get in each other's way."""
    before = stage.times()
    for zone in ("America/New_York", "Asia/Tokyo", "Europe/Berlin"):
        answered(stage.client, stage.address, stage.form(time_zone=zone), keep="hours", tell="silent")
        assert stage.zone == zone
    assert stage.times() == before


def test_the_same_hours_under_another_name_need_no_question(stage: Stage) -> None:
    assert stage.client.post(stage.address, stage.form(time_zone="Europe/Paris")).status_code == 302
    assert stage.zone == "Europe/Paris"


def test_only_what_is_to_come_is_moved(stage: Stage) -> None:
    over = EventFactory.create(calendar=stage.home.entry.calendar, starts_at=NOW - 9 * HOUR)
    EventFactory.create(starts_at=EVENING)  # another page's
    times = dict(CalendarEntry.objects.exclude(calendar__page=stage.home.page).values_list("pk", "starts_at"))
    answered(stage.client, stage.address, stage.form(**LONDON), keep="hours", tell="silent")

    assert CalendarEntry.objects.get(pk=over.pk).starts_at == over.starts_at
    assert dict(CalendarEntry.objects.filter(pk__in=times).values_list("pk", "starts_at")) == times


@pytest.mark.promise("page-time-zone")
def test_hours_that_would_meet_in_one_room_are_refused_in_words(stage: Stage) -> None:
    """What has just ended stays; what would come to its place on the new clock does not fit."""
    over = EventFactory.create(
        calendar=stage.home.entry.calendar, starts_at=NOW - 3 * HOUR, ends_at=NOW - HOUR, room=stage.room,
        blocks=(NOW - 3 * HOUR, NOW - HOUR),
    )  # fmt: skip
    next_ = EventFactory.create(
        calendar=stage.home.entry.calendar, starts_at=NOW + 5 * HOUR, ends_at=NOW + 6 * HOUR, room=stage.room,
        blocks=(NOW + 5 * HOUR, NOW + 6 * HOUR),
    )  # fmt: skip
    tokyo = stage.form(time_zone="Asia/Tokyo")

    refused = answered(stage.client, stage.address, tokyo, keep="hours", tell="silent")

    assert "two things would be in one room at once: Mon 11 Jan 2027, 15:00" in refused.content.decode()
    assert stage.zone == "Europe/Berlin"
    assert set(CalendarEntry.objects.filter(pk__in=[over.pk, next_.pk]).values_list("starts_at", flat=True)) == {
        NOW - 3 * HOUR,
        NOW + 5 * HOUR,
    }
    answered(stage.client, stage.address, tokyo, keep="moments", tell="silent")
    assert stage.zone == "Asia/Tokyo"


def test_a_booking_keeps_its_minutes_where_the_clocks_change(stage: Stage) -> None:
    """The night of 28 March: Berlin's clocks skip an hour, New York's do not."""
    start = datetime(2027, 3, 27, 23, tzinfo=UTC)  # midnight in Berlin
    event = EventFactory.create(calendar=stage.home.entry.calendar, starts_at=start, ends_at=start + 4 * HOUR)
    CalendarEntry.objects.filter(pk=stage.bookings[0].pk).update(
        starts_at=start, ends_at=start + 4 * HOUR, blocks=(start, start + 4 * HOUR)
    )
    answered(stage.client, stage.address, stage.form(time_zone="America/New_York"), keep="hours", tell="silent")

    booking = CalendarEntry.objects.get(pk=stage.bookings[0].pk)
    moved = CalendarEntry.objects.get(pk=event.pk)
    assert booking.ends_at - booking.starts_at == 4 * HOUR
    assert moved.ends_at - moved.starts_at == 5 * HOUR  # from midnight to five, as its clock said


def test_an_hour_that_the_new_clock_skips_is_when_it_goes_forward() -> None:
    half_past_two = datetime(2027, 3, 28, 2, 30, tzinfo=ZoneInfo("America/New_York"))
    moved = same_hour(half_past_two, ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin"))
    assert moved == datetime(2027, 3, 28, 1, tzinfo=UTC)


def test_an_hour_that_both_clocks_show_twice_stays_where_it_is() -> None:
    second = datetime(2027, 10, 31, 1, 30, tzinfo=UTC)  # 2:30 in Berlin and in Paris, for the second time
    assert same_hour(second, ZoneInfo("Europe/Berlin"), ZoneInfo("Europe/Paris")) == second


def test_a_page_with_nothing_to_come_is_asked_nothing(stage: Stage) -> None:
    with time_machine.travel(NOW + timedelta(days=30), tick=False):
        stage.client = signed_in_as(member((stage.home.page, Role.OWNER)))
        assert stage.client.post(stage.address, stage.form(**LONDON)).status_code == 302
    assert stage.zone == "Europe/London"


def test_the_place_of_the_page_is_told_to_those_whose_event_names_none(stage: Stage) -> None:
    data = stage.form(place="The barn")
    question = question_at(stage.client, stage.address, data)
    assert set(question.fields) == {"tell"}
    assert "4 buyers would be told by mail." in " ".join(question.words)
    answered(stage.client, stage.address, data, tell="send")
    assert (len(jobs("tell_moved")), len(jobs("tell_other_time"))) == (1, 3)
    CalendarEntry.objects.filter(pk=stage.home.entry.pk).update(place="The yard")
    assert "3 bookings. 3 buyers" in " ".join(question_at(stage.client, stage.address, stage.form(place="")).words)


def test_a_page_is_not_hidden_quietly_while_something_sold_is_to_come(stage: Stage) -> None:
    data = {name: value for name, value in stage.form().items() if name != "is_published"}
    words = " ".join(question_at(stage.client, stage.address, data).words)
    assert "1 event with sold tickets, 3 bookings." in words
    assert Page.objects.get(pk=stage.home.page.pk).is_published
    answered(stage.client, stage.address, data)
    assert not Page.objects.get(pk=stage.home.page.pk).is_published


def test_a_wrong_form_shows_what_is_wrong_before_it_asks(stage: Stage) -> None:
    wrong = stage.client.post(stage.address, stage.form(**LONDON, name=""))
    assert "question" not in wrong.context
    assert wrong.context["adminform"].form.errors["name"]


def test_nobody_of_another_page_changes_its_clock(stage: Stage) -> None:
    other = signed_in_as(member((house("Beta").page, Role.OWNER)))
    assert other.post(stage.address, stage.form(**LONDON)).status_code == 302  # the admin's way: there is none
    assert stage.zone == "Europe/Berlin"

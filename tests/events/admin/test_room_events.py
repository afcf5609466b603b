"""Events that take up a room, in the admin: they block it, and a clash is named instead of crashed into."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from accounts.visitors import Visitor
from cart.adding import put_booking_in_cart
from events.models import Calendar, CalendarEntry
from events.transitions import publish
from tests.desk import House, change, sent
from tests.factories import EventFactory, RoomFactory, UserFactory
from tests.ledger.lives import SOLD_WAYS, lead

pytestmark = pytest.mark.django_db

ENTRIES = "/admin/events/calendarentry/"
TEN = datetime(2027, 6, 1, 8, tzinfo=UTC)  # 10:00 in Berlin
HOUR = timedelta(hours=1)


@pytest.fixture
def room(home: House) -> Calendar:
    return RoomFactory.create(page=home.page, rules__setup_minutes=30, rules__cleanup_minutes=15)


def hold(room: Calendar, start: datetime, end: datetime, state: str = "confirmed") -> CalendarEntry:
    user = UserFactory.create()
    booking = put_booking_in_cart(Visitor(user=user), room, start, end, at=start - timedelta(days=2))
    lead("events_calendarentry", booking.pk, SOLD_WAYS[state], None, user)
    return booking


def test_event_that_takes_up_a_room_blocks_it_with_set_up_and_clean_up(
    organiser: Client, home: House, room: Calendar
) -> None:
    data = sent(
        organiser, f"{ENTRIES}add/", calendar=home.entry.calendar.pk, title="Yoga", room=room.pk,
        starts_at="2027-06-01T10:00", ends_at="2027-06-01T12:00",
    )  # fmt: skip
    assert organiser.post(f"{ENTRIES}add/", data).status_code == 302
    entry = CalendarEntry.objects.get(title="Yoga")
    assert entry.blocks is not None
    assert (entry.blocks.lower, entry.blocks.upper) == (TEN - HOUR / 2, TEN + HOUR * 2 + HOUR / 4)
    organiser.post(f"{ENTRIES}{entry.pk}/move/publish/")
    organiser.post(
        change(entry), sent(organiser, change(entry), starts_at="2027-06-01T11:00", ends_at="2027-06-01T13:00")
    )
    entry.refresh_from_db()
    assert entry.state == "confirmed"
    assert (entry.blocks.lower, entry.blocks.upper) == (TEN + HOUR / 2, TEN + HOUR * 3 + HOUR / 4)
    organiser.post(change(entry), sent(organiser, change(entry), room=""))
    entry.refresh_from_db()
    assert (entry.room, entry.blocks) == (None, None)


def errors_of(client: Client, entry: CalendarEntry, **changes: object) -> dict[str, list[str]]:
    answer = client.post(change(entry), sent(client, change(entry), **changes))
    return {} if answer.status_code == 302 else dict(answer.context["adminform"].form.errors)


@pytest.mark.promise("event-takes-up")
def test_event_is_not_put_or_moved_where_the_room_is_taken(organiser: Client, home: House, room: Calendar) -> None:
    booking = hold(room, TEN, TEN + HOUR)
    entry = EventFactory.create(calendar=home.entry.calendar, starts_at=TEN, ends_at=TEN + HOUR)
    words = "The room is taken from Tue 1 Jun 2027, 09:30 to Tue 1 Jun 2027, 11:15."
    words += f' <a href="/admin/events/booking/{booking.pk}/change/">Look at it</a>'
    assert errors_of(organiser, entry, room=room.pk) == {"room": [words]}
    late = {"starts_at": "2027-06-01T13:00", "ends_at": "2027-06-01T14:00"}
    assert errors_of(organiser, entry, room=room.pk, **late) == {}
    near = {"starts_at": "2027-06-01T11:30", "ends_at": "2027-06-01T12:30"}  # free but for the set-up
    assert errors_of(organiser, entry, **near) == {"room": [words]}
    assert errors_of(organiser, entry, title="Other") == {}
    entry.refresh_from_db()
    assert (entry.title, entry.starts_at) == ("Other", TEN + HOUR * 3)


@pytest.mark.promise("event-takes-up")
def test_draft_is_not_published_into_a_room_that_was_booked_meanwhile(
    organiser: Client, home: House, room: Calendar
) -> None:
    draft = EventFactory.create(
        calendar=home.entry.calendar, draft=True, starts_at=TEN, ends_at=TEN + HOUR, room=room, blocks=(TEN, TEN + HOUR)
    )
    booking = hold(room, TEN, TEN + HOUR)
    assert errors_of(organiser, draft, title="Still a draft") == {}
    answer = organiser.post(f"{ENTRIES}{draft.pk}/move/publish/", follow=True)
    assert "The room is taken from Tue 1 Jun 2027, 09:30" in answer.content.decode()
    assert f'<a href="/admin/events/booking/{booking.pk}/change/">Look at it</a>' in answer.content.decode()
    draft.refresh_from_db()
    assert draft.state == "draft"
    lead("events_calendarentry", booking.pk, ["cancelled"], None, UserFactory.create())
    organiser.post(f"{ENTRIES}{draft.pk}/move/publish/")
    draft.refresh_from_db()
    assert (draft.state, draft.blocks and draft.blocks.lower) == ("confirmed", TEN - HOUR / 2)


def test_pending_bookings_keep_no_event_out(organiser: Client, home: House, room: Calendar) -> None:
    hold(room, TEN, TEN + HOUR, state="pending")
    entry = EventFactory.create(calendar=home.entry.calendar, starts_at=TEN, ends_at=TEN + HOUR)
    assert errors_of(organiser, entry, room=room.pk) == {}


def test_only_bookable_rooms_of_the_same_page_are_taken(organiser: Client, home: House) -> None:
    foreign, plain = RoomFactory.create(), home.entry.calendar
    for calendar in (foreign, plain):
        assert "room" in errors_of(organiser, home.entry, room=calendar.pk)
    for nonsense in ("NaN", "-1", "٣", "9" * 30):
        assert "room" in errors_of(organiser, home.entry, room=nonsense)


def test_published_event_keeps_bookings_out_of_its_room(home: House, room: Calendar) -> None:
    entry = EventFactory.create(
        calendar=home.entry.calendar, draft=True, starts_at=TEN, ends_at=TEN + HOUR, room=room, blocks=(TEN, TEN + HOUR)
    )
    publish(entry)
    with pytest.raises(Exception, match="This time is taken"):
        hold(room, TEN, TEN + HOUR)

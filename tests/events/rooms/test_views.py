"""A room's page over HTTP: what is free and taken, picking a time with and without scripts, and what is refused."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.visitors import Visitor
from cart.adding import put_booking_in_cart
from events.models import Calendar, CalendarEntry, ClosedDays, Page
from tests.factories import CalendarFactory, EventFactory, PageFactory, RoomFactory, UserFactory
from tests.ledger.lives import SOLD_WAYS, lead
from tests.steps import HTMX

pytestmark = pytest.mark.django_db

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)  # a Monday
TEN = datetime(2027, 3, 2, 9, tzinfo=UTC)  # 10:00 in Berlin
HOUR = timedelta(hours=1)
ADDRESS = "/p/house/studio/"
BOOK = "/p/house/studio/book/"


@pytest.fixture(autouse=True)
def frozen() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


def studio(**extra: object) -> Calendar:
    """Slots of an hour, 8 to 22."""
    page = Page.objects.filter(slug="house").first() or PageFactory.create(slug="house")
    return RoomFactory.create(**{"page": page, "slug": "studio", "name": "Studio", "rules__slot_minutes": 60, **extra})


def hold(room: Calendar, start: datetime, end: datetime, state: str = "confirmed") -> CalendarEntry:
    user = UserFactory.create(name="Nosy Holder")
    booking = put_booking_in_cart(Visitor(user=user), room, start, end, at=NOW)
    lead("events_calendarentry", booking.pk, SOLD_WAYS[state], None, user)
    return booking


def body_of(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status
    return response.content.decode()


def times_in(body: str) -> list[str]:
    """What can be chosen on the page, in order."""
    return re.findall(r'name="time" value="([^"]+)"', body)


def pick(client: Client, value: str, **headers: str) -> tuple[int, str]:
    response = client.post(BOOK + "?date=2027-03-02", {"time": value}, headers=headers)
    return response.status_code, response.content.decode()


@pytest.mark.promise("room-page-works")
def test_day_shows_free_times_with_prices_and_taken_ones_without_names(client: Client) -> None:
    room = studio()
    hold(room, TEN, TEN + HOUR)
    body = body_of(client, ADDRESS + "?date=2027-03-02")
    assert len(times_in(body)) == 13
    assert "2027-03-02T09:00Z/60" not in times_in(body)
    assert body.count("€ 20.00") == 13
    assert body.count(">Taken<") == 1
    assert "Nosy" not in body
    assert "Tuesday 2 March 2027" in body


@pytest.mark.promise("one-own-booking")
def test_own_booking_is_yours_with_its_order_and_what_to_know(client: Client) -> None:
    room = studio()
    Calendar.objects.filter(pk=room.pk).update(access_note="The key is at the bar. <b>Ring</b> twice.")
    booking = hold(room, TEN, TEN + HOUR)
    hold(room, TEN + 2 * HOUR, TEN + 3 * HOUR)
    day = ADDRESS + "?date=2027-03-02"

    others = body_of(client, day)
    client.force_login(UserFactory.create())
    for body in (others, body_of(client, day), body_of(client, ADDRESS + "?view=week&date=2027-03-02")):
        assert (body.count(">Taken<"), "Yours" in body, "key is at the bar" in body) == (2, False, False)
    assert booking.user is not None
    client.force_login(booking.user)
    for query in ("?date=2027-03-02", "?view=week&date=2027-03-02"):
        body = body_of(client, ADDRESS + query)
        assert (body.count(">Taken<"), body.count(">Yours</a>")) == (1, 1)
        assert "The key is at the bar. &lt;b&gt;Ring&lt;/b&gt; twice." in body
        booking.refresh_from_db()
        assert booking.order is not None
        assert f'<a href="/orders/{booking.order.code}/">Tue 2 Mar 2027, 10:00–11:00</a>' in body


@pytest.mark.promise("one-own-booking")
def test_what_to_know_is_for_who_has_paid(client: Client) -> None:
    room = studio()
    Calendar.objects.filter(pk=room.pk).update(access_note="The key is at the bar.")
    booking = hold(room, TEN, TEN + HOUR, state="reserved")
    assert booking.user is not None
    client.force_login(booking.user)
    body = body_of(client, ADDRESS + "?date=2027-03-02")
    assert body.count(">Yours</a>") == 1
    assert "Waiting for payment" in body
    assert "key is at the bar" not in body
    CalendarEntry.objects.filter(pk=booking.pk).update(state="cancelled")
    assert "Yours" not in body_of(client, ADDRESS + "?date=2027-03-02")


def test_free_length_is_yours_from_where_it_begins(client: Client) -> None:
    room = studio(rules__slot_minutes=None)
    booking = hold(room, TEN, TEN + HOUR)
    assert booking.user is not None
    client.force_login(booking.user)
    body = body_of(client, ADDRESS + "?date=2027-03-02")
    yours = re.findall(r'class="slot yours">\s*<b>\s*(\S+)\s*</b>', body)
    assert yours == ["10:00", "10:30"]
    assert re.findall(r'class="slot taken">\s*<b>\s*(\S+)\s*</b>', body) == ["09:30"]


def test_week_shows_the_times_of_seven_days(client: Client) -> None:
    room = studio()
    ClosedDays.objects.create(calendar=room, first_day="2027-03-10", last_day="2027-03-10", reason="Piano tuner")
    body = body_of(client, ADDRESS + "?view=week&date=2027-03-11")
    assert len(times_in(body)) == 6 * 14
    assert "Closed: Piano tuner" in body
    assert "8 Mar – 14 Mar 2027" in body


def test_page_without_a_date_shows_the_first_day_with_a_free_time(client: Client) -> None:
    room = studio()
    ClosedDays.objects.create(calendar=room, first_day="2027-03-01", last_day="2027-03-09")
    assert "Wednesday 10 March 2027" in body_of(client, ADDRESS)


def test_times_are_those_of_the_pages_clock(client: Client) -> None:
    studio(page=PageFactory.create(slug="house", time_zone="Asia/Kathmandu"))
    body = body_of(client, ADDRESS + "?date=2027-03-02")
    assert times_in(body)[0] == "2027-03-02T02:15Z/60"
    assert "08:00–09:00" in body


def test_hour_that_comes_twice_is_told_apart(client: Client) -> None:
    room = studio(rules__ahead_days=365)
    room.opening_hours.update(opens="00:00", closes="04:00")
    body = body_of(client, ADDRESS + "?date=2027-10-31")
    assert "02:00 CEST–02:00 CET" in body
    assert "02:00 CET–03:00" in body
    assert len(times_in(body)) == 5


def test_time_after_midnight_names_its_day(client: Client) -> None:
    room = studio()
    room.opening_hours.update(opens="22:00", closes="02:00")
    body = body_of(client, ADDRESS + "?date=2027-03-02")
    assert "23:00–00:00" in body
    assert "Wed 00:00–01:00" in body
    assert times_in(body)[-1] == "2027-03-03T00:00Z/60"


def test_free_length_is_chosen_after_its_start(client: Client) -> None:
    room = studio(rules__slot_minutes=None)
    hold(room, TEN + 2 * HOUR, TEN + 3 * HOUR)
    body = body_of(client, ADDRESS + "?date=2027-03-02")
    assert times_in(body) == []
    assert "start=2027-03-02T09:00Z#lengths" in body
    assert "start=2027-03-02T10:30Z#lengths" not in body  # the shortest from 11:30 on runs into what is taken
    body = body_of(client, ADDRESS + "?date=2027-03-02&start=2027-03-02T09:00Z")
    assert times_in(body) == ["2027-03-02T09:00Z/60", "2027-03-02T09:00Z/90", "2027-03-02T09:00Z/120"]
    assert "until 12:00" in body
    assert "€ 40.00" in body


@pytest.mark.parametrize("start", ["2027-03-02T09:10Z", "NaN", "2027-03-02T09:00", "9999-01-01T00:00Z"])
def test_start_that_makes_no_sense_is_left_out(client: Client, start: str) -> None:
    studio(rules__slot_minutes=None)
    response = client.get(ADDRESS, {"date": "2027-03-02", "start": start})
    assert response.status_code == 200
    assert "for how long?" not in response.content.decode()


@pytest.mark.parametrize("query", ["date=2027-02-30", "date=0001-01-01", "date=9999-12-31", "view=year"])
def test_address_that_makes_no_sense_shows_the_next_days(client: Client, query: str) -> None:
    studio()
    assert "Monday 1 March 2027" in body_of(client, f"{ADDRESS}?{query}")


@pytest.mark.parametrize("day", ["2000-01-01", "2199-12-31", "2027-02-28"])
def test_days_with_nothing_to_book_say_so(client: Client, day: str) -> None:
    studio()
    body = body_of(client, f"{ADDRESS}?date={day}")
    assert times_in(body) == []
    assert ("Over" in body) == (day < "2027-03-01")


def test_picking_a_time_with_scripts_answers_in_place(client: Client) -> None:
    studio()
    status, body = pick(client, "2027-03-02T09:00Z/60", **HTMX)
    assert status == 200
    assert "<html" not in body
    assert "In your cart: Tue 2 Mar, 10:00–11:00, <span" in body
    assert 'hx-swap-oob="true"' in body
    assert CalendarEntry.objects.bookings().get().starts_at == TEN


def test_picking_a_time_without_scripts_leads_to_the_cart(client: Client) -> None:
    studio()
    response = client.post(BOOK, {"time": "2027-03-02T09:00Z/60"})
    assert (response.status_code, response["Location"]) == (302, "/cart/")
    booking = CalendarEntry.objects.bookings().get()
    assert booking.cart_key == client.session["cart_key"]
    assert booking.user is None


def test_picking_a_time_signed_in_is_the_users(client: Client) -> None:
    studio()
    user = UserFactory.create()
    client.force_login(user)
    assert pick(client, "2027-03-02T09:00Z/60")[0] == 302
    assert CalendarEntry.objects.bookings().get().user == user


def test_picking_a_time_twice_changes_nothing(client: Client) -> None:
    studio()
    for _click in range(2):
        assert pick(client, "2027-03-02T09:00Z/60", **HTMX)[0] == 200
    assert CalendarEntry.objects.bookings().count() == 1
    assert "In your cart" in body_of(client, ADDRESS + "?date=2027-03-02")


@pytest.mark.promise("same-time-one")
def test_time_in_somebody_elses_cart_stays_free(client: Client) -> None:
    studio()
    assert pick(Client(), "2027-03-02T09:00Z/60")[0] == 302
    assert "2027-03-02T09:00Z/60" in times_in(body_of(client, ADDRESS + "?date=2027-03-02"))
    assert pick(client, "2027-03-02T09:00Z/60")[0] == 302
    assert CalendarEntry.objects.bookings().count() == 2


@pytest.mark.parametrize("htmx", [True, False])
@pytest.mark.promise("time-cannot-had")
def test_time_taken_meanwhile_is_refused_with_the_nearest_free_ones(client: Client, htmx: bool) -> None:
    hold(studio(), TEN, TEN + HOUR)
    status, body = pick(client, "2027-03-02T09:00Z/60", **(HTMX if htmx else {}))
    assert status == 422
    assert ("<html" in body) is not htmx
    assert "This time is taken." in body
    assert times_in(body)[:3] == ["2027-03-02T07:00Z/60", "2027-03-02T08:00Z/60", "2027-03-02T10:00Z/60"]
    assert "Tue 2 Mar, 11:00–12:00" in body


def refused(client: Client, value: str | list[str], sentence: str) -> None:
    response = client.post(BOOK, {"time": value})
    assert response.status_code == 422
    assert sentence in response.content.decode()
    assert not CalendarEntry.objects.bookings().filter(state="pending").exists()


@pytest.mark.parametrize("start", ["08:30", "09:00", "10:00", "11:00"])  # 11:00 by its set-up alone
def test_slot_that_overlaps_a_taken_one_is_refused(client: Client, start: str) -> None:
    room = studio(rules__slot_minutes=None, rules__setup_minutes=30)
    hold(room, TEN + HOUR / 2, TEN + HOUR * 2)
    refused(client, f"2027-03-02T{start}Z/90", "This time is taken.")


def test_time_in_the_past_is_refused(client: Client) -> None:
    studio()
    refused(client, "2027-03-01T09:00Z/60", "This time has passed.")


def test_time_within_the_notice_is_refused(client: Client) -> None:
    studio(rules__notice_minutes=120)
    refused(client, "2027-03-01T13:00Z/60", "It is too late to book this time.")


def test_time_too_far_ahead_is_refused(client: Client) -> None:
    studio(rules__ahead_days=10)
    refused(client, "2027-03-20T09:00Z/60", "This time cannot be booked yet.")


def test_time_outside_the_opening_hours_is_refused(client: Client) -> None:
    studio()
    refused(client, "2027-03-02T06:00Z/60", "The room is closed at this time.")


def test_a_refused_time_of_the_week_keeps_the_week_and_says_why(client: Client) -> None:
    room = studio()
    hold(room, TEN, TEN + HOUR)
    answer = client.post(f"{BOOK}?view=week&date=2027-03-02", {"time": "2027-03-02T09:00Z/60"}, headers=HTMX)
    assert answer.status_code == 422
    body = answer.content.decode()
    assert '<ol class="room-week">' in body
    assert len(re.findall(r'aria-current="page">\s*Week\s*</a>', body)) == 1
    alert = re.search(r'<div class="alert error" role="alert" tabindex="-1" data-focus>(.*?)</div>', body, re.DOTALL)
    assert alert is not None
    assert "This time is taken." in alert[1]
    assert not CalendarEntry.objects.bookings().filter(state="pending").exists()


@pytest.mark.parametrize("minutes", [59, 61, 30, 120])
def test_odd_length_is_refused(client: Client, minutes: int) -> None:
    studio()
    refused(client, f"2027-03-02T09:00Z/{minutes}", "The room is not booked at this start or for this long.")


def test_time_by_the_clock_before_a_change_is_refused(client: Client) -> None:
    """Two days later 10:00 in Berlin is 8:00 UTC, and an hour before the opening is no time of the room."""
    room = studio(rules__slot_minutes=None, rules__ahead_days=60)
    room.opening_hours.update(opens="01:00", closes="05:00")
    refused(client, "2027-03-28T00:00Z/240", "The room is closed at this time.")  # 1:00 to 6:00 by the clock
    assert client.post(BOOK, {"time": "2027-03-28T00:00Z/180"}).status_code == 302  # 1:00 to 5:00, three hours
    assert CalendarEntry.objects.bookings().get().price == 60


@pytest.mark.parametrize(
    "value",
    [
        "", "NaN", "2027-03-02T09:00Z/NaN", "2027-03-02T09:00Z/-60", "2027-03-02T09:00Z/60.0", "2027-03-02T09:00Z/1e2",
        "2027-03-02T09:00Z/0", "2027-03-02T09:00Z/99999999999", "2027-03-02T09:00Z/٦٠", "2027-13-02T09:00Z/60",
        "2027-02-30T09:00Z/60", "0001-01-01T00:00Z/60", "9999-12-31T23:59Z/60", "60",
        "2027-03-02T09:00Z/60\n", "2027-03-02T09:00:00Z/60", "<script>",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused(client: Client, value: str) -> None:
    studio()
    refused(client, value, "That is no time of this room.")


@pytest.mark.parametrize("value", ["2027-03-02T10:00+01:00/60", "2027-03-02T10:00/60", "2027-03-02T10:00CET/60"])
def test_time_in_another_zone_than_utc_is_refused(client: Client, value: str) -> None:
    studio()
    refused(client, value, "That is no time of this room.")


def test_price_sent_with_a_time_is_not_read(client: Client) -> None:
    studio()
    client.post(BOOK, {"time": "2027-03-02T09:00Z/60", "price": "0.01", "currency": "CLP", "state": "confirmed"})
    booking = CalendarEntry.objects.bookings().get()
    assert str(booking.cost) == "€ 20.00"
    assert booking.state == "pending"


@pytest.mark.parametrize("htmx", [True, False])
def test_room_switched_off_while_its_page_was_open_says_so(client: Client, htmx: bool) -> None:
    studio(is_bookable=False)
    response = client.post(BOOK, {"time": "2027-03-02T09:00Z/60"}, headers=HTMX if htmx else {})
    assert response.headers.get("HX-Redirect" if htmx else "Location") == ADDRESS
    assert "This room cannot be booked here." in body_of(client, ADDRESS)


def test_booking_is_posted_to_a_room_that_is_there(client: Client) -> None:
    studio()
    assert client.put(BOOK).status_code == 405
    assert client.post("/p/house/other/book/", {"time": "2027-03-02T09:00Z/60"}).status_code == 404
    Page.objects.update(is_published=False)
    assert client.post(BOOK, {"time": "2027-03-02T09:00Z/60"}).status_code == 404


def test_booking_wants_a_csrf_token() -> None:
    studio()
    client = Client(enforce_csrf_checks=True)
    assert client.post(BOOK, {"time": "2027-03-02T09:00Z/60"}).status_code == 403


def test_calendar_that_cannot_be_booked_is_shown_as_ever(client: Client) -> None:
    calendar = CalendarFactory.create(page__slug="house", slug="studio", is_bookable=True)  # has no rules yet
    EventFactory.create(calendar=calendar, title="Jazz night")
    body = body_of(client, ADDRESS)
    assert "Jazz night" in body
    assert 'id="room"' not in body


def test_room_shows_its_public_events_too_and_its_past_ones(client: Client) -> None:
    room = studio()
    EventFactory.create(calendar=room, title="Open day")
    assert "Open day" in body_of(client, ADDRESS)
    assert "No past events" in body_of(client, ADDRESS + "?past=1")


@pytest.mark.parametrize("query", ["", "?view=week&date=2027-03-11"])
def test_room_asks_as_often_for_three_bookings_as_for_one(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries, query: str
) -> None:
    room = studio()
    visitor = Client()
    visitor.force_login(UserFactory.create())
    for number in (1, 2, 3):
        hold(room, TEN + number * HOUR, TEN + (number + 1) * HOUR)
        EventFactory.create(calendar=room)
        pick(visitor, f"2027-03-03T{number + 8:02}:00Z/60")
        if number != 2:
            with django_assert_num_queries(5):
                body_of(client, ADDRESS + query)
            with django_assert_num_queries(9):
                body_of(visitor, ADDRESS + query)

"""Bookings in the admin: who may read them, and how one becomes an event, once."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.visitors import Visitor
from cart.adding import put_booking_in_cart
from events.models import Booking, Calendar, CalendarEntry, Merchant, Page, Role
from events.rooms.events import event_of
from events.transitions import call_off_event
from tests.desk import House, change, house, member, sent, signed_in_as
from tests.factories import RoomFactory, UserFactory
from tests.ledger.lives import SOLD_WAYS, lead

pytestmark = pytest.mark.django_db

BOOKINGS = "/admin/events/booking/"
TEN = datetime(2027, 6, 1, 8, tzinfo=UTC)  # 10:00 in Berlin
HOUR = timedelta(hours=1)


@pytest.fixture
def room(home: House) -> Calendar:
    return RoomFactory.create(page=home.page, name="Studio")


def booked(room: Calendar, start: datetime = TEN, state: str = "confirmed") -> Booking:
    user = UserFactory.create()
    booking = put_booking_in_cart(Visitor(user=user), room, start, start + 2 * HOUR, at=start - timedelta(days=2))
    lead("events_calendarentry", booking.pk, SOLD_WAYS[state], None, user)
    return Booking.objects.get(pk=booking.pk)


def test_list_tells_who_booked_what_when_and_for_how_much(organiser: Client, room: Calendar) -> None:
    booking = booked(room)
    text = organiser.get(BOOKINGS).content.decode()
    assert booking.user
    assert booking.order
    for words in (booking.user.email, "Studio", "Tue 1 Jun 2027, 10:00", "€ 40.00", booking.order.short_code):
        assert words in text, words


def test_what_lies_in_a_cart_is_not_listed(organiser: Client, room: Calendar) -> None:
    pending = booked(room, state="pending")
    assert organiser.get(BOOKINGS).context["cl"].result_count == 0
    assert organiser.get(change(pending)).status_code == 302


def test_bookings_are_read_by_those_who_see_orders_on_their_own_page(home: House, room: Calendar) -> None:
    mine, other = booked(room), booked(RoomFactory.create())
    for role in (Role.ORGANISER, Role.OWNER, Role.BOX_OFFICE, Role.FINANCE):
        client = signed_in_as(member((home.page, role)))
        assert list(client.get(BOOKINGS).context["cl"].queryset) == [mine]
        assert client.get(change(mine)).status_code == 200
        assert client.get(change(other)).status_code == 302
        assert client.post(change(mine), {"state": "cancelled"}).status_code == 403
    assert signed_in_as(member((home.page, Role.DOOR))).get(BOOKINGS).status_code == 403


@pytest.mark.parametrize("number", [1, 3])
def test_list_asks_as_often_for_three_bookings_as_for_one(
    organiser: Client, room: Calendar, django_assert_num_queries: DjangoAssertNumQueries, number: int
) -> None:
    for n in range(number):
        booked(room, TEN + timedelta(days=n))
    with django_assert_num_queries(9):
        organiser.get(BOOKINGS)


@pytest.mark.promise("confirmed-booking-becomes")
def test_confirmed_booking_becomes_an_event_once(organiser: Client, room: Calendar) -> None:
    booking = booked(room)
    assert "Make it an event" in organiser.get(change(booking)).content.decode()
    address = f"{BOOKINGS}{booking.pk}/event/"
    assert organiser.get(address).status_code == 200
    data = {"title": "Flamenco", "ticket_price": "9.50", "capacity": "30", "published": "on"}
    assert organiser.post(address, data).status_code == 302
    event = CalendarEntry.objects.events().get(booking=booking)
    assert (event.title, str(event.ticket_price), event.capacity, event.state) == ("Flamenco", "9.50", 30, "confirmed")
    assert (event.calendar, event.room, event.starts_at, event.ends_at) == (room, None, TEN, TEN + 2 * HOUR)
    booking.refresh_from_db()
    assert (booking.state, booking.room, str(booking.price)) == ("confirmed", room, "40.00")
    answer = organiser.post(address, data, follow=True)
    assert "An event was made of it already." in answer.content.decode()
    assert CalendarEntry.objects.filter(booking=booking).count() == 1
    assert "Make it an event" not in organiser.get(change(booking)).content.decode()


def test_event_of_a_booking_that_nobody_can_pay_for_is_published_with_a_warning(
    organiser: Client, home: House, room: Calendar
) -> None:
    Page.objects.filter(pk=home.page.pk).update(merchant=None)
    Merchant.objects.update(is_site=False)
    data = {"title": "Flamenco", "ticket_price": "9.50", "published": "on"}
    answer = organiser.post(f"{BOOKINGS}{booked(room).pk}/event/", data, follow=True)
    assert "Nobody can pay for its tickets" in answer.content.decode()


def test_event_of_a_booking_may_be_a_draft_first(organiser: Client, room: Calendar) -> None:
    booking = booked(room)
    organiser.post(f"{BOOKINGS}{booking.pk}/event/", {"title": "Flamenco"})
    assert CalendarEntry.objects.get(booking=booking).state == "draft"
    assert event_of(booking)


@pytest.mark.parametrize("state", ["reserved", "checked_in", "cancelled", "refund_due", "refunded"])
def test_booking_that_is_not_confirmed_becomes_no_event(organiser: Client, room: Calendar, state: str) -> None:
    booking = booked(room, state=state)
    answer = organiser.post(f"{BOOKINGS}{booking.pk}/event/", {"title": "Flamenco"}, follow=True)
    assert "Only a booking that is confirmed becomes an event." in answer.content.decode()
    assert not CalendarEntry.objects.filter(booking=booking).exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ""),
        ("title", "a\nb"),
        ("ticket_price", "-1"),
        ("ticket_price", "NaN"),
        ("capacity", "0"),
        ("capacity", "1.5"),
    ],
)
def test_event_that_makes_no_sense_is_refused(organiser: Client, room: Calendar, field: str, value: str) -> None:
    booking = booked(room)
    answer = organiser.post(f"{BOOKINGS}{booking.pk}/event/", {"title": "Flamenco", field: value})
    assert answer.status_code == 422
    assert field in answer.context["form"].errors
    assert not CalendarEntry.objects.filter(booking=booking).exists()


def test_only_the_pages_organisers_make_events(home: House, room: Calendar) -> None:
    booking = booked(room)
    address = f"{BOOKINGS}{booking.pk}/event/"
    assert signed_in_as(member((home.page, Role.FINANCE))).post(address, {"title": "No"}).status_code == 403
    stranger = house("Beta")
    assert signed_in_as(member((stranger.page, Role.OWNER))).post(address, {"title": "No"}).status_code == 404
    assert not CalendarEntry.objects.filter(booking=booking).exists()


@pytest.mark.promise("confirmed-booking-becomes")
def test_event_stays_within_the_time_of_its_booking(organiser: Client, room: Calendar) -> None:
    booking = booked(room)
    organiser.post(f"{BOOKINGS}{booking.pk}/event/", {"title": "Flamenco"})
    event = CalendarEntry.objects.get(booking=booking)
    for field, value in (("starts_at", "2027-06-01T09:30"), ("ends_at", "2027-06-01T12:30")):
        answer = organiser.post(change(event), sent(organiser, change(event), **{field: value}))
        assert "stays within it" in str(answer.context["adminform"].form.errors[field])
    shorter = sent(organiser, change(event), starts_at="2027-06-01T10:30", ends_at="2027-06-01T11:30")
    assert organiser.post(change(event), shorter).status_code == 302
    answer = organiser.post(change(event), sent(organiser, change(event), room=room.pk))
    assert "room" in answer.context["adminform"].form.errors


def test_booking_is_bound_by_its_event_until_that_is_called_off(organiser: Client, room: Calendar) -> None:
    booking = booked(room)
    assert event_of(booking) is None
    organiser.post(f"{BOOKINGS}{booking.pk}/event/", {"title": "Flamenco", "published": "on"})
    event = event_of(booking)
    assert event
    call_off_event(event)
    assert event_of(booking) is None

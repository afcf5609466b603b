"""Booking time in a room in a real browser: at a desk, on a phone, without scripts, by keyboard."""

import re
from datetime import date, timedelta
from typing import Literal

import pytest
from django.utils import timezone

from accounts.visitors import Visitor as CartOf
from cart.adding import put_booking_in_cart
from events.models import Calendar, CalendarEntry, PeakPrice
from events.rooms import RoomHours
from tests.browser.conftest import Visit
from tests.browser.visitor import AT_A_DESK, ON_A_PHONE, Visitor, Way
from tests.factories import PageFactory, RoomFactory, UserFactory
from tests.ledger.lives import SOLD_WAYS, lead


def a_room(**extra: object) -> tuple[Calendar, date]:
    """A room with a peak price in the evening, its second time of the day after tomorrow taken; and that day."""
    page = PageFactory.create(name="Kulturhof")
    room = RoomFactory.create(page=page, name="Studio", text="A piano and a mirror.", **extra)
    PeakPrice.objects.create(calendar=room, starts="18:00", ends="00:00", price="30.00")
    hours, day = RoomHours.of(room), timezone.localdate(timezone.now(), page.zone()) + timedelta(days=2)
    starts = sorted({span.start for span in hours.times(day, timezone.now())})
    length = timedelta(minutes=hours.bookable().slot_minutes or 60)
    holder = UserFactory.create()
    held = put_booking_in_cart(CartOf(user=holder), room, starts[1], starts[1] + length, at=timezone.now())
    lead("events_calendarentry", held.pk, SOLD_WAYS["confirmed"], None, holder)
    return room, day


def test_slot_is_picked_and_waits_in_the_cart(visit: Visit, way: Way) -> None:
    room, day = a_room(rules__slot_minutes=60)
    visitor = visit(way)
    visitor.go(f"{room.get_absolute_url()}?date={day}")
    visitor.sees("09:00–10:00")
    visitor.sees("Taken")
    visitor.stop("20-room-day")
    with visitor.in_place():
        visitor.button(re.compile("^11:00–12:00")).click()
        if way.scripts:
            visitor.sees("In your cart:")
            visitor.stop("20-room-added")
        visitor.badge_is(1)
    if not way.scripts:
        assert visitor.path == "/cart/"
        visitor.sees("in your cart")
    assert CalendarEntry.objects.bookings().get(state="pending").title == "Studio"


@pytest.mark.promise("room-page-works")
def test_start_and_then_length_are_picked(visit: Visit, way: Way) -> None:
    room, day = a_room(rules__setup_minutes=15, rules__cleanup_minutes=15)
    visitor = visit(way)
    visitor.go(f"{room.get_absolute_url()}?date={day}")
    visitor.stop("21-room-starts")
    visitor.link(re.compile("^17:00")).click()
    visitor.sees("from 17:00: for how long?")
    visitor.stop("21-room-lengths")
    visitor.button(re.compile("^2 h until 19:00, € 50.00$")).click()
    visitor.sees(re.compile("in your cart", re.IGNORECASE))
    booking = CalendarEntry.objects.bookings().get(state="pending")
    assert (str(booking.cost), booking.ends_at - booking.starts_at) == ("€ 50.00", timedelta(hours=2))


@pytest.mark.promise("time-cannot-had")
def test_time_that_was_taken_meanwhile_leads_to_the_nearest(visit: Visit, way: Way) -> None:
    room, day = a_room(rules__slot_minutes=60)
    visitor = visit(way)
    visitor.go(f"{room.get_absolute_url()}?date={day}")
    rival = UserFactory.create()
    hours = RoomHours.of(room)
    twelve = next(span for span in hours.times(day, timezone.now()) if span.start.astimezone(hours.zone).hour == 12)
    held = put_booking_in_cart(CartOf(user=rival), room, twelve.start, twelve.end, at=timezone.now())
    lead("events_calendarentry", held.pk, SOLD_WAYS["reserved"], None, rival)

    visitor.button(re.compile("^12:00–13:00")).click()
    visitor.sees("This time is taken.")
    visitor.forgive("422")
    visitor.stop("22-room-taken")
    visitor.page.locator(".alert").get_by_role("button", name=re.compile("11:00–12:00")).click()
    visitor.sees(re.compile("in your cart", re.IGNORECASE))
    booking = CalendarEntry.objects.bookings().get(state="pending")
    assert booking.ends_at == twelve.start


@pytest.mark.parametrize("way", [AT_A_DESK, ON_A_PHONE], ids=str)
@pytest.mark.promise("room-page-works")
def test_keyboard_books_a_time(visit: Visit, way: Way) -> None:
    room, day = a_room()
    visitor = visit(way)
    visitor.go(f"{room.get_absolute_url()}?date={day}")
    press_until(visitor, re.compile("^11:00"))
    visitor.press("Enter")
    visitor.sees("from 11:00: for how long?")
    press_until(visitor, re.compile("^1 h 30 min"))
    visitor.press("Enter")
    visitor.sees("In your cart:")
    press_until(visitor, re.compile("^Go to the cart"), most=3)
    visitor.press("Enter")
    visitor.page.wait_for_url("**/cart/")


def press_until(visitor: Visitor, words: re.Pattern[str], *, most: int = 60) -> None:
    """Tab until what has the focus says `words`."""
    for _press in range(most):
        visitor.press("Tab")
        text = visitor.page.evaluate("document.activeElement.innerText")
        if words.search(" ".join(str(text).split())):
            return
    raise AssertionError(f"{words.pattern} was not reached by {most} presses of Tab")


@pytest.mark.parametrize(("way", "scheme"), [(AT_A_DESK, "light"), (ON_A_PHONE, "dark")], ids=["light", "dark"])
def test_axe_finds_nothing_on_a_rooms_pages(visit: Visit, way: Way, scheme: Literal["light", "dark"]) -> None:
    slots, day = a_room(rules__slot_minutes=60)
    free, _day = a_room()
    visitor = visit(way, axe=True, scheme=scheme)
    for path, name in (
        (f"{slots.get_absolute_url()}?date={day}", "23-slots"),
        (f"{slots.get_absolute_url()}?date={day}&view=week", "23-slots-week"),
        (f"{free.get_absolute_url()}?date={day}&view=week", "23-starts-week"),
        (f"{free.get_absolute_url()}?date=2199-12-01", "23-nothing"),
    ):
        visitor.go(path)
        visitor.stop(name)
    visitor.go(f"{slots.get_absolute_url()}?date={day}")
    visitor.button(re.compile("^12:00–13:00")).click()
    visitor.sees("In your cart:")
    visitor.stop("23-added")
    visitor.go(f"{free.get_absolute_url()}?date={day}")
    visitor.link(re.compile("^17:00")).click()
    visitor.sees("for how long?")
    visitor.stop("23-lengths")

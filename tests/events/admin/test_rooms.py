"""Rooms in the admin: what the calendar's page takes as rules and hours."""

from collections.abc import Mapping
from datetime import time
from decimal import Decimal
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from procrastinate.contrib.django.models import ProcrastinateJob

import events.organising.mails
from events.local_times import told
from events.models import BookingRules, Calendar, CalendarEntry, Merchant, OpeningHours, PeakPrice, Role
from tests.desk import House, answered, change, house, member, sent, signed_in_as
from tests.factories import CalendarFactory, RoomFactory, UserFactory
from tests.ledger.lives import SOLD_WAYS, lead
from tests.steps import book, order_cart

pytestmark = pytest.mark.django_db


def rows(prefix: str, *rows: Mapping[str, object], there: int = 0) -> dict[str, object]:
    """New rows of an inline, after those that are `there`."""
    data: dict[str, object] = {f"{prefix}-TOTAL_FORMS": there + len(rows)}
    for number, row in enumerate(rows, start=there):
        data |= {f"{prefix}-{number}-{name}": value for name, value in row.items()}
    return data


def saved(client: Client, room: Calendar, **changes: Any) -> str:
    """Save the calendar's page with `changes`; the errors that it shows, "" when it was saved."""
    answer = client.post(change(room), sent(client, change(room), **changes))
    if answer.status_code == 302:
        return ""
    found = [str(formset.formset.non_form_errors()) for formset in answer.context["inline_admin_formsets"]]
    found += [str(form.errors) for formset in answer.context["inline_admin_formsets"] for form in formset.formset.forms]
    return " ".join(found)


def test_calendar_becomes_a_room_with_rules_and_hours(organiser: Client, home: House) -> None:
    calendar = CalendarFactory.create(page=home.page)
    assert "only with rules" in saved(organiser, calendar, is_bookable="on")
    calendar.refresh_from_db()
    assert not calendar.is_bookable
    hours = rows("opening_hours", {"weekday": 0, "opens": "08:00", "closes": "00:00"})
    peaks = rows("peak_prices", {"weekday": "", "starts": "18:00", "ends": "00:00", "price": "30.00"})
    closed = rows("closed_days", {"first_day": "2027-01-01", "last_day": "2027-01-06", "reason": "Holidays"})
    rules = {"rules-0-price": "20.00", "rules-0-slot_minutes": "90"}
    assert saved(organiser, calendar, is_bookable="on", **rules, **hours, **peaks, **closed) == ""
    room = Calendar.objects.get(pk=calendar.pk)
    assert room.is_bookable
    assert (room.rules.price, room.rules.slot_minutes, room.rules.min_minutes) == (Decimal(20), 90, 60)
    assert room.opening_hours.get().closes == time(0)
    assert room.peak_prices.get().price == 30
    assert room.closed_days.get().reason == "Holidays"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("price", "-1", "never below zero"),
        ("price", "1.999", "no more than 2 decimal places"),
        ("price", "NaN", "Enter a number"),
        ("slot_minutes", "4", "From 5 to 1440"),
        ("slot_minutes", "1441", "From 5 to 1440"),
        ("max_minutes", "30", "Not below the least"),
        ("step_minutes", "0", "From 5 to 1440"),
        ("setup_minutes", "721", "From 0 to 720"),
        ("ahead_days", "0", "From 1 to 730"),
    ],
)
def test_rules_that_cannot_be_kept_are_refused_in_words(
    organiser: Client, home: House, field: str, value: str, words: str
) -> None:
    room = RoomFactory.create(page=home.page)
    assert words in saved(organiser, room, **{f"rules-0-{field}": value})
    assert BookingRules.objects.get().price == 20


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        ((0, "08:00", "12:00"), (0, "11:59", "14:00"), True),
        ((0, "08:00", "12:00"), (0, "12:00", "14:00"), False),
        ((0, "22:00", "02:00"), (1, "01:00", "05:00"), True),
        ((0, "22:00", "02:00"), (1, "02:00", "05:00"), False),
        ((6, "22:00", "02:00"), (0, "01:00", "05:00"), True),
        ((2, "00:00", "00:00"), (3, "00:00", "00:00"), False),
        ((2, "10:00", "10:00"), (3, "09:00", "11:00"), True),
    ],
)
def test_opening_hours_that_overlap_are_refused(
    organiser: Client, home: House, first: tuple[int, str, str], second: tuple[int, str, str], overlap: bool
) -> None:
    room = RoomFactory.create(page=home.page)
    OpeningHours.objects.all().delete()
    wanted = [dict(zip(("weekday", "opens", "closes"), each, strict=True)) for each in (first, second)]
    assert ("overlap" in saved(organiser, room, **rows("opening_hours", *wanted))) is overlap
    assert OpeningHours.objects.count() == (0 if overlap else 2)


def test_peak_prices_that_overlap_or_run_backwards_are_refused(organiser: Client, home: House) -> None:
    room = RoomFactory.create(page=home.page)
    evening = {"weekday": "", "starts": "18:00", "ends": "00:00", "price": "30"}
    assert "overlap" in saved(organiser, room, **rows("peak_prices", evening, {**evening, "starts": "22:00"}))
    assert "ends after it starts" in saved(organiser, room, **rows("peak_prices", {**evening, "ends": "17:00"}))
    assert not PeakPrice.objects.exists()
    assert saved(organiser, room, **rows("peak_prices", evening, {**evening, "weekday": 5})) == ""


def test_closed_days_in_the_wrong_order_are_refused(organiser: Client, home: House) -> None:
    room = RoomFactory.create(page=home.page)
    days = {"first_day": "2027-01-02", "last_day": "2027-01-01", "reason": ""}
    assert "Not before the first day" in saved(organiser, room, **rows("closed_days", days))


def test_booking_that_lies_outside_once_the_room_is_closed_is_told_and_stays(
    organiser: Client, home: House, merchant: Merchant
) -> None:
    room = RoomFactory.create(page=home.page)
    buyer = UserFactory.create()
    for days, hour in ((3, 10), (4, 10)):
        book(buyer, room, days=days, hour=hour)
    order_cart(buyer)
    first, _other = CalendarEntry.objects.bookings().order_by("starts_at")
    day = first.starts_at.astimezone(home.page.zone()).date().isoformat()
    closed = rows("closed_days", {"first_day": day, "last_day": day, "reason": "Works"})

    answer = organiser.post(change(room), sent(organiser, change(room), **closed), follow=True)

    assert "1 booking to come lies outside the opening hours and stays valid: " in answer.content.decode()
    first.refresh_from_db()
    assert first.state == "reserved"
    again = organiser.post(change(room), sent(organiser, change(room), **{"closed_days-0-DELETE": "on"}), follow=True)
    assert "outside the opening hours" not in again.content.decode()


def closed_over_bookings(organiser: Client, home: House, hours: tuple[int, ...]) -> tuple[Calendar, str]:
    """A room with paid bookings at `hours` of a day on which it is then closed; and the page that says so."""
    room, buyer = RoomFactory.create(page=home.page), UserFactory.create()
    for hour in hours:
        booking = book(buyer, room, days=3, hour=hour)
        lead("events_calendarentry", booking.pk, SOLD_WAYS["confirmed"], home.order, buyer)
    day = booking.starts_at.astimezone(home.page.zone()).date().isoformat()
    closed = rows("closed_days", {"first_day": day, "last_day": day, "reason": "Works"})
    answer = organiser.post(change(room), sent(organiser, change(room), **closed), follow=True)
    return room, answer.content.decode()


@pytest.mark.promise("room-closed-over")
def test_a_booked_day_that_is_blocked_names_each_booking_with_its_link_and_one_way_of_dates(
    organiser: Client, home: House
) -> None:
    room, page = closed_over_bookings(organiser, home, (10, 12, 14, 16))
    for booking in CalendarEntry.objects.bookings().order_by("starts_at")[:3]:
        when = told(booking.starts_at, home.page.time_zone)
        assert f'<a href="/admin/events/booking/{booking.pk}/change/">{when}</a>' in page
    outside = change(room, "outside/")
    assert f', … <a href="{outside}">Show them, and tell those who booked</a>' in page
    listed = organiser.get(outside).content.decode()
    for booking in CalendarEntry.objects.bookings():
        assert f'/admin/events/booking/{booking.pk}/change/">{told(booking.starts_at, home.page.time_zone)}<' in listed
    assert f"/admin/orders/order/{home.order.pk}/change/" in listed


@pytest.mark.promise("room-closed-over")
def test_who_booked_a_blocked_day_is_told_once_in_the_organiser_s_words(organiser: Client, home: House) -> None:
    room, _page = closed_over_bookings(organiser, home, (10, 12))
    first = CalendarEntry.objects.bookings().earliest("starts_at")
    lead("events_calendarentry", first.pk, ["refund_due"], home.order, UserFactory.create())
    outside = change(room, "outside/")
    assert answered(organiser, outside, {}, words=" ").status_code == 422
    jobs = ProcrastinateJob.objects.filter(task_name="events.jobs.tell_about_booking")
    assert not jobs.exists()
    for said in ("1 buyer is told by mail.", "0 buyers are told by mail."):  # a second click
        assert said in answered(organiser, outside, {}, words="Works: take <another> day.").content.decode()
    mail.outbox.clear()
    events.organising.mails.tell_about_booking(**jobs.get().args)
    (sent_mail,) = mail.outbox
    assert "Works: take <another> day." in str(sent_mail.body)
    assert f"/orders/{home.order.code}/" in str(sent_mail.body)
    assert isinstance(sent_mail, EmailMultiAlternatives)
    assert "take &lt;another&gt; day" in str(sent_mail.alternatives[0])


def test_what_lies_outside_is_for_who_runs_the_page(organiser: Client, home: House) -> None:
    room, _page = closed_over_bookings(organiser, home, (10,))
    outside = change(room, "outside/")
    stranger = signed_in_as(member((house("Beta").page, Role.OWNER)))
    assert stranger.get(outside).status_code == stranger.post(outside).status_code == 404
    for role in (Role.BOX_OFFICE, Role.DOOR, Role.FINANCE):
        client = signed_in_as(member((home.page, role)))
        assert client.get(outside).status_code in (403, 404)
        assert client.post(outside).status_code in (403, 404)


def test_room_of_another_page_is_not_found_and_the_door_changes_nothing(organiser: Client, home: House) -> None:
    other = RoomFactory.create()
    assert organiser.get(change(other)).status_code == 302  # the admin's way to say that it is not there
    mine = RoomFactory.create(page=home.page)
    for role in (Role.BOX_OFFICE, Role.DOOR, Role.FINANCE):
        answer = signed_in_as(member((home.page, role))).post(change(mine), {"name": "Stolen"})
        assert answer.status_code in (302, 403)
    mine.refresh_from_db()
    assert mine.name != "Stolen"

"""Calendar files and feeds: how they are sent, what a subscriber's calendar is told of each change, where they lead."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone
from icalendar import Calendar

from events.models import CalendarEntry, Page
from events.transitions import call_off_event, mark_voided
from orders.fulfilling import fulfil
from tests.events.test_local_times import SPANS, at
from tests.factories import EventFactory, PageFactory, RoomFactory, UserFactory
from tests.ledger.psql import run
from tests.papers import pages_of
from tests.steps import book, fill, order_cart

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("merchant")]

FEED = "/feeds/events.ics"


def event_in(client: Client, address: str = FEED) -> Any:
    (event,) = Calendar.from_ical(client.get(address).content).walk("VEVENT")
    return event


def number(client: Client) -> int:
    return int(event_in(client)["SEQUENCE"])


def test_calendar_files_say_what_they_are(client: Client) -> None:
    entry = EventFactory.create(calendar__page__slug="house")
    user = UserFactory.create()
    fill(user, entry, 1)
    order = order_cart(user)
    with transaction.atomic():
        fulfil(order, at=timezone.now())
    client.force_login(user)
    ticket = order.tickets.get()
    for address in (FEED, "/p/house/events.ics", f"/orders/{order.code}.ics", f"/tickets/{ticket.code}.ics"):
        assert client.get(address)["Content-Type"] == "text/calendar; charset=utf-8", address


def test_a_feed_says_how_often_it_is_worth_a_look(client: Client) -> None:
    EventFactory.create(calendar__page__slug="house")
    for address in (FEED, "/p/house/events.ics"):
        body = client.get(address).content.decode()
        assert "REFRESH-INTERVAL;VALUE=DURATION:PT1H\r\n" in body
        assert "X-PUBLISHED-TTL:PT1H\r\n" in body


def moved(entry: CalendarEntry) -> None:
    later = timedelta(hours=1)
    CalendarEntry.objects.filter(pk=entry.pk).update(starts_at=entry.starts_at + later, ends_at=entry.ends_at + later)


def longer(entry: CalendarEntry) -> None:
    CalendarEntry.objects.filter(pk=entry.pk).update(ends_at=entry.ends_at + timedelta(hours=1))


def elsewhere(entry: CalendarEntry) -> None:
    CalendarEntry.objects.filter(pk=entry.pk).update(place="The barn")


def page_elsewhere(entry: CalendarEntry) -> None:
    Page.objects.filter(pk=entry.calendar.page_id).update(place="The other house")


def called_off(entry: CalendarEntry) -> None:
    assert call_off_event(entry) == 1


def renamed(entry: CalendarEntry) -> None:
    CalendarEntry.objects.filter(pk=entry.pk).update(title="Another")


CHANGES = [moved, longer, elsewhere, page_elsewhere, called_off, renamed]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.promise("each-change-event")
def test_each_change_of_an_event_has_a_higher_number_and_a_later_time(
    client: Client, change: Callable[[CalendarEntry], None]
) -> None:
    entry = EventFactory.create()
    CalendarEntry.objects.filter(pk=entry.pk).update(created_at=datetime(2020, 1, 1, tzinfo=UTC))
    before = event_in(client)
    assert (int(before["SEQUENCE"]), before["LAST-MODIFIED"].dt) == (0, datetime(2020, 1, 1, tzinfo=UTC))
    change(entry)
    after = event_in(client)
    assert int(after["SEQUENCE"]) == 1
    assert after["LAST-MODIFIED"].dt > before["LAST-MODIFIED"].dt
    assert after["UID"] == before["UID"]


def test_what_is_no_change_of_the_event_leaves_its_number(client: Client) -> None:
    entry = EventFactory.create(capacity=9)
    fill(user := UserFactory.create(), entry, 2)
    order_cart(user)  # writes the counter on the event's row
    CalendarEntry.objects.filter(pk=entry.pk).update(capacity=12, text="More about it", is_published=True)
    Page.objects.update(name="Another name")
    assert number(client) == 0


@pytest.mark.promise("each-change-event")
def test_a_number_is_written_by_changes_only_and_never_falls(client: Client) -> None:
    entry = EventFactory.create()
    stale = CalendarEntry.objects.get(pk=entry.pk)
    moved(entry)
    elsewhere(entry)
    stale.text = "stale"
    stale.save(update_fields=["text", "revision", "revised_at"])
    run("UPDATE events_calendarentry SET revision = 0, revised_at = NULL WHERE id = %s", entry.pk)
    assert number(client) == 2
    called_off(entry)
    assert number(client) == 3


def test_a_booking_leads_to_its_order(client: Client) -> None:
    user = UserFactory.create()
    book(user, RoomFactory.create())
    order = order_cart(user)
    with transaction.atomic():
        fulfil(order, at=timezone.now())
    client.force_login(user)
    event = event_in(client, f"/orders/{order.code}.ics")
    assert str(event["URL"]).endswith(order.get_absolute_url())
    assert client.get(order.get_absolute_url()).status_code == 200
    booking = CalendarEntry.objects.get(order=order)
    assert booking.revision == 0
    mark_voided([booking.pk], source="confirmed", of=CalendarEntry)
    assert CalendarEntry.objects.get(order=order).revision == 1


def test_whole_days_are_days_in_any_calendar(client: Client) -> None:
    zone = ZoneInfo("Europe/Berlin")
    day = timezone.now().astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=9)
    first = day.date()
    ends = datetime.combine(first + timedelta(days=3), day.time(), zone)
    EventFactory.create(starts_at=datetime.combine(first, day.time(), zone), ends_at=ends)
    event = event_in(client)
    assert (event["DTSTART"].dt, event["DTEND"].dt) == (first, first + timedelta(days=3))
    assert isinstance(event["DTSTART"].dt, date)


# --- Where a time is told


@pytest.mark.parametrize(("starts", "ends", "short", "full"), SPANS[1:6])
@pytest.mark.promise("time-told-whole")
def test_every_page_and_paper_tells_the_whole_time(
    client: Client, starts: tuple[int, ...], ends: tuple[int, ...], short: str, full: str
) -> None:
    """At the event, in the cart, in the order, on the ticket and on paper; the mails have the walk over their texts."""
    entry = EventFactory.create(starts_at=at(*starts), ends_at=at(*ends))
    run("UPDATE events_calendarentry SET sale_ends_at = NULL WHERE id = %s", entry.pk)
    user = UserFactory.create()
    client.force_login(user)
    fill(user, entry, 1)
    shown = {"event": entry.get_absolute_url(), "cart": "/cart/"}
    texts = {name: client.get(address).content.decode() for name, address in shown.items()}
    order = order_cart(user)
    texts["unpaid"] = client.get(order.get_absolute_url()).content.decode()
    with transaction.atomic():
        fulfil(order, at=timezone.now())
    ticket = order.tickets.get()
    texts["order"] = client.get(order.get_absolute_url()).content.decode()
    texts["ticket"] = client.get(ticket.get_absolute_url()).content.decode()
    texts["tickets"] = client.get("/tickets/").content.decode()
    texts["paper"] = " ".join(" ".join(pages_of(client.get(f"/tickets/{ticket.code}.pdf").content)).split())
    short_ones = {"cart", "unpaid"}
    missing = {name for name, text in texts.items() if (short if name in short_ones else full) not in text}
    assert missing == set()


def test_a_booking_over_midnight_is_told_whole(client: Client) -> None:
    """In the line of its order, which never changes, and on its face."""
    page = PageFactory.create(time_zone="Pacific/Auckland")
    room = RoomFactory.create(page=page)
    booking = book(UserFactory.create(), room)
    zone = page.zone()
    booking.starts_at = datetime(2026, 12, 4, 23, tzinfo=zone)
    booking.ends_at = datetime(2026, 12, 5, 1, tzinfo=zone)
    booking.calendar.page = page
    assert booking.what == f"{booking.title}, Fri 4 Dec, 23:00 – Sat 5 Dec 2026, 01:00"

"""Events as iCalendar, to put in one's own calendar or to subscribe to (RFC 5545)."""

from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import urlsplit

from django.conf import settings
from icalendar import Calendar, Event

from events.models import CalendarEntry
from events.states import EntryState


def ics(entries: Iterable[CalendarEntry], *, name: str, at: datetime) -> bytes:
    """A calendar of `entries` (with calendar and page at hand), each once.

    Times are in UTC, so that no table of time zones is needed. An event keeps its UID for ever; a cancelled one stays,
    as cancelled, so that subscribers' calendars strike it out.
    """
    calendar = Calendar()
    calendar.add("prodid", "-//Foyer//Foyer//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", " ".join(name.split()))
    for entry in {entry.pk: entry for entry in entries}.values():
        calendar.add_component(_event(entry, at))
    return bytes(calendar.to_ical())


def _event(entry: CalendarEntry, at: datetime) -> Event:
    page = entry.calendar.page
    event = Event()
    event.add("uid", f"entry-{entry.pk}@{urlsplit(settings.SITE_URL).hostname}")
    event.add("dtstamp", at.astimezone(UTC))
    event.add("dtstart", entry.starts_at.astimezone(UTC))
    event.add("dtend", entry.ends_at.astimezone(UTC))
    event.add("summary", " ".join(entry.title.split()))
    event.add("location", entry.place or page.place)
    event.add("description", entry.access_note or entry.summary)
    event.add("url", settings.SITE_URL + entry.get_absolute_url())
    event.add("status", "CANCELLED" if entry.state == EntryState.CANCELLED else "CONFIRMED")
    return event

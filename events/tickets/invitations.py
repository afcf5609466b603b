"""Events as iCalendar, to put in one's own calendar or to subscribe to (RFC 5545)."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from icalendar import Calendar, Event, vDuration

from events.local_times import whole_days
from events.models import CalendarEntry
from events.states import EntryKind, EntryState

CONTENT_TYPE = "text/calendar; charset=utf-8"
#: So often a subscriber's calendar is asked to look again.
REFRESHED_AFTER = timedelta(hours=1)


def ics(entries: Iterable[CalendarEntry], *, name: str, at: datetime, is_feed: bool = False) -> bytes:
    """A calendar of `entries` (with calendar and page at hand), each once.

    Times are in UTC, so that no table of time zones is needed; whole days are days, wherever they are read. An event
    keeps its UID for ever, and each change of it has a higher number; a cancelled one stays, as cancelled, so that
    subscribers' calendars strike it out. A feed says how often it is worth a look (RFC 7986, and what Outlook reads).
    """
    calendar = Calendar()
    calendar.add("prodid", "-//Foyer//Foyer//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", " ".join(name.split()))
    if is_feed:
        calendar.add("refresh-interval", vDuration(REFRESHED_AFTER), parameters={"VALUE": "DURATION"})
        calendar.add("x-published-ttl", vDuration(REFRESHED_AFTER))
    for entry in {entry.pk: entry for entry in entries}.values():
        calendar.add_component(_event(entry, at))
    return bytes(calendar.to_ical())


def _event(entry: CalendarEntry, at: datetime) -> Event:
    page = entry.calendar.page
    event = Event()
    event.add("uid", f"entry-{entry.pk}@{urlsplit(settings.SITE_URL).hostname}")
    event.add("dtstamp", at.astimezone(UTC))
    days = whole_days(entry.starts_at, entry.ends_at, page.zone())
    event.add("dtstart", days[0] if days else entry.starts_at.astimezone(UTC))
    event.add("dtend", days[1] if days else entry.ends_at.astimezone(UTC))
    # Where it takes place may be the page's: that moves it, too.
    event.add("sequence", entry.revision + page.revision)
    changed = max(filter(None, [entry.created_at, entry.revised_at, page.revised_at]))
    event.add("last-modified", changed.astimezone(UTC))
    event.add("summary", " ".join(entry.title.split()))
    event.add("location", entry.where)
    event.add("description", entry.access_note or entry.summary)
    event.add("url", settings.SITE_URL + _address(entry))
    event.add("status", "CANCELLED" if entry.state == EntryState.CANCELLED else "CONFIRMED")
    return event


def _address(entry: CalendarEntry) -> str:
    """An event's page; of a booking, which has none, that of its order."""
    if entry.kind == EntryKind.BOOKING and entry.order is not None:
        return entry.order.get_absolute_url()
    return entry.get_absolute_url()

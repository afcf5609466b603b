"""The mails to holders of tickets and bookings about what their organiser has changed, or has to say."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils.translation import gettext as _
from procrastinate.contrib.django import app

from accounts.mails import MAIL_RETRY, in_subject, letter
from events.local_times import span, told_in_full
from events.models import CalendarEntry, Ticket
from events.states import TicketState
from events.tickets.invitations import ics
from events.tickets.mails import voice_of
from ledger import clock


@app.task(name="events.jobs.tell_called_off", queue="mail", retry=MAIL_RETRY)
def tell_called_off(entry_id: int, order_id: int) -> None:
    """Tell the buyer, what comes back included, and whoever has got a ticket of the order from the buyer."""
    entry = CalendarEntry.objects.with_page().get(pk=entry_id)
    tickets = _tickets_of(entry, order_id)
    owed = [row for row in tickets if row.state in (TicketState.REFUND_DUE, TicketState.REFUNDED)]
    order = tickets[0].order if tickets else None
    order_url = settings.SITE_URL + order.get_absolute_url() if order else ""
    is_free = not any(row.price for row in tickets)
    context = {"entry": entry, "owed": owed, "is_free": is_free, "order_url": order_url}
    subject = _("Called off: %(title)s") % {"title": in_subject(entry.title)}
    _tell(entry, tickets, "called_off", subject, f"called-off.{entry.pk}.{order_id}", context)


@dataclass(frozen=True)
class Whereabouts:
    """When and where something was to be: `zone` "" is the page's own, `end` None is as long as now."""

    start: datetime
    place: str
    zone: str = ""
    end: datetime | None = None

    @classmethod
    def read(cls, *, start: str, place: str, zone: str = "", end: str = "") -> "Whereabouts":
        """Of a job's arguments, which are text: times in ISO format, "" for what is as it was."""
        return cls(datetime.fromisoformat(start), place, zone, datetime.fromisoformat(end) if end else None)

    def told_for(self, entry: CalendarEntry) -> dict[str, object]:
        """What the mails say of it beside `entry` as it is now."""
        zone = ZoneInfo(self.zone) if self.zone else entry.calendar.page.zone()
        same = (self.start, self.end or entry.ends_at, self.place) == (entry.starts_at, entry.ends_at, entry.where)
        return {
            "entry": entry,
            "old_time": span(self.start, self.end, zone, in_full=True) if self.end else told_in_full(self.start, zone),
            "old_place": self.place,
            "is_same_moment": same and zone != entry.calendar.page.zone(),
        }

    def digest(self, entry: CalendarEntry) -> str:
        """Tells one such message from the next, and is the same whenever it is sent again."""
        now = (entry.starts_at, entry.ends_at, entry.place, entry.calendar.page.place, entry.calendar.page.time_zone)
        return hashlib.sha256(repr((self, now)).encode()).hexdigest()[:16]


@app.task(name="events.jobs.tell_moved", queue="mail", retry=MAIL_RETRY)
def tell_moved(
    entry_id: int, order_id: int, old_start: str, old_place: str, old_zone: str = "", old_end: str = ""
) -> None:
    """Tell the buyer and whoever has got a ticket: the old time and place, and the new ones; with a calendar file."""
    old = Whereabouts.read(start=old_start, place=old_place, zone=old_zone, end=old_end)
    entry = CalendarEntry.objects.with_page().get(pk=entry_id)
    tickets = [row for row in _tickets_of(entry, order_id) if row.is_valid]
    context = {**old.told_for(entry), "entry_url": settings.SITE_URL + entry.get_absolute_url()}
    subject = _("New time or place: %(title)s") % {"title": in_subject(entry.title)}
    number = f"moved.{entry.pk}.{order_id}.{old.digest(entry)}"
    _tell(entry, tickets, "moved", subject, number, context, ics([entry], name=entry.title, at=clock.now()))


@app.task(name="events.jobs.tell_other_time", queue="mail", retry=MAIL_RETRY)
def tell_other_time(booking_id: int, old_start: str, old_place: str, old_zone: str) -> None:
    """Tell who has booked the time what it was and what it is now; nothing once the booking is cancelled."""
    old = Whereabouts.read(start=old_start, place=old_place, zone=old_zone)
    booking = CalendarEntry.objects.with_page().select_related("user", "order").get(pk=booking_id)
    if not booking.is_valid or booking.user is None or booking.order is None:
        return
    mail = letter(
        "events/mail/other_time",
        {**old.told_for(booking), "order_url": settings.SITE_URL + booking.order.get_absolute_url()},
        subject=_("New time or place: %(title)s") % {"title": in_subject(booking.title)},
        to=booking.user.email,
        number=f"other-time.{booking.pk}.{old.digest(booking)}",
        voice=voice_of([booking.calendar.page]),
    )
    mail.attach("booking.ics", ics([booking], name=booking.title, at=clock.now()), "text/calendar")
    mail.send()


@app.task(name="events.jobs.tell_about_booking", queue="mail", retry=MAIL_RETRY)
def tell_about_booking(booking_id: int, words: str) -> None:
    """Tell who has booked the time what its organiser writes about it; nothing once the booking is cancelled."""
    booking = CalendarEntry.objects.with_page().select_related("user", "order").get(pk=booking_id)
    if not booking.is_valid or booking.user is None or booking.order is None:
        return
    letter(
        "events/mail/about_booking",
        {"booking": booking, "words": words, "order_url": settings.SITE_URL + booking.order.get_absolute_url()},
        subject=_("About your booking: %(title)s") % {"title": in_subject(booking.title)},
        to=booking.user.email,
        number=f"about.{booking.pk}.{hashlib.sha256(words.encode()).hexdigest()[:16]}",
        voice=voice_of([booking.calendar.page]),
    ).send()


def _tickets_of(entry: CalendarEntry, order_id: int) -> list[Ticket]:
    rows = Ticket.objects.filter(entry=entry, order=order_id)
    return list(rows.select_related("user", "ticket_type", "entry", "order"))


def _tell(
    entry: CalendarEntry,
    tickets: Sequence[Ticket],
    template: str,
    subject: str,
    number: str,
    context: Mapping[str, object],
    calendar: bytes | None = None,
) -> None:
    """One mail to the buyer and one to each receiver of a ticket, each with a Message-ID of its own that stays."""
    people = dict.fromkeys([row.user.email for row in tickets] + [row.sent_to for row in tickets if row.sent_to])
    for place, address in enumerate(people):
        mail = letter(
            f"events/mail/{template}",
            {**context, "is_buyer": place == 0},
            subject=subject,
            to=address,
            number=f"{number}.{place}",
            voice=voice_of([entry.calendar.page]),
        )
        if calendar is not None:
            mail.attach("event.ics", calendar, "text/calendar")
        mail.send()

"""The mails to the holders of tickets: a ticket that was sent on, an event that is called off or moved."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _

from events.documents import tickets_pdf
from events.invitations import ics
from events.models import CalendarEntry, Ticket
from events.states import TicketState
from events.ticket_links import link_token
from ledger import clock


def send_ticket_mail(ticket_id: int) -> None:
    """Tell the new holder of a ticket, with its PDF and calendar entry; nothing if it was sent on or voided since."""
    ticket = Ticket.objects.with_page().select_related("order").get(pk=ticket_id)
    if not ticket.is_sent or not ticket.is_valid:
        return
    token = link_token(ticket)
    context = {"ticket": ticket, "ticket_url": settings.SITE_URL + reverse("ticket_link", args=[token])}
    mail = EmailMultiAlternatives(
        subject=one_line(_("A ticket for you: %(title)s") % {"title": ticket.entry.title}),
        body=render_to_string("events/mail/sent.txt", context),
        to=[ticket.sent_to],
        headers={"Message-ID": f"<ticket.{ticket.pk}.{token[-12:]}@{urlsplit(settings.SITE_URL).hostname}>"},
    )
    mail.attach_alternative(render_to_string("events/mail/sent.html", context), "text/html")
    mail.attach("ticket.pdf", tickets_pdf([ticket]), "application/pdf")
    mail.attach("event.ics", ics([ticket.entry], name=ticket.entry.title, at=clock.now()), "text/calendar")
    mail.send()


def send_called_off_mail(entry_id: int, order_id: int) -> None:
    """Tell the buyer, what comes back included, and whoever has got a ticket of the order from the buyer."""
    entry = CalendarEntry.objects.with_page().get(pk=entry_id)
    tickets = list(Ticket.objects.filter(entry=entry, order=order_id).select_related("user", "ticket_type", "entry"))
    owed = [row for row in tickets if row.state in (TicketState.REFUND_DUE, TicketState.REFUNDED)]
    context = {"entry": entry, "owed": owed}
    subject = _("Called off: %(title)s") % {"title": entry.title}
    _tell(tickets, "called_off", subject, f"called-off.{entry.pk}.{order_id}", context)


@dataclass(frozen=True)
class Whereabouts:
    """When and where something was to be: `zone` "" is the page's own, `end` None is as long as now."""

    start: datetime
    place: str
    zone: str = ""
    end: datetime | None = None

    @classmethod
    def read(cls, *, start: str, place: str, zone: str = "", end: str = "") -> "Whereabouts":
        """As a job keeps it."""
        return cls(datetime.fromisoformat(start), place, zone, datetime.fromisoformat(end) if end else None)

    def told_for(self, entry: CalendarEntry) -> dict[str, object]:
        """What the mails say of it beside `entry` as it is now."""
        page = entry.calendar.page
        place = entry.place or page.place
        return {
            "entry": entry,
            "place": place,
            "old": self,
            "old_zone": self.zone or page.time_zone,
            "is_same_moment": self.zone not in ("", page.time_zone)
            and (self.start, self.place) == (entry.starts_at, place),
            "old_end": self.end if self.end != entry.ends_at else None,
        }

    def digest(self, entry: CalendarEntry) -> str:
        """Tells one such message from the next, and is the same whenever it is sent again."""
        now = (entry.starts_at, entry.ends_at, entry.place, entry.calendar.page.place, entry.calendar.page.time_zone)
        return hashlib.sha256(repr((self, now)).encode()).hexdigest()[:16]


def send_moved_mail(entry_id: int, order_id: int, *, old: Whereabouts) -> None:
    """Tell the buyer and whoever has got a ticket: the old time and place, and the new ones; with a calendar file."""
    entry = CalendarEntry.objects.with_page().get(pk=entry_id)
    rows = Ticket.objects.filter(entry=entry, order=order_id).select_related("user", "ticket_type", "entry")
    tickets = [row for row in rows if row.is_valid]
    subject = _("New time or place: %(title)s") % {"title": entry.title}
    number = f"moved.{entry.pk}.{order_id}.{old.digest(entry)}"
    _tell(tickets, "moved", subject, number, old.told_for(entry), ics([entry], name=entry.title, at=clock.now()))


def send_other_time_mail(booking_id: int, *, old: Whereabouts) -> None:
    """Tell who has booked the time what it was and what it is now; nothing once the booking is cancelled."""
    booking = CalendarEntry.objects.with_page().select_related("user").get(pk=booking_id)
    if not booking.is_valid or booking.user is None:
        return
    number = f"other-time.{booking.pk}.{old.digest(booking)}"
    mail = EmailMultiAlternatives(
        subject=one_line(_("New time or place: %(title)s") % {"title": booking.title}),
        body=render_to_string("events/mail/other_time.txt", old.told_for(booking)),
        to=[booking.user.email],
        headers={"Message-ID": f"<{number}@{urlsplit(settings.SITE_URL).hostname}>"},
    )
    mail.attach_alternative(render_to_string("events/mail/other_time.html", old.told_for(booking)), "text/html")
    mail.attach("booking.ics", ics([booking], name=booking.title, at=clock.now()), "text/calendar")
    mail.send()


def send_about_booking_mail(booking_id: int, *, words: str) -> None:
    """Tell who has booked the time what its organiser writes about it; nothing once the booking is cancelled."""
    booking = CalendarEntry.objects.with_page().select_related("user", "order").get(pk=booking_id)
    if not booking.is_valid or booking.user is None or booking.order is None:
        return
    order_url = settings.SITE_URL + booking.order.get_absolute_url()
    context = {"booking": booking, "words": words, "order_url": order_url}
    number = f"about.{booking.pk}.{hashlib.sha256(words.encode()).hexdigest()[:16]}"
    mail = EmailMultiAlternatives(
        subject=one_line(_("About your booking: %(title)s") % {"title": booking.title}),
        body=render_to_string("events/mail/about_booking.txt", context),
        to=[booking.user.email],
        headers={"Message-ID": f"<{number}@{urlsplit(settings.SITE_URL).hostname}>"},
    )
    mail.attach_alternative(render_to_string("events/mail/about_booking.html", context), "text/html")
    mail.send()


def _tell(
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
        told = {**context, "is_buyer": place == 0}
        mail = EmailMultiAlternatives(
            subject=one_line(subject),
            body=render_to_string(f"events/mail/{template}.txt", told),
            to=[address],
            headers={"Message-ID": f"<{number}.{place}@{urlsplit(settings.SITE_URL).hostname}>"},
        )
        mail.attach_alternative(render_to_string(f"events/mail/{template}.html", told), "text/html")
        if calendar is not None:
            mail.attach("event.ics", calendar, "text/calendar")
        mail.send()


def one_line(words: str) -> str:
    """`words` as a subject: a title with a line break in it must not become a header."""
    return " ".join(words.split())

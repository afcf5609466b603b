"""The mails to the holders of tickets: a ticket that was sent on, an event that is called off or moved."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.mails import Voice, in_subject, letter
from events.documents import tickets_pdf
from events.invitations import ics
from events.local_times import told_in_full
from events.models import CalendarEntry, Page, Ticket
from events.states import TicketState
from events.ticket_links import link_token
from ledger import clock


def voice_of(pages: Iterable[Page]) -> Voice:
    """A mail about things of `pages` speaks in the name of the one page, and is answered by all that want answers."""
    different = {page.pk: page for page in pages}.values()
    name = next(iter(different)).name if len(different) == 1 else ""
    return Voice(name, tuple(dict.fromkeys(page.contact_email for page in different if page.contact_email)))


def send_ticket_mail(ticket_id: int) -> None:
    """Tell the new holder of a ticket, with its PDF and calendar entry; nothing if it was sent on or voided since."""
    ticket = Ticket.objects.with_page().select_related("order").get(pk=ticket_id)
    if not ticket.is_sent or not ticket.is_valid:
        return
    token = link_token(ticket)
    mail = letter(
        "events/mail/sent",
        {"ticket": ticket, "ticket_url": settings.SITE_URL + reverse("ticket_link", args=[token])},
        subject=_("A ticket for you: %(title)s") % {"title": in_subject(ticket.entry.title)},
        to=ticket.sent_to,
        number=f"ticket.{ticket.pk}.{token[-12:]}",
        voice=voice_of([ticket.entry.calendar.page]),
    )
    mail.attach("ticket.pdf", tickets_pdf([ticket]), "application/pdf")
    mail.attach("event.ics", ics([ticket.entry], name=ticket.entry.title, at=clock.now()), "text/calendar")
    mail.send()


def send_called_off_mail(entry_id: int, order_id: int) -> None:
    """Tell the buyer, what comes back included, and whoever has got a ticket of the order from the buyer."""
    entry = CalendarEntry.objects.with_page().get(pk=entry_id)
    tickets = _tickets_of(entry, order_id)
    owed = [row for row in tickets if row.state in (TicketState.REFUND_DUE, TicketState.REFUNDED)]
    order = tickets[0].order if tickets else None
    context = {"entry": entry, "owed": owed, "order_url": settings.SITE_URL + order.get_absolute_url() if order else ""}
    subject = _("Called off: %(title)s") % {"title": in_subject(entry.title)}
    _tell(entry, tickets, "called_off", subject, f"called-off.{entry.pk}.{order_id}", context)


def send_moved_mail(entry_id: int, order_id: int, *, old_start: str, old_place: str) -> None:
    """Tell the buyer and whoever has got a ticket: the old time and place, and the new ones; with a calendar file."""
    entry = CalendarEntry.objects.with_page().get(pk=entry_id)
    tickets = [row for row in _tickets_of(entry, order_id) if row.is_valid]
    context = {
        "entry": entry,
        "entry_url": settings.SITE_URL + entry.get_absolute_url(),
        "old_start": told_in_full(datetime.fromisoformat(old_start), entry.calendar.page.zone()),
        "old_place": old_place,
    }
    subject = _("New time or place: %(title)s") % {"title": in_subject(entry.title)}
    number = f"moved.{entry.pk}.{order_id}.{int(entry.starts_at.timestamp())}"
    _tell(entry, tickets, "moved", subject, number, context, ics([entry], name=entry.title, at=clock.now()))


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
